//! Finding somebody for a conversation: waiting in its group's queue, being
//! offered, accepted, passed on. Who comes next is decided elsewhere, for all
//! conversations of a tenant at once (`flow::distribute`).

use pointsman_rules::assign::Policy;
use pointsman_rules::event::{Actor, EventBody};
use pointsman_rules::facts::{GroupFacts, Status};
use pointsman_rules::ids::UserId;

use super::{Case, Notice, NoticeTo, Refused};
use crate::store::conversations::{Offer, Queue};

type Done = Result<(), Refused>;

impl Case<'_> {
    /// A rule wants the group to choose somebody.
    pub fn wait_for_somebody(&mut self, policy: &str) -> Done {
        let policy = Policy::from_word(policy).filter(|policy| *policy != Policy::Manual);
        let policy = policy.ok_or_else(|| {
            let words = Policy::AUTOMATIC.join("` or `");
            Refused::new("unknown_policy", format!("Write `{words}`."))
        })?;
        let now_ms = self.now_ms;
        let conversation = self.open_case()?;
        if conversation.facts.group.is_none() {
            return Err(Refused::new("no_group", "The conversation has no group; route it to one first."));
        }
        if conversation.facts.assignee.is_some() {
            return Ok(());
        }
        let since_ms = conversation.queue.as_ref().map_or(now_ms, |queue| queue.since_ms);
        let old = conversation.queue.take();
        let (offer, passed) = old.map(|queue| (queue.offer, queue.passed)).unwrap_or_default();
        conversation.queue = Some(Queue { since_ms, policy, asked: true, offer, passed });
        Ok(())
    }

    /// Somebody was found: assigns, or asks them.
    pub fn place(&mut self, agent: UserId) -> Done {
        let now_ms = self.now_ms;
        let id = self.open_case()?.facts.id;
        self.out.placed.push(id);
        self.settle_queue();
        let directory = self.view.directory.clone();
        let conversation = self.open_case()?;
        let group = conversation.facts.group.and_then(|group| directory.group_by_id(group));
        let Some(queue) = conversation.queue.as_mut().filter(|queue| queue.offer.is_none()) else {
            return Err(Refused::new("not_waiting", "The conversation does not wait for anybody any more."));
        };
        let Some(group) = group.filter(|group| group.members.contains(&agent)) else {
            return Err(not_a_member());
        };
        let Some(think_ms) = group.assignment.offer_ms else { return self.assign(Some(agent)) };
        let until_ms = now_ms.saturating_add(think_ms);
        queue.offer = Some(Offer { agent, until_ms });
        let event = self.raise(EventBody::ConversationOffered { agent, until_ms });
        self.out.notices.push(Notice {
            to: NoticeTo::Users(vec![agent]),
            kind: "offer",
            conversation: id,
            text: "A conversation waits for you: accept or decline it.".into(),
            event: Some(event),
        });
        Ok(())
    }

    /// Whoever acts takes what was offered to them.
    pub fn accept(&mut self) -> Done {
        let agent = self.offered_to_me()?;
        self.assign(Some(agent))
    }

    /// Whoever acts leaves it to somebody else.
    pub fn decline(&mut self) -> Done {
        self.offered_to_me()?;
        self.pass("declined")
    }

    fn offered_to_me(&mut self) -> Result<UserId, Refused> {
        let Actor::User { id: me } = *self.actor() else {
            return Err(Refused::new(
                "not_a_person",
                "Only a signed-in person can be offered a conversation.",
            ));
        };
        let offer = self.open_case()?.queue.as_ref().and_then(|queue| queue.offer);
        match offer {
            Some(offer) if offer.agent == me => Ok(me),
            _ => Err(Refused::new(
                "not_offered",
                "This conversation is not offered to you (any more); somebody else may have it.",
            )),
        }
    }

    /// Whoever was asked does not take it: the next one is asked.
    pub(in crate::flow) fn pass(&mut self, reason: &str) -> Done {
        let now_ms = self.now_ms;
        let Some(queue) = self.open_case()?.queue.as_mut() else { return Ok(()) };
        let Some(offer) = queue.offer.take() else { return Ok(()) };
        queue.passed.retain(|(agent, _)| *agent != offer.agent);
        queue.passed.push((offer.agent, now_ms));
        self.raise(EventBody::ConversationOfferPassed { agent: offer.agent, reason: reason.to_owned() });
        Ok(())
    }

    /// An agent gave it back: it is for somebody else first.
    pub(super) fn given_back(&mut self, by: UserId) {
        let now_ms = self.now_ms;
        if let Some(conversation) = self.conversation.as_mut() {
            let passed = vec![(by, now_ms)];
            let (policy, asked, offer) = (Policy::Manual, false, None);
            conversation.queue = Some(Queue { since_ms: now_ms, policy, asked, offer, passed });
        }
    }

    /// Whether a conversation waits follows from its state: it is open, nobody has it, no assistant answers, and its
    /// group hands out by itself (or a rule asked for it).
    pub(super) fn settle_queue(&mut self) {
        let (now_ms, directory) = (self.now_ms, self.view.directory.clone());
        let Some(conversation) = self.conversation.as_mut() else { return };
        let facts = &conversation.facts;
        let group = facts.group.and_then(|group| directory.group_by_id(group));
        let waits = facts.status == Status::Open
            && facts.assignee.is_none()
            && facts.snoozed_until_ms.is_none()
            && !facts.ai.is_on(now_ms);
        let asked = conversation.queue.as_ref().filter(|queue| queue.asked).map(|queue| queue.policy);
        let policy = asked.or(group.map(|group| group.assignment.policy)).filter(|it| *it != Policy::Manual);
        let (Some(group), Some(policy), true) = (group, policy, waits) else {
            conversation.queue = None;
            return;
        };
        let queue = conversation.queue.get_or_insert_with(|| Queue {
            since_ms: now_ms,
            policy,
            asked: false,
            offer: None,
            passed: Vec::new(),
        });
        queue.policy = policy;
        queue.offer = queue.offer.filter(|offer| group.members.contains(&offer.agent));
    }

    /// May this person have a conversation of this group?
    pub(super) fn is_eligible(&self, agent: UserId, group: Option<&GroupFacts>) -> bool {
        let sees_all = self.view.directory.agent_by_id(agent).is_some_and(|agent| agent.sees_all);
        sees_all || group.is_none_or(|group| group.members.contains(&agent))
    }
}

pub(super) fn not_a_member() -> Refused {
    Refused::new(
        "not_a_member",
        "This agent is not a member of the conversation's group; add them to it, or route the conversation first.",
    )
}
