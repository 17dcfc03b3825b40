//! Translation between the contract's records and ours. Nothing is decided
//! here; texts that came from a plugin are only renamed and bounded.

mod assistant;
mod manifest;
mod outbound;

pub(super) use assistant::{
    abilities, assist_failure, confidence, handoff, insights, model, plain, request as assist_request, usage,
};
pub(super) use manifest::{channel_kind, setting_kind};
pub(super) use outbound::outbound;

use super::bindings::provider::exports::pointsman::plugin::descriptor;
use super::bindings::provider::pointsman::plugin::types;
use super::bindings::sender::exports::pointsman::plugin::sender;
use super::bindings::webhook::exports::pointsman::plugin::webhook;
use super::bindings::{account, backfill, sessions, templates};
use super::{ChannelContext, wire};

/// Unix milliseconds on their way in. Times past the year 292 million do not occur; they saturate.
fn millis(instant: u64) -> i64 {
    i64::try_from(instant).unwrap_or(i64::MAX)
}

/// Unix milliseconds on their way out. Times before 1970 become 1970.
fn instant(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

fn pairs(pairs: &[(String, String)]) -> Vec<types::Pair> {
    pairs.iter().map(|(name, value)| types::Pair { name: name.clone(), value: value.clone() }).collect()
}

pub(super) fn context(context: &ChannelContext) -> types::Context {
    types::Context {
        channel_id: context.channel_id.clone(),
        kind: context.kind.clone(),
        address: context.address.clone(),
        settings: context.settings.clone(),
        secrets_set: context
            .secrets
            .iter()
            .filter(|(_, s)| !s.expose().is_empty())
            .map(|(name, _)| name.clone())
            .collect(),
        webhook_url: context.webhook_url.clone(),
        now: instant(context.now_ms),
        locale: context.locale.clone(),
        extras: Vec::new(),
    }
}

pub(super) fn request(request: &wire::WebhookRequest) -> webhook::Request {
    webhook::Request {
        method: request.method.clone(),
        url: request.url.clone(),
        query: pairs(&request.query),
        headers: pairs(&request.headers),
        body: request.body.clone(),
        remote_address: request.remote_address.clone(),
    }
}

pub(super) fn reply(reply: webhook::Reply) -> wire::WebhookReply {
    wire::WebhookReply {
        status: reply.status,
        headers: reply.headers.into_iter().map(|h| (h.name, h.value)).collect(),
        body: reply.body,
    }
}

fn extra(extra: types::Extra) -> wire::Extra {
    wire::Extra { key: extra.key, json: extra.json }
}

fn extras(extras: Vec<types::Extra>) -> Vec<wire::Extra> {
    extras.into_iter().map(extra).collect()
}

pub(super) fn failure(failure: types::Failure) -> wire::Failure {
    wire::Failure {
        kind: failure_kind(failure.kind),
        retry: match failure.retry {
            types::Retry::Never => wire::Retry::Never,
            types::Retry::AfterOwnerActs => wire::Retry::AfterOwnerActs,
            types::Retry::After(ms) => wire::Retry::After { ms },
        },
        effect: match failure.effect {
            types::Certainty::NotPerformed => wire::Certainty::NotPerformed,
            types::Certainty::Performed => wire::Certainty::Performed,
            types::Certainty::Unknown => wire::Certainty::Unknown,
        },
        message: failure.message,
        vendor_code: failure.vendor_code,
        vendor_message: failure.vendor_message,
        http_status: failure.http_status,
    }
}

fn failure_kind(kind: types::FailureKind) -> wire::FailureKind {
    use types::FailureKind as From;
    use wire::FailureKind as To;
    match kind {
        From::AuthFailed => To::AuthFailed,
        From::PermissionDenied => To::PermissionDenied,
        From::SettingsInvalid => To::SettingsInvalid,
        From::RateLimited => To::RateLimited,
        From::RecipientInvalid => To::RecipientInvalid,
        From::RecipientUnreachable => To::RecipientUnreachable,
        From::OptedOut => To::OptedOut,
        From::WindowClosed => To::WindowClosed,
        From::TemplateInvalid => To::TemplateInvalid,
        From::TemplatePaused => To::TemplatePaused,
        From::ContentRejected => To::ContentRejected,
        From::ContentTooLong => To::ContentTooLong,
        From::MediaInvalid => To::MediaInvalid,
        From::Unsupported => To::Unsupported,
        From::SessionNotReady => To::SessionNotReady,
        From::NotFound => To::NotFound,
        From::QuotaExhausted => To::QuotaExhausted,
        From::VendorUnavailable => To::VendorUnavailable,
        From::BadResponse => To::BadResponse,
        From::Internal => To::Internal,
        From::Other(word) => To::from(word),
    }
}

fn family(family: descriptor::MediaFamily) -> &'static str {
    use descriptor::MediaFamily as F;
    match family {
        F::Image => "image",
        F::Audio => "audio",
        F::Voice => "voice",
        F::Video => "video",
        F::Document => "document",
        F::Sticker => "sticker",
        F::Archive => "archive",
    }
}

fn party(party: webhook::Party) -> wire::Party {
    wire::Party {
        address: party.address,
        phone: party.phone,
        scoped_id: party.scoped_id,
        username: party.username,
        display_name: party.display_name,
        extras: extras(party.extras),
    }
}

fn location(place: webhook::Location) -> wire::Location {
    wire::Location {
        latitude: place.latitude,
        longitude: place.longitude,
        name: place.name,
        address: place.address,
    }
}

pub(super) fn event(event: webhook::Event) -> wire::InboundEvent {
    use webhook::EventBody as From;
    use wire::InboundBody as To;
    let body = match event.body {
        From::Message(m) => To::Message(message(m)),
        From::Status(s) => To::Status(status(s)),
        From::Session(s) => To::Session(session(s)),
        From::Template(t) => To::Template(wire::TemplateChange {
            name: t.name,
            language: t.language,
            status: t.status,
            at_ms: millis(t.at),
            reason: t.reason,
            extras: extras(t.extras),
        }),
        From::ContactChanged(c) => To::ContactChanged(wire::ContactChange {
            old: party(c.old),
            contact: party(c.contact),
            at_ms: millis(c.at),
            extras: extras(c.extras),
        }),
        From::Consent(c) => To::Consent(wire::Consent {
            contact: party(c.contact),
            given: c.given,
            purpose: c.purpose,
            at_ms: millis(c.at),
            extras: extras(c.extras),
        }),
        From::Unreadable(why) => To::Unreadable(why),
        From::Other(e) => To::Other(extra(e)),
    };
    wire::InboundEvent { dedupe_key: event.dedupe_key, body }
}

fn message(message: webhook::Message) -> wire::InboundMessage {
    wire::InboundMessage {
        id: message.id,
        contact: party(message.contact),
        to: message.to,
        sent_at_ms: millis(message.sent_at),
        reply_to: message.reply_to,
        group_id: message.group_id,
        author: message.author.map(party),
        echo: message.echo,
        window_closes_at_ms: message.window_closes_at.map(millis),
        content: content(message.content),
        extras: extras(message.extras),
    }
}

fn content(content: webhook::Content) -> wire::Content {
    use webhook::Content as From;
    use wire::Content as To;
    match content {
        From::Text(text) => To::Text(text),
        From::Media(files) => To::Media(files.into_iter().map(media).collect()),
        From::Location(place) => To::Location(location(place)),
        From::Cards(cards) => To::Cards(
            cards
                .into_iter()
                .map(|c| wire::Card { name: c.name, phones: c.phones, emails: c.emails })
                .collect(),
        ),
        From::Choice(c) => To::Choice(wire::Choice { id: c.id, title: c.title }),
        From::Reaction(r) => To::Reaction(wire::Reaction { message_id: r.message_id, emoji: r.emoji }),
        From::Edited(e) => To::Edited(wire::Edit { message_id: e.message_id, text: e.text }),
        From::Deleted(id) => To::Deleted(id),
        From::Other(e) => To::Other(extra(e)),
    }
}

fn media(media: webhook::Media) -> wire::Media {
    wire::Media {
        family: family(media.family).to_owned(),
        source: match media.source {
            webhook::MediaSource::VendorRef(reference) => wire::MediaSource::VendorRef(reference),
            webhook::MediaSource::Url(url) => wire::MediaSource::Url(url),
        },
        content_type: media.content_type,
        file_name: media.file_name,
        size: media.size,
        caption: media.caption,
    }
}

fn status(status: webhook::Status) -> wire::StatusUpdate {
    use webhook::Delivery as From;
    use wire::Delivery as To;
    wire::StatusUpdate {
        message_id: status.message_id,
        contact: party(status.contact),
        to: status.to,
        at_ms: millis(status.at),
        delivery: match status.delivery {
            From::Sent => To::Sent,
            From::Delivered => To::Delivered,
            From::Read => To::Read,
            From::Failed(f) => To::Failed { failure: failure(f) },
            From::Other(name) => To::Other { name },
        },
        effect_id: status.effect_id,
        window_closes_at_ms: status.window_closes_at.map(millis),
        extras: extras(status.extras),
    }
}

fn session(session: types::Session) -> wire::SessionUpdate {
    use types::SessionState as S;
    wire::SessionUpdate {
        state: match session.state {
            S::Stopped => "stopped".into(),
            S::Starting => "starting".into(),
            S::NeedsQr => "needs_qr".into(),
            S::NeedsCode => "needs_code".into(),
            S::Working => "working".into(),
            S::Degraded => "degraded".into(),
            S::Failed => "failed".into(),
            S::Other(word) => word,
        },
        at_ms: millis(session.at),
        reason: session.reason,
        account_name: session.account_name,
        picture_url: session.picture_url,
        address: session.address,
        extras: extras(session.extras),
    }
}

pub(super) fn receipt(receipt: sender::Receipt) -> wire::Receipt {
    wire::Receipt { message_ids: receipt.message_ids, accepted_at_ms: receipt.accepted_at.map(millis) }
}

pub(super) fn account_task(task: wire::AccountTask) -> account::exports::pointsman::plugin::account::Task {
    use account::exports::pointsman::plugin::account::Task;
    match task {
        wire::AccountTask::Check => Task::Check,
        wire::AccountTask::Connect => Task::Connect,
        wire::AccountTask::Disconnect => Task::Disconnect,
        wire::AccountTask::ListAddresses => Task::ListAddresses,
    }
}

pub(super) fn account_report(
    report: account::exports::pointsman::plugin::account::Report,
) -> wire::AccountReport {
    wire::AccountReport {
        display_name: report.display_name,
        address: report.address,
        webhook_url: report.webhook_url,
        addresses: report
            .addresses
            .into_iter()
            .map(|a| wire::AccountAddress { address: a.address, label: a.label, kinds: a.kinds })
            .collect(),
        warnings: report.warnings,
    }
}

pub(super) fn template_page(
    page: templates::exports::pointsman::plugin::templates::Page,
) -> wire::TemplatePage {
    let template = |t: templates::exports::pointsman::plugin::templates::Template| wire::VendorTemplate {
        vendor_id: t.vendor_id,
        name: t.name,
        language: t.language,
        category: t.category,
        status: t.status,
        header: t.header,
        body: t.body,
        footer: t.footer,
        slots: t
            .slots
            .into_iter()
            .map(|s| wire::TemplateSlot { place: s.place, name: s.name, example: s.example })
            .collect(),
        buttons: t
            .buttons
            .into_iter()
            .map(|b| wire::TemplateButton { kind: b.kind, title: b.title, value: b.value })
            .collect(),
    };
    wire::TemplatePage { templates: page.templates.into_iter().map(template).collect(), next: page.next }
}

pub(super) fn backfill_batch(
    batch: backfill::exports::pointsman::plugin::backfill::Batch,
) -> wire::BackfillBatch {
    let events = batch.events.into_iter().map(event).collect();
    wire::BackfillBatch { events, cursor: batch.cursor, more: batch.more }
}

pub(super) fn backfill_range(
    since_ms: i64,
    cursor: Option<String>,
) -> backfill::exports::pointsman::plugin::backfill::Range {
    backfill::exports::pointsman::plugin::backfill::Range {
        since: instant(since_ms),
        cursor,
        extras: Vec::new(),
    }
}

pub(super) fn session_task(task: &wire::SessionTask) -> sessions::exports::pointsman::plugin::sessions::Task {
    use sessions::exports::pointsman::plugin::sessions::Task;
    match task {
        wire::SessionTask::Start => Task::Start,
        wire::SessionTask::Restart => Task::Restart,
        wire::SessionTask::Stop => Task::Stop,
        wire::SessionTask::Logout => Task::Logout,
        wire::SessionTask::State => Task::State,
        wire::SessionTask::Qr => Task::Qr,
        wire::SessionTask::PairingCode(phone) => Task::PairingCode(phone.clone()),
    }
}

pub(super) fn session_outcome(
    outcome: sessions::exports::pointsman::plugin::sessions::Outcome,
) -> wire::SessionOutcome {
    use sessions::exports::pointsman::plugin::sessions::{Outcome as From, QrImage};
    match outcome {
        From::Session(it) => wire::SessionOutcome::Session(session(it)),
        From::Qr(qr) => wire::SessionOutcome::Qr {
            image: match qr.image {
                QrImage::Text(text) => wire::QrImage::Text(text),
                QrImage::Png(png) => wire::QrImage::Png(png),
            },
            expires_at_ms: qr.expires_at.map(millis),
        },
        From::PairingCode(it) => {
            wire::SessionOutcome::PairingCode { code: it.code, expires_at_ms: it.expires_at.map(millis) }
        }
        From::Other(it) => wire::SessionOutcome::Other(extra(it)),
    }
}
