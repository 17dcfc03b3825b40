//! The contract's records as the engine's JSON, for comparing with `expect.json`.

use serde_json::{Value, json};

use crate::account::{Address, Report};
use crate::backfill::Batch;
use crate::descriptor::{FieldError, MediaFamily};
use crate::http::{Auth, Body, Call, Field, Sink, Value as HttpValue};
use crate::sender::Receipt;
use crate::sessions::{Outcome, QrImage, Session, SessionState};
use crate::templates::Page;
use crate::webhook::{Content, Delivery, Event, EventBody, Media, MediaSource, Party, Reply};
use crate::{Certainty, Extra, Failure, FailureKind, Retry};

/// A failure.
pub fn failure(failure: &Failure) -> Value {
    let retry = match failure.retry {
        Retry::Never => json!({ "when": "never" }),
        Retry::AfterOwnerActs => json!({ "when": "after_owner_acts" }),
        Retry::After(ms) => json!({ "when": "after", "ms": ms }),
    };
    let effect = match failure.effect {
        Certainty::NotPerformed => "not_performed",
        Certainty::Performed => "performed",
        Certainty::Unknown => "unknown",
    };
    json!({
        "kind": failure_kind(&failure.kind), "retry": retry, "effect": effect, "message": failure.message,
        "vendor_code": failure.vendor_code, "vendor_message": failure.vendor_message,
        "http_status": failure.http_status,
    })
}

/// The stable word of a kind.
pub fn failure_kind(kind: &FailureKind) -> &str {
    use FailureKind as K;
    match kind {
        K::AuthFailed => "auth_failed",
        K::PermissionDenied => "permission_denied",
        K::SettingsInvalid => "settings_invalid",
        K::RateLimited => "rate_limited",
        K::RecipientInvalid => "recipient_invalid",
        K::RecipientUnreachable => "recipient_unreachable",
        K::OptedOut => "opted_out",
        K::WindowClosed => "window_closed",
        K::TemplateInvalid => "template_invalid",
        K::TemplatePaused => "template_paused",
        K::ContentRejected => "content_rejected",
        K::ContentTooLong => "content_too_long",
        K::MediaInvalid => "media_invalid",
        K::Unsupported => "unsupported",
        K::SessionNotReady => "session_not_ready",
        K::NotFound => "not_found",
        K::QuotaExhausted => "quota_exhausted",
        K::VendorUnavailable => "vendor_unavailable",
        K::BadResponse => "bad_response",
        K::Internal => "internal",
        K::Other(word) => word,
    }
}

pub(super) fn field_error(error: &FieldError) -> Value {
    json!({ "setting": error.setting, "message": error.message })
}

pub(super) fn reply(reply: &Reply) -> Value {
    let headers: Vec<_> = reply.headers.iter().map(|header| json!([header.name, header.value])).collect();
    let body = (!reply.body.is_empty()).then(|| String::from_utf8_lossy(&reply.body).into_owned());
    json!({ "status": reply.status, "headers": headers, "body": body })
}

/// An event of a webhook.
pub fn event(event: &Event) -> Value {
    let (kind, value) = match &event.body {
        EventBody::Message(message) => (
            "message",
            json!({
                "id": message.id, "contact": party(&message.contact), "to": message.to,
                "sent_at_ms": message.sent_at, "reply_to": message.reply_to, "group_id": message.group_id,
                "author": message.author.as_ref().map(party), "echo": message.echo, "window_closes_at_ms": message.window_closes_at,
                "content": content(&message.content), "extras": extras(&message.extras),
            }),
        ),
        EventBody::Status(status) => (
            "status",
            json!({
                "message_id": status.message_id, "contact": party(&status.contact), "to": status.to,
                "at_ms": status.at, "delivery": delivery(&status.delivery), "effect_id": status.effect_id,
                "window_closes_at_ms": status.window_closes_at, "extras": extras(&status.extras),
            }),
        ),
        EventBody::Session(it) => ("session", session(it)),
        EventBody::Template(change) => (
            "template",
            json!({
                "name": change.name, "language": change.language, "status": change.status,
                "at_ms": change.at, "reason": change.reason, "extras": extras(&change.extras),
            }),
        ),
        EventBody::ContactChanged(change) => (
            "contact_changed",
            json!({
                "old": party(&change.old), "contact": party(&change.contact), "at_ms": change.at,
                "extras": extras(&change.extras),
            }),
        ),
        EventBody::Consent(it) => (
            "consent",
            json!({
                "contact": party(&it.contact), "given": it.given, "purpose": it.purpose, "at_ms": it.at,
                "extras": extras(&it.extras),
            }),
        ),
        EventBody::Unreadable(why) => ("unreadable", json!(why)),
        EventBody::Other(other) => ("other", extra(other)),
    };
    json!({ "dedupe_key": event.dedupe_key, "body": { "type": kind, "value": value } })
}

fn session(it: &Session) -> Value {
    json!({
        "state": session_state(&it.state), "at_ms": it.at, "reason": it.reason,
        "account_name": it.account_name, "picture_url": it.picture_url, "address": it.address,
        "extras": extras(&it.extras),
    })
}

/// What came of a task with a session.
pub(super) fn session_outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Session(it) => json!({ "session": session(it) }),
        Outcome::Qr(qr) => match &qr.image {
            QrImage::Text(text) => json!({ "qr_text": text, "expires_at_ms": qr.expires_at }),
            QrImage::Png(png) => json!({ "qr_png_bytes": png.len(), "expires_at_ms": qr.expires_at }),
        },
        Outcome::PairingCode(it) => json!({ "pairing_code": it.code, "expires_at_ms": it.expires_at }),
        Outcome::Other(other) => json!({ "other": extra(other) }),
    }
}

fn session_state(state: &SessionState) -> &str {
    match state {
        SessionState::Stopped => "stopped",
        SessionState::Starting => "starting",
        SessionState::NeedsQr => "needs_qr",
        SessionState::NeedsCode => "needs_code",
        SessionState::Working => "working",
        SessionState::Degraded => "degraded",
        SessionState::Failed => "failed",
        SessionState::Other(word) => word,
    }
}

fn party(party: &Party) -> Value {
    json!({
        "address": party.address, "phone": party.phone, "scoped_id": party.scoped_id,
        "username": party.username, "display_name": party.display_name, "extras": extras(&party.extras),
    })
}

fn extras(extras: &[Extra]) -> Vec<Value> {
    extras.iter().map(extra).collect()
}

fn extra(extra: &Extra) -> Value {
    json!({ "key": extra.key, "json": extra.json })
}

fn delivery(delivery: &Delivery) -> Value {
    match delivery {
        Delivery::Sent => json!({ "state": "sent" }),
        Delivery::Delivered => json!({ "state": "delivered" }),
        Delivery::Read => json!({ "state": "read" }),
        Delivery::Failed(why) => json!({ "state": "failed", "failure": failure(why) }),
        Delivery::Other(name) => json!({ "state": "other", "name": name }),
    }
}

fn content(content: &Content) -> Value {
    let (kind, value) = match content {
        Content::Text(text) => ("text", json!(text)),
        Content::Media(files) => ("media", files.iter().map(media).collect()),
        Content::Location(place) => (
            "location",
            json!({
                "latitude": place.latitude, "longitude": place.longitude,
                "name": place.name, "address": place.address,
            }),
        ),
        Content::Cards(cards) => {
            let card =
                |c: &crate::webhook::Card| json!({ "name": c.name, "phones": c.phones, "emails": c.emails });
            ("cards", cards.iter().map(card).collect())
        }
        Content::Choice(choice) => ("choice", json!({ "id": choice.id, "title": choice.title })),
        Content::Reaction(it) => ("reaction", json!({ "message_id": it.message_id, "emoji": it.emoji })),
        Content::Edited(edit) => ("edited", json!({ "message_id": edit.message_id, "text": edit.text })),
        Content::Deleted(id) => ("deleted", json!(id)),
        Content::Other(other) => ("other", extra(other)),
    };
    json!({ "kind": kind, "value": value })
}

fn media(file: &Media) -> Value {
    let (kind, value) = match &file.source {
        MediaSource::VendorRef(reference) => ("vendor_ref", reference),
        MediaSource::Url(url) => ("url", url),
    };
    let family = match file.family {
        MediaFamily::Image => "image",
        MediaFamily::Audio => "audio",
        MediaFamily::Voice => "voice",
        MediaFamily::Video => "video",
        MediaFamily::Document => "document",
        MediaFamily::Sticker => "sticker",
        MediaFamily::Archive => "archive",
    };
    json!({
        "family": family, "source": { "kind": kind, "value": value }, "content_type": file.content_type,
        "file_name": file.file_name, "size": file.size, "caption": file.caption,
    })
}

pub(super) fn receipt(receipt: &Receipt) -> Value {
    json!({ "receipt": { "message_ids": receipt.message_ids, "accepted_at_ms": receipt.accepted_at } })
}

pub(super) fn report(report: &Report) -> Value {
    let address = |a: &Address| json!({ "address": a.address, "label": a.label, "kinds": a.kinds });
    json!({ "report": {
        "display_name": report.display_name, "address": report.address, "webhook_url": report.webhook_url,
        "addresses": report.addresses.iter().map(address).collect::<Vec<_>>(), "warnings": report.warnings,
    }})
}

pub(super) fn page(page: &Page) -> Value {
    let template = |t: &crate::templates::Template| {
        let slots: Vec<_> = t
            .slots
            .iter()
            .map(|s| json!({ "place": s.place, "name": s.name, "example": s.example }))
            .collect();
        let buttons: Vec<_> =
            t.buttons.iter().map(|b| json!({ "kind": b.kind, "title": b.title, "value": b.value })).collect();
        json!({
            "vendor_id": t.vendor_id, "name": t.name, "language": t.language, "category": t.category,
            "status": t.status, "header": t.header, "body": t.body, "footer": t.footer, "slots": slots, "buttons": buttons,
        })
    };
    json!({ "page": { "templates": page.templates.iter().map(template).collect::<Vec<_>>(), "next": page.next } })
}

pub(super) fn batch(batch: &Batch) -> Value {
    json!({
        "events": batch.events.iter().map(event).collect::<Vec<_>>(), "cursor": batch.cursor,
        "more": batch.more,
    })
}

/// A call, in the words of `[call]`.
pub(super) fn call(call: &Call) -> Value {
    let auth = match &call.auth {
        Auth::None => Value::Null,
        Auth::Bearer(token) => json!(["bearer", value(token)]),
        Auth::Basic(basic) => json!(["basic", value(&basic.user), value(&basic.password)]),
    };
    let mut shaped = json!({
        "method": call.method, "url": call.url, "auth": auth, "query": fields(&call.query),
        "headers": fields(&call.headers), "timeout_ms": call.timeout_ms,
        "sink": (call.sink == Sink::Blob).then_some("blob"), "idempotent": call.idempotent.then_some(true),
    });
    match &call.body {
        Body::None => {}
        Body::Form(form) => shaped["form"] = fields(form).into(),
        Body::Json(json) => {
            let mut body: Value = serde_json::from_str(&json.text).unwrap_or(json!(json.text));
            for place in &json.secrets {
                if let Some(at) = body.pointer_mut(&place.pointer) {
                    *at = json!(format!("{{secret:{}}}", place.secret));
                }
            }
            for place in &json.blobs {
                if let Some(at) = body.pointer_mut(&place.pointer) {
                    *at = json!(format!("{}{{blob:{}}}", at.as_str().unwrap_or(""), place.blob));
                }
            }
            shaped["json"] = body;
        }
        Body::Bytes(bytes) => shaped["body"] = json!(String::from_utf8_lossy(bytes)),
        Body::Blob(blob) => shaped["body"] = json!(format!("{{blob:{blob}}}")),
        Body::Multipart(parts) => {
            shaped["parts"] =
                parts.iter().map(|part| json!([part.name, part.file_name, part.content_type])).collect();
        }
    }
    shaped
}

fn fields(fields: &[Field]) -> Vec<Value> {
    fields.iter().map(|field| json!([field.name, value(&field.value)])).collect()
}

fn value(from: &HttpValue) -> String {
    match from {
        HttpValue::Plain(text) | HttpValue::Filled(text) => text.clone(),
        HttpValue::Hmac(it) => format!("{{hmac:{}:{}}}", it.key, it.message),
        HttpValue::Secret(name) => format!("{{secret:{name}}}"),
    }
}
