//! How a group hands out conversations and how long contacts may wait, as the
//! API speaks of it: minutes and seconds instead of milliseconds.

use pointsman_rules::assign::{Assignment, Policy};
use pointsman_rules::sla::{Target, Targets};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::problem::FieldProblem;

/// Longest target, minutes: 90 days.
const TARGET_MINUTES_MAX: u32 = 90 * 24 * 60;
/// Longest time to think about an offer, seconds: an hour.
const OFFER_SECONDS_MAX: u32 = 3_600;
/// Shortest time to think about an offer, seconds.
const OFFER_SECONDS_MIN: u32 = 5;
/// The highest limit of live chats that one may set.
const CHATS_MAX: u32 = 1_000;
/// `sla.warning` comes so many minutes before the target, unless somebody says otherwise.
const WARN_MINUTES: u32 = 15;

/// How conversations are handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignmentForm {
    /// `manual`: people take them; `round_robin`: to whoever was given one the longest ago; `least_busy`: to whoever
    /// has the fewest live chats.
    #[serde(default = "manual")]
    #[schema(example = "round_robin")]
    policy: String,
    /// Live chats that one member may have at once, 1 to 1,000; `null`: no limit.
    #[serde(default)]
    chats_max: Option<u32>,
    /// How long a person may think about an offer, 5 to 3,600 seconds; then the next one is asked. `null`: it is
    /// assigned without asking.
    #[serde(default)]
    offer_seconds: Option<u32>,
    /// Does a reopened conversation go back to whoever had it, if they are online?
    #[serde(default = "yes")]
    keep_assignee: bool,
}

fn manual() -> String {
    Policy::Manual.word().to_owned()
}

fn yes() -> bool {
    true
}

impl From<&Assignment> for AssignmentForm {
    fn from(it: &Assignment) -> Self {
        Self {
            policy: it.policy.word().to_owned(),
            chats_max: it.chats_max,
            offer_seconds: it.offer_ms.and_then(|ms| u32::try_from(ms / 1_000).ok()),
            keep_assignee: it.keep_assignee,
        }
    }
}

impl AssignmentForm {
    /// As it is kept; everything that is wrong goes into `problems`.
    pub(super) fn checked(&self, problems: &mut Vec<FieldProblem>) -> Assignment {
        let policy = Policy::from_word(&self.policy).unwrap_or_else(|| {
            let message = format!("must be one of {}", Policy::WORDS.join(", "));
            problems.push(FieldProblem::new("/assignment/policy", message));
            Policy::Manual
        });
        if self.chats_max.is_some_and(|most| !(1..=CHATS_MAX).contains(&most)) {
            let message = format!("must be 1 to {CHATS_MAX}, or null for no limit");
            problems.push(FieldProblem::new("/assignment/chats_max", message));
        }
        if self.offer_seconds.is_some_and(|it| !(OFFER_SECONDS_MIN..=OFFER_SECONDS_MAX).contains(&it)) {
            let message =
                format!("must be {OFFER_SECONDS_MIN} to {OFFER_SECONDS_MAX}, or null for no question");
            problems.push(FieldProblem::new("/assignment/offer_seconds", message));
        }
        Assignment {
            policy,
            chats_max: self.chats_max,
            offer_ms: self.offer_seconds.map(|seconds| i64::from(seconds) * 1_000),
            keep_assignee: self.keep_assignee,
        }
    }
}

/// How long contacts may wait, minutes of open time of the group's calendar (of all time without one).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsForm {
    /// To the first answer by a person; `null`: not measured.
    #[serde(default)]
    #[schema(example = 15)]
    first_reply_minutes: Option<u32>,
    /// To every later answer.
    #[serde(default)]
    next_reply_minutes: Option<u32>,
    /// From the beginning, or the reopening, to closed.
    #[serde(default)]
    resolution_minutes: Option<u32>,
    /// `sla.warning` comes so long before; for a shorter target at its half.
    #[serde(default = "warn_minutes")]
    warn_before_minutes: u32,
}

fn warn_minutes() -> u32 {
    WARN_MINUTES
}

const MINUTE_MS: i64 = 60_000;

impl From<&Targets> for TargetsForm {
    fn from(it: &Targets) -> Self {
        let minutes = |ms: i64| u32::try_from(ms / MINUTE_MS).unwrap_or(u32::MAX);
        Self {
            first_reply_minutes: it.first_reply_ms.map(minutes),
            next_reply_minutes: it.next_reply_ms.map(minutes),
            resolution_minutes: it.resolution_ms.map(minutes),
            warn_before_minutes: if *it == Targets::default() {
                WARN_MINUTES
            } else {
                minutes(it.warn_before_ms)
            },
        }
    }
}

impl TargetsForm {
    /// As it is kept; everything that is wrong goes into `problems`.
    pub(super) fn checked(&self, problems: &mut Vec<FieldProblem>) -> Targets {
        let all = [self.first_reply_minutes, self.next_reply_minutes, self.resolution_minutes];
        for (target, minutes) in Target::ALL.into_iter().zip(all) {
            if minutes.is_some_and(|it| !(1..=TARGET_MINUTES_MAX).contains(&it)) {
                let message = format!("must be 1 to {TARGET_MINUTES_MAX}, or null for no target");
                problems.push(FieldProblem::new(format!("/targets/{}_minutes", target.word()), message));
            }
        }
        if self.warn_before_minutes > TARGET_MINUTES_MAX {
            let message = format!("must be 0 to {TARGET_MINUTES_MAX}");
            problems.push(FieldProblem::new("/targets/warn_before_minutes", message));
        }
        let ms = |minutes: Option<u32>| minutes.map(|minutes| i64::from(minutes) * MINUTE_MS);
        let [first_reply_ms, next_reply_ms, resolution_ms] = all.map(ms);
        let warn_before_ms = i64::from(self.warn_before_minutes) * MINUTE_MS;
        Targets { first_reply_ms, next_reply_ms, resolution_ms, warn_before_ms }
    }
}
