//! The changes that commands and intents share: each is idempotent, raises its
//! own event, and does nothing when nothing would change.

use pointsman_rules::event::{Actor, EventBody};
use pointsman_rules::facts::{AiState, Priority, Status};
use pointsman_rules::ids::{GroupId, RuleId, RuleVersionId, TimerId, UserId};

use super::handout::not_a_member;
use super::{Case, Notice, NoticeTo, Refused, TimerChange};
use crate::store::conversations::Switched;
use crate::store::timers::Timer;

/// How much later a chat ends when somebody postpones that, milliseconds.
const POSTPONE_MS: i64 = 5 * 60_000;
/// Labels of one conversation at most; more are refused.
const LABELS_MAX: usize = 50;
/// Characters of one label at most.
const LABEL_CHARS_MAX: usize = 64;
/// Attributes of one conversation at most.
const ATTRIBUTES_MAX: usize = 100;
/// Timers of one conversation at most.
const TIMERS_MAX: usize = 50;

type Done = Result<(), Refused>;

impl Case<'_> {
    /// Gives the conversation to a team, or to none.
    pub fn route(&mut self, group: Option<GroupId>) -> Done {
        let directory = self.view.directory.clone();
        let found = group.and_then(|group| directory.group_by_id(group));
        if group.is_some() && found.is_none() {
            return Err(Refused::new("unknown_group", "This group does not exist (any more)."));
        }
        let facts = &mut self.open_case()?.facts;
        if facts.group == group {
            return Ok(());
        }
        facts.group = group;
        // Who is not in the new group does not have it any more.
        let stranger = facts.assignee;
        let stranger = stranger.filter(|agent| !self.is_eligible(*agent, found));
        if stranger.is_some() { self.assign(None) } else { Ok(()) }
    }

    /// Gives the conversation to an agent, or to nobody.
    pub fn assign(&mut self, agent: Option<UserId>) -> Done {
        let directory = self.view.directory.clone();
        let actor = self.actor().clone();
        let facts = &self.open_case()?.facts;
        let (id, previous, group) = (facts.id, facts.assignee, facts.group);
        if let Some(agent) = agent {
            if directory.agent_by_id(agent).is_none() {
                return Err(Refused::new("unknown_agent", "This agent does not exist (any more)."));
            }
            if !self.is_eligible(agent, group.and_then(|group| directory.group_by_id(group))) {
                return Err(not_a_member());
            }
        }
        if previous == agent {
            return Ok(());
        }
        self.open_case()?.facts.assignee = agent;
        match (agent, previous) {
            (Some(assignee), _) => {
                let event = self.raise(EventBody::ConversationAssigned { assignee });
                // Nobody needs to be told what they did themselves.
                if actor != (Actor::User { id: assignee }) {
                    self.out.notices.push(Notice {
                        to: NoticeTo::Users(vec![assignee]),
                        kind: "assignment",
                        conversation: id,
                        text: "A conversation was assigned to you.".into(),
                        event: Some(event),
                    });
                }
            }
            (None, Some(previous)) => {
                if actor == (Actor::User { id: previous }) {
                    self.given_back(previous);
                }
                self.raise(EventBody::ConversationUnassigned { previous });
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Sets the status of the case. Closing ends the live chat too.
    pub fn set_status(&mut self, status: Status) -> Done {
        let conversation = self.open_case()?;
        let from = conversation.facts.status;
        if from == status {
            return Ok(());
        }
        conversation.facts.status = status;
        if status == Status::Closed {
            conversation.facts.waiting_since_ms = None;
        } else {
            conversation.facts.archived_ms = None;
        }
        let (from, to) = (from.word().to_owned(), status.word().to_owned());
        self.raise(EventBody::ConversationStatusChanged { from, to });
        if status == Status::Closed { self.end_live("closed") } else { Ok(()) }
    }

    /// Ends the live chat and sets the status in one step. Doing it twice is a no-op.
    pub fn end_chat(&mut self, status: Status, reason: &str) -> Done {
        self.end_live(reason)?;
        self.set_status(status)
    }

    fn end_live(&mut self, reason: &str) -> Done {
        let now_ms = self.now_ms;
        let conversation = self.open_case()?;
        if !conversation.facts.live {
            return Ok(());
        }
        conversation.facts.live = false;
        conversation.ended_ms = Some(now_ms);
        self.has_ended = true;
        self.raise(EventBody::ConversationEnded { reason: reason.to_owned() });
        Ok(())
    }

    /// Puts the conversation away; that closes it.
    pub fn archive(&mut self) -> Done {
        self.set_status(Status::Closed)?;
        let now_ms = self.now_ms;
        self.open_case()?.facts.archived_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Opens a closed conversation again: same id, live, one more reopening.
    pub fn reopen(&mut self) -> Done {
        if self.person.as_ref().is_some_and(|person| person.facts.blocked) {
            return Err(Refused::new("blocked", "This contact is blocked; unblock them to reopen."));
        }
        let directory = self.view.directory.clone();
        let now_ms = self.now_ms;
        let conversation = self.open_case()?;
        if conversation.facts.status != Status::Closed {
            return Ok(());
        }
        let facts = &mut conversation.facts;
        facts.status = Status::Open;
        facts.live = true;
        facts.archived_ms = None;
        facts.reopen_count += 1;
        facts.clock_restart(now_ms);
        let keeps = facts.group.and_then(|group| directory.group_by_id(group));
        let keeps = keeps.is_none_or(|group| group.assignment.keep_assignee);
        let stays = |agent: UserId| keeps && directory.agent_by_id(agent).is_some_and(|agent| agent.online);
        let leaves = facts.assignee.is_some_and(|agent| !stays(agent));
        conversation.ended_ms = None;
        conversation.last_activity_ms = now_ms;
        self.raise(EventBody::ConversationReopened);
        let (from, to) = (Status::Closed.word().to_owned(), Status::Open.word().to_owned());
        self.raise(EventBody::ConversationStatusChanged { from, to });
        if leaves { self.assign(None) } else { Ok(()) }
    }

    /// Hides the conversation until then.
    pub fn snooze(&mut self, until_ms: i64) -> Done {
        let until = (until_ms > self.now_ms).then_some(until_ms);
        self.open_case()?.facts.snoozed_until_ms = until;
        Ok(())
    }

    /// The idle end comes `POSTPONE_MS` later than it would, and never sooner than that from now.
    pub fn postpone_idle(&mut self) -> Done {
        let (now_ms, idle_ms) = (self.now_ms, self.channel.idle_end_ms);
        let conversation = self.open_case()?;
        let from_ms = conversation.deadlines.idle_from_ms.unwrap_or(conversation.last_activity_ms);
        let ends_ms = from_ms.saturating_add(idle_ms).max(now_ms).saturating_add(POSTPONE_MS);
        conversation.deadlines.idle_from_ms = Some(ends_ms.saturating_sub(idle_ms));
        Ok(())
    }

    /// How urgent.
    pub fn set_priority(&mut self, priority: Priority) -> Done {
        self.open_case()?.facts.priority = priority;
        Ok(())
    }

    /// Adds and removes labels.
    pub fn label(&mut self, add: &[String], remove: &[String]) -> Done {
        if let Some(long) = add.iter().find(|l| l.trim().is_empty() || l.chars().count() > LABEL_CHARS_MAX) {
            let shown: String = long.chars().take(20).collect();
            let why = format!("The label `{shown}` must have 1 to {LABEL_CHARS_MAX} characters.");
            return Err(Refused::new("bad_label", why));
        }
        let labels = &mut self.open_case()?.facts.labels;
        let mut next: Vec<String> = labels.iter().filter(|label| !remove.contains(label)).cloned().collect();
        for label in add {
            if !next.contains(label) {
                next.push(label.clone());
            }
        }
        if next.len() > LABELS_MAX {
            return Err(Refused::new(
                "too_many_labels",
                format!("A conversation takes {LABELS_MAX} labels."),
            ));
        }
        *labels = next;
        Ok(())
    }

    /// Sets a typed value; null removes it.
    pub fn set_attribute(&mut self, key: &str, value: serde_json::Value) -> Done {
        let attributes = &mut self.open_case()?.facts.attributes;
        if value.is_null() {
            attributes.remove(key);
        } else if attributes.len() >= ATTRIBUTES_MAX && !attributes.contains_key(key) {
            let why = format!("A conversation takes {ATTRIBUTES_MAX} attributes.");
            return Err(Refused::new("too_many_attributes", why));
        } else {
            attributes.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// Switches the assistant.
    pub fn set_ai(&mut self, state: AiState, reason: Option<String>) -> Done {
        let (now_ms, by) = (self.now_ms, self.cause.actor.clone());
        let conversation = self.open_case()?;
        if conversation.facts.ai == state {
            return Ok(());
        }
        let was_on = conversation.facts.ai.is_on(now_ms);
        let on = state.is_on(now_ms);
        conversation.facts.ai = state;
        conversation.assist.switched = Some(Switched { by, reason: reason.clone(), at_ms: now_ms });
        if on {
            conversation.assist.answers = 0;
        }
        if was_on != on {
            self.raise(EventBody::AiToggled { on, reason });
        }
        Ok(())
    }

    /// Asks people to look.
    pub fn escalate(&mut self, level: i64, reason: &str) -> Done {
        let conversation = self.open_case()?;
        let (id, group) = (conversation.facts.id, conversation.facts.group);
        let event = self.raise(EventBody::ConversationEscalated { level, reason: reason.to_owned(), group });
        let members = group
            .and_then(|group| self.view.directory.groups.iter().find(|g| g.id == group))
            .map(|group| group.members.clone())
            .filter(|members| !members.is_empty());
        self.out.notices.push(Notice {
            to: members.map_or(NoticeTo::Admins, NoticeTo::Users),
            kind: "escalation",
            conversation: id,
            text: reason.to_owned(),
            event: Some(event),
        });
        Ok(())
    }

    /// Starts a timer, or moves it; `keep` leaves a running one alone.
    pub fn start_timer(
        &mut self,
        name: &str,
        due_ms: i64,
        keep: bool,
        by: Option<(RuleId, RuleVersionId)>,
    ) -> Done {
        let (lane, channel) = (self.lane, self.channel_id());
        let id = TimerId::new(self.now_ms, self.clock.random());
        let facts = &self.open_case()?.facts;
        let (conversation, episode) = (facts.id, facts.reopen_count);
        let running = self.timers.iter().any(|timer| timer.name == name);
        if running && keep {
            return Ok(());
        }
        if !running && self.timers.len() >= TIMERS_MAX {
            return Err(Refused::new(
                "too_many_timers",
                format!("A conversation takes {TIMERS_MAX} timers."),
            ));
        }
        let timer = Timer {
            conversation,
            name: name.to_owned(),
            id,
            lane,
            channel,
            due_ms,
            episode,
            rule: by.map(|(rule, _)| rule),
            rule_version: by.map(|(_, version)| version),
        };
        self.timers.retain(|timer| timer.name != name);
        self.timers.push(timer.clone());
        self.out.timers.push(TimerChange::Start(timer));
        Ok(())
    }

    /// Stops a timer.
    pub fn cancel_timer(&mut self, name: &str) -> Done {
        let conversation = self.open_case()?.facts.id;
        if self.timers.iter().any(|timer| timer.name == name) {
            self.timers.retain(|timer| timer.name != name);
            self.out.timers.push(TimerChange::Cancel { conversation, name: name.to_owned() });
        }
        Ok(())
    }

    /// Everything so far was read by a person.
    pub fn mark_read(&mut self) -> Done {
        self.open_case()?.unread = 0;
        Ok(())
    }
}
