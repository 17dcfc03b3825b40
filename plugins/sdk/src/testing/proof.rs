//! Checks proofs as the host does: any of them must hold, with the real secrets.

use std::collections::BTreeMap;

use ring::hmac;

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
    })
}

fn filled<'a>(secrets: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    secrets.get(name).map(String::as_str).filter(|value| !value.is_empty())
}
