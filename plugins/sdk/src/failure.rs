//! Failures: constructors that put the right kind, retry and certainty on what a
//! vendor's answer means. Messages are for people and hold no secret, body or
//! phone number.

use crate::http::{Call, Response};
use crate::{Certainty, Failure, FailureKind, Retry};

/// Longest text of a vendor that is passed on, characters; the rest is cut.
const VENDOR_TEXT_CHARS_MAX: usize = 300;
/// From so many digits on, a run of digits is taken for a phone number and hidden.
const PHONE_DIGITS_MIN: usize = 7;

impl Failure {
    /// A failure without effect that is not worth repeating; refine it with the methods below.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retry: Retry::Never,
            effect: Certainty::NotPerformed,
            message: message.into(),
            vendor_code: None,
            vendor_message: None,
            http_status: None,
            extras: vec![],
        }
    }

    /// The vendor or this plugin cannot do that.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unsupported, message)
    }

    /// The vendor's answer is not what its documentation says.
    pub fn bad_response(message: impl Into<String>) -> Self {
        Self::new(FailureKind::BadResponse, message)
    }

    /// What an HTTP status alone means, when the vendor says nothing better.
    ///
    /// A 429 was not processed and may be repeated. After a 5xx nobody knows
    /// whether the effect happened, so it is not repeated by itself.
    pub fn from_status(status: u16, retry_after_ms: Option<u64>) -> Self {
        use {Certainty as C, FailureKind as K, Retry as R};
        let (kind, retry, effect, message) = match status {
            401 => (
                K::AuthFailed,
                R::AfterOwnerActs,
                C::NotPerformed,
                "the vendor does not accept the credentials; enter them again",
            ),
            402 => (
                K::QuotaExhausted,
                R::AfterOwnerActs,
                C::NotPerformed,
                "the vendor wants the account to be paid first",
            ),
            403 => (
                K::PermissionDenied,
                R::AfterOwnerActs,
                C::NotPerformed,
                "the vendor does not allow this account to do that",
            ),
            404 | 410 => {
                (K::NotFound, R::Never, C::NotPerformed, "the vendor does not know what was asked for")
            }
            408 | 425 => {
                (K::VendorUnavailable, R::After(0), C::NotPerformed, "the vendor wants the request again")
            }
            413 => (K::ContentTooLong, R::Never, C::NotPerformed, "the request is too large for the vendor"),
            429 => (
                K::RateLimited,
                R::After(retry_after_ms.unwrap_or(0)),
                C::NotPerformed,
                "the vendor asks to go slower",
            ),
            400..=499 => (K::ContentRejected, R::Never, C::NotPerformed, "the vendor refused the request"),
            500..=599 => (
                K::VendorUnavailable,
                R::Never,
                C::Unknown,
                "the vendor had an error of its own; whether it acted is not known",
            ),
            _ => (K::BadResponse, R::Never, C::Unknown, "the vendor answered with an unexpected status"),
        };
        Self { http_status: Some(status), ..Self::new(kind, message).retry(retry).effect(effect) }
    }

    /// What an answer that is no success means for this call. A call without effect
    /// (GET, HEAD or marked idempotent) may be repeated whatever happened to it.
    pub fn from_response(call: &Call, response: &Response) -> Self {
        let failure = Self::from_status(response.status, response.retry_after_ms());
        failure.of_harmless(harmless(call))
    }

    /// Of a call that may be repeated: an unclear outcome is one without effect.
    pub(crate) fn of_harmless(mut self, harmless: bool) -> Self {
        if harmless && self.effect == Certainty::Unknown {
            self.effect = Certainty::NotPerformed;
            if self.kind == FailureKind::VendorUnavailable {
                self.retry = Retry::After(0);
                self.message = "the vendor is not available now".into();
            }
        }
        self
    }

    /// Is trying again of use?
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// May it have happened all the same?
    #[must_use]
    pub fn effect(mut self, effect: Certainty) -> Self {
        self.effect = effect;
        self
    }

    /// The vendor's code and words; long ones are cut and phone numbers hidden.
    #[must_use]
    pub fn vendor(mut self, code: Option<&str>, words: Option<&str>) -> Self {
        self.vendor_code = code.map(str::to_owned);
        self.vendor_message = words.map(clean);
        self
    }
}

/// Is repeating the call without consequence?
pub(crate) fn harmless(call: &Call) -> bool {
    call.idempotent || matches!(call.method.as_str(), "GET" | "HEAD")
}

fn clean(words: &str) -> String {
    let mut cleaned = String::new();
    let mut digits = String::new();
    for c in words.chars().take(VENDOR_TEXT_CHARS_MAX).chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() >= PHONE_DIGITS_MIN {
            cleaned.push('…');
        } else {
            cleaned.push_str(&digits);
        }
        digits.clear();
        cleaned.push(if c.is_control() { ' ' } else { c });
    }
    cleaned.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn statuses_say_whether_the_effect_happened_and_whether_to_repeat() {
        for (status, kind, retry, effect) in [
            (401, FailureKind::AuthFailed, Retry::AfterOwnerActs, Certainty::NotPerformed),
            (404, FailureKind::NotFound, Retry::Never, Certainty::NotPerformed),
            (422, FailureKind::ContentRejected, Retry::Never, Certainty::NotPerformed),
            (429, FailureKind::RateLimited, Retry::After(7_000), Certainty::NotPerformed),
            (500, FailureKind::VendorUnavailable, Retry::Never, Certainty::Unknown),
            (302, FailureKind::BadResponse, Retry::Never, Certainty::Unknown),
        ] {
            let failure = Failure::from_status(status, Some(7_000));
            assert_eq!((failure.kind, failure.retry, failure.effect), (kind, retry, effect), "{status}");
        }
    }

    #[test]
    fn a_call_without_effect_may_be_repeated_after_a_server_error() {
        let answer = Response { status: 503, headers: vec![], body: vec![] };
        let failure = Failure::from_response(&http::get("https://a.test").build(), &answer);
        assert_eq!((failure.retry, failure.effect), (Retry::After(0), Certainty::NotPerformed));
        let failure = Failure::from_response(&http::post("https://a.test").build(), &answer);
        assert_eq!((failure.retry, failure.effect), (Retry::Never, Certainty::Unknown));
    }

    #[test]
    fn words_of_the_vendor_lose_phone_numbers_and_line_breaks() {
        let failure = Failure::bad_response("x")
            .vendor(None, Some("The 'To' number +15550001111 is\nnot valid, 21211"));
        assert_eq!(failure.vendor_message.as_deref(), Some("The 'To' number +… is not valid, 21211"));
    }
}
