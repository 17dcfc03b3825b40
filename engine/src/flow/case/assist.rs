//! When an assistant is asked, and what becomes of what it says. It speaks only
//! while it is on and nobody else has: both are looked at again here, in the turn
//! that would send. Whoever is not answered gets a person.

use pointsman_rules::event::{Actor, EventBody};
use pointsman_rules::facts::{AiState, Status};
use pointsman_rules::ids::{ChannelId, EffectId, EventId, JobId, MessageId};

use super::{Case, Notice, NoticeTo, Refused, Say};
use crate::crypto::hash16;
use crate::flow::assistant::{Answer, Duty, Judgement, Run};
use crate::flow::content::Content;
use crate::store::assistant_tasks::{Task, TaskKind};
use crate::store::conversations::Insights;

type Done = Result<(), Refused>;

/// Characters of a reason that people are told; the rest is cut.
const REASON_CHARS_MAX: usize = 300;
/// Refusals of the gate after which nobody must answer: the contact or an admin wants no message.
const FINAL: [&str; 6] =
    ["opted_out", "blocked", "receive_only", "channel_inactive", "channel_removed", "ai_off"];

/// A conversation that was handed to people in this step.
#[derive(Debug, Clone)]
pub(super) struct HandedOver {
    reason: String,
    event: EventId,
}

impl Case<'_> {
    /// The contact wrote something that wants an answer.
    pub(in crate::flow) fn wants_answer(&mut self) {
        let now_ms = self.now_ms;
        if let Some(it) = self.conversation.as_mut() {
            it.assist.unanswered = Some((it.facts.inbound_count, now_ms));
        }
    }

    /// After the rules have had their say: an assistant that has answered often enough gives up, once.
    pub(in crate::flow) fn give_up(&mut self) -> bool {
        let (now_ms, quotas) = (self.now_ms, self.view.directory.quotas.clone());
        let Some(duty) = self.duty().filter(|duty| duty.replies).cloned() else { return false };
        let Some(it) = &self.conversation else { return false };
        let is_wanted = it.assist.unanswered.is_some() && it.facts.ai.is_on(now_ms);
        if !is_wanted || it.facts.status == Status::Closed {
            return false;
        }
        let sent_since = |minutes: i64| {
            it.facts.automatic_ms.iter().filter(|at_ms| **at_ms > now_ms - minutes * 60_000).count()
        };
        let over = quotas.messages.iter().find(|quota| sent_since(quota.minutes) >= quota.messages_max);
        let reason = match over {
            _ if it.assist.answers >= duty.answers_max => {
                format!("It has answered {} times without a person.", it.assist.answers)
            }
            Some(quota) => format!(
                "{} automatic messages within {} minutes are too many.",
                quota.messages_max, quota.minutes
            ),
            None => return false,
        };
        self.begin_step(pointsman_rules::event::Cause { actor: Actor::System, chain: Vec::new() });
        let done = self.hand_over(&reason).is_ok();
        self.end_step();
        done
    }

    /// What an assistant says to the contact. It counts only while it is waited for.
    ///
    /// # Errors
    /// There is no conversation.
    pub fn answered(&mut self, task: JobId, answer: Answer, run: &Run) -> Done {
        if let Some(reason) = self.is_late(task)? {
            self.ran("reply", "withheld", Some(reason), run);
            return Ok(());
        }
        self.open_case()?.assist.asked = None;
        match answer {
            Answer::Silence => {
                self.open_case()?.assist.unanswered = None;
                self.ran("reply", "silent", None, run);
                Ok(())
            }
            Answer::HandOver { reason } => {
                self.ran("reply", "handed_over", Some(&reason), run);
                self.hand_over(&reason)
            }
            Answer::Failed { reason } => {
                self.ran("reply", "failed", Some(&reason), run);
                self.hand_over(&reason)
            }
            Answer::Reply { text } => self.reply(task, text, run),
        }
    }

    fn reply(&mut self, task: JobId, text: String, run: &Run) -> Done {
        let id = task.to_string();
        let say = Say {
            message: MessageId::new(self.now_ms, u128::from_be_bytes(hash16(&["assist.message", &id]))),
            content: Content::Text { text },
            reply_to: None,
            effect: EffectId::new(self.now_ms, u128::from_be_bytes(hash16(&["assist.effect", &id]))),
            asked_by: None,
            confirms_opt_out: false,
        };
        let Some(refusal) = self.gate(&say) else {
            self.say(say)?;
            self.ran("reply", "sent", None, run);
            return Ok(());
        };
        self.open_case()?.assist.unanswered = None;
        self.ran("reply", "withheld", Some(refusal.code), run);
        if FINAL.contains(&refusal.code) { Ok(()) } else { self.hand_over(&refusal.detail) }
    }

    /// Why what was asked for is not wanted any more, if it is not.
    fn is_late(&mut self, task: JobId) -> Result<Option<&'static str>, Refused> {
        let now_ms = self.now_ms;
        let opted_out = self.person.as_ref().is_some_and(|it| it.facts.opted_out);
        let it = self.open_case()?;
        let asked = it.assist.asked.filter(|(asked, _)| *asked == task).map(|(_, number)| number);
        Ok(if it.facts.status == Status::Closed {
            Some("closed")
        } else if !it.facts.ai.is_on(now_ms) {
            Some("ai_off")
        } else if opted_out {
            Some("opted_out")
        } else {
            match it.assist.unanswered.map(|(number, _)| number) {
                None => Some("answered"),
                number if number != asked => Some("newer_message"),
                _ => None,
            }
        })
    }

    /// Gives the conversation to people: the assistant is off, a group has it, and people are told.
    fn hand_over(&mut self, reason: &str) -> Done {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let (now_ms, default) = (self.now_ms, self.channel.facts.default_group);
        let it = self.open_case()?;
        it.assist.unanswered = None;
        it.facts.waiting_since_ms.get_or_insert(now_ms);
        // A group that is gone is no reason to keep silent; admins are told then.
        if it.facts.group.is_none() && self.route(default).is_err() {
            self.touch();
        }
        let event = self.raise(EventBody::AiHandoffRequested { reason: reason.clone() });
        self.handed_over = Some(HandedOver { reason: reason.clone(), event });
        self.set_ai(AiState::Off, Some(reason))
    }

    /// What an assistant thinks of the conversation.
    ///
    /// # Errors
    /// There is no conversation.
    pub fn judged(&mut self, found: Result<Judgement, String>, run: &Run) -> Done {
        let at_ms = self.now_ms;
        let it = self.open_case()?;
        match (found, run.assistant) {
            (Ok(found), Some(assistant)) => {
                it.facts.sentiment = found.sentiment.or(it.facts.sentiment.take());
                it.facts.summary = found.summary.or(it.facts.summary.take());
                it.facts.language = it.facts.language.take().or(found.language.clone());
                it.insights = Some(Insights {
                    assistant,
                    model: run.model.clone(),
                    score: found.score,
                    language: found.language,
                    at_ms,
                });
                self.ran("insights", "given", None, run);
            }
            (found, _) => {
                let reason = found.err().unwrap_or_else(|| "There is no assistant.".to_owned());
                self.ran("insights", "failed", Some(&reason), run);
            }
        }
        Ok(())
    }

    /// An assistant drafted something for a person.
    ///
    /// # Errors
    /// There is no conversation.
    pub fn suggested(&mut self, problem: Option<&str>, run: &Run) -> Done {
        self.open_case()?;
        self.ran("suggest", if problem.is_some() { "failed" } else { "given" }, problem, run);
        Ok(())
    }

    fn ran(&mut self, task: &str, outcome: &str, reason: Option<&str>, run: &Run) {
        self.raise(EventBody::AiRan {
            task: task.to_owned(),
            outcome: outcome.to_owned(),
            reason: reason.map(|it| it.chars().take(REASON_CHARS_MAX).collect()),
            model: run.model.clone(),
            took_ms: run.took_ms,
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
        });
    }

    fn duty(&self) -> Option<&Duty> {
        let channel: ChannelId = self.channel.facts.id;
        self.view.duties.get(&channel)
    }

    /// Whether an answer is asked for follows from the conversation's state: the assistant is on and the contact's
    /// last message has none. A newer message is asked about anew, after its own silence.
    pub(super) fn settle_assist(&mut self) {
        let (now_ms, duty) = (self.now_ms, self.duty().cloned());
        let refuses = self.person.as_ref().is_some_and(|it| it.facts.opted_out || it.facts.blocked);
        let Some(it) = self.conversation.as_mut() else { return };
        if it.facts.status == Status::Closed {
            it.assist.unanswered = None;
            it.assist.answers = 0;
        }
        let duty = duty.filter(|duty| duty.replies && it.facts.ai.is_on(now_ms) && !refuses);
        let wanted = it.assist.unanswered.and_then(|wanted| Some((wanted, duty?)));
        match wanted {
            None => {
                if it.assist.asked.take().is_some() {
                    self.out.unasked.push(it.facts.id);
                }
            }
            Some(((number, _), _)) if it.assist.asked.is_some_and(|(_, asked)| asked == number) => {}
            Some(((number, since_ms), duty)) => {
                let task = JobId::new(now_ms, self.clock.random());
                it.assist.asked = Some((task, number));
                let next_ms = since_ms.saturating_add(duty.silence_ms);
                self.ask(TaskKind::Reply, task, next_ms);
            }
        }
    }

    /// A rule wants insights. Without a new message since the last ones they would be the same, and a rule that waits
    /// for them would go round for ever.
    ///
    /// # Errors
    /// No assistant may read the channel, or nothing is new.
    pub fn ask_insights(&mut self) -> Done {
        if self.duty().is_none() {
            let detail = "No assistant may read this channel; an admin can give it one.";
            return Err(Refused::new("no_assistant", detail));
        }
        let it = self.open_case()?;
        if it.insights.as_ref().is_some_and(|insights| insights.at_ms >= it.last_activity_ms) {
            let detail = "Nothing was written since the last insights.";
            return Err(Refused::new("insights_fresh", detail));
        }
        let task = JobId::new(self.now_ms, self.clock.random());
        self.ask(TaskKind::Insights, task, self.now_ms);
        Ok(())
    }

    /// The chat has ended: its insights are wanted, where the channel says so.
    pub(super) fn settle_insights(&mut self) {
        let wants = std::mem::take(&mut self.has_ended) && self.duty().is_some_and(|it| it.insights_at_end);
        if wants && self.conversation.as_ref().is_some_and(|it| it.facts.inbound_count > 0) {
            let task = JobId::new(self.now_ms, self.clock.random());
            self.ask(TaskKind::Insights, task, self.now_ms);
        }
    }

    fn ask(&mut self, kind: TaskKind, id: JobId, next_ms: i64) {
        let Some(conversation) = self.conversation.as_ref().map(|it| it.facts.id) else { return };
        let (lane, channel) = (self.lane, self.channel_id());
        self.out.asked.push(Task { id, kind, conversation, lane, channel, next_ms, attempts: 0 });
    }

    /// Tells whoever has the conversation now that an assistant gave it to people.
    pub(super) fn tell_of_handover(&mut self) {
        let Some(HandedOver { reason, event }) = self.handed_over.take() else { return };
        let Some(facts) = self.conversation.as_ref().map(|it| &it.facts) else { return };
        let group = facts.group.and_then(|group| self.view.directory.group_by_id(group));
        let members = group.map(|group| group.members.clone()).filter(|members| !members.is_empty());
        let to = match (facts.assignee, members) {
            (Some(agent), _) => NoticeTo::Users(vec![agent]),
            (None, Some(members)) => NoticeTo::Users(members),
            (None, None) => NoticeTo::Admins,
        };
        let (conversation, text) =
            (facts.id, format!("The assistant gives this conversation to you: {reason}"));
        self.out.notices.push(Notice { to, kind: "handoff", conversation, text, event: Some(event) });
    }
}
