//! Passwords: how long they must be, and hashing off the reactor, since it is
//! slow on purpose.

use super::problem::Problem;
use crate::clock::Clock;
use crate::crypto;

/// Characters at least (NIST SP 800-63B: length matters, composition rules do not).
pub const CHARS_MIN: usize = 10;
/// Bytes at most; more only costs time.
pub const BYTES_MAX: usize = 1_024;

/// Hashes a new password.
///
/// # Errors
/// 422 at `pointer` when it is too short or too long.
pub async fn hash(clock: &Clock, password: &str, pointer: &str) -> Result<String, Problem> {
    if password.chars().count() < CHARS_MIN {
        return Err(Problem::field(pointer, format!("must have at least {CHARS_MIN} characters")));
    }
    if password.len() > BYTES_MAX {
        return Err(Problem::field(pointer, format!("must have at most {BYTES_MAX} bytes")));
    }
    let (clock, password) = (clock.clone(), password.to_owned());
    tokio::task::spawn_blocking(move || crypto::hash_password(&clock, &password))
        .await
        .map_err(|error| Problem::internal("hashing a password failed", &error))?
        .map_err(|error| Problem::internal("hashing a password failed", &error))
}

/// Is it the password? Takes the same time when there is no hash to compare with.
///
/// # Errors
/// 500 when the stored hash cannot be read.
pub async fn verify(password: &str, hash: Option<&str>) -> Result<bool, Problem> {
    /// Of a random password that nobody knows.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$Y2hhbmNlLW9mLW5vYm9keQ$M5pP1wT8b0i7W8x9Jt0m1m0bWq8D8cS5vU4kqzJj0dE";
    if password.len() > BYTES_MAX {
        return Ok(false);
    }
    let known = hash.is_some();
    let (password, hash) = (password.to_owned(), hash.unwrap_or(NOBODY).to_owned());
    let verified = tokio::task::spawn_blocking(move || crypto::verify_password(&password, &hash))
        .await
        .map_err(|error| Problem::internal("checking a password failed", &error))?
        .map_err(|error| Problem::internal("checking a password failed", &error))?;
    Ok(verified && known)
}
