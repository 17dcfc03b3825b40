//! Commands: what people and programs ask of a conversation. A command is an
//! inbox entry of the conversation's lane like any webhook, so it is ordered
//! with everything else and raises the same events whatever its origin.

use std::collections::BTreeMap;

use pointsman_rules::event::{Actor, Changes};
use pointsman_rules::facts::{AiState, Priority, Status};
use pointsman_rules::ids::{ContactId, ConversationId, GroupId, JobId, MessageId, RuleId, UserId};
use pointsman_rules::intent::Button;
use serde::{Deserialize, Serialize};

use crate::flow::assistant::{Answer, Judgement, Run};
use crate::flow::file::File;
use crate::plugins::Party;

/// A command and who gave it, as it lies in the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The conversation it is for; none for `Start`.
    pub conversation: Option<ConversationId>,
    /// Who gave it.
    pub actor: Actor,
    /// What to do.
    pub command: Command,
}

/// What is asked of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Write to a contact who may never have written: finds or makes contact and conversation.
    Start {
        /// To whom.
        to: Party,
        /// The id the message will have.
        message: MessageId,
        /// What to send.
        content: Draft,
    },
    /// Write to the contact.
    Send {
        /// The id the message will have.
        message: MessageId,
        /// What to send.
        content: Draft,
        /// The message that is answered.
        reply_to: Option<MessageId>,
    },
    /// A private note.
    Note {
        /// The id the note will have.
        message: MessageId,
        /// Its text.
        text: String,
    },
    /// Send a failed message once more.
    Retry {
        /// Which message.
        message: MessageId,
    },
    /// Take a failed message out of the conversation.
    Discard {
        /// Which message.
        message: MessageId,
    },
    /// Give it to an agent or to nobody.
    Assign {
        /// Whom.
        agent: Option<UserId>,
    },
    /// Somebody was found for a conversation that waits: assign it, or offer it.
    Place {
        /// Whom.
        agent: UserId,
    },
    /// Take what is offered to me.
    Accept,
    /// Leave what is offered to me to somebody else.
    Decline,
    /// Give it to a team or to none.
    Route {
        /// Which.
        group: Option<GroupId>,
    },
    /// End the live chat and set the status.
    End {
        /// The status afterwards.
        status: Status,
    },
    /// Its channel was removed: nothing more will come or go.
    ChannelRemoved,
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
    /// Let the idle end wait.
    PostponeIdle,
    /// Switch the assistant.
    SetAi {
        /// The new state.
        state: AiState,
        /// One sentence.
        reason: Option<String>,
    },
    /// How urgent.
    SetPriority {
        /// The new priority.
        priority: Priority,
    },
    /// Change labels.
    Label {
        /// To add.
        add: Vec<String>,
        /// To take away.
        remove: Vec<String>,
    },
    /// Everything up to now was read by a person.
    MarkRead,
    /// Run a rule by hand.
    RunRule {
        /// Which rule.
        rule: RuleId,
    },
    /// A moment of a rule's schedule.
    Tick {
        /// Which rule.
        rule: RuleId,
    },
    /// A program called a rule's own URL.
    Hook {
        /// The name of the URL.
        name: String,
        /// What it said.
        payload: serde_json::Value,
    },
    /// Let a rule that the quota of starts holds back here begin again.
    ResumeRule {
        /// Which rule.
        rule: RuleId,
    },
    /// Block or unblock the contact.
    Block {
        /// Which contact.
        contact: ContactId,
        /// On or off.
        on: bool,
    },
    /// An assistant was asked to answer the contact.
    Answered {
        /// Which asking; an older one than the conversation waits for comes to nothing.
        task: JobId,
        /// What it says.
        answer: Answer,
        /// What it took.
        run: Run,
    },
    /// An assistant was asked what it thinks of the conversation.
    Judged {
        /// What it says, or why it could not.
        found: Result<Judgement, String>,
        /// What it took.
        run: Run,
    },
    /// An assistant was asked for a draft, which went to whoever asked.
    Suggested {
        /// Why there is none.
        problem: Option<String>,
        /// What it took.
        run: Run,
    },
    /// Something was done to the contact, outside of any conversation: the log and the rules of this one hear about it.
    Contact {
        /// What.
        news: ContactNews,
    },
}

/// What was done to a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum ContactNews {
    /// Fields changed; phone numbers among them are masked.
    Updated {
        /// Field to [before, after].
        changes: Changes,
    },
    /// Another contact became one with it, or was taken apart from it again.
    Merged,
    /// They want no messages on this kind of channel.
    OptedOut {
        /// Which kind.
        channel_kind: String,
    },
    /// They want messages again.
    OptedIn {
        /// Which kind.
        channel_kind: String,
    },
}

impl Command {
    /// Does it make sense for a conversation that is over while the contact has a newer one? What would bring it back
    /// to life does not: a contact has one open conversation.
    pub fn is_for_the_past(&self) -> bool {
        matches!(
            self,
            Self::Note { .. }
                | Self::Discard { .. }
                | Self::Archive
                | Self::Label { .. }
                | Self::SetPriority { .. }
                | Self::MarkRead
                | Self::Block { .. }
                | Self::Answered { .. }
                | Self::Judged { .. }
                | Self::Suggested { .. }
        )
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Draft {
    /// Text, perhaps with buttons.
    Text {
        /// The text.
        text: String,
        /// Buttons; empty for plain text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
    },
    /// Files that are in our store.
    Media {
        /// The files, with the ids they will have as this message's.
        files: Vec<File>,
    },
    /// Links to files that are in our store, because the files themselves are too large.
    Linked {
        /// What the contact gets.
        text: String,
        /// The files, which stay as long as the message does.
        files: Vec<File>,
    },
    /// An approved template.
    Template {
        /// Its name.
        name: String,
        /// Its language; `None`: the conversation's, the contact's, then the channel's.
        language: Option<String>,
        /// Slot key to text; see `flow::slot`.
        slots: BTreeMap<String, String>,
        /// Slot key to file.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, File>,
    },
}
