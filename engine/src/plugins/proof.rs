//! Checks the proofs that a plugin names in its verdict, with secrets that the
//! plugin never sees. Comparisons take the same time whatever the guess.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};

use super::bindings::provider::pointsman::plugin::types::HmacAlgorithm;
use super::bindings::webhook::exports::pointsman::plugin::webhook::Proof;
use crate::crypto::Secret;

/// Does any of the proofs hold? A secret that is not set or empty proves nothing.
pub(super) fn any_holds(proofs: &[Proof], secrets: &BTreeMap<String, Secret>) -> bool {
    proofs.iter().any(|proof| holds(proof, secrets))
}

fn holds(proof: &Proof, secrets: &BTreeMap<String, Secret>) -> bool {
    let secret = |name: &str| secrets.get(name).map(Secret::expose).filter(|value| !value.is_empty());
    match proof {
        Proof::Hmac(proof) => secret(&proof.key).is_some_and(|key| {
            hmac::verify(&hmac_key(proof.algorithm, key), &proof.message, &proof.tag).is_ok()
        }),
        Proof::Token(proof) => secret(&proof.secret).is_some_and(|expected| same(expected, &proof.presented)),
        Proof::Ed25519(proof) => secret(&proof.key).and_then(public_key).is_some_and(|key| {
            let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
            key.verify(&proof.message, &proof.signature).is_ok()
        }),
        Proof::Other(_) => false,
    }
}

/// The key of an HMAC, to check one or to sign a call.
pub(super) fn hmac_key(algorithm: HmacAlgorithm, secret: &str) -> hmac::Key {
    let algorithm = match algorithm {
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, secret.as_bytes())
}

/// 32 bytes, in hex or base64.
fn public_key(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if text.len() == 64 { (0..64).step_by(2).map(byte).collect() } else { STANDARD.decode(text).ok() }
}

/// Compares digests under a shared key, so that neither length nor content shows in the time taken.
fn same(expected: &str, presented: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"pointsman token comparison");
    let tag = hmac::sign(&key, expected.as_bytes());
    hmac::verify(&key, presented.as_bytes(), tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::bindings::webhook::exports::pointsman::plugin::webhook::{HmacProof, TokenProof};
    use super::*;

    fn secrets() -> BTreeMap<String, Secret> {
        BTreeMap::from([("key".into(), Secret::new("key")), ("empty".into(), Secret::new(""))])
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    fn hmac_proof(algorithm: HmacAlgorithm, key: &str, tag: &str) -> Proof {
        let message = b"The quick brown fox jumps over the lazy dog".to_vec();
        Proof::Hmac(HmacProof { algorithm, key: key.into(), message, tag: hex(tag) })
    }

    fn token(secret: &str, presented: &str) -> Proof {
        Proof::Token(TokenProof { secret: secret.into(), presented: presented.into() })
    }

    // The well-known test sentence under the key "key".
    const SHA1: &str = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
    const SHA256: &str = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    const SHA512: &str = "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a";

    #[test]
    fn every_algorithm_is_checked() {
        for (algorithm, tag) in
            [(HmacAlgorithm::Sha1, SHA1), (HmacAlgorithm::Sha256, SHA256), (HmacAlgorithm::Sha512, SHA512)]
        {
            assert!(any_holds(&[hmac_proof(algorithm, "key", tag)], &secrets()), "{algorithm:?}");
            let wrong = format!("00{}", &tag[2..]);
            assert!(!any_holds(&[hmac_proof(algorithm, "key", &wrong)], &secrets()), "{algorithm:?}");
            assert!(!any_holds(&[hmac_proof(algorithm, "key", &tag[2..])], &secrets()), "{algorithm:?} cut");
            assert!(!any_holds(&[hmac_proof(algorithm, "other", tag)], &secrets()), "{algorithm:?} unknown");
            assert!(!any_holds(&[hmac_proof(algorithm, "empty", tag)], &secrets()), "{algorithm:?} empty");
        }
    }

    #[test]
    fn tokens_match_exactly_and_an_unset_secret_proves_nothing() {
        assert!(any_holds(&[token("key", "key")], &secrets()));
        for (secret, presented) in [("key", "Key"), ("key", "key "), ("key", ""), ("empty", ""), ("none", "")]
        {
            assert!(!any_holds(&[token(secret, presented)], &secrets()), "{secret} {presented:?}");
        }
    }

    #[test]
    fn one_good_proof_is_enough_and_none_is_not() {
        assert!(any_holds(&[token("key", "no"), token("key", "key")], &secrets()));
        assert!(!any_holds(&[], &secrets()));
    }
}
