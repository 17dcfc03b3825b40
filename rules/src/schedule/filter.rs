//! The `where` line: which conversations a schedule is for. A small language of
//! its own rather than a script, so that a database can answer it with an index:
//!
//! ```text
//! where: status in (open, pending) and group = "Billing" and waiting > 30m
//! ```
//! Conditions are joined by `and`; each names one field, never another one.

mod parse;

use crate::facts::{Facts, Priority, Status};
use crate::names::Thing;

/// Most conditions of one filter.
pub const CONDITIONS_MAX: usize = 20;
/// Most values in one list.
pub const VALUES_MAX: usize = 20;

/// Conversations for which all of these hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In the order of the file.
    pub conditions: Vec<Condition>,
}

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `live = true`: is a real-time chat going on?
    Live(bool),
    /// `ai = on`: may the assistant answer at the moment of the tick?
    Ai(bool),
    /// `status != closed`.
    Status(OneOf<Status>),
    /// `priority in (high, urgent)`.
    Priority(OneOf<Priority>),
    /// `channel = whatsapp`: kinds or channel ids.
    Channel(OneOf<String>),
    /// `group = "Billing"`: names or ids; `None` is no group.
    Group(OneOf<Option<String>>),
    /// `assignee = none`: e-mails, names or ids; `None` is nobody.
    Assignee(OneOf<Option<String>>),
    /// `label = "vip"`: has any of these labels; negated: has none of them.
    Label(OneOf<String>),
    /// `waiting > 30m`: how long ago something began. False when it has not begun.
    Since {
        /// What began.
        clock: Clock,
        /// `>`: before that long; else `<`: after.
        longer: bool,
        /// How long, milliseconds.
        ms: i64,
    },
}

/// Any of these values, or none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf<T> {
    /// At least one.
    pub values: Vec<T>,
    /// `!=` or `not in`.
    pub negated: bool,
}

/// From where a time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `idle`: the last message of either side, or the beginning.
    Idle,
    /// `waiting`: since when the contact waits for a person's answer.
    Waiting,
    /// `open_for`: when it was opened, for the first time or again.
    OpenFor,
}

impl Clock {
    /// Every one, as `where` writes it.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("idle", Self::Idle), ("waiting", Self::Waiting), ("open_for", Self::OpenFor)];

    fn began_ms(self, facts: &Facts) -> Option<i64> {
        let c = &facts.conversation;
        match self {
            Self::Idle => {
                [Some(c.created_ms), c.last_inbound_ms, c.last_outbound_ms].into_iter().flatten().max()
            }
            Self::Waiting => c.waiting_since_ms,
            Self::OpenFor => Some(c.opened_ms),
        }
    }
}

/// Every conversation that is not closed: what a schedule without `where` is for.
impl Default for Filter {
    fn default() -> Self {
        let not_closed = OneOf { values: vec![Status::Closed], negated: true };
        Self { conditions: vec![Condition::Status(not_closed)] }
    }
}

impl<T> OneOf<T> {
    /// Do the values, one by one, give the answer that is asked for?
    pub fn takes(&self, is: impl FnMut(&T) -> bool) -> bool {
        self.values.iter().any(is) != self.negated
    }
}

impl Filter {
    /// Is the tick for this conversation? The engine asks its database the same; between
    /// that answer and the run the conversation may have changed.
    pub fn takes(&self, facts: &Facts) -> bool {
        self.conditions.iter().all(|condition| condition.takes(facts))
    }

    /// Names in it that must exist.
    pub(crate) fn names(&self) -> Vec<(Thing, &str)> {
        self.conditions
            .iter()
            .flat_map(|condition| match condition {
                Condition::Group(of) => named(Thing::Group, of),
                Condition::Assignee(of) => named(Thing::Agent, of),
                _ => Vec::new(),
            })
            .collect()
    }
}

fn named(thing: Thing, of: &OneOf<Option<String>>) -> Vec<(Thing, &str)> {
    of.values.iter().flatten().map(|name| (thing, name.as_str())).collect()
}

impl Condition {
    fn takes(&self, facts: &Facts) -> bool {
        let (c, directory) = (&facts.conversation, &facts.directory);
        match self {
            Self::Live(live) => c.live == *live,
            Self::Ai(on) => c.ai.is_on(facts.now_ms) == *on,
            Self::Status(of) => of.takes(|status| *status == c.status),
            Self::Priority(of) => of.takes(|priority| *priority == c.priority),
            Self::Channel(of) => {
                of.takes(|channel| *channel == facts.channel.kind || *channel == facts.channel.id.to_string())
            }
            Self::Group(of) => of.takes(|name| match name {
                None => c.group.is_none(),
                Some(name) => c.group.is_some() && directory.group(name).map(|g| g.id) == c.group,
            }),
            Self::Assignee(of) => of.takes(|name| match name {
                None => c.assignee.is_none(),
                Some(name) => c.assignee.is_some() && directory.agent(name).map(|a| a.id) == c.assignee,
            }),
            Self::Label(of) => of.takes(|label| c.labels.contains(label)),
            Self::Since { clock, longer, ms } => clock.began_ms(facts).is_some_and(|began_ms| {
                let passed = facts.now_ms.saturating_sub(began_ms);
                if *longer { passed > *ms } else { passed < *ms }
            }),
        }
    }
}

#[cfg(test)]
mod tests;
