//! Twilio's error codes and what they mean for us: the kind of problem, whether
//! to try again, and whether the message may have arrived. Texts of the codes
//! after Twilio's list of error codes.

use pointsman_plugin::{Certainty, FailureKind, Retry};

/// Daily limits are worth another try on the next day, milliseconds.
const A_DAY_MS: u64 = 86_400_000;
/// Unclear trouble of carriers and providers: later, not at once, milliseconds.
const LATER_MS: u64 = 60_000;

/// What an error code means.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// What kind of problem.
    pub kind: FailureKind,
    /// Is trying again of use?
    pub retry: Retry,
    /// May the message have arrived all the same?
    pub effect: Certainty,
    /// For a person.
    pub message: &'static str,
}

fn said(kind: FailureKind, retry: Retry, message: &'static str) -> Meaning {
    Meaning { kind, retry, effect: Certainty::NotPerformed, message }
}

/// What a code means; `None` for one that is not mapped.
pub fn meaning(code: u32) -> Option<Meaning> {
    passing(code).or_else(|| recipient(code)).or_else(|| content(code)).or_else(|| channel(code))
}

/// Passes by itself: rates, outages, daily limits.
fn passing(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry as R};
    let unclear = |message| Meaning {
        effect: Certainty::Unknown,
        ..said(K::VendorUnavailable, R::After(LATER_MS), message)
    };
    Some(match code {
        20429 | 63017 | 63018 | 30022 | 14107 => {
            said(K::RateLimited, R::After(0), "Twilio asks to send more slowly")
        }
        30001 | 21611 => said(K::RateLimited, R::After(LATER_MS), "Twilio's queue for this number is full"),
        30017 => said(K::RateLimited, R::After(LATER_MS), "the carrier's network is congested"),
        63010 => said(K::VendorUnavailable, R::After(LATER_MS), "Twilio had an error of its own"),
        20500 | 20503 => unclear("Twilio had an error of its own; whether it sent the message is not known"),
        63009 | 63012 => {
            unclear("WhatsApp had an error of its own; whether it sent the message is not known")
        }
        30410 => unclear("the carrier did not answer in time; whether it sent the message is not known"),
        30008 => unclear("the carrier lost the message for an unknown reason"),
        30003 => Meaning {
            effect: Certainty::Unknown,
            ..said(
                K::RecipientUnreachable,
                R::After(LATER_MS),
                "the recipient's phone is off or has no network",
            )
        },
        63038 | 30023 | 30027 => {
            said(K::QuotaExhausted, R::After(A_DAY_MS), "the daily limit of messages is used up")
        }
        63049 => said(
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
        63016 => said(
            K::WindowClosed,
            Never,
            "the 24 hours after the contact's last message are over; send an approved template",
        ),
        63003 | 63024 => said(K::RecipientInvalid, Never, "this recipient is not on WhatsApp"),
        21211 | 21214 | 21217 | 21604 => {
            said(K::RecipientInvalid, Never, "the recipient's number is not valid")
        }
        21614 | 30006 => {
            said(K::RecipientInvalid, Never, "the recipient's number cannot receive text messages")
        }
        30005 => said(K::RecipientInvalid, Never, "the recipient's number does not exist any more"),
        63031 => said(K::RecipientInvalid, Never, "a channel cannot write to its own number"),
        21612 | 30004 | 63032 | 63033 => {
            said(K::RecipientUnreachable, Never, "this recipient cannot be reached from this number")
        }
        63015 => said(
            K::RecipientUnreachable,
            Never,
            "the recipient has not joined the WhatsApp sandbox; let them send the join code first",
        ),
        21610 | 63014 => said(K::OptedOut, Never, "the recipient has opted out of messages from this number"),
        21408 => said(
            K::PermissionDenied,
            Never,
            "sending to the recipient's region is not enabled in the Twilio console",
        ),
        21608 => said(
            K::PermissionDenied,
            Never,
            "a trial account only sends to verified numbers; verify this one or upgrade",
        ),
        30018 => said(
            K::PermissionDenied,
            Never,
            "the recipient's carrier wants this sender to be registered first",
        ),
        _ => return None,
    })
}

/// About what was sent.
fn content(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry as R};
    Some(match code {
        21617 | 21658 => said(K::ContentTooLong, R::Never, "the text is too long for Twilio"),
        21602 | 21619 => said(K::ContentRejected, R::Never, "the message is empty"),
        63021 | 63027 => said(K::TemplateInvalid, R::Never, "the template does not exist in this language"),
        63028..=63030 => {
            said(K::TemplateInvalid, R::Never, "the template's variables do not fit; fill in every one")
        }
        63040 | 63042 => said(K::TemplateInvalid, R::Never, "WhatsApp rejected or disabled this template"),
        63041 => said(K::TemplatePaused, R::Never, "WhatsApp paused this template because of its quality"),
        21654..=21656 | 92001..=92008 => {
            said(K::TemplateInvalid, R::Never, "Twilio does not accept this template or its variables")
        }
        63005 | 63006 | 63013 => said(K::ContentRejected, R::Never, "WhatsApp refuses this content"),
        63026 | 30007 => said(K::ContentRejected, R::Never, "the message was filtered as spam"),
        63023 => said(
            K::Other("channel_error".into()),
            R::Never,
            "WhatsApp refused the message without a reason; send it again by hand",
        ),
        63019 => Meaning {
            effect: Certainty::Unknown,
            ..said(K::MediaInvalid, R::After(LATER_MS), "Twilio could not download the file")
        },
        63034 | 30019 => said(K::MediaInvalid, R::Never, "the file is too large for this channel"),
        63037 | 63043..=63045 | 63047 | 11751 | 12300 | 21620..=21623 => {
            said(K::MediaInvalid, R::Never, "this channel does not accept the file")
        }
        _ => return None,
    })
}

/// About the account or the channel: useless until its owner acts.
fn channel(code: u32) -> Option<Meaning> {
    use {FailureKind as K, Retry::AfterOwnerActs as Owner};
    Some(match code {
        20003 | 20005 | 20006 | 63001 => said(
            K::AuthFailed,
            Owner,
            "Twilio does not accept the credentials; enter the account SID and auth token again",
        ),
        20008 => said(K::AuthFailed, Owner, "these are Twilio's test credentials; enter the live ones"),
        20403 => {
            said(K::PermissionDenied, Owner, "the Twilio account may not do this; check its permissions")
        }
        20404 => said(
            K::NotFound,
            Owner,
            "Twilio does not know this account or resource; check the SIDs in the settings",
        ),
        30002 => said(K::PermissionDenied, Owner, "the Twilio account is suspended"),
        63002 | 63007 | 63008 | 63022 => said(
            K::SettingsInvalid,
            Owner,
            "this number is no WhatsApp sender of the account; check the channel's number",
        ),
        63020 | 63051 => said(
            K::PermissionDenied,
            Owner,
            "the WhatsApp business account is locked or not accepted; look into Meta's Business Manager",
        ),
        21212 | 21606 | 21603 => said(
            K::SettingsInvalid,
            Owner,
            "the channel's number cannot send messages; check it in the Twilio console",
        ),
        21609 => said(
            K::SettingsInvalid,
            Owner,
            "Twilio does not accept our status URL; check the server's public URL",
        ),
        21703..=21705 => said(
            K::SettingsInvalid,
            Owner,
            "the messaging service has no usable sender; check it in the Twilio console",
        ),
        30032..=30035 => said(
            K::PermissionDenied,
            Owner,
            "this number is not registered with the carriers; register it in the Twilio console",
        ),
        _ => return None,
    })
}
