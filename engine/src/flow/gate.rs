//! The one place that decides whether a message may leave, at the moment it
//! would. Pure: facts in, verdict out. Every refusal has a stable code and says
//! what to do next.

use pointsman_rules::facts::{Capabilities, Window};

mod media;

pub use media::{family, is_too_large};

use super::content::Content;

/// Free text is refused this long before the window closes, milliseconds: the vendor's clock decides, not ours.
pub const WINDOW_MARGIN_MS: i64 = 60_000;

/// What the gate looks at.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Now, unix milliseconds.
    pub now_ms: i64,
    /// What the vendor can do.
    pub capabilities: &'a Capabilities,
    /// When the window closes; `None`: never opened.
    pub window_closes_ms: Option<i64>,
    /// Messages from the contact so far.
    pub inbound_count: i64,
    /// Do we refuse to talk to them?
    pub blocked: bool,
    /// Did they opt out?
    pub opted_out: bool,
    /// Is this the confirmation of an opt-out?
    pub confirms_opt_out: bool,
    /// Do we only read along?
    pub receive_only: bool,
    /// Was the channel removed?
    pub removed: bool,
    /// Is the channel switched on?
    pub active: bool,
    /// Did an assistant write it, and may assistants speak?
    pub assistant_silenced: bool,
}

/// Why a message may not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, e.g. `window_closed`.
    pub code: &'static str,
    /// One sentence for a person: why, and what to do.
    pub detail: String,
}

fn refuse(code: &'static str, detail: impl Into<String>) -> Result<(), Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// Is free text allowed at this moment?
pub fn window_is_open(facts: &Facts<'_>) -> bool {
    match facts.capabilities.window {
        Window::None => !facts.capabilities.first_message_needs_template || facts.inbound_count > 0,
        Window::AfterFirstInbound => facts.inbound_count > 0,
        Window::SinceLastInbound { .. } => {
            facts.window_closes_ms.is_some_and(|closes| facts.now_ms < closes - WINDOW_MARGIN_MS)
        }
    }
}

/// May this leave now?
///
/// # Errors
/// The first reason why not.
pub fn check(facts: &Facts<'_>, content: &Content) -> Result<(), Refusal> {
    if facts.removed {
        return refuse("channel_removed", "The channel was removed; write to the contact on another one.");
    }
    if !facts.active {
        return refuse("channel_inactive", "The channel is switched off; activate it to send.");
    }
    if facts.receive_only {
        return refuse("receive_only", "This channel only reads along; switch receive-only off to send.");
    }
    if facts.blocked {
        return refuse("blocked", "This contact is blocked; unblock them to write to them.");
    }
    if facts.opted_out && !facts.confirms_opt_out {
        return refuse("opted_out", "This contact opted out; they must write START or be opted in first.");
    }
    if facts.assistant_silenced {
        return refuse("ai_off", "The AI was switched off for this conversation before its answer left.");
    }
    check_content(facts.capabilities, content)?;
    if content.is_free_form() && !window_is_open(facts) {
        return closed(facts);
    }
    Ok(())
}

fn closed(facts: &Facts<'_>) -> Result<(), Refusal> {
    if facts.inbound_count == 0 {
        let (code, what) = if facts.capabilities.templates {
            ("template_required", "start with an approved template")
        } else {
            ("window_closed", "the contact must write first")
        };
        return refuse(code, format!("This contact has never written here: {what}."));
    }
    let what =
        if facts.capabilities.templates { "send an approved template" } else { "wait for the contact" };
    refuse(
        "window_closed",
        format!("The messaging window is closed: {what}, or wait until the contact writes."),
    )
}

fn check_content(capabilities: &Capabilities, content: &Content) -> Result<(), Refusal> {
    let (length, most) = (content.length(capabilities), u64::from(capabilities.text_max));
    if most > 0 && length > most {
        let unit = capabilities.text_unit.replace('_', " ");
        return refuse(
            "content_too_long",
            format!("The text has {length} {unit}; this channel takes {most}. Shorten it."),
        );
    }
    if content.text().is_some_and(|text| text.trim().is_empty()) {
        return refuse("content_empty", "There is nothing to send: write something.");
    }
    match content {
        Content::Media { items } => media::check(capabilities, items),
        Content::Template { .. } if !capabilities.templates => {
            refuse("template_unsupported", "This channel has no templates; send text.")
        }
        Content::Template { files, .. } => media::check_each(capabilities, files.values()),
        Content::Choices { items, .. } => {
            let most = capabilities.buttons_max.max(capabilities.list_rows_max) as usize;
            if items.len() > most {
                return refuse(
                    "content_too_long",
                    format!("{} buttons are too many; this channel takes {most}.", items.len()),
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn capabilities() -> Capabilities {
        Capabilities {
            text_max: 10,
            text_unit: "characters".into(),
            attachments_max: 1,
            media: vec![],
            window: Window::SinceLastInbound { seconds: 86_400 },
            first_message_needs_template: true,
            templates: true,
            buttons_max: 3,
            list_rows_max: 0,
            reactions: false,
            replies: false,
            read_receipts: true,
            typing: false,
            delivery_reports: "read".to_owned(),
            echoes: false,
            idempotent_send: false,
            messages_per_second: 0,
            unsigned_webhooks: false,
            beta: false,
        }
    }

    fn open(capabilities: &Capabilities) -> Facts<'_> {
        Facts {
            now_ms: 1_000_000,
            capabilities,
            window_closes_ms: Some(2_000_000),
            inbound_count: 1,
            blocked: false,
            opted_out: false,
            confirms_opt_out: false,
            receive_only: false,
            removed: false,
            active: true,
            assistant_silenced: false,
        }
    }

    fn code(facts: &Facts<'_>, content: &Content) -> &'static str {
        check(facts, content).err().map_or("ok", |refusal| refusal.code)
    }

    #[test]
    fn each_reason_has_its_code() {
        let caps = capabilities();
        let text = Content::Text { text: "hi".into() };
        let template = Content::Template {
            name: "t".into(),
            language: "en".into(),
            slots: BTreeMap::default(),
            files: BTreeMap::default(),
            text: None,
        };
        let base = open(&caps);
        assert_eq!(code(&base, &text), "ok");
        let shut = Facts { window_closes_ms: Some(1_059_999), ..base.clone() };
        assert_eq!(code(&shut, &text), "window_closed", "inside the safety margin");
        assert_eq!(code(&shut, &template), "ok", "a template needs no window");
        let never = Facts { window_closes_ms: None, inbound_count: 0, ..base.clone() };
        assert_eq!(code(&never, &text), "template_required");
        assert_eq!(code(&Facts { blocked: true, ..base.clone() }, &template), "blocked");
        let out = Facts { opted_out: true, ..base.clone() };
        assert_eq!(code(&out, &text), "opted_out");
        assert_eq!(code(&Facts { confirms_opt_out: true, ..out }, &text), "ok");
        assert_eq!(code(&Facts { receive_only: true, ..base.clone() }, &text), "receive_only");
        assert_eq!(code(&Facts { active: false, ..base.clone() }, &text), "channel_inactive");
        assert_eq!(code(&Facts { removed: true, active: false, ..base.clone() }, &text), "channel_removed");
        assert_eq!(code(&Facts { assistant_silenced: true, ..base.clone() }, &text), "ai_off");
        assert_eq!(code(&base, &Content::Text { text: "x".repeat(11) }), "content_too_long");
        assert_eq!(code(&base, &Content::Text { text: "  ".into() }), "content_empty");
    }

    use std::collections::BTreeMap;
}
