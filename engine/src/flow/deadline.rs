//! The engine's own deadlines of a conversation: window, idle end, service
//! targets, working hours, offers. Computed from its state, so they cannot be
//! lost and need no cancelling.

use pointsman_rules::facts::{AiState, Directory, Status};
use pointsman_rules::sla::Target;

use super::catalog::Channel;
use crate::store::conversations::Conversation;

/// `window.expiring` is raised this long before the window closes, milliseconds.
pub const WINDOW_EXPIRING_BEFORE_MS: i64 = 60 * 60_000;
/// `conversation.idle_warning` is raised this long before the chat ends, milliseconds; with a short idle time at its
/// half.
pub const IDLE_WARNING_BEFORE_MS: i64 = 60_000;

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deadline {
    /// The window closes soon.
    WindowExpiring {
        /// When it closes.
        closes_ms: i64,
    },
    /// The window closed.
    WindowExpired {
        /// When it closed.
        closed_ms: i64,
    },
    /// The chat ends soon.
    IdleWarning {
        /// When it ends.
        ends_ms: i64,
    },
    /// The chat ends.
    IdleEnd,
    /// The conversation comes back.
    Unsnooze,
    /// A service target is near.
    SlaWarning {
        /// Which.
        target: Target,
        /// Since when its clock runs.
        since_ms: i64,
    },
    /// A service target was missed.
    SlaBreached {
        /// Which.
        target: Target,
        /// Since when its clock runs.
        since_ms: i64,
    },
    /// The group's calendar opens or closes while the contact waits.
    Hours {
        /// When it does.
        at_ms: i64,
        /// Does it open?
        opens: bool,
        /// Its name.
        calendar: String,
    },
    /// Whoever it is offered to has thought long enough.
    OfferExpired,
    /// The assistant's pause is over.
    AiResumes,
}

/// Every deadline that is still ahead or due, with its moment, the earliest first.
pub fn all(conversation: &Conversation, channel: &Channel, directory: &Directory) -> Vec<(i64, Deadline)> {
    let mut out = Vec::new();
    window(conversation, &mut out);
    idle(conversation, channel, &mut out);
    service(conversation, directory, &mut out);
    if let Some(until_ms) = conversation.facts.snoozed_until_ms {
        out.push((until_ms, Deadline::Unsnooze));
    }
    if let (AiState::Suspended { until_ms }, false) =
        (&conversation.facts.ai, conversation.facts.status == Status::Closed)
    {
        out.push((*until_ms, Deadline::AiResumes));
    }
    if let Some(offer) = conversation.queue.as_ref().and_then(|queue| queue.offer) {
        out.push((offer.until_ms, Deadline::OfferExpired));
    }
    out.sort_by_key(|(at_ms, _)| *at_ms);
    out
}

fn window(conversation: &Conversation, out: &mut Vec<(i64, Deadline)>) {
    let (facts, done) = (&conversation.facts, &conversation.deadlines);
    let Some(closes_ms) = facts.window_closes_ms.filter(|_| facts.status != Status::Closed) else { return };
    // A window shorter than the warning time (tests, other vendors) warns at its half.
    let opened_ms = facts.last_inbound_ms.unwrap_or(closes_ms - WINDOW_EXPIRING_BEFORE_MS);
    let before_ms = WINDOW_EXPIRING_BEFORE_MS.min((closes_ms - opened_ms) / 2);
    if done.expiring_for_ms != Some(closes_ms) && done.expired_for_ms != Some(closes_ms) {
        out.push((closes_ms - before_ms, Deadline::WindowExpiring { closes_ms }));
    }
    if done.expired_for_ms != Some(closes_ms) {
        out.push((closes_ms, Deadline::WindowExpired { closed_ms: closes_ms }));
    }
}

fn idle(conversation: &Conversation, channel: &Channel, out: &mut Vec<(i64, Deadline)>) {
    if !conversation.facts.live || channel.idle_end_ms <= 0 {
        return;
    }
    let from_ms = conversation.deadlines.idle_from_ms.unwrap_or(conversation.last_activity_ms);
    let ends_ms = from_ms.saturating_add(channel.idle_end_ms);
    if conversation.deadlines.warned_for_ms != Some(from_ms) {
        let before_ms = IDLE_WARNING_BEFORE_MS.min(channel.idle_end_ms / 2);
        out.push((ends_ms - before_ms, Deadline::IdleWarning { ends_ms }));
    }
    out.push((ends_ms, Deadline::IdleEnd));
}

/// Targets and working hours of the group that has it.
fn service(conversation: &Conversation, directory: &Directory, out: &mut Vec<(i64, Deadline)>) {
    let (facts, done) = (&conversation.facts, &conversation.deadlines);
    let Some(group) = facts.group.and_then(|id| directory.group_by_id(id)) else { return };
    let calendar = directory.calendar_of(group);
    for target in Target::ALL {
        let Some(since_ms) = facts.clock(target) else { continue };
        let Some(due) = group.targets.due(target, since_ms, calendar.map(|it| &it.calendar)) else {
            continue;
        };
        let breached = done.sla_breached.get(&target) == Some(&since_ms);
        if !breached && done.sla_warned.get(&target) != Some(&since_ms) {
            out.push((due.warn_ms, Deadline::SlaWarning { target, since_ms }));
        }
        if !breached {
            out.push((due.breach_ms, Deadline::SlaBreached { target, since_ms }));
        }
    }
    // Who does not wait need not be woken with everybody else when an office opens.
    if let (Some(calendar), Some(waiting_ms)) = (calendar, facts.waiting_since_ms) {
        let after_ms = done.hours_ms.map_or(waiting_ms, |hours_ms| hours_ms.max(waiting_ms));
        if let Some((at_ms, opens)) = calendar.calendar.next_change(after_ms) {
            out.push((at_ms, Deadline::Hours { at_ms, opens, calendar: calendar.name.clone() }));
        }
    }
}

/// The next moment at which something is due.
pub fn next(conversation: &Conversation, channel: &Channel, directory: &Directory) -> Option<i64> {
    all(conversation, channel, directory).first().map(|(at_ms, _)| *at_ms)
}
