//! Every kind of content: sent, or refused before any call in words that people understand. What the manifest does not
//! promise is `unsupported`.

use pointsman_cases::Answer;
use serde_json::{Value, json};

use super::super::wire::{Certainty, FailureKind, OutboundContent, OutboundMessage};
use super::vendor::Vendor;
use super::{Conformance, Sending};
use pointsman_rules::facts::Capabilities;

pub(super) async fn check(from: &Sending<'_>, found: &mut Conformance) {
    let Some(can) = from.plugin.capabilities(&from.context.kind) else { return };
    for (what, content, promised) in contents(can) {
        let Ok(content) = serde_json::from_value::<OutboundContent>(content) else { continue };
        let message = OutboundMessage { content, ..from.message.clone() };
        let refusal = Answer::Response { status: 400, headers: vec![], body: b"{}".to_vec() };
        let (outcome, calls) = Vendor::new(from.case.script(), 0, refusal).send(from, &message).await;
        let problem = match &outcome {
            Err(failure) if failure.kind == FailureKind::Internal => {
                Some(format!("it broke: {}", failure.message))
            }
            Err(failure) if calls.is_empty() && failure.effect != Certainty::NotPerformed => {
                Some("it made no call, so the effect is `not-performed`".to_owned())
            }
            Err(failure) if calls.is_empty() && !promised && failure.kind != FailureKind::Unsupported => {
                Some(format!(
                    "the manifest does not promise it, so it is `unsupported` and not `{}`",
                    failure.kind.word()
                ))
            }
            Err(failure) if calls.is_empty() && promised && failure.kind == FailureKind::Unsupported => {
                Some("the manifest promises it, so it must be sent".to_owned())
            }
            Err(failure) => from.leak(failure),
            Ok(_) => None,
        };
        found.tried(from.case, what, problem);
    }
}

/// One content of each kind, and whether the manifest promises it.
fn contents(can: &Capabilities) -> Vec<(&'static str, Value, bool)> {
    let image = json!({
        "blob": "blb_conformance", "family": "image", "content_type": "image/png", "file_name": "a.png", "size": 12,
        "url": "https://files.example.com/a.png",
    });
    let choices = json!({
        "text": "Which?", "items": [{"id": "1", "title": "One"}, {"id": "2", "title": "Two"}],
    });
    let content = |kind: &str, value: Value| json!({ "kind": kind, "value": value });
    let has_images = can.attachments_max > 0 && can.media.iter().any(|rule| rule.family == "image");
    vec![
        ("a text", content("text", json!("Yes, we are here.")), true),
        ("an image", content("media", json!([image])), has_images),
        ("buttons", content("choices", choices), can.buttons_max >= 2),
        ("a reaction", content("reaction", json!({"message_id": "m-1", "emoji": "👍"})), can.reactions),
        ("a read receipt", content("read", json!("m-1")), can.read_receipts),
        // Nothing in the manifest speaks of these; they may be sent or refused.
        ("a place", content("location", json!({"latitude": 40.4, "longitude": -3.7})), false),
        (
            "cards",
            content("cards", json!([{"name": "Ana", "phones": ["+34600000009"], "emails": []}])),
            false,
        ),
        // Some vendors show it under the message that is answered, and here is none.
        ("typing", json!({ "kind": "typing" }), false),
    ]
}
