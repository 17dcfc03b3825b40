//! A rule's text against what runs, on events of the past: what either would do,
//! and where they differ. The rule is tried alone: what other rules of the same
//! event do, and what its own effects would have led to, is not played through.
//! Pure; reaches neither plugins nor the way out; a tidy test says so.

use std::collections::BTreeMap;

use pointsman_rules::decide::{CompiledRule, RuleSet, RunOutcome, decide};
use pointsman_rules::facts::{Facts, Window};
use pointsman_rules::ids::{RuleId, RuleVersionId};
use pointsman_rules::intent::Intent;
use pointsman_rules::sandbox::Stopwatch;
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};

use super::replay::{Ground, Moment};
use crate::store::trials::Finding;

/// Two texts of one rule.
#[derive(Debug)]
pub struct Pair {
    tried: RuleSet,
    running: Option<RuleSet>,
}

/// What was counted so far. Stored as JSON: fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Events that were looked at, also those that neither text wants.
    pub events: u64,
    /// How many of them had facts that were kept; those of the others were worked out.
    pub exact: u64,
    /// Conversations that could not be looked at: their contact or channel is gone, or they are too long.
    pub left_out: u64,
    /// Events on which the tried text asks for something.
    pub fires: u64,
    /// Conversations in which it does; for backtests.
    pub conversations: u64,
    /// Events on which it fails.
    pub failures: u64,
    /// Events on which the running version asks for something.
    pub running_fires: u64,
    /// Messages that would go out, by kind: `text`, `text_window_closed` (would be refused), `template` with what the
    /// vendor calls it.
    pub messages: BTreeMap<String, u64>,
    /// Events on which only the tried text asks for something.
    pub would_fire: u64,
    /// Events on which only the running version does.
    pub no_longer_fires: u64,
    /// Events on which both do, but not for the same.
    pub other_intents: u64,
}

/// What one text does on one event. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Doing {
    /// The calls that are not refused.
    pub intents: Vec<String>,
    /// Codes of refusals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What either text does. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The tried text.
    pub tried: Doing,
    /// The running version.
    pub running: Doing,
    /// Were the facts kept, or worked out?
    pub is_exact: bool,
}

impl Pair {
    /// `running`: the version to compare with; without one everything is news.
    pub fn new(rule: RuleId, tried: Script, running: Option<(RuleVersionId, Script)>) -> Self {
        let alone = |version, script| RuleSet::new(vec![CompiledRule { id: rule, version, script }]);
        Self {
            tried: alone(RuleVersionId::new(0, 0), tried),
            running: running.map(|(version, script)| alone(version, script)),
        }
    }

    /// Tries both on one event, and counts. Answers what to keep if they differ.
    pub fn judge(&self, moment: &Moment, ground: &Ground, counts: &mut Counts) -> Option<Finding> {
        let (tried, planned) = doing(&self.tried, moment);
        let running = self.running.as_ref().map(|it| doing(it, moment).0).unwrap_or_default();
        counts.events += 1;
        counts.exact += u64::from(moment.is_exact);
        counts.fires += u64::from(!tried.intents.is_empty());
        counts.failures += u64::from(tried.failure.is_some());
        counts.running_fires += u64::from(!running.intents.is_empty());
        for intent in planned.iter().filter(|intent| intent.is_reply()) {
            *counts.messages.entry(category(intent, &moment.facts, ground)).or_default() += 1;
        }
        let kind = match (tried.intents.is_empty(), running.intents.is_empty()) {
            (false, true) => {
                counts.would_fire += 1;
                "would_fire"
            }
            (true, false) => {
                counts.no_longer_fires += 1;
                "no_longer_fires"
            }
            (false, false) if tried.intents != running.intents => {
                counts.other_intents += 1;
                "other_intents"
            }
            _ => return None,
        };
        let (event, conversation) = (moment.event.id, moment.facts.conversation.id);
        let body = super::case::to_json(&Difference { tried, running, is_exact: moment.is_exact });
        Some(Finding { event, conversation, kind: kind.to_owned(), body, at_ms: moment.event.at_ms })
    }
}

fn doing(rules: &RuleSet, moment: &Moment) -> (Doing, Vec<Intent>) {
    let decision = decide(rules, &moment.event, &moment.facts, &Stopwatch::stopped());
    let Some(run) = decision.runs.into_iter().next() else { return Default::default() };
    let failure = match &run.outcome {
        RunOutcome::Failed { problem } => Some(problem.to_string()),
        _ => None,
    };
    let planned: Vec<Intent> = decision.planned.into_iter().map(|planned| planned.intent).collect();
    // What runs another rule is not planned, and alone the rule does not find it.
    let runs_known = |intent: &Intent| match intent {
        Intent::RunRule { name } => moment.facts.directory.rules.iter().any(|(known, _)| known == name),
        Intent::StopRules => true,
        _ => false,
    };
    let flow = run.intents.iter().filter(|(_, intent)| failure.is_none() && runs_known(intent));
    let intents = planned.iter().chain(flow.map(|(_, intent)| intent)).map(Intent::as_call).collect();
    let refused = run.refusals.into_iter().filter(|it| !runs_known(&it.intent)).map(|it| it.code).collect();
    (Doing { intents, refused, failure }, planned)
}

/// What kind of message would leave.
fn category(intent: &Intent, facts: &Facts, ground: &Ground) -> String {
    let is_open = facts.channel.capabilities.window == Window::None
        || facts.conversation.window_closes_ms.is_some_and(|closes_ms| closes_ms > facts.now_ms);
    let template = |name: &str| {
        let category = ground.categories.get(&(facts.channel.id, name.to_owned()));
        category
            .map_or_else(|| "template".to_owned(), |category| format!("template {}", category.to_lowercase()))
    };
    match intent {
        Intent::SendTemplate(call) => template(&call.name),
        Intent::SendMessageOrTemplate { template: call, .. } if !is_open => template(&call.name),
        _ if is_open => "text".to_owned(),
        _ => "text_window_closed".to_owned(),
    }
}
