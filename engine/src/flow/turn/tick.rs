//! What passing time changes: the window, the idle end, snoozing, timers.

use pointsman_rules::event::{Actor, Cause, EventBody};
use pointsman_rules::facts::AiState;
use pointsman_rules::ids::TimerId;
use serde::{Deserialize, Serialize};

use crate::flow::case::{Case, Refused};
use crate::flow::deadline::{self, Deadline};
use crate::store::conversations::Switched;

/// A timer older than this when it fires is skipped, milliseconds: three days.
const TIMER_AGE_MS_MAX: i64 = 3 * 24 * 3_600_000;

/// A timer that ran out, as it lies in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RanOut {
    /// This start of it.
    pub timer: TimerId,
    /// Its name.
    pub name: String,
    /// When it was due, unix milliseconds.
    pub due_ms: i64,
    /// The episode it belongs to.
    pub episode: i64,
    /// Whose it was.
    pub conversation: pointsman_rules::ids::ConversationId,
}

/// Something of the conversation itself is due: does whatever is due by now, once.
pub(super) fn deadlines(case: &mut Case<'_>) -> Result<(), Refused> {
    let Some(conversation) = &case.conversation else { return Ok(()) };
    let now_ms = case.now_ms;
    let due: Vec<Deadline> = deadline::all(conversation, &case.channel, &case.view.directory)
        .into_iter()
        .filter(|(at_ms, _)| *at_ms <= now_ms)
        .map(|(_, deadline)| deadline)
        .collect();
    case.begin_step(Cause { actor: Actor::System, chain: Vec::new() });
    case.touch();
    for deadline in due {
        one(case, deadline)?;
    }
    case.end_step();
    Ok(())
}

fn one(case: &mut Case<'_>, deadline: Deadline) -> Result<(), Refused> {
    let now_ms = case.now_ms;
    let conversation = case.open_case()?;
    match deadline {
        Deadline::WindowExpiring { closes_ms } => {
            conversation.deadlines.expiring_for_ms = Some(closes_ms);
            if closes_ms > now_ms {
                case.raise(EventBody::WindowExpiring { closes_at_ms: closes_ms });
            }
        }
        Deadline::WindowExpired { closed_ms } => {
            conversation.deadlines.expired_for_ms = Some(closed_ms);
            case.raise(EventBody::WindowExpired { closed_at_ms: closed_ms });
        }
        Deadline::IdleWarning { ends_ms } => {
            let from_ms = conversation.deadlines.idle_from_ms.unwrap_or(conversation.last_activity_ms);
            conversation.deadlines.warned_for_ms = Some(from_ms);
            if ends_ms > now_ms {
                case.raise(EventBody::ConversationIdleWarning { ends_at_ms: ends_ms });
            }
        }
        Deadline::IdleEnd => {
            // The event comes first, so that a rule can still decide the status; the chat ends in any case.
            case.raise(EventBody::ConversationIdle);
            let status = case.open_case()?.facts.status;
            case.end_chat(status, "idle")?;
        }
        Deadline::Unsnooze => conversation.facts.snoozed_until_ms = None,
        Deadline::SlaWarning { target, since_ms } => {
            conversation.deadlines.sla_warned.insert(target, since_ms);
            // A target that is missed already, because nobody was here to look, is not near.
            let missed = conversation.deadlines.sla_breached.get(&target) == Some(&since_ms);
            if !missed {
                case.raise(EventBody::SlaWarning { target: target.word().to_owned() });
            }
        }
        Deadline::SlaBreached { target, since_ms } => {
            conversation.deadlines.sla_breached.insert(target, since_ms);
            case.raise(EventBody::SlaBreached { target: target.word().to_owned() });
        }
        Deadline::Hours { at_ms, opens, calendar } => {
            conversation.deadlines.hours_ms = Some(at_ms);
            case.raise(if opens {
                EventBody::BusinessHoursOpened { calendar }
            } else {
                EventBody::BusinessHoursClosed { calendar }
            });
        }
        Deadline::AiResumes => {
            conversation.facts.ai = AiState::On;
            conversation.assist.answers = 0;
            let reason = Some("The pause is over.".to_owned());
            let by = Actor::System;
            conversation.assist.switched = Some(Switched { by, reason: reason.clone(), at_ms: now_ms });
            case.raise(EventBody::AiToggled { on: true, reason });
        }
        Deadline::OfferExpired => case.pass("expired")?,
    }
    Ok(())
}

/// A rule's timer ran out. Answers why it was skipped, if it was.
pub(super) fn timer(case: &mut Case<'_>, it: &RanOut) -> Option<&'static str> {
    let Some(conversation) = &case.conversation else { return Some("conversation_gone") };
    if conversation.facts.id != it.conversation {
        return Some("conversation_gone");
    }
    if conversation.facts.reopen_count != it.episode {
        let _ = case.cancel_timer(&it.name); // there is a conversation: it cannot be refused
        return Some("episode_moved");
    }
    // The timer is deleted here and not when it ran out: whatever came first in the lane may have cancelled it.
    if !case.timers.iter().any(|timer| timer.id == it.timer) {
        return Some("cancelled");
    }
    if case.cancel_timer(&it.name).is_err() || case.now_ms - it.due_ms > TIMER_AGE_MS_MAX {
        return Some("expired");
    }
    case.begin_step(Cause { actor: Actor::System, chain: Vec::new() });
    case.raise(EventBody::TimerFired { timer: it.timer, name: it.name.clone() });
    case.end_step();
    None
}
