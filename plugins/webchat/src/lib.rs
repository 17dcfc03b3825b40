//! The chat page of Pointsman itself. There is no vendor: the engine's public
//! chat endpoint hands each visitor a token and posts what the page sends to the
//! channel's hook; replies reach the page over the engine's live stream, so that
//! sending makes no HTTP call.
//!
//! A visitor's token is `<visitor>.<hex hmac-sha256(visitor_key, visitor)>`, in
//! the header `x-pointsman-visitor`. The key is this channel's secret and known
//! to the engine only.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, Setting, SettingKind,
};
use pointsman_plugin::sender::{self, Receipt};
use pointsman_plugin::webhook::{
    Choice, Claim, Content, Event, EventBody, HmacAlgorithm, HmacProof, Message, Party, Proof, Reply,
    Request, Verdict,
};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Provider, export};
use serde::Deserialize;

/// Header with the visitor's token.
pub const VISITOR_HEADER: &str = "x-pointsman-visitor";
/// Name of the secret that visitors' tokens are made with.
pub const VISITOR_KEY: &str = "visitor_key";
/// Longest text of a message, characters; longer ones are refused.
pub const TEXT_CHARS_MAX: u32 = 4_096;
/// Buttons that the page shows under a message.
const BUTTONS_MAX: u32 = 10;
/// Longest id of a visitor or of a message of the page, bytes; longer ones are refused.
const ID_BYTES_MAX: usize = 128;
/// Longest name a visitor may call itself, characters; the rest is cut.
const NAME_CHARS_MAX: usize = 80;

/// A colour as the page reads it.
const ACCENT: &str = "#?[0-9A-Fa-f]{6}";

/// The provider.
pub struct Webchat;

export!(Webchat);

/// What the page sends.
#[derive(Deserialize)]
struct Inbound {
    /// Who writes; the same as in the token.
    visitor: String,
    /// The page's own id of the message; the same for every repeat of it.
    id: String,
    text: Option<String>,
    choice: Option<Picked>,
    name: Option<String>,
    /// The page's clock, unix milliseconds; only used while it is not in the future.
    sent_at_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Picked {
    id: String,
    title: String,
}

impl Provider for Webchat {
    fn describe() -> Manifest {
        Manifest {
            publisher: "Pointsman".into(),
            license: Some("Apache-2.0".into()),
            settings: settings(),
            kinds: vec![ChannelKind {
                kind: "webchat".into(),
                label: "Website chat".into(),
                capabilities: Capabilities {
                    buttons_max: BUTTONS_MAX,
                    idempotent_send: true,
                    delivery_reports: DeliveryReports::Sent,
                    ..Capabilities::text_only(TEXT_CHARS_MAX, LengthUnit::Characters)
                },
            }],
            ..Manifest::new("webchat", "Website chat", env!("CARGO_PKG_VERSION"))
        }
    }

    fn authenticate(_: &Context, request: &Request) -> Verdict {
        let Some((visitor, tag)) = request.header(VISITOR_HEADER).and_then(|token| token.rsplit_once('.'))
        else {
            return Verdict::refuse("the header x-pointsman-visitor with the visitor's token is missing");
        };
        let Some(tag) = unhex(tag) else {
            return Verdict::refuse("the visitor's token does not end in a signature");
        };
        match read(request) {
            Ok(inbound) if inbound.visitor == visitor => {}
            Ok(_) => return Verdict::refuse("the body names another visitor than the token"),
            Err(failure) => return Verdict::Reject(failure.message),
        }
        let proof = Proof::Hmac(HmacProof {
            algorithm: HmacAlgorithm::Sha256,
            key: VISITOR_KEY.into(),
            message: visitor.as_bytes().to_vec(),
            tag,
        });
        let reply = Reply { status: 204, headers: vec![], body: vec![] };
        Verdict::Accept(Claim { proofs: vec![proof], reply })
    }

    fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
        let inbound = read(request)?;
        let content = match (inbound.choice, inbound.text) {
            (Some(picked), _) => Content::Choice(Choice { id: picked.id, title: picked.title }),
            (None, Some(text)) => Content::Text(text.replace('\0', "")),
            (None, None) => return Err(malformed("it says nothing")),
        };
        let name = inbound.name.map(|name| name.trim().chars().take(NAME_CHARS_MAX).collect::<String>());
        let message = Message {
            // The page picks its ids, so two visitors may pick the same one.
            id: format!("{}:{}", inbound.visitor, inbound.id),
            contact: Party {
                address: inbound.visitor.clone(),
                phone: None,
                scoped_id: None,
                username: None,
                display_name: name.filter(|name| !name.is_empty()),
                extras: vec![],
            },
            to: context.address.clone(),
            sent_at: inbound.sent_at_ms.map_or(context.now, |at| at.min(context.now)),
            reply_to: None,
            group_id: None,
            author: None,
            echo: false,
            window_closes_at: None,
            content,
            extras: vec![],
        };
        let dedupe_key = format!("{}:{}", inbound.visitor, inbound.id);
        Ok(vec![Event { dedupe_key, body: EventBody::Message(message) }])
    }

    async fn send(context: &Context, message: sender::Message, _: &Http) -> Result<Receipt, Failure> {
        use sender::Content as C;
        match &message.content {
            C::Text(text) => fits(text)?,
            C::Choices(choices) => fits(&choices.text)?,
            C::Location(_) => {}
            C::Media(_) => {
                return Err(Failure::unsupported("the chat page shows no files yet; send a link as text"));
            }
            C::Template(_) | C::Cards(_) | C::Reaction(_) | C::Read(_) | C::Typing | C::Other(_) => {
                return Err(Failure::unsupported("the chat page shows only text, choices and places"));
            }
        }
        Ok(Receipt { message_ids: vec![message.effect_id], accepted_at: Some(context.now), extras: vec![] })
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{GeneratedSecret, Text};
    let new = Setting::new;
    vec![
        new(VISITOR_KEY, "Visitor key", GeneratedSecret, "Signs the tokens of visitors. Made by the server when the channel is created; with another key everybody starts a new conversation.").sent_to([]),
        new("title", "Title", Text, "Stands over the chat. Empty: the channel's name.").example("Chat with us"),
        new("greeting", "Greeting", Text, "Shown to visitors who have not written yet.").example("Hello! How can we help?"),
        new("accent", "Colour", Text, "Of buttons and the visitor's messages: six hexadecimal digits.")
            .pattern(ACCENT)
            .example("#2456d6"),
    ]
}

/// The body, when its ids and lengths are acceptable.
fn read(request: &Request) -> Result<Inbound, Failure> {
    let inbound: Inbound = pointsman_plugin::json(&request.body)
        .map_err(|_| malformed("it is not JSON with `visitor`, `id` and `text` or `choice`"))?;
    for id in [&inbound.visitor, &inbound.id] {
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(malformed("`visitor` and `id` must have 1 to 128 bytes without control characters"));
        }
    }
    if inbound.text.is_none() && inbound.choice.is_none() {
        return Err(malformed("it has neither `text` nor `choice`"));
    }
    let picked = inbound.choice.as_ref().map(|choice| choice.title.as_str());
    for text in [inbound.text.as_deref(), picked].into_iter().flatten() {
        if text.trim().is_empty() {
            return Err(malformed("its text is empty"));
        }
        fits(text)?;
    }
    Ok(inbound)
}

fn fits(text: &str) -> Result<(), Failure> {
    if text.chars().count() <= TEXT_CHARS_MAX as usize {
        return Ok(());
    }
    let message = format!("the text is longer than {TEXT_CHARS_MAX} characters; shorten or split it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

fn malformed(why: &str) -> Failure {
    Failure::bad_response(format!("the chat page's message cannot be read: {why}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}
