//! Messages over Acme: text in, text out, delivery reports. It computes and does
//! nothing else; what it may say is the contract in `plugin.wit`.
//!
//! Acme is made up, so that this plugin has something to show. Replace its
//! webhook and its one call by those of your vendor, and the cases with them.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, Setting, SettingKind,
};
use pointsman_plugin::sender::{Content as Outgoing, Message as OutgoingMessage, Receipt};
use pointsman_plugin::webhook::{
    Claim, Content, Delivery, Event, EventBody, HmacAlgorithm, HmacProof, Message, Party, Proof, Reply,
    Request, Status, Verdict,
};
use pointsman_plugin::{Certainty, Context, Failure, FailureKind, Http, Provider, export, http};
use serde::Deserialize;
use serde_json::json;

/// Longest text that Acme takes, characters.
const TEXT_CHARS_MAX: u32 = 1_000;
/// Where Acme's API is, unless the channel's settings name another place.
const API: &str = "https://api.acme.example";
/// Header with the HMAC-SHA256 of the body, hex.
const SIGNATURE: &str = "x-acme-signature";

/// The provider.
pub struct Acme;

export!(Acme);

/// What a person fills in when they connect a channel; secrets are not among it.
#[derive(Deserialize)]
struct Settings {
    base_url: Option<String>,
}

/// A webhook: several things at once.
#[derive(Deserialize)]
struct Batch {
    events: Vec<serde_json::Value>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Message { id: String, from: String, to: String, name: Option<String>, text: String, sent_at_ms: u64 },
    Report { id: String, to: String, state: String, reason: Option<String>, at_ms: u64 },
}

/// What Acme answers when it has taken a message.
#[derive(Deserialize)]
struct Taken {
    id: String,
}

impl Provider for Acme {
    fn describe() -> Manifest {
        Manifest {
            publisher: "Acme".into(),
            settings: vec![
                Setting::new(
                    "address",
                    "Number",
                    SettingKind::Phone,
                    "Yours at Acme, with its country code.",
                )
                .required(),
                Setting::new("token", "API token", SettingKind::Secret, "On Acme's page Settings, API.")
                    .required(),
                Setting::new(
                    "signing_key",
                    "Signing key",
                    SettingKind::Secret,
                    "On the same page, Webhooks.",
                )
                .required(),
                Setting::new("base_url", "API address", SettingKind::EgressUrl, "Empty: Acme's own."),
            ],
            kinds: vec![ChannelKind {
                kind: "sms".into(),
                label: "SMS".into(),
                capabilities: Capabilities {
                    delivery_reports: DeliveryReports::Delivered,
                    ..Capabilities::text_only(TEXT_CHARS_MAX, LengthUnit::Characters)
                },
            }],
            origins: vec![API.into()],
            ..Manifest::new("acme", "Acme", env!("CARGO_PKG_VERSION"))
        }
    }

    fn authenticate(_: &Context, request: &Request) -> Verdict {
        let Some(tag) = request.header(SIGNATURE).and_then(unhex) else {
            return Verdict::refuse("the header x-acme-signature is missing or is no hexadecimal number");
        };
        let proof = HmacProof {
            algorithm: HmacAlgorithm::Sha256,
            key: "signing_key".into(),
            message: request.body.clone(),
            tag,
        };
        let reply = Reply { status: 204, headers: vec![], body: vec![] };
        Verdict::Accept(Claim { proofs: vec![Proof::Hmac(proof)], reply })
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        let batch: Batch = pointsman_plugin::json(&request.body)
            .map_err(|_| Failure::bad_response("the webhook is not JSON with a list `events`"))?;
        // One bad item must not take its neighbours with it.
        let read = |(place, item)| match serde_json::from_value(item) {
            Ok(item) => event(context, item),
            Err(_) => Event {
                dedupe_key: format!("unreadable:{place}"),
                body: EventBody::Unreadable("an item has fields missing or of another type".into()),
            },
        };
        Ok(batch.events.into_iter().enumerate().map(read).collect())
    }

    async fn send(context: &Context, message: OutgoingMessage, http: &Http) -> Result<Receipt, Failure> {
        let Outgoing::Text(text) = message.content else {
            return Err(Failure::unsupported("Acme sends text only"));
        };
        if text.chars().count() > TEXT_CHARS_MAX as usize {
            let why = format!("the text is longer than {TEXT_CHARS_MAX} characters; shorten or split it");
            return Err(Failure::new(FailureKind::ContentTooLong, why));
        }
        let settings: Settings = context.settings()?;
        let base = settings.base_url.filter(|url| !url.is_empty()).unwrap_or_else(|| API.into());
        let call = http::post(format!("{}/v1/messages", base.trim_end_matches('/')))
            .bearer(http::secret("token"))
            .json(&json!({
                "from": context.address,
                "to": message.to.address,
                "text": text,
                "report_to": message.status_url,
            }))
            .build();
        let answer = http.exchange(call.clone()).await?;
        if !answer.is_success() {
            return Err(Failure::from_response(&call, &answer));
        }
        // Acme has it: an answer that cannot be read must not lead to a second message.
        let taken: Taken = answer.json().map_err(|failure| failure.effect(Certainty::Performed))?;
        Ok(Receipt { message_ids: vec![taken.id], accepted_at: None, extras: vec![] })
    }
}

fn event(context: &Context, item: Item) -> Event {
    match item {
        Item::Message { id, from, to, name, text, sent_at_ms } => Event {
            dedupe_key: id.clone(),
            body: EventBody::Message(Message {
                id,
                contact: party(from, name),
                to,
                sent_at: sent_at_ms.min(context.now),
                reply_to: None,
                group_id: None,
                author: None,
                echo: false,
                window_closes_at: None,
                content: Content::Text(text),
                extras: vec![],
            }),
        },
        Item::Report { id, to, state, reason, at_ms } => Event {
            dedupe_key: format!("{id}:{state}"),
            body: EventBody::Status(Status {
                message_id: id,
                contact: party(to, None),
                to: context.address.clone(),
                at: at_ms.min(context.now),
                delivery: delivery(state, reason.as_deref()),
                effect_id: None,
                window_closes_at: None,
                extras: vec![],
            }),
        },
    }
}

fn delivery(state: String, reason: Option<&str>) -> Delivery {
    match state.as_str() {
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        "failed" => {
            let failure =
                Failure::new(FailureKind::RecipientUnreachable, "Acme could not deliver the message");
            Delivery::Failed(failure.vendor(None, reason))
        }
        _ => Delivery::Other(state),
    }
}

fn party(number: String, name: Option<String>) -> Party {
    Party {
        phone: Some(number.clone()),
        address: number,
        scoped_id: None,
        username: None,
        display_name: name.filter(|name| !name.is_empty()),
        extras: vec![],
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}
