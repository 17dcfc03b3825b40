//! One lane on a desk, for tests: what a turn writes is what the next one reads.
//! No database, no plugin; the starter rules are the ones that customers get.

use std::collections::HashMap;
use std::sync::Arc;

use pointsman_rules::assign::Assignment;
use pointsman_rules::decide::{CompiledRule, RuleSet};
use pointsman_rules::event::Actor;
use pointsman_rules::facts::{Directory, GroupFacts, Status, Window};
use pointsman_rules::ids::{GroupId, LaneId, MessageId, RuleId, RuleVersionId};
use pointsman_rules::library::starters;
use pointsman_rules::script::Script;
use pointsman_rules::sla::Targets;

use super::load::{Pending, Table};
use super::*;
use crate::clock::Clock;
use crate::flow::catalog::{Channel, TenantView};
use crate::flow::command::{Command, Draft};
pub(super) use crate::flow::testing::channel;
use crate::plugins::{Content, InboundMessage, Party};
use crate::store::conversations::Conversation;

pub(super) const DAY_MS: i64 = 86_400_000;
pub(super) const NOW_MS: i64 = 1_790_000_000_000;

/// One contact's lane on a desk: what a turn writes is what the next one reads.
pub(super) struct Desk {
    pub(super) clock: Clock,
    pub(super) channel: Channel,
    pub(super) view: Arc<TenantView>,
    pub(super) conversation: Option<Conversation>,
    pub(super) table: Table,
    /// Older conversations of the contact.
    pub(super) past: HashMap<ConversationId, Conversation>,
    pub(super) seq: i64,
    /// Everything since the start: event names.
    pub(super) events: Vec<String>,
    pub(super) last: Out,
}

pub(super) fn group(number: u128, name: &str) -> GroupFacts {
    GroupFacts {
        id: GroupId::new(1, number),
        name: name.into(),
        members: vec![],
        calendar: None,
        language: None,
        assignment: Assignment::default(),
        targets: Targets::default(),
    }
}

impl Desk {
    pub(super) fn new(channel: Channel, rules: &[&str]) -> Self {
        let compiled = rules
            .iter()
            .enumerate()
            .map(|(index, source)| CompiledRule {
                id: RuleId::new(1, index as u128),
                version: RuleVersionId::new(1, index as u128),
                script: Script::parse(source).unwrap(),
            })
            .collect();
        let directory =
            Directory { groups: vec![group(1, "Support"), group(2, "Billing")], ..Directory::default() };
        let view = Arc::new(TenantView::new(directory, RuleSet::new(compiled)));
        Self {
            clock: Clock::fixed(NOW_MS),
            channel,
            view,
            conversation: None,
            table: Table::default(),
            past: HashMap::new(),
            seq: 0,
            events: Vec::new(),
            last: Out::default(),
        }
    }

    pub(super) fn with_starters() -> Self {
        let sources: Vec<&str> =
            starters().iter().filter(|it| it.default_enabled).map(|it| it.source).collect();
        Self::new(channel("webchat", Window::None), &sources)
    }

    pub(super) fn work_off(&mut self, entries: Vec<Entry>) -> &Out {
        let lane = LaneId::new(1, 1);
        let mut table = Table {
            person: self.table.person.clone(),
            namesake: self.table.namesake.take(),
            suppressed: self.table.suppressed.take(),
            timers: self.table.timers.clone(),
            ..Table::default()
        };
        table.channel = Some(Arc::new(copy(&self.channel)));
        table.view = Some(self.view.clone());
        table.conversation.clone_from(&self.conversation);
        table.remember(self.table.recall());
        table.past.clone_from(&self.past);
        let done = self.seq;
        for entry in entries {
            self.seq += 1;
            table.entries.push(Pending::read(self.seq, &json(&entry)));
        }
        let claim = Claim {
            tenant: self.channel.tenant,
            lane,
            channel: self.channel.facts.id,
            conversation: self.conversation.as_ref().map(|it| it.facts.id),
            done,
            gen_seen: self.seq,
            token: 1,
            attempts: 1,
        };
        let turned = turn(&self.clock, Some(table), claim);
        assert_eq!(turned.done, self.seq);
        self.keep(turned.out);
        &self.last
    }

    /// What the database would keep.
    pub(super) fn keep(&mut self, out: Out) {
        self.events.extend(out.events.iter().map(|it| it.event.body.kind().name().to_owned()));
        for conversation in &out.conversations {
            let is_closed = |it: &Conversation| it.facts.status == Status::Closed;
            let present = self.conversation.take();
            match present {
                // A newer one took its place, or an older one was visited.
                Some(present) if present.facts.id != conversation.facts.id => {
                    let visited = self.past.contains_key(&conversation.facts.id);
                    let (now, past) = if visited {
                        (present, conversation.clone())
                    } else {
                        (conversation.clone(), present)
                    };
                    assert!(is_closed(&past), "two open conversations of one contact");
                    self.past.insert(past.facts.id, past);
                    self.conversation = Some(now);
                }
                _ => self.conversation = Some(conversation.clone()),
            }
        }
        if let Some(person) = out.people.last().or(out.identities.last()) {
            self.table.person = Some(person.clone());
        }
        for change in &out.contacts {
            if let (crate::flow::case::ContactChange::OptedOut(_, _, since), Some(person)) =
                (change, self.table.person.as_mut())
            {
                person.facts.opted_out = since.is_some();
                person.opted_out_by = since.as_ref().map(|(_, source)| source.clone());
            }
        }
        self.table.remember(out.messages.clone());
        self.last = out;
    }

    pub(super) fn writes(&mut self, text: &str) -> &Out {
        let sent_at_ms = self.clock.now_ms();
        self.writes_at(text, sent_at_ms)
    }

    pub(super) fn writes_at(&mut self, text: &str, sent_at_ms: i64) -> &Out {
        let message = InboundMessage {
            id: format!("vendor-{}", self.seq),
            contact: Party {
                address: "v_1".into(),
                phone: None,
                scoped_id: None,
                username: None,
                display_name: Some("Ana".into()),
                extras: Vec::new(),
            },
            to: "us".into(),
            sent_at_ms,
            reply_to: None,
            group_id: None,
            echo: false,
            window_closes_at_ms: None,
            content: Content::Text(text.into()),
            extras: vec![],
            author: None,
        };
        let event = InboundEvent { dedupe_key: message.id.clone(), body: InboundBody::Message(message) };
        self.work_off(vec![Entry::Webhook(event)])
    }

    pub(super) fn order(&mut self, command: Command) -> &Out {
        self.order_as(Actor::User { id: pointsman_rules::ids::UserId::new(1, 9) }, command)
    }

    pub(super) fn order_as(&mut self, actor: Actor, command: Command) -> &Out {
        let conversation = self.conversation.as_ref().map(|it| it.facts.id);
        self.work_off(vec![Entry::Order(Order { conversation, actor, command })])
    }

    pub(super) fn say(&mut self, text: &str) -> &Out {
        let message = MessageId::new(1, self.seq.unsigned_abs().into());
        let content = Draft::Text { text: text.into(), buttons: vec![] };
        self.order(Command::Send { message, content, reply_to: None })
    }

    /// Time passes; what is due by then happens.
    pub(super) fn wait(&mut self, ms: i64) {
        self.clock.advance(ms);
        while let Some(conversation) = self.conversation.clone() {
            if conversation.due_ms.is_none_or(|due| due > self.clock.now_ms()) {
                break;
            }
            self.work_off(vec![Entry::Due(conversation.facts.id)]);
        }
    }

    pub(super) fn state(&self) -> &pointsman_rules::facts::ConversationFacts {
        &self.conversation.as_ref().unwrap().facts
    }

    pub(super) fn count(&self, event: &str) -> usize {
        self.events.iter().filter(|name| *name == event).count()
    }
}

pub(super) fn copy(it: &Channel) -> Channel {
    Channel {
        facts: it.facts.clone(),
        address: it.address.clone(),
        settings: it.settings.clone(),
        secrets: it.secrets.clone(),
        hook_key: it.hook_key.clone(),
        state: it.state.clone(),
        ..*it
    }
}

pub(super) fn whatsapp() -> Desk {
    Desk::new(channel("whatsapp", Window::SinceLastInbound { seconds: 86_400 }), &[])
}
