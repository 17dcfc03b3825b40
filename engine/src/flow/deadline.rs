//! The engine's own deadlines of a conversation: window and idle end. Computed
//! from its state, so they cannot be lost and need no cancelling.

use pointsman_rules::facts::Status;

use super::catalog::Channel;
use crate::store::conversations::Conversation;

/// `window.expiring` is raised this long before the window closes, milliseconds.
pub const WINDOW_EXPIRING_BEFORE_MS: i64 = 60 * 60_000;
/// `conversation.idle_warning` is raised this long before the chat ends, milliseconds; with a short idle time at its
/// half.
pub const IDLE_WARNING_BEFORE_MS: i64 = 60_000;

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// Every deadline that is still ahead or due, with its moment.
pub fn all(conversation: &Conversation, channel: &Channel) -> Vec<(i64, Deadline)> {
    let mut out = Vec::new();
    let (facts, done) = (&conversation.facts, &conversation.deadlines);
    let is_open = facts.status != Status::Closed;
    if let Some(closes_ms) = facts.window_closes_ms.filter(|_| is_open) {
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
    if facts.live && channel.idle_end_ms > 0 {
        let from_ms = done.idle_from_ms.unwrap_or(conversation.last_activity_ms);
        let ends_ms = from_ms.saturating_add(channel.idle_end_ms);
        if done.warned_for_ms != Some(from_ms) {
            let before_ms = IDLE_WARNING_BEFORE_MS.min(channel.idle_end_ms / 2);
            out.push((ends_ms - before_ms, Deadline::IdleWarning { ends_ms }));
        }
        out.push((ends_ms, Deadline::IdleEnd));
    }
    if let Some(until_ms) = facts.snoozed_until_ms {
        out.push((until_ms, Deadline::Unsnooze));
    }
    out.sort_by_key(|(at_ms, _)| *at_ms);
    out
}

/// The next moment at which something is due.
pub fn next(conversation: &Conversation, channel: &Channel) -> Option<i64> {
    all(conversation, channel).first().map(|(at_ms, _)| *at_ms)
}
