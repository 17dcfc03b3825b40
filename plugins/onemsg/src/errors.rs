//! What 1msg's refusals mean. It has no codes of its own: a sentence, sometimes
//! with one of Meta's numbers in it, also under HTTP 200.

use pointsman_plugin::http::{Call, Response};
use pointsman_plugin::{Certainty, Failure, FailureKind, Retry};
use serde_json::Value;

/// Meta limits how much marketing one person gets; the next day may do, milliseconds.
const A_DAY_MS: u64 = 86_400_000;
/// Least pause after "too many requests", milliseconds.
const SLOWER_MS: u64 = 1_000;

/// The vendor's words in any of its forms: `error` or `message`, a text or an object.
pub(crate) fn words(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let words = [error, &error["error_user_msg"], &error["message"], &body["message"], &body["description"]];
    words.into_iter().find_map(Value::as_str).filter(|text| !text.is_empty())
}

/// What a sentence of 1msg or Meta means; `None` for one that is not known.
pub(crate) fn meaning(words: &str) -> Option<Failure> {
    let words = words.to_lowercase();
    let says = |all: &[&str]| all.iter().any(|one| words.contains(one));
    of_meta(says).or_else(|| of_onemsg(says))
}

/// Meta's own refusals, by their numbers or the words that 1msg passes on.
fn of_meta(says: impl Fn(&[&str]) -> bool) -> Option<Failure> {
    use FailureKind as K;
    let (kind, code, message) = match () {
        () if says(&["outside the allowed window", "re-engagement", "131047", "dialog window is closed"]) => {
            (
                K::WindowClosed,
                "131047",
                "the 24 hours after the contact's last message are over; send a template",
            )
        }
        () if says(&["healthy ecosystem", "131049"]) => (
            K::ContentRejected,
            "131049",
            "WhatsApp holds marketing back from this contact; try again after a day, or send something of use",
        ),
        () if says(&["experiment", "130472"]) => (
            K::RecipientUnreachable,
            "130472",
            "WhatsApp tests not sending marketing to this contact; wait until they write",
        ),
        () if says(&["not a valid whatsapp", "131026", "undeliverable"]) => {
            (K::RecipientInvalid, "131026", "this number is not on WhatsApp or cannot get the message")
        }
        () if says(&["number of parameters", "132000", "132001", "132012", "132018"]) => {
            (K::TemplateInvalid, "132000", "the template's variables do not fit; fill in every one")
        }
        () => return None,
    };
    let retry = if code == "131049" { Retry::After(A_DAY_MS) } else { Retry::Never };
    Some(Failure { vendor_code: Some(code.to_owned()), ..Failure::new(kind, message).retry(retry) })
}

/// 1msg's own sentences.
fn of_onemsg(says: impl Fn(&[&str]) -> bool) -> Option<Failure> {
    use {FailureKind as K, Retry as R};
    let hidden = ["bsuid routing is disabled", "username is not found", "username routing is disabled"];
    let missing = ["not defined", "not found", "does not exist", "doesn't exist"];
    let (kind, retry, message) = match () {
        () if says(&["too many request", "rate limit"]) => {
            (K::RateLimited, R::After(SLOWER_MS), "1msg asks to send more slowly")
        }
        () if says(&["wrong token", "invalid token"]) => (
            K::AuthFailed,
            R::AfterOwnerActs,
            "1msg does not accept the token; copy it again from the cabinet",
        ),
        () if says(&["trial"]) => (K::PermissionDenied, R::AfterOwnerActs, TRIAL),
        () if says(&["template"]) && says(&missing) => (
            K::TemplateInvalid,
            R::Never,
            "1msg does not know the template; refresh the channel's templates and choose again",
        ),
        () if says(&["wrong file"]) => {
            (K::MediaInvalid, R::Never, "1msg cannot fetch the file or does not take its type; send another")
        }
        () if says(&hidden) => (
            K::RecipientInvalid,
            R::Never,
            "this contact hides their number and cannot be written to; ask for the number",
        ),
        () => return None,
    };
    Some(Failure::new(kind, message).retry(retry))
}

const TRIAL: &str =
    "this is a trial channel, which only writes to its own number; pay for it in the 1msg cabinet";

/// What a failed call means. A body of HTML or nothing leaves the status to speak; a 403 of plain text is 1msg's
/// way to say that the channel is a trial or blocked.
pub(crate) fn refusal(call: &Call, response: &Response) -> Failure {
    let by_status = Failure::from_response(call, response);
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let said = words(&body);
    let plain = String::from_utf8_lossy(&response.body);
    let failure = match response.status {
        403 if said.is_none() => meaning(&plain).unwrap_or_else(|| {
            let message = "1msg does not let this channel do that: it is a trial, which only writes to its own number, or blocked; look into the cabinet";
            Failure::new(FailureKind::PermissionDenied, message).retry(Retry::AfterOwnerActs)
        }),
        // After a 5xx only the status is certain, and a 429 says itself how long to wait.
        400..=428 | 430..=499 => said.and_then(meaning).unwrap_or(by_status),
        _ => by_status,
    };
    let code = failure.vendor_code.clone();
    Failure { http_status: Some(response.status), ..failure }.vendor(code.as_deref(), said)
}

/// A 200 that says that nothing was sent.
pub(crate) fn unsent(body: &Value) -> Failure {
    let said = words(body);
    // Queued under a number that can be asked for nowhere: it may still go out.
    if body.get("jobId").is_some_and(|job| !job.is_null()) {
        let message = "1msg put the message into its queue and does not say under which id; look at the phone before you send it again";
        return Failure::bad_response(message).effect(Certainty::Unknown);
    }
    let failure = said.and_then(meaning).unwrap_or_else(|| {
        Failure::new(FailureKind::ContentRejected, "1msg did not send the message; its own words say more")
    });
    let code = failure.vendor_code.clone();
    Failure { http_status: Some(200), ..failure }.vendor(code.as_deref(), said)
}
