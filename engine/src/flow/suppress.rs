//! Whom we must not write to although we forgot them: who had opted out or was
//! blocked when they were erased. Kept as keyed hashes of their addresses, so that
//! the list tells nothing without the master key.

use crate::crypto::{Keyring, hmac_sha256_hex};

/// What the key of these hashes is derived for.
const PURPOSE: &str = "suppression";

/// The hashes under which somebody may be remembered: of the identity's value, and of its phone's key.
pub fn hashes(keyring: &Keyring, channel_kind: &str, value: &str, phone_key: Option<&str>) -> Vec<String> {
    let key = keyring.derive(PURPOSE);
    let hash = |of: &str| hmac_sha256_hex(&key, format!("{channel_kind}\n{of}").as_bytes());
    let phone = phone_key.filter(|phone| *phone != value);
    std::iter::once(value).chain(phone).map(hash).collect()
}
