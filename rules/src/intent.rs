//! Intents: everything a rule may ask for. A rule performs nothing; the engine
//! applies what `decide` returns, or refuses it with a reason.

mod call;

pub(crate) use call::{key, quoted};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::{Priority, Status};

/// What a rule asks for. Names are as the rule wrote them; `decide` has
/// already checked that they exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum Intent {
    /// Give the conversation to a team.
    RouteToGroup {
        /// Group name or id.
        group: String,
    },
    /// Give it to a person, to whoever answered last, or to nobody.
    AssignAgent {
        /// Who.
        agent: Assignee,
    },
    /// Let the group's policy choose.
    AssignByPolicy {
        /// `round_robin`, `least_busy`, …
        policy: String,
    },
    /// End the live chat and set the status in one step.
    EndChat {
        /// The status afterwards.
        status: Status,
    },
    /// Set the status only.
    SetStatus {
        /// The new status.
        status: Status,
    },
    /// Put it away.
    Archive,
    /// Open it again.
    Reopen,
    /// Hide it until then.
    Snooze {
        /// Unix milliseconds.
        until_ms: i64,
    },
    /// How urgent.
    SetPriority {
        /// The new priority.
        priority: Priority,
    },
    /// Add free words.
    AddLabels {
        /// At most 20 words of 64 characters.
        labels: Vec<String>,
    },
    /// Take free words away.
    RemoveLabels {
        /// The words.
        labels: Vec<String>,
    },
    /// Set a typed value; null removes it.
    SetAttribute {
        /// Its name.
        key: String,
        /// Its value.
        value: serde_json::Value,
    },
    /// A private note.
    AddNote {
        /// Its text.
        text: String,
    },
    /// Ask people to look.
    Escalate {
        /// 1 is the lowest.
        level: i64,
        /// One sentence.
        reason: String,
    },
    /// Switch the assistant.
    SetAi {
        /// On or off.
        on: bool,
        /// Off for so long, milliseconds; `None` for good.
        for_ms: Option<i64>,
        /// One sentence.
        reason: Option<String>,
    },
    /// Ask the assistant how the contact sounds and what it is about.
    AskInsights,
    /// Write to the contact.
    SendMessage {
        /// The text.
        text: String,
        /// Buttons as (id, title); empty for plain text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
    },
    /// Write with an approved template.
    SendTemplate(TemplateCall),
    /// Free text while the window is open at send, else the template.
    SendMessageOrTemplate {
        /// The text.
        text: String,
        /// The template.
        template: TemplateCall,
    },
    /// Tell people.
    Notify {
        /// A group, an agent, `admins` or `assignee`.
        who: String,
        /// What.
        text: String,
    },
    /// Call an outgoing webhook.
    CallWebhook {
        /// Its name.
        name: String,
        /// What to send.
        payload: serde_json::Value,
    },
    /// Start or move a timer of this conversation.
    StartTimer {
        /// Its name, unique in the conversation.
        name: String,
        /// Milliseconds from now.
        after_ms: i64,
        /// Count open time of this calendar only.
        calendar: Option<String>,
        /// `true`: leave a running timer alone; `false`: move it.
        keep: bool,
    },
    /// Stop a timer of this conversation.
    CancelTimer {
        /// Its name.
        name: String,
    },
    /// The contact does not want messages on this kind of channel.
    OptOut,
    /// We do not want messages from this contact.
    BlockContact,
    /// Run another rule after this one.
    RunRule {
        /// Its name.
        name: String,
    },
    /// No later rule of this event runs.
    StopRules,
}

/// Who gets a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Assignee {
    /// This agent (e-mail, name or id).
    Agent {
        /// As the rule wrote it.
        name: String,
    },
    /// Whoever answered last.
    LastResponding,
    /// Nobody.
    Nobody,
}

/// A button of an interactive message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Comes back as the choice.
    pub id: String,
    /// What the contact sees.
    pub title: String,
}

/// A template with its slots filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateCall {
    /// Template name.
    pub name: String,
    /// Language; `None`: the conversation's, contact's, then channel's.
    pub language: Option<String>,
    /// Slot name to text.
    pub slots: BTreeMap<String, String>,
}

impl Intent {
    /// Does it talk to the contact? (`reply` stage, quotas, gate.)
    pub fn is_reply(&self) -> bool {
        matches!(self, Self::SendMessage { .. } | Self::SendTemplate(_) | Self::SendMessageOrTemplate { .. })
    }

    /// The word a rule uses for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::RouteToGroup { .. } => "route_to_group",
            Self::AssignAgent { .. } => "assign_agent",
            Self::AssignByPolicy { .. } => "assign_by_policy",
            Self::EndChat { .. } => "end_chat",
            Self::SetStatus { .. } => "set_status",
            Self::Archive => "archive",
            Self::Reopen => "reopen",
            Self::Snooze { .. } => "snooze",
            Self::SetPriority { .. } => "set_priority",
            Self::AddLabels { .. } => "add_labels",
            Self::RemoveLabels { .. } => "remove_labels",
            Self::SetAttribute { .. } => "set_attribute",
            Self::AddNote { .. } => "add_note",
            Self::Escalate { .. } => "escalate",
            Self::SetAi { .. } => "set_ai",
            Self::AskInsights => "ask_insights",
            Self::SendMessage { .. } => "send_message",
            Self::SendTemplate(_) => "send_template",
            Self::SendMessageOrTemplate { .. } => "send_message_or_template",
            Self::Notify { .. } => "notify",
            Self::CallWebhook { .. } => "call_webhook",
            Self::StartTimer { .. } => "start_timer",
            Self::CancelTimer { .. } => "cancel_timer",
            Self::OptOut => "opt_out",
            Self::BlockContact => "block_contact",
            Self::RunRule { .. } => "run_rule",
            Self::StopRules => "stop_rules",
        }
    }
}
