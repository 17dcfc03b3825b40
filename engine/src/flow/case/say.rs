//! Putting messages into the conversation: what leaves, what stays inside, and
//! what the gate refuses at once.

use std::collections::BTreeMap;

use pointsman_rules::event::{Actor, EventBody};
use pointsman_rules::facts::{Direction, SenderKind};
use pointsman_rules::ids::{EffectId, EventId, MessageId, RuleVersionId};
use serde_json::json;

use super::{AUTOMATIC_MAX, Case, Refused};
use crate::flow::content::Content;
use crate::flow::gate;
use crate::store::effects::{Effect, EffectState};
use crate::store::messages::Message;

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Say {
    /// Its id.
    pub message: MessageId,
    /// What.
    pub content: Content,
    /// The message that is answered.
    pub reply_to: Option<MessageId>,
    /// The id of the effect that sends it.
    pub effect: EffectId,
    /// The rule version and event that asked for it.
    pub asked_by: Option<(RuleVersionId, EventId)>,
    /// Is it the confirmation of an opt-out?
    pub confirms_opt_out: bool,
}

/// Effects that send a message.
const SEND: &str = "send";
/// Effects that confirm an opt-out; the only ones that may reach somebody who opted out.
pub const SEND_CONFIRMATION: &str = "send_confirmation";

impl Case<'_> {
    /// Queues a message to the contact. What the gate refuses now is kept as failed, with its reason, and not queued.
    ///
    /// # Errors
    /// There is no conversation, or the gate's refusal.
    pub fn say(&mut self, say: Say) -> Result<(), Refused> {
        let conversation = self.open_case()?.facts.id;
        let refusal = self.gate(&say);
        self.attach_files(say.message, say.content.files())?;
        let (sender, sender_id) = self.sender();
        let message = Message {
            id: say.message,
            conversation,
            channel: self.channel_id(),
            seq: 0,
            direction: Direction::Outbound,
            sender,
            sender_id,
            content: to_json(&say.content),
            status: Some(if refusal.is_some() { "failed" } else { "queued" }.to_owned()),
            failure: refusal.as_ref().map(|r| failure_json(r.code, &r.detail)),
            vendor_id: None,
            effect: Some(say.effect),
            reply_to: say.reply_to,
            at_ms: self.now_ms,
            created_ms: self.now_ms,
        };
        self.add_message(message, &say.content);
        if let Some(refusal) = refusal {
            self.out.failed += 1;
            if let Some(facts) = self.messages.get_mut(&say.message) {
                facts.failure = Some(refusal.code.to_owned());
            }
            let (class, message) = (refusal.code.to_owned(), say.message);
            self.raise(EventBody::MessageFailed { message, class, code: None });
            return Err(Refused::new(refusal.code, refusal.detail));
        }
        self.queue(&say, conversation);
        self.note_sent(sender);
        self.raise(EventBody::MessageSent { message: say.message });
        Ok(())
    }

    fn queue(&mut self, say: &Say, conversation: pointsman_rules::ids::ConversationId) {
        let seq = self.conversation.as_ref().map_or(0, |it| it.seq);
        self.out.effects.push(Effect {
            id: say.effect,
            lane: self.lane,
            channel: self.channel_id(),
            conversation,
            message: Some(say.message),
            seq,
            kind: if say.confirms_opt_out { SEND_CONFIRMATION } else { SEND }.to_owned(),
            state: EffectState::Queued,
            attempts: 0,
            attempts_before: 0,
            next_ms: self.now_ms,
            rule_version: say.asked_by.map(|(version, _)| version),
            event: say.asked_by.map(|(_, event)| event),
        });
    }

    /// Bookkeeping of a public message of ours.
    pub(in crate::flow) fn note_sent(&mut self, sender: SenderKind) {
        let now_ms = self.now_ms;
        let responder = match self.actor() {
            Actor::User { id } => Some(*id),
            _ => None,
        };
        let Some(conversation) = self.conversation.as_mut() else { return };
        let facts = &mut conversation.facts;
        facts.outbound_count += 1;
        facts.last_outbound_ms = Some(now_ms);
        conversation.assist.unanswered = None;
        match sender {
            SenderKind::Agent | SenderKind::Api | SenderKind::Echo => {
                facts.clock_answer(now_ms);
                conversation.assist.answers = 0;
            }
            // The contact got an answer, but no person has looked yet.
            SenderKind::Assistant => {
                facts.waiting_since_ms = None;
                conversation.assist.answers += 1;
            }
            SenderKind::Contact | SenderKind::Rule | SenderKind::System => {}
        }
        if responder.is_some() {
            conversation.last_responder = responder;
            conversation.unread = 0;
        }
        if matches!(sender, SenderKind::Rule | SenderKind::Assistant) {
            facts.automatic_ms.push(now_ms);
            let surplus = facts.automatic_ms.len().saturating_sub(AUTOMATIC_MAX);
            facts.automatic_ms.drain(..surplus);
        }
    }

    pub(super) fn gate(&self, say: &Say) -> Option<gate::Refusal> {
        let facts = &self.conversation.as_ref()?.facts;
        let person = self.person.as_ref()?;
        let look = gate::Facts {
            now_ms: self.now_ms,
            capabilities: &self.channel.facts.capabilities,
            window_closes_ms: facts.window_closes_ms,
            inbound_count: facts.inbound_count,
            blocked: person.facts.blocked,
            opted_out: person.facts.opted_out,
            confirms_opt_out: say.confirms_opt_out,
            receive_only: self.channel.facts.receive_only,
            removed: self.channel.is_removed,
            active: self.channel.active,
            assistant_silenced: matches!(self.actor(), Actor::Assistant) && !facts.ai.is_on(self.now_ms),
        };
        let content = match &say.content {
            // Which of the two leaves is decided when it does.
            Content::Either { name, language, slots, .. } if !gate::window_is_open(&look) => {
                let (name, language, slots) = (name.clone(), language.clone(), slots.clone());
                &Content::Template { name, language, slots, files: BTreeMap::new(), text: None }
            }
            content => content,
        };
        gate::check(&look, content).err()
    }

    /// A private note.
    ///
    /// # Errors
    /// There is no conversation.
    pub fn note(&mut self, id: MessageId, text: &str) -> Result<(), Refused> {
        let conversation = self.open_case()?.facts.id;
        let content = Content::Note { text: text.to_owned() };
        let (sender, sender_id) = self.sender();
        let message = Message {
            id,
            conversation,
            channel: self.channel_id(),
            seq: 0,
            direction: Direction::Internal,
            sender,
            sender_id,
            content: to_json(&content),
            status: None,
            failure: None,
            vendor_id: None,
            effect: None,
            reply_to: None,
            at_ms: self.now_ms,
            created_ms: self.now_ms,
        };
        self.add_message(message, &content);
        self.raise(EventBody::NoteAdded { message: id });
        Ok(())
    }

    fn sender(&self) -> (SenderKind, Option<String>) {
        match self.actor() {
            Actor::Contact => (SenderKind::Contact, None),
            Actor::User { id } => (SenderKind::Agent, Some(id.to_string())),
            Actor::Key { id } => (SenderKind::Api, Some(id.to_string())),
            Actor::Rule { id } => (SenderKind::Rule, Some(id.to_string())),
            Actor::Assistant => (SenderKind::Assistant, None),
            Actor::Vendor | Actor::System => (SenderKind::System, None),
        }
    }
}

/// A failure of our own making, as it is kept with the message.
pub(in crate::flow) fn failure_json(code: &str, detail: &str) -> String {
    json!({"class": code, "code": code, "message": detail}).to_string()
}

/// Our own types always serialise: their keys are texts.
pub(in crate::flow) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
