//! Service targets: how long a contact may wait, in open time of a calendar.
//! Pure: times in, deadlines out.

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::facts::{ConversationFacts, Status};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// From the contact's first message to the first answer by a person.
    FirstReply,
    /// From the contact's first unanswered message after that to the next answer by a person.
    NextReply,
    /// From the beginning, or the reopening, to closed.
    Resolution,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FirstReply, Self::NextReply, Self::Resolution];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstReply => "first_reply",
            Self::NextReply => "next_reply",
            Self::Resolution => "resolution",
        }
    }
}

/// The targets of a group, milliseconds of open time; `None`: not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Targets {
    /// To the first answer by a person.
    pub first_reply_ms: Option<i64>,
    /// To every later answer.
    pub next_reply_ms: Option<i64>,
    /// To closed.
    pub resolution_ms: Option<i64>,
    /// `sla.warning` comes this long before the target, milliseconds of open time; for a shorter target at its half.
    pub warn_before_ms: i64,
}

impl ConversationFacts {
    /// The contact wrote.
    pub fn clock_inbound(&mut self, now_ms: i64) {
        self.waiting_since_ms.get_or_insert(now_ms);
    }

    /// A person answered.
    pub fn clock_answer(&mut self, now_ms: i64) {
        self.waiting_since_ms = None;
        self.first_reply_ms.get_or_insert(now_ms);
    }

    /// A new episode begins.
    pub fn clock_restart(&mut self, now_ms: i64) {
        (self.opened_ms, self.waiting_since_ms, self.first_reply_ms) = (now_ms, None, None);
    }

    /// From when on this target is measured, unix milliseconds; `None`: its clock does not run.
    pub fn clock(&self, target: Target) -> Option<i64> {
        match target {
            Target::FirstReply => self.waiting_since_ms.filter(|_| self.first_reply_ms.is_none()),
            Target::NextReply => self.waiting_since_ms.filter(|_| self.first_reply_ms.is_some()),
            Target::Resolution => Some(self.opened_ms).filter(|_| self.status != Status::Closed),
        }
    }
}

/// When a target's clock that runs since then is due, unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it will be near.
    pub warn_ms: i64,
    /// When it is missed.
    pub breach_ms: i64,
}

impl Targets {
    /// Milliseconds of open time for this target, if it is measured.
    pub fn of(&self, target: Target) -> Option<i64> {
        match target {
            Target::FirstReply => self.first_reply_ms,
            Target::NextReply => self.next_reply_ms,
            Target::Resolution => self.resolution_ms,
        }
    }

    /// When the target is due; `None`: not measured, or the calendar never opens again. Without a calendar all time is
    /// open.
    pub fn due(&self, target: Target, since_ms: i64, calendar: Option<&Calendar>) -> Option<Due> {
        let whole_ms = self.of(target)?;
        let before_ms = if self.warn_before_ms < whole_ms { self.warn_before_ms } else { whole_ms / 2 };
        let after = |ms: i64| match calendar {
            Some(calendar) => calendar.add_open_time(since_ms, ms),
            None => Some(since_ms.saturating_add(ms)),
        };
        Some(Due { warn_ms: after(whole_ms - before_ms)?, breach_ms: after(whole_ms)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Interval;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn closed_hours_do_not_count() {
        let day = |day: &str| Interval { day: day.into(), from: "09:00".into(), to: "17:00".into() };
        let office = Calendar {
            timezone: "UTC".into(),
            intervals: ["mon", "tue", "wed", "thu", "fri"].map(day).to_vec(),
            holidays: vec!["2025-11-24".into()],
        };
        let at = |text| crate::duration::parse_moment_ms(text).unwrap();
        let targets =
            Targets { first_reply_ms: Some(2 * HOUR_MS), warn_before_ms: HOUR_MS / 2, ..Targets::default() };
        // Friday 16:00; Monday is a holiday.
        let due = targets.due(Target::FirstReply, at("2025-11-21T16:00:00Z"), Some(&office)).unwrap();
        assert_eq!(due.warn_ms, at("2025-11-25T09:30:00Z"));
        assert_eq!(due.breach_ms, at("2025-11-25T10:00:00Z"));
        let due = targets.due(Target::FirstReply, 0, None).unwrap();
        assert_eq!((due.warn_ms, due.breach_ms), (HOUR_MS + HOUR_MS / 2, 2 * HOUR_MS));
        assert_eq!(targets.due(Target::NextReply, 0, None), None);
        let short = Targets { warn_before_ms: 9 * HOUR_MS, ..targets };
        assert_eq!(
            short.due(Target::FirstReply, 0, None).unwrap().warn_ms,
            HOUR_MS,
            "half of a short target"
        );
    }

    #[test]
    fn only_the_clock_that_matters_runs() {
        let (_, facts) = crate::case::given::situation_of(crate::event::EventKind::ConversationCreated);
        let mut it = ConversationFacts { opened_ms: 5, ..facts.conversation };
        let running = |it: &ConversationFacts| Target::ALL.map(|target| it.clock(target));
        assert_eq!(running(&it), [None, None, Some(5)]);
        it.clock_inbound(10);
        it.clock_inbound(20);
        assert_eq!(running(&it), [Some(10), None, Some(5)], "since the first unanswered message");
        it.clock_answer(30);
        it.clock_inbound(40);
        assert_eq!(running(&it), [None, Some(40), Some(5)]);
        it.clock_restart(50);
        assert_eq!(running(&it), [None, None, Some(50)]);
        it.status = Status::Closed;
        assert_eq!(running(&it), [None, None, None]);
    }
}
