//! When a `schedule.tick` rule runs, and for which conversations: the `cron`,
//! `timezone` and `where` lines of its header, read and checked. Says when the
//! next tick is; waiting for it is the engine's business.
//!
//! What happens when the clocks change: a time of day that the clock jumps over
//! comes at the first moment after the jump; one that comes twice counts the first
//! time. Schedules that repeat by themselves (`*` or `*/n` as the minute or the hour)
//! follow the clock on the wall instead: nothing for a jumped hour, and again in
//! a repeated one.

pub mod filter;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use filter::{Clock, Condition, Filter, OneOf};

/// The zone of a schedule that names none.
pub const ZONE_DEFAULT: &str = "UTC";

/// Where the search for the first tick of a new schedule begins: 2000-01-01, so that leap days are found.
const SEARCH_FROM_MS: i64 = 946_684_800_000;

/// When a rule runs by itself, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Five fields: minute, hour, day of month, month, weekday. A day counts when the day of
    /// the month or the weekday fits, if both are limited.
    pub cron: String,
    /// IANA name of the zone whose wall clock counts.
    pub zone: String,
    /// Which conversations a tick is for.
    pub filter: Filter,
}

impl Schedule {
    /// The first tick after a moment, both in unix milliseconds; `None` when there is none any more.
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let after = Timestamp::from_millisecond(after_ms).ok()?.to_zoned(zone);
        let next = parse(&self.cron)?.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }
}

/// The five fields with one space between them; `None` when they are no schedule or one that never comes.
pub(crate) fn read_cron(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    // No seconds, years or nicknames: what crons agree on, and `L` for a month's last day.
    let is_plain = |field: &&str| field.chars().all(|c| c.is_ascii_alphanumeric() || "*,-/".contains(c));
    if fields.len() != 5 || !fields.iter().all(is_plain) {
        return None;
    }
    let cron = fields.join(" ");
    let schedule = Schedule { cron, zone: ZONE_DEFAULT.to_owned(), filter: Filter::default() };
    schedule.next_after(SEARCH_FROM_MS)?;
    Some(schedule.cron)
}

fn parse(cron: &str) -> Option<Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(cron).ok()
}

#[cfg(test)]
mod tests;
