//! Who the conversation is with: finding or making contact and conversation,
//! reopening, opting out, blocking.

use std::collections::BTreeMap;

use pointsman_rules::event::EventBody;
use pointsman_rules::facts::{AiState, ContactFacts, ConversationFacts, Priority, Status};
use pointsman_rules::ids::{ContactId, ConversationId, IdentityId};

use super::{Case, ContactChange, Refused};
use crate::flow::catalog::Reopen;
use crate::plugins::Party;
use crate::store::contacts::{Identity, Person};
use crate::store::conversations::{Conversation, Deadlines};

impl Case<'_> {
    /// Makes sure that there is a contact, and that we know what the vendor says about it.
    pub fn meet(&mut self, party: &Party, evidence: &str) {
        if let Some(person) = self.person.as_mut() {
            let mut next = person.clone();
            // A name that somebody gave the contact is better than the vendor's; the vendor's only fills a gap.
            next.facts.name = next.facts.name.or_else(|| party.display_name.clone());
            next.facts.phone = next.facts.phone.or_else(|| party.phone.clone());
            next.identity.address.clone_from(&party.address);
            next.identity.phone = party.phone.clone().or(next.identity.phone);
            next.identity.username = party.username.clone().or(next.identity.username);
            if next != *person {
                *person = next.clone();
                let is_new = self.out.people.iter_mut().find(|it| it.identity.id == next.identity.id);
                match is_new {
                    Some(new) => *new = next,
                    None => self.out.contacts.push(ContactChange::Updated(Box::new(next))),
                }
            }
            return;
        }
        let person = Person {
            facts: ContactFacts {
                id: ContactId::new(self.now_ms, self.clock.random()),
                name: party.display_name.clone(),
                phone: party.phone.clone(),
                language: None,
                blocked: false,
                opted_out: false,
                attributes: BTreeMap::new(),
            },
            identity: Identity {
                id: IdentityId::new(self.now_ms, self.clock.random()),
                channel_kind: self.channel.facts.kind.clone(),
                value: party.key().to_owned(),
                address: party.address.clone(),
                phone: party.phone.clone(),
                scoped_id: party.scoped_id.clone(),
                username: party.username.clone(),
                evidence: evidence.to_owned(),
            },
        };
        self.out.people.push(person.clone());
        self.person = Some(person);
    }

    /// Makes sure that there is a conversation that goes on: the open one, the closed one reopened, or a new one,
    /// as the channel's policy says. `live`: does a chat start (the contact wrote)?
    ///
    /// # Errors
    /// The contact is not known yet, or is blocked.
    pub fn go_on(&mut self, live: bool) -> Result<(), Refused> {
        let Some(person) = &self.person else {
            return Err(Refused::new("no_contact", "The contact is not known."));
        };
        let is_new_contact = self.out.people.iter().any(|it| it.identity.id == person.identity.id);
        let closed_ms = self
            .conversation
            .as_ref()
            .filter(|it| it.facts.status == Status::Closed)
            .map(|it| it.ended_ms.unwrap_or(it.last_activity_ms));
        match (&self.conversation, closed_ms) {
            (Some(_), None) => {
                if live {
                    self.revive()?;
                }
                return Ok(());
            }
            (Some(_), Some(closed_ms)) if self.channel.reopen.reopens(closed_ms, self.now_ms) => {
                return self.reopen();
            }
            _ => {}
        }
        self.set_aside();
        self.start_conversation(live);
        if is_new_contact {
            self.raise(EventBody::ContactCreated);
        }
        self.raise(EventBody::ConversationCreated);
        Ok(())
    }

    /// The contact wrote into an open conversation: the chat is live again, nothing is hidden, nobody waits.
    fn revive(&mut self) -> Result<(), Refused> {
        let facts = &mut self.open_case()?.facts;
        facts.live = true;
        facts.snoozed_until_ms = None;
        facts.archived_ms = None;
        if facts.status == Status::Pending {
            self.set_status(Status::Open)?;
        }
        Ok(())
    }

    fn start_conversation(&mut self, live: bool) {
        let Some(person) = &self.person else { return };
        let channel = &self.channel.facts;
        let facts = ConversationFacts {
            id: ConversationId::new(self.now_ms, self.clock.random()),
            live,
            status: Status::Open,
            group: channel.default_group,
            assignee: channel.assigned_agent,
            priority: Priority::Normal,
            labels: Vec::new(),
            attributes: BTreeMap::new(),
            language: person.facts.language.clone().or_else(|| channel.language.clone()),
            ai: AiState::Off,
            window_closes_ms: None,
            last_inbound_ms: None,
            last_outbound_ms: None,
            inbound_count: 0,
            outbound_count: 0,
            reopen_count: 0,
            created_ms: self.now_ms,
            opened_ms: self.now_ms,
            waiting_since_ms: None,
            first_reply_ms: None,
            archived_ms: None,
            snoozed_until_ms: None,
            automatic_ms: Vec::new(),
            rule_starts: BTreeMap::new(),
            timers: Vec::new(),
        };
        self.conversation = Some(Conversation {
            facts,
            channel: channel.id,
            contact: person.facts.id,
            identity: person.identity.id,
            lane: self.lane,
            last_activity_ms: self.now_ms,
            unread: 0,
            preview: None,
            last_responder: None,
            ended_ms: None,
            deadlines: Deadlines::default(),
            queue: None,
            due_ms: None,
            seq: 0,
            version: 0,
        });
    }

    /// The contact does not want messages on this kind of channel.
    pub fn opt_out(&mut self, source: &str) -> Result<(), Refused> {
        self.set_opted_out(true, source)
    }

    /// The contact wants messages on this kind of channel again.
    pub fn opt_in(&mut self, source: &str) -> Result<(), Refused> {
        self.set_opted_out(false, source)
    }

    fn set_opted_out(&mut self, out: bool, source: &str) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let kind = self.channel.facts.kind.clone();
        let person =
            self.person.as_mut().ok_or_else(|| Refused::new("no_contact", "The contact is not known."))?;
        if person.facts.opted_out == out {
            return Ok(());
        }
        person.facts.opted_out = out;
        let contact = person.facts.id;
        let since = out.then(|| (now_ms, source.to_owned()));
        self.out.contacts.push(ContactChange::OptedOut(contact, kind.clone(), since));
        self.raise(if out {
            EventBody::ContactOptedOut { channel_kind: kind }
        } else {
            EventBody::ContactOptedIn { channel_kind: kind }
        });
        Ok(())
    }

    /// Blocks or unblocks the contact.
    pub fn set_blocked(&mut self, on: bool) -> Result<(), Refused> {
        let now_ms = self.now_ms;
        let person =
            self.person.as_mut().ok_or_else(|| Refused::new("no_contact", "The contact is not known."))?;
        if person.facts.blocked != on {
            person.facts.blocked = on;
            self.out.contacts.push(ContactChange::Blocked(person.facts.id, on.then_some(now_ms)));
            let pair = [serde_json::json!(!on), serde_json::json!(on)];
            self.raise(EventBody::ContactUpdated { changes: [("blocked".to_owned(), pair)].into() });
        }
        Ok(())
    }
}

impl Reopen {
    /// Does a message reopen a conversation that was closed then?
    pub fn reopens(self, closed_ms: i64, now_ms: i64) -> bool {
        match self {
            Self::Reopen => true,
            Self::New => false,
            Self::ReopenWithin { ms } => now_ms - closed_ms <= ms,
        }
    }
}
