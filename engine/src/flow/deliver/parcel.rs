//! From a stored message to what a plugin is asked to send: the gate, text or
//! template, the address.

use std::collections::BTreeMap;

use pointsman_rules::facts::SenderKind;
use pointsman_rules::ids::MessageId;

use super::book::Book;
use super::{Parcel, Step, template};
use crate::flow::case::to_json;
use crate::flow::catalog::Channel;
use crate::flow::content::Content;
use crate::flow::file::File;
use crate::flow::gate::{self, Refusal};
use crate::plugins::{OutboundContent, OutboundMessage, Party};
use crate::store::effects::Effect;
use crate::store::outgoing::Outgoing;
use crate::store::{StoreError, Tx};

/// The parcel, or why the message may not leave.
pub(super) async fn pack(
    tx: &mut Tx,
    book: &mut Book,
    step: &Step,
    effect: &Effect,
    (message, outgoing): (MessageId, Outgoing),
) -> Result<Result<Parcel, Refusal>, StoreError> {
    let content: Content = serde_json::from_str(&outgoing.content).map_err(|error| StoreError::BadRow {
        table: "messages",
        column: "content",
        reason: error.to_string(),
    })?;
    let facts = gate_facts(&step.channel, effect, &outgoing, book.now_ms);
    let mut content = settle(book, step, message, content, gate::window_is_open(&facts));
    if let Err(refusal) = gate::check(&facts, &content) {
        return Ok(Err(refusal));
    }
    let vendor_id = match template::approve(tx, step, &mut content).await? {
        Ok(vendor_id) => vendor_id,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if matches!(content, Content::Template { text: Some(_), .. }) {
        book.contents.push((step.claim.tenant, message, to_json(&content)));
    }
    let outbound = match outbound(book, step, &content, vendor_id) {
        Ok(outbound) => outbound,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let effect = Effect { attempts: effect.attempts + 1, ..effect.clone() };
    let hook = step.channel.webhook_url(book.public_url());
    let outbound = address(&hook, &effect, outgoing, outbound);
    Ok(Ok(Parcel { effect, message, outbound, started_ms: book.now_ms }))
}

fn gate_facts<'a>(channel: &'a Channel, effect: &Effect, it: &Outgoing, now_ms: i64) -> gate::Facts<'a> {
    gate::Facts {
        now_ms,
        capabilities: &channel.facts.capabilities,
        window_closes_ms: it.window_closes_ms,
        inbound_count: it.inbound_count,
        blocked: it.blocked,
        opted_out: it.opted_out,
        confirms_opt_out: effect.kind == crate::flow::case::SEND_CONFIRMATION,
        receive_only: channel.facts.receive_only,
        removed: channel.is_removed,
        active: channel.active,
        assistant_silenced: it.sender == SenderKind::Assistant && !it.ai.is_on(now_ms),
    }
}

/// Text or template? Decided now, and kept with the message.
fn settle(book: &mut Book, step: &Step, message: MessageId, content: Content, is_open: bool) -> Content {
    let Content::Either { text, name, language, slots } = content else { return content };
    let content = if is_open {
        Content::Text { text }
    } else {
        Content::Template { name, language, slots, files: BTreeMap::new(), text: None }
    };
    book.contents.push((step.claim.tenant, message, to_json(&content)));
    content
}

/// What the plugin is asked to send, or why it cannot be sent. `vendor_id`: of the template.
fn outbound(
    book: &Book,
    step: &Step,
    content: &Content,
    vendor_id: Option<String>,
) -> Result<OutboundContent, Refusal> {
    let capabilities = &step.channel.facts.capabilities;
    let attach = |file: &File| {
        let url = book.link(step.claim.tenant, file.attachment?);
        file.to_outbound(gate::family(capabilities, file), url)
    };
    let detail = || "Messages of this kind cannot be sent.".to_owned();
    let outbound = content.to_outbound(vendor_id, &attach);
    outbound.ok_or_else(|| Refusal { code: "unsupported", detail: detail() })
}

fn address(hook: &str, effect: &Effect, to: Outgoing, content: OutboundContent) -> OutboundMessage {
    OutboundMessage {
        effect_id: effect.id.to_string(),
        attempt: u32::try_from(effect.attempts).unwrap_or(u32::MAX),
        to: Party {
            address: to.address,
            phone: to.phone,
            scoped_id: to.scoped_id,
            username: to.username,
            display_name: None,
            extras: Vec::new(),
        },
        reply_to: to.reply_to,
        content,
        status_url: format!("{hook}?effect={}", effect.id),
    }
}
