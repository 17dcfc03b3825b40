//! What Telegram's refusals mean for us. The code says most; the words, which
//! drift, are only looked into where one code means many things. Texts after
//! teloxide-core's list of errors.

use pointsman_plugin::http::{Call, Response};
use pointsman_plugin::{Certainty, Failure, FailureKind, Retry};
use serde::Deserialize;

/// Telegram's answer to a call that it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    error_code: Option<u16>,
    description: String,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// What a refusal means.
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

impl Refusal {
    pub(crate) fn of(response: &Response) -> Self {
        serde_json::from_slice(&response.body).unwrap_or_default()
    }

    /// The group has become a supergroup with this id.
    pub(crate) fn migrated_to(&self) -> Option<i64> {
        self.parameters.migrate_to_chat_id
    }

    pub(crate) fn failure(&self, call: &Call, response: &Response) -> Failure {
        let by_status = Failure::from_response(call, response);
        let code = self.error_code.unwrap_or(response.status);
        let failure = match (code, self.parameters.retry_after) {
            (429, Some(seconds)) => by_status.retry(Retry::After(seconds.saturating_mul(1_000))),
            _ => match meaning(code, &self.description) {
                Some(it) => Failure::new(it.kind, it.message).retry(it.retry).effect(Certainty::NotPerformed),
                None => by_status,
            },
        };
        let words = Some(self.description.as_str()).filter(|words| !words.is_empty());
        let failure = failure.vendor(self.error_code.map(|code| code.to_string()).as_deref(), words);
        Failure { http_status: Some(response.status), ..failure }
    }
}

/// What a code and its words mean; `None` where the status alone says enough.
pub fn meaning(code: u16, description: &str) -> Option<Meaning> {
    use {FailureKind as K, Retry::AfterOwnerActs as Owner};
    let words = description.to_ascii_lowercase();
    Some(match code {
        // A token of the wrong form leads to no path at all.
        401 | 404 => said(
            K::AuthFailed,
            Owner,
            "Telegram does not accept the bot token; ask @BotFather for a new one and enter it",
        ),
        403 => forbidden(&words),
        409 => said(
            K::SettingsInvalid,
            Owner,
            "another program reads this bot's messages; give it a bot of its own, then connect again",
        ),
        413 => said(K::MediaInvalid, Retry::Never, "the file is too large for Telegram"),
        400 => return bad_request(&words),
        _ => return None,
    })
}

/// One chat's trouble; the bot works elsewhere.
fn forbidden(words: &str) -> Meaning {
    use {FailureKind as K, Retry::Never};
    let has = |part: &str| words.contains(part);
    if has("blocked by the user") {
        return said(K::OptedOut, Never, "the contact has blocked the bot");
    }
    if has("deactivated") {
        return said(
            K::RecipientUnreachable,
            Never,
            "the contact's Telegram account does not exist any more",
        );
    }
    if has("kicked") || has("not a member") {
        return said(
            K::RecipientUnreachable,
            Never,
            "the bot is not in this group any more; invite it again",
        );
    }
    if has("can't initiate") {
        return said(K::RecipientUnreachable, Never, "a bot cannot write first; the contact must start it");
    }
    if has("to bots") || has("to the bot") {
        return said(K::RecipientInvalid, Never, "a bot cannot write to another bot");
    }
    said(K::RecipientUnreachable, Never, "the bot may not write to this chat")
}

fn bad_request(words: &str) -> Option<Meaning> {
    use {
        FailureKind as K,
        Retry::{AfterOwnerActs as Owner, Never},
    };
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    Some(if has(&["chat not found", "user not found", "peer_id_invalid"]) {
        said(
            K::RecipientInvalid,
            Never,
            "Telegram does not know this chat; the contact must start the bot first",
        )
    } else if has(&["not enough rights", "have no rights", "chat_write_forbidden", "need administrator"]) {
        said(K::PermissionDenied, Never, "the bot may not do this in this group; make it an administrator")
    } else if has(&["too long"]) {
        said(K::ContentTooLong, Never, "the text is too long for Telegram")
    } else if has(&["file is too big"]) {
        said(K::MediaInvalid, Never, "the file is larger than the 20 MB that a bot can read")
    } else if has(&["file", "photo", "image_", "sticker", "media", "web page content"]) {
        said(K::MediaInvalid, Never, "Telegram does not accept the file")
    } else if has(&["webhook"]) {
        said(
            K::SettingsInvalid,
            Owner,
            "Telegram does not take the webhook URL: it needs https on port 443, 80, 88 or 8443; check the server's public URL",
        )
    } else if has(&["button", "reaction", "text is empty", "message to react"]) {
        said(K::ContentRejected, Never, "Telegram does not accept the message as it is; its words say why")
    } else {
        return None;
    })
}
