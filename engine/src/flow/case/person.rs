//! Who the conversation is with: finding or making contact and conversation,
//! and reopening. Opting out and blocking are in `consent`.

use std::collections::BTreeMap;

use pointsman_rules::event::EventBody;
use pointsman_rules::facts::{AiState, ContactFacts, ConversationFacts, Priority, Status};
use pointsman_rules::ids::{ContactId, ConversationId, IdentityId};

use super::{Case, ContactChange, Refused};
use crate::flow::catalog::Reopen;
use crate::flow::phone;
use crate::plugins::Party;
use crate::store::contacts::{Identity, Namesake, Person};
use crate::store::conversations::{Assist, Conversation, Deadlines};

/// Evidence of a vendor's word that a contact is reached elsewhere.
const MOVED: &str = "moved";
/// Evidence of what a program or an agent wrote.
pub(in crate::flow) const BY_API: &str = "api";

impl Case<'_> {
    /// Makes sure that there is a contact, and that we know what the vendor says about it.
    pub fn meet(&mut self, party: &Party, evidence: &str) {
        if let Some(person) = self.person.as_mut() {
            let mut next = person.clone();
            // A name that somebody gave the contact is better than the vendor's; the vendor's only fills a gap.
            next.facts.name = next.facts.name.or_else(|| party.display_name.clone());
            if next.facts.phone.is_none() {
                next.facts.phone.clone_from(&party.phone);
            }
            // Answers go exactly where the vendor says; what a program wrote may be another writing of the number.
            if evidence != BY_API {
                next.identity.address.clone_from(&party.address);
                next.identity.phone = party.phone.clone().or(next.identity.phone);
            }
            if next.identity.phone != person.identity.phone || next.identity.phone_key.is_none() {
                next.identity.phone_key = next.identity.phone.as_deref().and_then(phone::key);
            }
            next.identity.scoped_id = next.identity.scoped_id.or_else(|| party.scoped_id.clone());
            next.identity.username = party.username.clone().or(next.identity.username);
            if next != *person {
                *person = next.clone();
                let is_new = self.out.people.iter_mut().chain(self.out.identities.iter_mut());
                match is_new.into_iter().find(|it| it.identity.id == next.identity.id) {
                    Some(new) => *new = next,
                    None => self.out.contacts.push(ContactChange::Updated(Box::new(next))),
                }
            }
            return;
        }
        let identity = self.identity(party, evidence);
        if let Some(namesake) = self.namesake.take() {
            let identity = Identity { evidence: format!("{evidence}, same phone"), ..identity };
            let Namesake { facts, opted_out_by } = namesake;
            let person = Person { facts, identity, opted_out_by };
            self.out.identities.push(person.clone());
            self.person = Some(person);
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
            identity,
            opted_out_by: None,
        };
        self.out.people.push(person.clone());
        self.person = Some(person);
        self.remember_refusals();
    }

    /// The contact is reached elsewhere from now on: answers go there, and what comes from there is theirs. Somebody
    /// whom nobody knows has not moved.
    pub fn moved(&mut self, to: &Party) {
        let Some(person) = self.person.clone() else { return };
        let before = person.identity.address.clone();
        if to.key() != person.identity.value {
            let identity = self.identity(to, MOVED);
            self.out.contacts.push(ContactChange::AlsoAt(Box::new(Person { identity, ..person })));
        }
        self.meet(to, MOVED);
        if before != to.address {
            let pair = [before.into(), to.address.clone().into()];
            self.raise(EventBody::ContactUpdated { changes: [("address".to_owned(), pair)].into() });
        }
    }

    fn identity(&self, party: &Party, evidence: &str) -> Identity {
        Identity {
            id: IdentityId::new(self.now_ms, self.clock.random()),
            channel_kind: self.channel.facts.kind.clone(),
            value: party.key().to_owned(),
            address: party.address.clone(),
            phone: party.phone.clone(),
            phone_key: party.phone.as_deref().and_then(phone::key),
            scoped_id: party.scoped_id.clone(),
            username: party.username.clone(),
            evidence: evidence.to_owned(),
        }
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
            sentiment: None,
            summary: None,
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
        self.out.begun.push(facts.id);
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
            assist: Assist::default(),
            insights: None,
            queue: None,
            due_ms: None,
            seq: 0,
            version: 0,
        });
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
