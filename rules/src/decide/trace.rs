//! What a run leaves for "why did it (not) fire?". Stored as JSON with the
//! event, so fields are added, never changed.

use serde::{Deserialize, Serialize};

use crate::ids::{RuleId, RuleVersionId};
use crate::intent::Intent;
use crate::problem::Problem;

/// One rule's part in one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRun {
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: RuleVersionId,
    /// Its name at the time.
    pub name: String,
    /// How it went.
    #[serde(flatten)]
    pub outcome: RunOutcome,
    /// Everything it asked for, with the line; a failed run's intents came to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<(u32, Intent)>,
    /// Which of them were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// Which of them a later one replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Overridden>,
    /// Operations of the script engine.
    pub ops: u64,
    /// Microseconds.
    pub micros: u64,
}

impl RuleRun {
    /// Did the rule get to see the facts? Not when what led to the event already ruled it out.
    pub fn was_shown(&self) -> bool {
        use SkipReason::{AlreadyInChain, CausedByRule, ChainTooDeep, Channel};
        let RunOutcome::Skipped { reason } = self.outcome else { return true };
        !matches!(reason, Channel | CausedByRule | AlreadyInChain | ChainTooDeep)
    }
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunOutcome {
    /// It asked for something.
    Matched,
    /// It ran to its end and asked for nothing.
    NotMatched,
    /// It did not run.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// It failed; nothing of it is applied.
    Failed {
        /// Where and why.
        problem: Problem,
    },
}

/// Why a rule did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its header names other channels.
    Channel,
    /// The conversation is not one that the schedule's `where` looks at.
    Filter,
    /// An earlier `reply` rule already talks to the customer.
    ReplyTaken,
    /// An earlier rule said `stop_rules()`.
    Stopped,
    /// A rule caused the event, and this one is not marked `chain: true`.
    CausedByRule,
    /// The rule itself is one of the causes of the event.
    AlreadyInChain,
    /// Too many rules led here.
    ChainTooDeep,
    /// It was started for this contact as often as the quota allows; it is parked until the first of the starts is
    /// long enough ago.
    Quota,
}

/// An intent that cannot be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// What was asked for.
    pub intent: Intent,
    /// The line that asked.
    pub line: u32,
    /// Stable word, e.g. `unknown_group`.
    pub code: String,
    /// One sentence.
    pub reason: String,
}

/// An intent that a later one replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overridden {
    /// What was asked for.
    pub intent: Intent,
    /// The line that asked.
    pub line: u32,
    /// The rule whose word counts.
    pub by: RuleId,
    /// The line in that rule.
    pub by_line: u32,
}
