//! A conversation on the table: the working copy that one turn changes in
//! memory, and everything that will have to be written. Pure: nothing here
//! touches the database, the network or the clock.

mod assist;
mod change;
mod consent;
mod file;
mod handout;
mod news;
mod person;
mod say;
mod starts;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use pointsman_rules::event::{Actor, Cause, Changes, Event, EventBody};
use pointsman_rules::facts::{ConversationFacts, Facts, MessageFacts};
use pointsman_rules::ids::{
    ChannelId, ConversationId, EventId, IdentityId, LaneId, MessageId, RuleId, TenantId, UserId,
};

use super::catalog::{Channel, TenantView};
use super::content::Content;
use super::rule_watch::Ran;
use super::webhook::outbox::Told;
use crate::clock::Clock;
use crate::plugins::{SessionUpdate, TemplateChange};
use crate::store::assistant_tasks::Task;
use crate::store::attachments::Attachment;
use crate::store::contacts::{Namesake, Person};
use crate::store::conversations::Conversation;
use crate::store::effects::{Effect, EffectState};
use crate::store::log::{Logged, RunRecord};
use crate::store::messages::{Message, StatusUpdate};
use crate::store::suppressions::Suppressed;
use crate::store::timers::Timer;

pub use consent::{Wish, wish};
pub(super) use person::BY_API;
pub use say::{SEND_CONFIRMATION, Say};
pub(super) use say::{failure_json, to_json};

/// Automatic messages remembered per conversation, for quotas (the longest is 100 in 600 minutes).
const AUTOMATIC_MAX: usize = 100;

/// Why something asked for was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Stable.
    pub code: String,
    /// One sentence.
    pub detail: String,
}

impl Refused {
    /// A refusal.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// A change of a timer.
#[derive(Debug, Clone, PartialEq)]
pub enum TimerChange {
    /// Start or move.
    Start(Timer),
    /// Stop.
    Cancel {
        /// Whose.
        conversation: ConversationId,
        /// Which.
        name: String,
    },
}

/// A change of a contact that is not new.
#[derive(Debug, Clone, PartialEq)]
pub enum ContactChange {
    /// Name or reply address.
    Updated(Box<Person>),
    /// The contact is also reached under this identity.
    AlsoAt(Box<Person>),
    /// The contact of this identity is blocked since then, or unblocked.
    Blocked(IdentityId, Option<i64>),
    /// The contact of this identity opted out of this kind of channel (since, source) or in.
    OptedOut(IdentityId, String, Option<(i64, String)>),
}

/// Somebody is told something.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Who.
    pub to: NoticeTo,
    /// `escalation`, `assignment`, `rule`…
    pub kind: &'static str,
    /// About which conversation.
    pub conversation: ConversationId,
    /// What.
    pub text: String,
    /// The event that everybody who is told has in common.
    pub event: Option<EventId>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeTo {
    /// These people.
    Users(Vec<UserId>),
    /// Owners and admins.
    Admins,
}

/// Everything that one lane's turn has to write.
#[derive(Debug, Clone, Default)]
pub struct Out {
    /// New contacts.
    pub people: Vec<Person>,
    /// New identities of contacts that are known.
    pub identities: Vec<Person>,
    /// Changes of known contacts.
    pub contacts: Vec<ContactChange>,
    /// New and changed conversations.
    pub conversations: Vec<Conversation>,
    /// Those of them that begin.
    pub begun: Vec<ConversationId>,
    /// New messages.
    pub messages: Vec<Message>,
    /// Their files.
    pub files: Vec<Attachment>,
    /// Delivery statuses.
    pub statuses: Vec<StatusUpdate>,
    /// Effects whose end a status told, and what it was.
    pub settled: Vec<(pointsman_rules::ids::EffectId, EffectState)>,
    /// New effects.
    pub effects: Vec<Effect>,
    /// Failed messages to be sent once more.
    pub retried: Vec<(MessageId, pointsman_rules::ids::EffectId)>,
    /// Failed messages to be taken out.
    pub discarded: Vec<(MessageId, pointsman_rules::ids::EffectId)>,
    /// The log.
    pub events: Vec<Logged>,
    /// What rules tell other programs.
    pub called: Vec<Told>,
    /// What the rules made of it.
    pub runs: Vec<RunRecord>,
    /// The same in short.
    pub ran: Vec<Ran>,
    /// Where the quota of starts holds a rule back from now on.
    pub holds: Vec<(RuleId, ConversationId)>,
    /// Timers.
    pub timers: Vec<TimerChange>,
    /// What assistants are asked for.
    pub asked: Vec<Task>,
    /// Conversations that need no answer of an assistant any more.
    pub unasked: Vec<ConversationId>,
    /// People to tell.
    pub notices: Vec<Notice>,
    /// Templates that the vendor says changed.
    pub templates: Vec<TemplateChange>,
    /// What the vendor says of the channel's session.
    pub sessions: Vec<SessionUpdate>,
    /// Conversations that somebody was found for: they are not on their way any more.
    pub placed: Vec<ConversationId>,
    /// How many messages failed, for the channel's counts.
    pub failed: i64,
    /// Inbox entries that were refused: (seq, why).
    pub refusals: Vec<(i64, Refused)>,
}

/// The working copy.
pub struct Case<'a> {
    /// Now, unix milliseconds.
    pub now_ms: i64,
    /// For ids.
    pub clock: &'a Clock,
    /// Whose.
    pub tenant: TenantId,
    /// Which lane.
    pub lane: LaneId,
    /// Where.
    pub channel: Arc<Channel>,
    /// Names and rules.
    pub view: Arc<TenantView>,
    /// The lane's newest conversation, once there is one.
    pub conversation: Option<Conversation>,
    /// With whom.
    pub person: Option<Person>,
    /// Somebody who is known by the same phone, when nobody is known by this address.
    pub namesake: Option<Namesake>,
    /// What is remembered of somebody with this address who was erased.
    pub suppressed: Option<Suppressed>,
    /// The conversation's timers.
    pub timers: Vec<Timer>,
    /// Messages of this turn and those that statuses are about.
    pub messages: BTreeMap<MessageId, MessageFacts>,
    /// Messages of this lane by the vendor's ids, as far as this turn speaks of them.
    pub by_vendor_id: HashMap<String, MessageId>,
    /// Contents of messages that are on their way to the vendor right now, JSON.
    pub leaving: Vec<String>,
    /// What the list line of a conversation is without a message that is to be deleted.
    pub previews: HashMap<MessageId, String>,
    /// What will be written.
    pub out: Out,
    /// Events that rules have not seen yet.
    pub(super) fresh: VecDeque<Event>,
    /// Who acts at this moment.
    pub(super) cause: Cause,
    /// The conversation at the start of this step, for `conversation.updated`.
    before: Option<ConversationFacts>,
    touched: bool,
    /// Did the contact write?
    has_news: bool,
    /// Did the live chat end?
    has_ended: bool,
    /// Did an assistant give it to people?
    handed_over: Option<assist::HandedOver>,
}

impl<'a> Case<'a> {
    /// An empty table.
    pub fn new(
        clock: &'a Clock,
        tenant: TenantId,
        lane: LaneId,
        channel: Arc<Channel>,
        view: Arc<TenantView>,
    ) -> Self {
        Self {
            now_ms: clock.now_ms(),
            clock,
            tenant,
            lane,
            channel,
            view,
            conversation: None,
            person: None,
            namesake: None,
            suppressed: None,
            timers: Vec::new(),
            messages: BTreeMap::new(),
            by_vendor_id: HashMap::new(),
            leaving: Vec::new(),
            previews: HashMap::new(),
            out: Out::default(),
            fresh: VecDeque::new(),
            cause: Cause::default(),
            before: None,
            touched: false,
            has_news: false,
            has_ended: false,
            handed_over: None,
        }
    }

    /// Starts a step: what follows is done by `cause`, and its changes are reported together by `end_step`.
    pub fn begin_step(&mut self, cause: Cause) {
        self.cause = cause;
        self.before = self.conversation.as_ref().map(|it| it.facts.clone());
    }

    /// Ends a step: one `conversation.updated` for all that changed in it.
    pub fn end_step(&mut self) {
        let Some(now) = self.conversation.as_ref().map(|it| it.facts.clone()) else { return };
        let before = self.before.take().filter(|before| before.id == now.id);
        let changes = before.map(|before| changes(&before, &now)).unwrap_or_default();
        if !changes.is_empty() {
            self.raise(EventBody::ConversationUpdated { changes });
        }
    }

    /// Appends an event to the log and shows it to the rules; answers its id.
    pub fn raise(&mut self, body: EventBody) -> EventId {
        let conversation = self.conversation.as_mut().map(|it| {
            it.seq += 1;
            (it.facts.id, it.seq)
        });
        let seq = conversation.map_or(0, |(_, seq)| seq);
        let event = Event {
            id: event_id(self.now_ms, seq, self.clock.random()),
            at_ms: self.now_ms,
            conversation: conversation.map(|(id, _)| id),
            cause: self.cause.clone(),
            body,
        };
        let channel = Some(self.channel.facts.id);
        self.out.events.push(Logged { event: event.clone(), channel, seq });
        let id = event.id;
        self.fresh.push_back(event);
        self.touched = true;
        id
    }

    /// What was raised since the last look is in the log, and no rule is shown it.
    pub fn hide_from_rules(&mut self) {
        self.fresh.clear();
    }

    /// What the rules of this event may read; `None` before there is a conversation.
    pub fn facts(&self, event: &Event) -> Option<Facts> {
        let conversation = self.conversation.as_ref()?;
        let mut facts = conversation.facts.clone();
        facts.timers = self.timers.iter().map(|timer| timer.name.clone()).collect();
        let (message, changes) = match &event.body {
            EventBody::MessageReceived { message }
            | EventBody::MessageSent { message }
            | EventBody::MessageStatusChanged { message, .. }
            | EventBody::MessageFailed { message, .. }
            | EventBody::MessageDeleted { message }
            | EventBody::NoteAdded { message }
            | EventBody::AttachmentStored { message, .. }
            | EventBody::AttachmentFailed { message, .. } => {
                (self.messages.get(message).cloned(), Changes::new())
            }
            EventBody::ConversationUpdated { changes } => (None, changes.clone()),
            _ => (None, Changes::new()),
        };
        Some(Facts {
            now_ms: self.now_ms,
            message,
            conversation: facts,
            contact: self.person.as_ref()?.facts.clone(),
            channel: self.channel.facts.clone(),
            changes,
            directory: self.view.directory.clone(),
        })
    }

    /// The conversation that everything after its creation works on.
    ///
    /// # Errors
    /// There is none yet.
    pub(super) fn open_case(&mut self) -> Result<&mut Conversation, Refused> {
        self.touched = true;
        self.conversation
            .as_mut()
            .ok_or_else(|| Refused::new("no_conversation", "There is no conversation with this contact yet."))
    }

    /// Adds a message to the conversation; it counts as activity unless it is a note.
    pub(super) fn add_message(&mut self, mut message: Message, content: &Content) {
        let at_ms = self.now_ms;
        if let Some(conversation) = self.conversation.as_mut() {
            conversation.seq += 1;
            message.seq = conversation.seq;
            message.conversation = conversation.facts.id;
            if !matches!(content, Content::Note { .. }) {
                conversation.last_activity_ms = at_ms;
                conversation.deadlines.idle_from_ms = None;
                conversation.preview = Some(content.preview());
            }
        }
        self.touched = true;
        self.messages.insert(message.id, message_facts(&message, content));
        self.out.messages.push(message);
    }

    /// Who acts, for the log.
    pub fn actor(&self) -> &Actor {
        &self.cause.actor
    }

    /// Puts the conversation aside as it is now and starts on another one.
    pub(super) fn set_aside(&mut self) {
        if let Some(mut conversation) = self.conversation.take()
            && self.touched
        {
            conversation.due_ms = None;
            self.keep(conversation);
        }
        self.timers.clear();
    }

    /// Everything that has to be written.
    pub fn finish(mut self) -> (Out, Option<ConversationId>) {
        self.tell_of_news();
        let id = self.conversation.as_ref().map(|it| it.facts.id);
        self.put_down();
        (self.out, id)
    }

    /// Does something to an older conversation of the lane, and comes back; answers what became of it.
    pub(super) fn visit(&mut self, past: Conversation, work: impl FnOnce(&mut Self)) -> Conversation {
        let present = (self.conversation.replace(past.clone()), std::mem::take(&mut self.timers));
        let touched = std::mem::replace(&mut self.touched, false);
        work(self);
        let after = self.put_down().unwrap_or(past);
        (self.conversation, self.timers) = present;
        self.touched = touched;
        after
    }

    /// Ends work on the conversation: it is written if anything changed. Answers it as it is then.
    fn put_down(&mut self) -> Option<Conversation> {
        self.settle_queue();
        if self.touched {
            self.settle_assist();
        }
        self.settle_insights();
        self.tell_of_handover();
        let mut conversation = self.conversation.take()?;
        if self.touched {
            conversation.due_ms = super::deadline::next(&conversation, &self.channel, &self.view.directory);
            conversation = self.keep(conversation);
        }
        Some(conversation)
    }

    /// Has the conversation written, once: a later state replaces an earlier one.
    fn keep(&mut self, mut conversation: Conversation) -> Conversation {
        conversation.version += 1;
        self.out.conversations.retain(|it| it.facts.id != conversation.facts.id);
        self.out.conversations.push(conversation.clone());
        conversation
    }

    /// Marks the conversation as changed without an event.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    pub(super) fn channel_id(&self) -> ChannelId {
        self.channel.facts.id
    }
}

/// Ids of one conversation's events sort in the order in which they happened, also within a millisecond: the place in
/// the conversation leads the random part.
fn event_id(at_ms: i64, seq: i64, random: u128) -> EventId {
    const RANDOM_BITS: u32 = 64;
    let seq = u128::from(seq.unsigned_abs() & 0xffff);
    EventId::new(at_ms, (seq << RANDOM_BITS) | (random & u128::from(u64::MAX)))
}

/// What rules see of a message.
pub fn message_facts(message: &Message, content: &Content) -> MessageFacts {
    MessageFacts {
        id: message.id,
        direction: message.direction,
        sender: message.sender,
        kind: content.kind().to_owned(),
        text: content.text().map(str::to_owned),
        choice: content.choice().map(str::to_owned),
        attachments: content.attachments(),
        status: message.status.clone(),
        failure: None,
        at_ms: message.at_ms,
    }
}

/// The fields whose change rules hear about. The engine's own bookkeeping (counts, window, times) is not among them.
fn changes(before: &ConversationFacts, now: &ConversationFacts) -> Changes {
    let mut changes = Changes::new();
    macro_rules! compare {
        ($($field:ident),*) => {$(
            if before.$field != now.$field {
                let pair = [serde_json::json!(before.$field), serde_json::json!(now.$field)];
                changes.insert(stringify!($field).to_owned(), pair);
            }
        )*};
    }
    compare!(
        live,
        status,
        group,
        assignee,
        priority,
        labels,
        attributes,
        language,
        sentiment,
        summary,
        ai,
        archived_ms,
        snoozed_until_ms
    );
    changes
}
