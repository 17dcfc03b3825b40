//! Signatures of the Standard Webhooks specification (standardwebhooks.com):
//! `v1,` and the base64 of an HMAC-SHA256 over id, timestamp and body, keyed with
//! the bytes of `whsec_…`. While a secret is being changed there are two.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::crypto::{CryptoError, Secret, constant_time_eq, hmac_sha256_base64};

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// How long the old secret signs beside the new one, milliseconds: 24 hours.
pub const OVERLAP_MS: i64 = 24 * 3_600_000;

/// A call that says it was made longer ago, or ahead, is not believed; milliseconds: what the specification advises.
const SKEW_MS_MAX: i64 = 5 * 60_000;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What the headers of a call say.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`, seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: several, with spaces between.
    pub signatures: &'a str,
}

/// The secrets of one endpoint.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// `whsec_…`.
    now: String,
    /// The one before, and until when it signs too (unix milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<(String, i64)>,
}

/// A new secret of 256 bits.
pub(super) fn new_secret(clock: &Clock) -> Secret {
    let mut bytes = clock.random().to_be_bytes().to_vec();
    bytes.extend(clock.random().to_be_bytes());
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

impl Secrets {
    /// The secrets of a new endpoint.
    pub fn new(secret: &Secret) -> Self {
        Self { now: secret.expose().to_owned(), before: None }
    }

    /// A new secret takes over; the old one signs beside it for [`OVERLAP_MS`].
    #[must_use]
    pub fn rotated(self, secret: &Secret, now_ms: i64) -> Self {
        Self { now: secret.expose().to_owned(), before: Some((self.now, now_ms + OVERLAP_MS)) }
    }

    /// Until when the old secret signs too, unix milliseconds.
    pub fn overlaps_until_ms(&self, now_ms: i64) -> Option<i64> {
        self.before.as_ref().map(|(_, until_ms)| *until_ms).filter(|until_ms| *until_ms > now_ms)
    }

    /// Is one of the signatures ours, and fresh?
    pub fn verify(&self, claimed: &Claimed<'_>, now_ms: i64, body: &str) -> bool {
        let Ok(timestamp) = claimed.timestamp.parse::<i64>() else { return false };
        if now_ms.saturating_sub(timestamp.saturating_mul(1_000)).saturating_abs() > SKEW_MS_MAX {
            return false;
        }
        self.valid(now_ms).filter_map(|secret| signature(secret, claimed.id, timestamp, body)).any(|ours| {
            claimed.signatures.split(' ').any(|given| constant_time_eq(given.as_bytes(), ours.as_bytes()))
        })
    }

    /// The secret, and the one before while it counts.
    fn valid(&self, now_ms: i64) -> impl Iterator<Item = &String> {
        let before = self.before.iter().filter(move |(_, until_ms)| *until_ms > now_ms);
        std::iter::once(&self.now).chain(before.map(|(secret, _)| secret))
    }

    pub(in crate::flow) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // two texts and a number
    }

    pub(in crate::flow) fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The headers of one call; the timestamp is that of the call, in seconds.
    pub(super) fn headers(&self, id: &str, now_ms: i64, body: &str) -> Result<HeaderMap, CryptoError> {
        let timestamp = now_ms.div_euclid(1_000);
        let signatures: Vec<String> = self
            .valid(now_ms)
            .map(|secret| signature(secret, id, timestamp, body))
            .collect::<Option<_>>()
            .ok_or(CryptoError::NotOurs)?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| CryptoError::NotOurs);
        Ok(HeaderMap::from_iter([
            (ID, value(id)?),
            (TIMESTAMP, value(&timestamp.to_string())?),
            (SIGNATURE, value(&signatures.join(" "))?),
        ]))
    }
}

/// `None`: the secret is not one.
fn signature(secret: &str, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let signed = format!("{id}.{timestamp}.{body}");
    Some(format!("v1,{}", hmac_sha256_base64(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vector of the specification's reference libraries; HMAC-SHA256 computed elsewhere agrees.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID_SENT: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_signature_is_that_of_the_specification() {
        assert_eq!(signature(SECRET, ID_SENT, 1_614_265_330, BODY).as_deref(), Some(SIGNED));
        assert_eq!(signature("MfKQ", ID_SENT, 1, BODY), None);
        let headers = Secrets::new(&Secret::new(SECRET)).headers(ID_SENT, 1_614_265_330_999, BODY).unwrap();
        assert_eq!(headers["webhook-id"], ID_SENT);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], SIGNED);
    }

    #[test]
    fn a_call_is_believed_while_it_is_fresh_and_only_with_its_own_words() {
        let secrets = Secrets::new(&Secret::new(SECRET));
        let now_ms = 1_614_265_330_000;
        let claimed = Claimed { id: ID_SENT, timestamp: "1614265330", signatures: SIGNED };
        assert!(secrets.verify(&claimed, now_ms + SKEW_MS_MAX, BODY));
        assert!(secrets.verify(
            &Claimed { signatures: &format!("v1,other {SIGNED}"), ..claimed },
            now_ms,
            BODY
        ));
        assert!(!secrets.verify(&claimed, now_ms + SKEW_MS_MAX + 1, BODY), "too old");
        assert!(!secrets.verify(&claimed, now_ms - SKEW_MS_MAX - 1, BODY), "from the future");
        assert!(!secrets.verify(&claimed, now_ms, "{}"));
        assert!(!secrets.verify(&Claimed { id: "msg_other", ..claimed }, now_ms, BODY));
        assert!(!secrets.verify(&Claimed { timestamp: "soon", ..claimed }, now_ms, BODY));
    }

    #[test]
    fn two_secrets_sign_for_a_day_and_then_the_new_one_alone() {
        let clock = Clock::system();
        let (old, new) = (Secret::new(SECRET), new_secret(&clock));
        assert!(new.expose().starts_with(PREFIX) && new.expose().len() == PREFIX.len() + 44);
        let secrets = Secrets::new(&old).rotated(&new, 1_614_265_330_000);
        let secrets = Secrets::from_json(secrets.to_json().as_bytes()).unwrap();
        let sent = |now_ms: i64| {
            let headers = secrets.headers(ID_SENT, now_ms, BODY).unwrap();
            headers["webhook-signature"].to_str().unwrap().to_owned()
        };
        let both = sent(1_614_265_330_000);
        assert!(both.starts_with("v1,") && both.ends_with(&format!(" {SIGNED}")), "{both}");
        let end_ms = 1_614_265_330_000 + OVERLAP_MS;
        assert_eq!(secrets.overlaps_until_ms(end_ms - 1), Some(end_ms));
        assert_eq!((secrets.overlaps_until_ms(end_ms), sent(end_ms).split(' ').count()), (None, 1));
    }
}
