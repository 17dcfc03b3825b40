//! Meta's error codes and what they mean for us: the kind of problem and whether
//! to try again. Codes after Meta's page "Error codes" of the Cloud API and the
//! names in pywa's `errors.py`; those of pages after the Messenger platform's.

use pointsman_plugin::{Failure, FailureKind, Retry};
use serde_json::Value;

use crate::json::{id, text};

/// Limits of quality and of a day are worth another try on the next day, milliseconds.
const A_DAY_MS: u64 = 86_400_000;
/// One message to the same person every 6 seconds, after a burst; milliseconds.
const PAIR_MS: u64 = 6_000;
/// Unclear trouble: later, not at once, milliseconds.
const LATER_MS: u64 = 60_000;
/// Messenger and Instagram say by these subcodes of code 10 that the window is closed.
const OUTSIDE_WINDOW: [u32; 2] = [2_018_278, 2_534_022];

/// What an error code means.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// What kind of problem.
    pub kind: FailureKind,
    /// Is trying again of use?
    pub retry: Retry,
    /// For a person.
    pub message: &'static str,
}

fn said(kind: FailureKind, retry: Retry, message: &'static str) -> Meaning {
    Meaning { kind, retry, message }
}

/// What an error object means; `None` for one that is not mapped.
pub(crate) fn of(error: &Value) -> Option<Meaning> {
    let number = |member: &str| id(error, member).and_then(|text| text.parse().ok());
    let code = number("code")?;
    let transient = || {
        let words = "Meta had a passing error";
        error["is_transient"]
            .as_bool()?
            .then(|| said(FailureKind::VendorUnavailable, Retry::After(LATER_MS), words))
    };
    meaning(code, number("error_subcode")).or_else(transient)
}

/// Why a message was not delivered, as a status says it. A code that nobody mapped is final.
pub(crate) fn failure(error: &Value) -> Failure {
    let failure = of(error).map_or_else(
        || {
            let words = "Meta could not deliver the message; its error code says more";
            Failure::new(FailureKind::Other("undelivered".into()), words)
        },
        |meaning| Failure::new(meaning.kind, meaning.message).retry(meaning.retry),
    );
    let words = text(&error["error_data"], "details").or_else(|| text(error, "title"));
    failure.vendor(id(error, "code").as_deref(), words.as_deref())
}

/// What a code means; `None` for one that is not mapped.
pub fn meaning(code: u32, subcode: Option<u32>) -> Option<Meaning> {
    if code == 10 && subcode.is_some_and(|subcode| OUTSIDE_WINDOW.contains(&subcode)) {
        let words = "the 24 hours after the contact's last message are over; wait until they write";
        return Some(said(FailureKind::WindowClosed, Retry::Never, words));
    }
    passing(code).or_else(|| recipient(code)).or_else(|| content(code)).or_else(|| channel(code))
}

/// Passes by itself: rates, outages, limits of quality.
fn passing(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry as R};
    Some(match code {
        131_056 => {
            said(K::RateLimited, R::After(PAIR_MS), "too many messages to this recipient in a short time")
        }
        4 | 17 | 613 | 80_006 | 80_007 | 130_429 => {
            said(K::RateLimited, R::After(0), "Meta asks to send more slowly")
        }
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 => {
            said(K::VendorUnavailable, R::After(LATER_MS), "Meta had an error of its own")
        }
        131_048 | 131_064 => said(
            K::RateLimited,
            R::After(A_DAY_MS),
            "Meta limits this number because too many of its messages were blocked or reported",
        ),
        131_049 => said(
            K::ContentRejected,
            R::After(A_DAY_MS),
            "Meta chose not to deliver this marketing message now",
        ),
        _ => return None,
    })
}

/// About the recipient.
fn recipient(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry::Never};
    Some(match code {
        131_047 | 470 => said(
            K::WindowClosed,
            Never,
            "the 24 hours after the contact's last message are over; send an approved template",
        ),
        131_026 | 551 => said(
            K::RecipientUnreachable,
            Never,
            "this recipient cannot be reached: not on WhatsApp, an old app, or its terms not accepted",
        ),
        131_030 => said(
            K::RecipientUnreachable,
            Never,
            "a test number only writes to the recipients in its list; add this one in the app's dashboard",
        ),
        131_021 => said(K::RecipientInvalid, Never, "a channel cannot write to its own number"),
        131_062 => said(
            K::RecipientInvalid,
            Never,
            "this message needs the recipient's phone number, which is hidden",
        ),
        137_000 => said(
            K::RecipientInvalid,
            Never,
            "the recipient's number belongs to somebody else now; check whom you write to",
        ),
        // Only marketing is stopped, so the contact as a whole has not opted out.
        131_050 => {
            said(K::ContentRejected, Never, "the recipient takes no marketing messages from this business")
        }
        130_472 => said(K::ContentRejected, Never, "Meta holds marketing messages back from this recipient"),
        130_497 => said(K::PermissionDenied, Never, "this business may not write to the recipient's country"),
        _ => return None,
    })
}

/// About what was sent.
fn content(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry::Never};
    Some(match code {
        132_000 | 132_008 | 132_012 | 132_018 => {
            said(K::TemplateInvalid, Never, "the template's variables do not fit; fill in every one")
        }
        132_001 => said(K::TemplateInvalid, Never, "the template does not exist in this language"),
        132_005 => said(K::TemplateInvalid, Never, "the template is too long with these values"),
        132_007 => said(K::TemplateInvalid, Never, "the template's content breaks a rule of WhatsApp"),
        132_015 => said(K::TemplatePaused, Never, "WhatsApp paused this template because of its quality"),
        132_016 => said(K::TemplateInvalid, Never, "WhatsApp disabled this template because of its quality"),
        132_068 | 132_069 => {
            said(K::TemplateInvalid, Never, "the flow of this template is blocked or throttled")
        }
        131_063 => said(K::TemplateInvalid, Never, "marketing templates are switched off for the Cloud API"),
        131_052 => said(K::MediaInvalid, Never, "Meta could not download the contact's file"),
        131_053 => said(K::MediaInvalid, Never, "WhatsApp does not accept the file"),
        131_051 | 130_501 => said(K::Unsupported, Never, "WhatsApp does not take this kind of message"),
        100 | 131_008 | 131_009 | 135_000 => {
            said(K::ContentRejected, Never, "Meta does not accept the message as it is; its words say why")
        }
        _ => return None,
    })
}

/// About the account or the channel: useless until its owner acts.
fn channel(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry::AfterOwnerActs as Owner};
    Some(match code {
        0 | 190 => said(
            K::AuthFailed,
            Owner,
            "Meta does not accept the access token; make a permanent one and enter it again",
        ),
        3 | 10 | 200..=299 | 131_005 => said(
            K::PermissionDenied,
            Owner,
            "the access token may not do this; give it whatsapp_business_messaging and whatsapp_business_management",
        ),
        33 => said(
            K::NotFound,
            Owner,
            "Meta does not know this id, or the access token may not see it; check the ids in the settings",
        ),
        368 | 131_031 => said(
            K::PermissionDenied,
            Owner,
            "the WhatsApp business account is blocked or locked; look into Meta's Business Manager",
        ),
        131_042 | 131_044 => said(
            K::QuotaExhausted,
            Owner,
            "the WhatsApp business account has no valid payment method; add one in Meta's Business Manager",
        ),
        131_037 | 131_045 | 133_000 | 133_005..=133_010 | 133_015 | 133_016 => said(
            K::SettingsInvalid,
            Owner,
            "the phone number is not registered for sending; register it in Meta's WhatsApp Manager",
        ),
        2200 => said(
            K::SettingsInvalid,
            Owner,
            "Meta could not verify the webhook URL; switch the channel on and check the server's public URL",
        ),
        _ => return None,
    })
}
