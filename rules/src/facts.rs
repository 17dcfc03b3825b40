//! Facts: the read-only snapshot that the rules of one event see. All of it is
//! passed in; reading a fact touches nothing outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assign::Assignment;
use crate::calendar::Calendar;
use crate::event::Changes;
use crate::ids::{
    CalendarId, ChannelId, ContactId, ConversationId, GroupId, MessageId, RuleId, TemplateId, UserId,
};
use crate::quota::Quotas;
use crate::sla::Targets;

/// Everything a rule may read about one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The moment of the decision, unix milliseconds.
    pub now_ms: i64,
    /// The message of a message event.
    pub message: Option<MessageFacts>,
    /// The conversation after the event.
    pub conversation: ConversationFacts,
    /// The person outside.
    pub contact: ContactFacts,
    /// Where it happened.
    pub channel: Arc<ChannelFacts>,
    /// Field to [before, after], for `conversation.updated` and friends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: Changes,
    /// What rules may name. Not kept with a run: it is large and changes slowly.
    #[serde(skip)]
    pub directory: Arc<Directory>,
}

/// A message as rules see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageFacts {
    /// Its id.
    pub id: MessageId,
    /// `inbound` or `outbound`.
    pub direction: Direction,
    /// Who wrote it.
    pub sender: SenderKind,
    /// `text`, `media`, `location`, `cards`, `choice`, `template`, `reaction`, `unsupported`.
    pub kind: String,
    /// Its text, or the caption of its first attachment; `None` when it has neither.
    pub text: Option<String>,
    /// The id of a pressed button or picked row.
    pub choice: Option<String>,
    /// How many files it carries.
    pub attachments: u32,
    /// Delivery status of an outbound message.
    pub status: Option<String>,
    /// Failure class of an outbound message.
    pub failure: Option<String>,
    /// The vendor's time for inbound, ours for outbound; unix milliseconds.
    pub at_ms: i64,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the contact.
    Inbound,
    /// To the contact.
    Outbound,
    /// A private note.
    Internal,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderKind {
    /// The person outside.
    Contact,
    /// A signed-in person.
    Agent,
    /// A rule.
    Rule,
    /// An AI assistant.
    Assistant,
    /// A program with an API key.
    Api,
    /// Typed on the linked phone.
    Echo,
    /// The engine itself.
    System,
}

/// The state of the case. *Ended* (see `live`) is not *closed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Somebody has to act.
    Open,
    /// Waiting for the contact.
    Pending,
    /// Waiting for something else.
    OnHold,
    /// Done.
    Closed,
}

/// How urgent a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Can wait.
    Low,
    /// The default.
    Normal,
    /// Soon.
    High,
    /// Now.
    Urgent,
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* })*) => {$(
        impl $name {
            /// Every word, for messages and documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),*];
            /// The stable word.
            pub fn word(self) -> &'static str { match self { $(Self::$variant => $word),* } }
            /// The value with this word.
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)* _ => None } }
        }
    )*};
}
words! {
    Direction { Inbound = "inbound", Outbound = "outbound", Internal = "internal" }
    SenderKind { Contact = "contact", Agent = "agent", Rule = "rule", Assistant = "assistant", Api = "api", Echo = "echo", System = "system" }
    Status { Open = "open", Pending = "pending", OnHold = "on_hold", Closed = "closed" }
    Priority { Low = "low", Normal = "normal", High = "high", Urgent = "urgent" }
}

/// May the assistant answer in this conversation?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AiState {
    /// It may.
    On,
    /// It may not.
    Off,
    /// Not before this moment.
    Suspended {
        /// Unix milliseconds.
        until_ms: i64,
    },
}

impl AiState {
    /// May it answer at this moment?
    pub fn is_on(&self, now_ms: i64) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Suspended { until_ms } => *until_ms <= now_ms,
        }
    }
}

/// A conversation as rules see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationFacts {
    /// Its id.
    pub id: ConversationId,
    /// Is a real-time chat going on?
    pub live: bool,
    /// The state of the case.
    pub status: Status,
    /// Which team has it.
    pub group: Option<GroupId>,
    /// Who has it.
    pub assignee: Option<UserId>,
    /// How urgent.
    pub priority: Priority,
    /// Free words.
    pub labels: Vec<String>,
    /// Typed values that rules and people set.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// BCP 47.
    pub language: Option<String>,
    /// `negative`, `neutral` or `positive`, as an assistant last judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// What it is about, as an assistant last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// May the assistant answer?
    pub ai: AiState,
    /// When the messaging window closes, unix milliseconds; `None`: the channel has none, or the contact never wrote.
    pub window_closes_ms: Option<i64>,
    /// Vendor's time of the contact's last message, unix milliseconds.
    pub last_inbound_ms: Option<i64>,
    /// Time of our last public message, unix milliseconds.
    pub last_outbound_ms: Option<i64>,
    /// Messages from the contact so far.
    pub inbound_count: i64,
    /// Our public messages so far.
    pub outbound_count: i64,
    /// How often it was reopened.
    pub reopen_count: i64,
    /// When it began, unix milliseconds.
    pub created_ms: i64,
    /// When this episode began: creation or the last reopening, unix milliseconds.
    #[serde(default)]
    pub opened_ms: i64,
    /// Since when the contact waits for a person's answer, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since_ms: Option<i64>,
    /// When a person first answered in this episode, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_reply_ms: Option<i64>,
    /// When it was archived, unix milliseconds.
    pub archived_ms: Option<i64>,
    /// Hidden until then, unix milliseconds.
    pub snoozed_until_ms: Option<i64>,
    /// Times of automatic messages to the contact, newest last, at most 100; for quotas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automatic_ms: Vec<i64>,
    /// Recent starts by rule; for the quota of starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rule_starts: BTreeMap<RuleId, Starts>,
    /// Names of running rule timers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<String>,
}

/// When a rule was started in a conversation. Looking at an event without asking for anything is no start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Starts {
    /// Unix milliseconds, newest last, as far back as the quota looks.
    pub at_ms: Vec<i64>,
    /// When people were last told that it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_ms: Option<i64>,
}

/// A person outside as rules see them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactFacts {
    /// Their id.
    pub id: ContactId,
    /// As the vendor or an agent wrote it.
    pub name: Option<String>,
    /// E.164, when known.
    pub phone: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// Do we refuse to talk to them?
    pub blocked: bool,
    /// Did they opt out of this channel's kind?
    pub opted_out: bool,
    /// Typed values.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A channel as rules see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelFacts {
    /// Its id.
    pub id: ChannelId,
    /// Its display name.
    pub name: String,
    /// `whatsapp`, `sms`, `telegram`, `webchat`, …
    pub kind: String,
    /// `twilio`, `webchat`, …
    pub provider: String,
    /// BCP 47.
    pub language: Option<String>,
    /// Team for new conversations.
    pub default_group: Option<GroupId>,
    /// Agent for new conversations.
    pub assigned_agent: Option<UserId>,
    /// Do we only read along?
    pub receive_only: bool,
    /// What the vendor can do.
    pub capabilities: Capabilities,
}

/// What a vendor's kind of channel can do; from the plugin's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Longest text, in `text_unit`.
    pub text_max: u32,
    /// `characters`, `utf16_units`, `bytes` or `sms_segments`.
    pub text_unit: String,
    /// Most files in one message.
    pub attachments_max: u32,
    /// Allowed files.
    #[serde(default)]
    pub media: Vec<MediaRule>,
    /// When free text is allowed.
    pub window: Window,
    /// Must the first message to somebody who never wrote be a template?
    pub first_message_needs_template: bool,
    /// Are there templates?
    pub templates: bool,
    /// Most buttons.
    pub buttons_max: u32,
    /// Most list rows.
    pub list_rows_max: u32,
    /// Can we react?
    pub reactions: bool,
    /// Can we quote?
    pub replies: bool,
    /// Can we tell that we read a message?
    pub read_receipts: bool,
    /// Can we show that we type?
    pub typing: bool,
    /// The furthest that the vendor reports of a message: `none`, `sent`, `delivered` or `read`.
    #[serde(default = "no_reports")]
    pub delivery_reports: String,
    /// Do messages typed on the phone come back?
    pub echoes: bool,
    /// Does the vendor drop a repeat with the same key?
    pub idempotent_send: bool,
    /// Published rate for one number; 0 unknown.
    pub messages_per_second: u32,
    /// Are webhooks unsigned?
    pub unsigned_webhooks: bool,
    /// Is it a beta?
    pub beta: bool,
}

fn no_reports() -> String {
    "none".to_owned()
}

/// Allowed files of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaRule {
    /// `image`, `audio`, `voice`, `video`, `document`, `sticker`, `archive`.
    pub family: String,
    /// MIME types; empty means all of the family.
    pub content_types: Vec<String>,
    /// Largest file we may send, bytes.
    pub send_bytes_max: u64,
    /// Largest file we may get, bytes.
    pub receive_bytes_max: u64,
    /// Longest caption, characters.
    pub caption_max: Option<u32>,
}

/// When free text is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Window {
    /// Always.
    None,
    /// So many seconds after the contact's last message.
    SinceLastInbound {
        /// Seconds.
        seconds: u32,
    },
    /// Once the contact has written.
    AfterFirstInbound,
}

/// What rules may name, per tenant. Lookups ignore case.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Directory {
    /// The tenant's groups.
    pub groups: Vec<GroupFacts>,
    /// The tenant's people.
    pub agents: Vec<AgentFacts>,
    /// The tenant's calendars.
    pub calendars: Vec<CalendarFacts>,
    /// Approved and other templates, per channel.
    pub templates: Vec<TemplateFacts>,
    /// Names of outgoing webhooks.
    pub webhooks: Vec<String>,
    /// Names of published rules, for `run_rule`.
    pub rules: Vec<(String, RuleId)>,
    /// How much rules may do on their own.
    pub quotas: Quotas,
}

/// A group as rules see it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupFacts {
    /// Its id.
    pub id: GroupId,
    /// Its name; rules name it case-insensitively.
    pub name: String,
    /// Its members.
    pub members: Vec<UserId>,
    /// Its calendar.
    pub calendar: Option<CalendarId>,
    /// BCP 47.
    pub language: Option<String>,
    /// How it hands out conversations.
    pub assignment: Assignment,
    /// How long contacts may wait.
    pub targets: Targets,
}

/// An agent as rules see them.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentFacts {
    /// Their id.
    pub id: UserId,
    /// How rules name them.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Are they there?
    pub online: bool,
    /// Do they see every conversation, whatever its group? Owners and admins do.
    pub sees_all: bool,
}

/// A calendar and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct CalendarFacts {
    /// Its id.
    pub id: CalendarId,
    /// How rules name it.
    pub name: String,
    /// When it is open.
    pub calendar: Calendar,
}

/// A template as rules see it.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateFacts {
    /// Its id.
    pub id: TemplateId,
    /// The channel it belongs to.
    pub channel: ChannelId,
    /// Its name.
    pub name: String,
    /// BCP 47 or the vendor's code.
    pub language: String,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`.
    pub status: String,
    /// Names of the slots to fill.
    pub slots: Vec<String>,
}

impl TemplateFacts {
    /// `en` asks for any English, `en-GB` for that one; vendors write `_` or `-`.
    pub(crate) fn speaks(&self, wanted: &str) -> bool {
        let plain = |language: &str| language.replace('_', "-").to_lowercase();
        let (has, wanted) = (plain(&self.language), plain(wanted));
        has == wanted || has.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Are these exactly the slots to fill? Each is named once.
    pub(crate) fn takes_slots<'a>(&self, mut given: impl ExactSizeIterator<Item = &'a str>) -> bool {
        self.slots.len() == given.len() && given.all(|slot| self.slots.iter().any(|s| s == slot))
    }
}

impl Directory {
    /// The group with this name or id.
    pub fn group(&self, name: &str) -> Option<&GroupFacts> {
        let id = GroupId::parse(name).ok();
        self.groups.iter().find(|g| Some(g.id) == id || same(&g.name, name))
    }

    /// The agent with this e-mail, name or id.
    pub fn agent(&self, name: &str) -> Option<&AgentFacts> {
        let id = UserId::parse(name).ok();
        self.agents.iter().find(|a| Some(a.id) == id || same(&a.email, name) || same(&a.name, name))
    }

    /// The group with this id.
    pub fn group_by_id(&self, id: GroupId) -> Option<&GroupFacts> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// The agent with this id.
    pub fn agent_by_id(&self, id: UserId) -> Option<&AgentFacts> {
        self.agents.iter().find(|agent| agent.id == id)
    }

    /// A group's calendar.
    pub fn calendar_of(&self, group: &GroupFacts) -> Option<&CalendarFacts> {
        self.calendars.iter().find(|calendar| Some(calendar.id) == group.calendar)
    }

    /// The calendar with this name.
    pub fn calendar(&self, name: &str) -> Option<&CalendarFacts> {
        self.calendars.iter().find(|c| same(&c.name, name))
    }
}

fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
