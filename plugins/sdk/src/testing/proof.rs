//! Checks proofs as the host does: any of them must hold, with the real secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};

use crate::webhook::{HmacAlgorithm, Proof};

/// Does any of the proofs hold? A secret that is not set or empty proves nothing.
pub fn any_holds(proofs: &[Proof], secrets: &BTreeMap<String, String>) -> bool {
    proofs.iter().any(|proof| match proof {
        Proof::Hmac(proof) => filled(secrets, &proof.key).is_some_and(|key| {
            let algorithm = match proof.algorithm {
                HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
                HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
            };
            hmac::verify(&hmac::Key::new(algorithm, key.as_bytes()), &proof.message, &proof.tag).is_ok()
        }),
        Proof::Token(proof) => filled(secrets, &proof.secret).is_some_and(|secret| secret == proof.presented),
        Proof::Ed25519(proof) => filled(secrets, &proof.key).and_then(public_key).is_some_and(|key| {
            let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
            key.verify(&proof.message, &proof.signature).is_ok()
        }),
        Proof::Other(_) => false,
    })
}

/// 32 bytes, in hex or base64.
fn public_key(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if text.len() == 64 { (0..64).step_by(2).map(byte).collect() } else { STANDARD.decode(text).ok() }
}

fn filled<'a>(secrets: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    secrets.get(name).map(String::as_str).filter(|value| !value.is_empty())
}
