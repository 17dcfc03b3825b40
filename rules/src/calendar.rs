//! Working hours: wall-clock intervals in a zone, and holidays.
//!
//! What happens when the clocks change: a time that does not exist (the gap in
//! spring) is moved forward by the gap; a time that exists twice means the first
//! one when an interval begins and the second one when it ends. So a gap makes
//! an interval shorter, an overlap makes it longer, and none vanishes.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// Most intervals of a calendar.
pub const INTERVALS_MAX: usize = 100;
/// Most holidays of a calendar.
pub const HOLIDAYS_MAX: usize = 1_000;
/// How far ahead `next_open` and `add_open_time` look, days.
pub const HORIZON_DAYS: usize = 800;

/// When somebody is there. Intervals are wall clock of the zone and may cross midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// IANA name, e.g. `Europe/Madrid`.
    pub timezone: String,
    /// Opening intervals.
    pub intervals: Vec<Interval>,
    /// Days without any, `YYYY-MM-DD`. An interval that began the day before still ends.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// One opening interval of a weekday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`: the day it starts on.
    pub day: String,
    /// `HH:MM`, 24 hours.
    pub from: String,
    /// `HH:MM`; not later than `from` means the next day; `24:00` is midnight.
    pub to: String,
}

/// Why a calendar cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The zone is not in the time zone database.
    #[error("`{0}` is not a time zone; write an IANA name, e.g. `Europe/Madrid`")]
    Timezone(String),
    /// A weekday is none.
    #[error("interval {0}: `{1}` is not a day; write mon, tue, wed, thu, fri, sat or sun")]
    Day(usize, String),
    /// A time of day is none.
    #[error("interval {0}: `{1}` is not a time of day; write HH:MM, or 24:00 as an end")]
    Time(usize, String),
    /// A holiday is no date.
    #[error("holiday {0}: `{1}` is not a date; write YYYY-MM-DD")]
    Holiday(usize, String),
    /// There is too much of something.
    #[error("a calendar has at most {0} {1}")]
    TooMany(usize, &'static str),
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A calendar whose texts have been read.
struct Hours {
    zone: TimeZone,
    intervals: Vec<(Weekday, Time, End)>,
    holidays: Vec<Date>,
}

/// When an interval ends.
#[derive(Clone, Copy)]
enum End {
    SameDay(Time),
    NextDay(Time),
}

impl Calendar {
    /// Checks every text in it. Intervals may overlap; they then count once.
    ///
    /// # Errors
    /// The first mistake found.
    pub fn validate(&self) -> Result<(), CalendarError> {
        self.hours().map(drop)
    }

    /// Is it open at this moment (unix milliseconds)? A calendar that does not validate is closed.
    pub fn is_open(&self, at_ms: i64) -> bool {
        self.spans(at_ms).is_some_and(|mut spans| spans.next().is_some_and(|(open, _)| open <= at_ms))
    }

    /// The moment itself while open, else the next opening; `None` when there is none within [`HORIZON_DAYS`].
    pub fn next_open(&self, at_ms: i64) -> Option<i64> {
        self.spans(at_ms)?.next().map(|(open, _)| open.max(at_ms))
    }

    /// The moment at which so many milliseconds of open time have passed since `at_ms`;
    /// `None` when that is not within [`HORIZON_DAYS`].
    pub fn add_open_time(&self, at_ms: i64, ms: i64) -> Option<i64> {
        let mut left = ms.max(0);
        let mut counted_to = at_ms;
        for (open, close) in self.spans(at_ms)? {
            let start = open.max(counted_to);
            if start.saturating_add(left) <= close {
                return Some(start + left);
            }
            left -= (close - start).max(0);
            counted_to = counted_to.max(close);
        }
        None
    }

    /// The first moment after `at_ms` at which it opens (`true`) or closes; `None` when that is not within
    /// [`HORIZON_DAYS`].
    pub fn next_change(&self, at_ms: i64) -> Option<(i64, bool)> {
        let mut spans = self.spans(at_ms)?;
        let (open, mut close) = spans.next()?;
        if open > at_ms {
            return Some((open, true));
        }
        // Spans that touch or overlap are one.
        for (open, next_close) in spans {
            if open > close {
                break;
            }
            close = close.max(next_close);
        }
        Some((close, false))
    }

    fn hours(&self) -> Result<Hours, CalendarError> {
        if self.intervals.len() > INTERVALS_MAX {
            return Err(CalendarError::TooMany(INTERVALS_MAX, "intervals"));
        }
        if self.holidays.len() > HOLIDAYS_MAX {
            return Err(CalendarError::TooMany(HOLIDAYS_MAX, "holidays"));
        }
        let zone =
            TimeZone::get(&self.timezone).map_err(|_| CalendarError::Timezone(self.timezone.clone()))?;
        let intervals = self.intervals.iter().enumerate().map(|(index, i)| interval(index + 1, i));
        let holidays = self.holidays.iter().enumerate().map(|(index, day)| {
            day.parse::<Date>().map_err(|_| CalendarError::Holiday(index + 1, day.clone()))
        });
        Ok(Hours {
            zone,
            intervals: intervals.collect::<Result<_, _>>()?,
            holidays: holidays.collect::<Result<_, _>>()?,
        })
    }

    /// Open spans in order of their beginning, from the one that is open at this moment on.
    fn spans(&self, at_ms: i64) -> Option<impl Iterator<Item = (i64, i64)>> {
        let hours = self.hours().ok()?;
        let today = hours.zone.to_datetime(Timestamp::from_millisecond(at_ms).ok()?).date();
        // Yesterday's intervals may cross midnight and an hour may be moved by a change of clocks.
        let first = today.checked_sub(1.day()).ok()?;
        let days = first.series(1.day()).take(HORIZON_DAYS + 1);
        let all = days.flat_map(move |day| hours.on(day));
        Some(all.filter(move |(_, close)| *close > at_ms))
    }
}

impl Hours {
    /// The spans that begin on this day, in order.
    fn on(&self, day: Date) -> Vec<(i64, i64)> {
        if self.holidays.contains(&day) {
            return Vec::new();
        }
        let today = self.intervals.iter().filter(|(weekday, ..)| *weekday == day.weekday());
        let mut spans: Vec<(i64, i64)> = today
            .filter_map(|(_, from, end)| {
                let (end_day, end_time) = match end {
                    End::SameDay(time) => (day, *time),
                    End::NextDay(time) => (day.tomorrow().ok()?, *time),
                };
                let open = self.moment(day, *from, false)?;
                let close = self.moment(end_day, end_time, true)?;
                (open < close).then_some((open, close))
            })
            .collect();
        spans.sort_unstable();
        spans
    }

    fn moment(&self, day: Date, time: Time, is_end: bool) -> Option<i64> {
        let ambiguous = self.zone.to_ambiguous_zoned(day.to_datetime(time));
        let zoned = match ambiguous.offset() {
            AmbiguousOffset::Fold { .. } if is_end => ambiguous.later(),
            _ => ambiguous.compatible(),
        };
        zoned.ok().map(|z| z.timestamp().as_millisecond())
    }
}

fn interval(number: usize, interval: &Interval) -> Result<(Weekday, Time, End), CalendarError> {
    let day = DAYS.iter().find(|(word, _)| *word == interval.day);
    let day = day.ok_or_else(|| CalendarError::Day(number, interval.day.clone()))?.1;
    let bad = |text: &str| CalendarError::Time(number, text.to_owned());
    let from = time(&interval.from).ok_or_else(|| bad(&interval.from))?;
    let end = match interval.to.as_str() {
        "24:00" => End::NextDay(Time::midnight()),
        text => match time(text).ok_or_else(|| bad(text))? {
            to if to > from => End::SameDay(to),
            to => End::NextDay(to),
        },
    };
    Ok((day, from, end))
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests;
