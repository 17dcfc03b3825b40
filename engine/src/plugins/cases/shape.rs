//! The contract's records and the host's answers as the JSON of a case. The SDK
//! has the same for its native runner; that both pass the same folders keeps
//! them alike.

use serde_json::{Value, json};

use super::super::CallError;
use super::super::bindings::provider::pointsman::plugin::http;
use super::super::wire::{QrImage, SessionOutcome, WebhookReply};

/// A call that gave no answer. No case expects this member, so it always shows.
pub(super) fn crash(error: &CallError) -> Value {
    json!({ "crash": error.to_string() })
}

pub(super) fn reply(reply: &WebhookReply) -> Value {
    let body = (!reply.body.is_empty()).then(|| String::from_utf8_lossy(&reply.body).into_owned());
    json!({ "status": reply.status, "headers": reply.headers, "body": body })
}

pub(super) fn session_outcome(outcome: SessionOutcome) -> Value {
    match outcome {
        SessionOutcome::Session(it) => json!({ "session": it }),
        SessionOutcome::Qr { image: QrImage::Text(text), expires_at_ms } => {
            json!({ "qr_text": text, "expires_at_ms": expires_at_ms })
        }
        SessionOutcome::Qr { image: QrImage::Png(png), expires_at_ms } => {
            json!({ "qr_png_bytes": png.len(), "expires_at_ms": expires_at_ms })
        }
        SessionOutcome::PairingCode { code, expires_at_ms } => {
            json!({ "pairing_code": code, "expires_at_ms": expires_at_ms })
        }
        SessionOutcome::Other(it) => json!({ "other": it }),
    }
}

/// A call, in the words of `[call]`.
pub(in super::super) fn call(call: &http::Call) -> Value {
    let auth = match &call.auth {
        http::Auth::None => Value::Null,
        http::Auth::Bearer(token) => json!(["bearer", value(token)]),
        http::Auth::Basic(basic) => json!(["basic", value(&basic.user), value(&basic.password)]),
    };
    let mut shaped = json!({
        "method": call.method, "url": call.url, "auth": auth, "query": fields(&call.query),
        "headers": fields(&call.headers), "timeout_ms": call.timeout_ms,
        "sink": (call.sink == http::Sink::Blob).then_some("blob"),
        "idempotent": call.idempotent.then_some(true),
    });
    match &call.body {
        http::Body::None => {}
        http::Body::Form(form) => shaped["form"] = fields(form).into(),
        http::Body::Json(body) => shaped["json"] = json_body(body),
        http::Body::Bytes(bytes) => shaped["body"] = json!(String::from_utf8_lossy(bytes)),
        http::Body::Blob(blob) => shaped["body"] = json!(format!("{{blob:{blob}}}")),
        http::Body::Multipart(parts) => {
            shaped["parts"] =
                parts.iter().map(|part| json!([part.name, part.file_name, part.content_type])).collect();
        }
    }
    shaped
}

fn json_body(body: &http::JsonBody) -> Value {
    let mut shaped: Value = serde_json::from_str(&body.text).unwrap_or_else(|_| json!(body.text));
    for place in &body.secrets {
        if let Some(at) = shaped.pointer_mut(&place.pointer) {
            *at = placeholder(&place.secret).into();
        }
    }
    for place in &body.blobs {
        if let Some(at) = shaped.pointer_mut(&place.pointer) {
            *at = format!("{}{{blob:{}}}", at.as_str().unwrap_or(""), place.blob).into();
        }
    }
    shaped
}

fn fields(fields: &[http::Field]) -> Vec<Value> {
    fields.iter().map(|field| json!([field.name, value(&field.value)])).collect()
}

fn value(from: &http::Value) -> String {
    match from {
        http::Value::Plain(text) | http::Value::Filled(text) => text.clone(),
        http::Value::Hmac(it) => format!("{{hmac:{}:{}}}", it.key, it.message),
        http::Value::Secret(name) => placeholder(name),
    }
}

fn placeholder(secret: &str) -> String {
    format!("{{secret:{secret}}}")
}
