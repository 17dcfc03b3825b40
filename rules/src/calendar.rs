//! Working hours: wall-clock intervals in a zone, and holidays.

use serde::{Deserialize, Serialize};

/// When somebody is there. Intervals are wall clock of the zone and may cross midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// IANA name, e.g. `Europe/Madrid`.
    pub timezone: String,
    /// Opening intervals.
    pub intervals: Vec<Interval>,
    /// Days without any, `YYYY-MM-DD`.
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
