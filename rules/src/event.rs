//! Events: everything that can happen to a conversation or a channel. The log
//! is append-only, so variants and fields are added, never changed; a golden
//! file holds their JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AttachmentId, ConversationId, EventId, GroupId, KeyId, MessageId, RuleId, TimerId, UserId};

/// Longest cause chain. An event deeper than this starts no rule.
pub const CAUSE_DEPTH_MAX: usize = 10;

/// Something that happened, already part of the conversation's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the log.
    pub id: EventId,
    /// When we recorded it, unix milliseconds.
    pub at_ms: i64,
    /// The conversation it happened to; none for channel events.
    pub conversation: Option<ConversationId>,
    /// Who did it and what led to it.
    pub cause: Cause,
    /// What happened.
    pub body: EventBody,
}

/// Who did it and what led to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Cause {
    /// Who acted.
    pub actor: Actor,
    /// From the first event to the nearest one: the rules whose effects led here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<CauseStep>,
}

/// One link of a cause chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseStep {
    /// The event the rule ran on.
    pub event: EventId,
    /// The rule whose intent was applied.
    pub rule: RuleId,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// The person outside.
    Contact,
    /// A signed-in person.
    User {
        /// Who.
        id: UserId,
    },
    /// A program with an API key.
    Key {
        /// Which key.
        id: KeyId,
    },
    /// A rule.
    Rule {
        /// Which rule.
        id: RuleId,
    },
    /// An AI assistant.
    Assistant,
    /// The vendor (delivery callbacks, session changes).
    Vendor,
    /// The engine itself (deadlines, idle end).
    #[default]
    System,
}

/// One field's change: before and after, as JSON.
pub type Changes = BTreeMap<String, [serde_json::Value; 2]>;

macro_rules! events {
    ($($(#[doc = $doc:literal])* $variant:ident $({ $($(#[doc = $fdoc:literal])* $field:ident : $ty:ty),* $(,)? })? = $name:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum EventBody {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant $({ $($(#[doc = $fdoc])* $field: $ty),* })?,)*
        }

        /// The name of a kind of event, as rules subscribe to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[doc = $doc])* $variant,)* }

        impl EventKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, e.g. `message.received`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The stored fields of its body and a sentence for each, with a space before it.
            pub fn fields(self) -> &'static [(&'static str, &'static str)] {
                match self {
                    $(Self::$variant => &[$($((stringify!($field), concat!($($fdoc),*))),*)?],)*
                }
            }

            /// The kind with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }

        impl EventBody {
            /// Its kind.
            pub fn kind(&self) -> EventKind {
                match self { $(Self::$variant { .. } => EventKind::$variant,)* }
            }
        }
    };
}

events! {
    /// A contact wrote.
    MessageReceived { /// The message.
        message: MessageId } = "message.received";
    /// We wrote: an agent, a rule, an assistant, the API, or the linked phone (echo).
    MessageSent { /// The message.
        message: MessageId } = "message.sent";
    /// A delivery status moved forward.
    MessageStatusChanged { /// The message.
        message: MessageId, /// Before.
        from: String, /// After.
        to: String } = "message.status_changed";
    /// An outgoing message failed.
    MessageFailed { /// The message.
        message: MessageId, /// The failure class, e.g. `window_closed`.
        class: String, /// The vendor's own code.
        code: Option<String> } = "message.failed";
    /// A first message, or one after a closed conversation with policy `new`.
    ConversationCreated = "conversation.created";
    /// A closed conversation goes on.
    ConversationReopened = "conversation.reopened";
    /// Fields changed; once per transaction.
    ConversationUpdated { /// Field to [before, after].
        changes: Changes } = "conversation.updated";
    /// The status changed.
    ConversationStatusChanged { /// Before.
        from: String, /// After.
        to: String } = "conversation.status_changed";
    /// The live chat ended.
    ConversationEnded { /// `agent`, `rule`, `idle` or `api`.
        reason: String } = "conversation.ended";
    /// An agent was assigned.
    ConversationAssigned { /// The agent.
        assignee: UserId } = "conversation.assigned";
    /// The agent was taken off.
    ConversationUnassigned { /// Who had it.
        previous: UserId } = "conversation.unassigned";
    /// Nobody wrote for the channel's idle time.
    ConversationIdle = "conversation.idle";
    /// The idle end is one minute away.
    ConversationIdleWarning { /// When the chat will end, unix milliseconds.
        ends_at_ms: i64 } = "conversation.idle_warning";
    /// Free text is allowed again.
    WindowOpened { /// When it will close, unix milliseconds.
        closes_at_ms: i64 } = "window.opened";
    /// The window will close soon.
    WindowExpiring { /// When it will close, unix milliseconds.
        closes_at_ms: i64 } = "window.expiring";
    /// Only templates may be sent now.
    WindowExpired { /// When it closed, unix milliseconds.
        closed_at_ms: i64 } = "window.expired";
    /// A service target is near.
    SlaWarning { /// Which target.
        target: String } = "sla.warning";
    /// A service target was missed.
    SlaBreached { /// Which target.
        target: String } = "sla.breached";
    /// A calendar opened.
    BusinessHoursOpened { /// Its name.
        calendar: String } = "business_hours.opened";
    /// A calendar closed.
    BusinessHoursClosed { /// Its name.
        calendar: String } = "business_hours.closed";
    /// The vendor approved, rejected or paused a template.
    TemplateStatusChanged { /// Its name.
        template: String, /// Its language.
        language: String, /// The new status.
        status: String } = "template.status_changed";
    /// A channel connected, failed, was paused…
    ChannelStateChanged { /// Before.
        from: String, /// After.
        to: String, /// One sentence.
        reason: Option<String> } = "channel.state_changed";
    /// A contact was seen for the first time.
    ContactCreated = "contact.created";
    /// A contact's fields changed.
    ContactUpdated { /// Field to [before, after].
        changes: Changes } = "contact.updated";
    /// Two contacts became one.
    ContactMerged = "contact.merged";
    /// The contact does not want messages on this kind of channel.
    ContactOptedOut { /// The channel kind.
        channel_kind: String } = "contact.opted_out";
    /// The contact wants messages again.
    ContactOptedIn { /// The channel kind.
        channel_kind: String } = "contact.opted_in";
    /// The assistant wants a person to take over.
    AiHandoffRequested { /// One sentence.
        reason: String } = "ai.handoff_requested";
    /// The AI was switched.
    AiToggled { /// Is it on now?
        on: bool, /// One sentence.
        reason: Option<String> } = "ai.toggled";
    /// A rule asked for people.
    ConversationEscalated { /// 1 is the lowest.
        level: i64, /// One sentence.
        reason: String, /// Who asked the question, if known.
        group: Option<GroupId> } = "conversation.escalated";
    /// A private note was added.
    NoteAdded { /// The note.
        message: MessageId } = "note.added";
    /// A rule's timer ran out.
    TimerFired { /// Which timer.
        timer: TimerId, /// Its name.
        name: String } = "timer.fired";
    /// Somebody called a rule's own URL.
    WebhookReceived { /// The webhook's name.
        name: String, /// What it carried.
        payload: serde_json::Value } = "webhook.received";
    /// A schedule's moment.
    ScheduleTick { /// The rule it belongs to.
        rule: RuleId } = "schedule.tick";
    /// An agent started a rule by hand.
    RuleManual { /// The rule.
        rule: RuleId } = "rule.manual";
    /// An agent was asked to take it.
    ConversationOffered { /// The agent.
        agent: UserId, /// How long they may think, unix milliseconds.
        until_ms: i64 } = "conversation.offered";
    /// The agent did not take it; the next one is asked.
    ConversationOfferPassed { /// The agent.
        agent: UserId, /// `declined` or `expired`.
        reason: String } = "conversation.offer_passed";
    /// A contact's file has arrived; its message came before.
    AttachmentStored { /// The message.
        message: MessageId, /// The file.
        attachment: AttachmentId } = "attachment.stored";
    /// A contact's file will not come.
    AttachmentFailed { /// The message.
        message: MessageId, /// The file.
        attachment: AttachmentId, /// One sentence.
        reason: String } = "attachment.failed";
    /// Somebody deleted a message that had failed.
    MessageDeleted { /// The message.
        message: MessageId } = "message.deleted";
    /// A linked phone's session changed; also each new QR code.
    ChannelSessionChanged { /// `starting`, `needs_qr`, `working`, …
        state: String } = "channel.session_changed";
    /// An assistant was asked for something, and this came of it.
    AiRan { /// `reply`, `suggest` or `insights`.
        task: String, /// `sent`, `silent`, `handed_over`, `withheld`, `given` or `failed`.
        outcome: String, /// Why, in a sentence or word.
        reason: Option<String>, /// What answered, as the vendor calls it.
        model: Option<String>, /// How long it thought, milliseconds.
        took_ms: i64, /// What it read.
        input_tokens: i64, /// What it wrote.
        output_tokens: i64 } = "ai.ran";
}

#[cfg(test)]
mod tests;
