//! How much rules may do on their own for one contact (semantics 5). A tenant
//! may set its own numbers; here is what they are otherwise.

use serde::{Deserialize, Serialize};

/// Automatic messages that a quota may count at most: so many are remembered.
pub const MESSAGES_MAX: usize = 100;
/// Starts of one rule that a quota may count at most.
pub const STARTS_MAX: usize = 1_000;
/// The longest time that a quota may look back, minutes: a day.
pub const MINUTES_MAX: i64 = 1_440;
/// Quotas of automatic messages at most.
pub const QUOTAS_MAX: usize = 10;

/// At most so many automatic messages to one conversation in so many minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// How many messages.
    pub messages_max: usize,
    /// In how many minutes.
    pub minutes: i64,
}

/// At most so many starts of one rule for one contact in so many minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starts {
    /// How many starts.
    pub starts_max: usize,
    /// In how many minutes.
    pub minutes: i64,
}

impl Starts {
    /// The minutes in milliseconds.
    pub fn ms(&self) -> i64 {
        self.minutes * 60_000
    }
}

/// The quotas of a tenant; all of them hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Of automatic messages.
    pub messages: Vec<Quota>,
    /// Of starts of one rule.
    pub starts: Starts,
}

impl Default for Quotas {
    fn default() -> Self {
        let quota = |messages_max, minutes| Quota { messages_max, minutes };
        Self {
            messages: vec![quota(10, 10), quota(15, 30), quota(25, 60), quota(50, 180), quota(100, 600)],
            starts: Starts { starts_max: 50, minutes: 30 },
        }
    }
}

impl Quotas {
    /// What cannot be among these numbers: the place, as in a JSON pointer, and a sentence.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut check = |place: String, number: i64, most: i64| {
            if !(1..=most).contains(&number) {
                problems.push((place, format!("must be from 1 to {most}")));
            }
        };
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for (index, quota) in self.messages.iter().enumerate() {
            check(format!("/messages/{index}/messages_max"), count(quota.messages_max), count(MESSAGES_MAX));
            check(format!("/messages/{index}/minutes"), quota.minutes, MINUTES_MAX);
        }
        check("/starts/starts_max".to_owned(), count(self.starts.starts_max), count(STARTS_MAX));
        check("/starts/minutes".to_owned(), self.starts.minutes, MINUTES_MAX);
        if self.messages.len() > QUOTAS_MAX {
            problems.push(("/messages".to_owned(), format!("at most {QUOTAS_MAX} quotas")));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_named() {
        assert_eq!(Quotas::default().problems(), []);
        let mut quotas = Quotas::default();
        quotas.messages[1].messages_max = MESSAGES_MAX + 1;
        quotas.starts.minutes = 0;
        let places: Vec<_> = quotas.problems().into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["/messages/1/messages_max", "/starts/minutes"]);
    }
}
