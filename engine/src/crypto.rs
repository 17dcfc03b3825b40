//! Sealing secrets, checking proofs, hashing tokens and passwords. All of it is
//! `ring` and `argon2`; nothing here invents cryptography.

use std::fmt;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{aead, digest, hmac};

use crate::clock::Clock;

/// Argon2id memory, KiB (OWASP's second recommendation of 2023).
const ARGON_MEMORY_KIB: u32 = 19_456;
const ARGON_PASSES: u32 = 2;
const NONCE_BYTES: usize = 12;

/// What can go wrong here. Never carries the secret.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The text was not sealed by this key for this place.
    #[error("a stored secret cannot be opened: the master key or the row was changed; restore the key file")]
    NotOurs,
    /// The master key has another size.
    #[error("the master key must be 32 bytes in base64, not {0} bytes")]
    KeyLength(usize),
    /// The password hash in the store is not readable.
    #[error("a stored password hash is not readable")]
    BadHash,
}

/// A text that must never be shown. Cloned only into the call that needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The master key. Seals what is kept at rest with AES-256-GCM.
#[derive(Clone)]
pub struct Keyring {
    key: aead::LessSafeKey,
    derive: hmac::Key,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(***)")
    }
}

impl Keyring {
    /// `key`: 32 bytes.
    ///
    /// # Errors
    /// Another length.
    pub fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let unbound =
            aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| CryptoError::KeyLength(key.len()))?;
        Ok(Self { key: aead::LessSafeKey::new(unbound), derive: hmac::Key::new(hmac::HMAC_SHA256, key) })
    }

    /// A key for another purpose, 32 bytes, that does not reveal the master key.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.derive, purpose.as_bytes());
        let mut bytes = [0u8; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Tells this key from others and reveals nothing of it.
    pub fn fingerprint(&self) -> String {
        hex(&self.derive("fingerprint"))
    }

    /// Encrypts; `place` (e.g. `channel:chn_…`) must be the same when opening.
    pub fn seal(&self, clock: &Clock, place: &str, plain: &[u8]) -> String {
        let random = clock.random().to_be_bytes();
        let mut nonce = [0u8; NONCE_BYTES];
        nonce.copy_from_slice(&random[..NONCE_BYTES]);
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .unwrap_or_else(|_| std::process::abort()); // only fails beyond 2^36 bytes
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        format!("v1.{}", STANDARD.encode(out))
    }

    /// # Errors
    /// Sealed by another key, for another place, or changed.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, CryptoError> {
        let mut bytes = sealed
            .strip_prefix("v1.")
            .and_then(|text| STANDARD.decode(text).ok())
            .filter(|bytes| bytes.len() > NONCE_BYTES)
            .ok_or(CryptoError::NotOurs)?;
        let mut cipher = bytes.split_off(NONCE_BYTES);
        let nonce = aead::Nonce::try_assume_unique_for_key(&bytes).map_err(|_| CryptoError::NotOurs)?;
        let plain = self
            .key
            .open_in_place(nonce, aead::Aad::from(place.as_bytes()), &mut cipher)
            .map_err(|_| CryptoError::NotOurs)?;
        Ok(plain.to_vec())
    }
}

/// SHA-256 in lower-case hex; how tokens are kept.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}"); // writing to a String cannot fail
        out
    })
}

/// The first 16 bytes of a SHA-256 over length-prefixed parts: for deterministic ids.
pub fn hash16(parts: &[&str]) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0u8; 16];
    out.copy_from_slice(&context.finish().as_ref()[..16]);
    out
}

/// An unguessable token, `prefix` + 43 URL-safe characters (256 bits).
pub fn random_token(clock: &Clock, prefix: &str) -> String {
    let mut bytes = clock.random().to_be_bytes().to_vec();
    bytes.extend(clock.random().to_be_bytes());
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// HMAC-SHA256 in lower-case hex.
pub fn hmac_sha256_hex(key: &[u8], message: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref())
}

/// HMAC-SHA256 in base64.
pub fn hmac_sha256_base64(key: &[u8], message: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message))
}

/// Compares in time that depends on the length only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |acc, (x, y)| acc | (x ^ y)) == 0
}

/// Argon2id hash in PHC form. Slow on purpose: call it off the reactor.
///
/// # Errors
/// Never in practice; parameters are constants.
pub fn hash_password(clock: &Clock, password: &str) -> Result<String, CryptoError> {
    let salt = SaltString::encode_b64(&clock.random().to_be_bytes()).map_err(|_| CryptoError::BadHash)?;
    argon()?
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| CryptoError::BadHash)
}

/// Is this the password? Slow on purpose: call it off the reactor.
///
/// # Errors
/// The stored hash is not readable.
pub fn verify_password(password: &str, hash: &str) -> Result<bool, CryptoError> {
    let parsed = PasswordHash::new(hash).map_err(|_| CryptoError::BadHash)?;
    Ok(argon()?.verify_password(password.as_bytes(), &parsed).is_ok())
}

fn argon() -> Result<Argon2<'static>, CryptoError> {
    let params = Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, 1, None).map_err(|_| CryptoError::BadHash)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_text_opens_only_in_its_place() {
        let (ring, clock) = (Keyring::new(&[7; 32]).unwrap(), Clock::system());
        let sealed = ring.seal(&clock, "channel:1", b"token");
        assert!(!sealed.contains("token"));
        assert_eq!(ring.open("channel:1", &sealed).unwrap(), b"token");
        assert!(ring.open("channel:2", &sealed).is_err());
        assert!(Keyring::new(&[8; 32]).unwrap().open("channel:1", &sealed).is_err());
        assert_ne!(sealed, ring.seal(&clock, "channel:1", b"token"));
    }

    #[test]
    fn parts_are_not_confused_with_each_other() {
        assert_ne!(hash16(&["ab", "c"]), hash16(&["a", "bc"]));
    }

    #[test]
    fn passwords_verify() {
        let hash = hash_password(&Clock::system(), "correct horse").unwrap();
        assert!(verify_password("correct horse", &hash).unwrap());
        assert!(!verify_password("wrong", &hash).unwrap());
        assert_eq!(format!("{:?}", Secret::new("x")), "***");
    }
}
