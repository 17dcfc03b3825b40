//! What happened, as rules would see it: events with the facts as of each of them.
//! Where a rule looked at an event, its facts were kept and are exact; otherwise they
//! are worked out from the conversation as it is now, backwards through the log and
//! then forwards again.
//!
//! Worked out exactly: what changes report (status, live, group, assignee, priority,
//! labels, attributes, language, AI, archiving, snoozing), counts, and times since the
//! first event that is read. Approximate: the contact is as it is today; times from
//! before that first event, running timers and past starts of rules are unknown;
//! templates, groups and other names are today's.
//!
//! Only reads. Reaches neither plugins nor the way out; a tidy test says so.

mod fold;

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_rules::event::{Changes, Event, EventBody};
use pointsman_rules::facts::{ChannelFacts, ContactFacts, ConversationFacts, Directory, Facts, MessageFacts};
use pointsman_rules::ids::{ChannelId, ConversationId, EventId, MessageId, TenantId};
use serde::Deserialize;

use super::case::message_facts;
use super::content::Content;
use crate::store::replay::{self as rows, Past};
use crate::store::{Db, StoreError, contacts, conversations};

/// What is known of a tenant besides its events.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Whose.
    pub tenant: TenantId,
    /// What rules may name.
    pub directory: Arc<Directory>,
    /// Channels that rules can be tried on.
    pub channels: HashMap<ChannelId, Arc<ChannelFacts>>,
    /// What the vendor calls a template: `marketing`, `utility`, …; by channel and name.
    pub categories: HashMap<(ChannelId, String), String>,
}

/// An event with the facts as of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// What happened.
    pub event: Event,
    /// What rules saw, or would have seen.
    pub facts: Facts,
    /// Were the facts kept, or are they worked out?
    pub is_exact: bool,
}

/// What is kept of the facts with a run.
#[derive(Debug, Clone, Deserialize)]
struct Kept {
    now_ms: i64,
    message: Option<MessageFacts>,
    conversation: ConversationFacts,
    contact: ContactFacts,
    #[serde(default)]
    changes: Changes,
}

/// One conversation's past, read but not yet worked out.
pub struct Scene {
    channel: Arc<ChannelFacts>,
    directory: Arc<Directory>,
    conversation: ConversationFacts,
    contact: ContactFacts,
    events: Vec<Event>,
    kept: HashMap<EventId, String>,
    messages: HashMap<MessageId, (crate::store::messages::Message, Content)>,
}

impl Ground {
    /// Reads the past of these conversations since a moment. Those that are gone, whose contact was erased, or whose
    /// channel is gone are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(
        &self,
        db: &Db,
        wanted: &[ConversationId],
        from_ms: i64,
    ) -> Result<Vec<Scene>, StoreError> {
        let (tenant, tx) = (self.tenant, &mut db.read().await?);
        let mut scenes = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(rows::CONVERSATIONS_MAX) {
            let ids: Vec<_> = wanted.iter().map(|id| (tenant, *id)).collect();
            // The present first: what happens while the rest is read is not in it, and is undone without harm.
            let present = conversations::load(tx, &ids).await?;
            let identities: Vec<_> = present.iter().map(|it| (tenant, it.identity)).collect();
            let people = contacts::by_identity(tx, &identities).await?;
            let mut events: HashMap<ConversationId, Vec<Event>> = HashMap::new();
            for Past { event, .. } in rows::events(tx, tenant, wanted, from_ms).await? {
                if let Some(conversation) = event.conversation {
                    events.entry(conversation).or_default().push(event);
                }
            }
            let mut kept = rows::facts(tx, tenant, wanted, from_ms).await?;
            let mut messages: HashMap<ConversationId, Vec<_>> = HashMap::new();
            for message in rows::messages(tx, tenant, wanted, from_ms).await? {
                messages.entry(message.conversation).or_default().push(message);
            }
            for it in present {
                let id = it.facts.id;
                let person = people.iter().find(|person| person.identity.id == it.identity);
                let (Some(channel), Some(person)) = (self.channels.get(&it.channel), person) else {
                    continue;
                };
                let events = events.remove(&id).unwrap_or_default();
                let kept = events.iter().filter_map(|event| kept.remove_entry(&event.id)).collect();
                let read = |message: crate::store::messages::Message| {
                    let content = serde_json::from_str(&message.content).ok()?;
                    Some((message.id, (message, content)))
                };
                scenes.push(Scene {
                    channel: channel.clone(),
                    directory: self.directory.clone(),
                    conversation: it.facts,
                    contact: person.facts.clone(),
                    events,
                    kept,
                    messages: messages.remove(&id).unwrap_or_default().into_iter().filter_map(read).collect(),
                });
            }
        }
        Ok(scenes)
    }

    /// One stored event with its facts; `None`: it belongs to no conversation, or that cannot be tried on any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn moment(&self, db: &Db, event: &Event) -> Result<Option<Moment>, StoreError> {
        let Some(conversation) = event.conversation else { return Ok(None) };
        let scenes = self.read(db, &[conversation], event.at_ms).await?;
        let moments = scenes.into_iter().flat_map(|scene| scene.moments());
        let found = moments.into_iter().find(|moment| moment.event.id == event.id);
        let Some(mut found) = found else { return Ok(None) };
        // Delivery news are about a message that is older than the event.
        if let (None, Some(message)) = (&found.facts.message, message_of(&event.body)) {
            let row = crate::store::messages::get(&mut db.read().await?, self.tenant, message).await?;
            found.facts.message = row.and_then(|row| {
                let content: Content = serde_json::from_str(&row.content).ok()?;
                Some(message_facts(&row, &content))
            });
        }
        Ok(Some(found))
    }
}

impl Scene {
    /// A past that no database remembers.
    #[cfg(test)]
    pub(crate) fn staged(
        (channel, directory): (Arc<ChannelFacts>, Arc<Directory>),
        (conversation, contact): (ConversationFacts, ContactFacts),
        events: Vec<Event>,
        kept: HashMap<EventId, String>,
        messages: &[crate::store::messages::Message],
    ) -> Self {
        let read = |it: &crate::store::messages::Message| {
            Some((it.id, (it.clone(), serde_json::from_str(&it.content).ok()?)))
        };
        let messages = messages.iter().filter_map(read).collect();
        Self { channel, directory, conversation, contact, events, kept, messages }
    }

    /// Works out the facts as of each event. Takes the time that the events take; call it off the reactor when there
    /// are many.
    pub fn moments(self) -> Vec<Moment> {
        let kept: HashMap<EventId, Kept> = self
            .kept
            .iter()
            .filter_map(|(event, facts)| Some((*event, serde_json::from_str(facts).ok()?)))
            .collect();
        let mut state = fold::beginning(&self.conversation, &self.events);
        let mut contact = self.contact.clone();
        let mut moments = Vec::with_capacity(self.events.len());
        for step in fold::steps(&self.events) {
            for event in step {
                let message = message_of(&event.body).and_then(|id| self.messages.get(&id));
                fold::apply(&mut state, event, message.map(|(row, _)| row), &self.channel);
            }
            let after = state.clone();
            for event in step {
                let moment = match kept.get(&event.id) {
                    Some(kept) => {
                        (state, contact) = (kept.conversation.clone(), kept.contact.clone());
                        self.exact(event, kept)
                    }
                    None => self.worked_out(event, &after, &contact),
                };
                moments.push(moment);
            }
        }
        moments
    }

    fn exact(&self, event: &Event, kept: &Kept) -> Moment {
        let facts = Facts {
            now_ms: kept.now_ms,
            message: kept.message.clone(),
            conversation: kept.conversation.clone(),
            contact: kept.contact.clone(),
            channel: self.channel.clone(),
            changes: kept.changes.clone(),
            directory: self.directory.clone(),
        };
        Moment { event: event.clone(), facts, is_exact: true }
    }

    fn worked_out(&self, event: &Event, state: &ConversationFacts, contact: &ContactFacts) -> Moment {
        let message = message_of(&event.body).and_then(|id| self.messages.get(&id));
        let message = message.map(|(row, content)| {
            let mut facts = message_facts(row, content);
            facts.status = status_as_of(&event.body, facts.status);
            if let EventBody::MessageFailed { class, .. } = &event.body {
                facts.failure = Some(class.clone());
            }
            facts
        });
        let changes = match &event.body {
            EventBody::ConversationUpdated { changes } => changes.clone(),
            _ => Changes::new(),
        };
        let facts = Facts {
            now_ms: event.at_ms,
            message,
            conversation: state.clone(),
            contact: contact.clone(),
            channel: self.channel.clone(),
            changes,
            directory: self.directory.clone(),
        };
        Moment { event: event.clone(), facts, is_exact: false }
    }
}

/// The message that an event is about.
pub fn message_of(body: &EventBody) -> Option<MessageId> {
    match body {
        EventBody::MessageReceived { message }
        | EventBody::MessageSent { message }
        | EventBody::MessageStatusChanged { message, .. }
        | EventBody::MessageFailed { message, .. }
        | EventBody::MessageDeleted { message }
        | EventBody::NoteAdded { message }
        | EventBody::AttachmentStored { message, .. }
        | EventBody::AttachmentFailed { message, .. } => Some(*message),
        _ => None,
    }
}

/// A message's row says how it is today; the event, how it was.
fn status_as_of(body: &EventBody, today: Option<String>) -> Option<String> {
    match body {
        EventBody::MessageSent { .. } => Some("queued".to_owned()),
        EventBody::MessageStatusChanged { to, .. } => Some(to.clone()),
        EventBody::MessageFailed { .. } => Some("failed".to_owned()),
        _ => today,
    }
}
