//! One event and its facts in, intents and a trace out. The numbers below are
//! those of the rule semantics: order (1), stages (2), snapshot (3), cause (4),
//! quotas (5), failure (9) and limits (10). Performs nothing.

mod conflict;
mod trace;
mod turn;
mod vet;

use std::collections::{BTreeMap, HashMap};

use crate::event::{Event, EventBody, EventKind};
use crate::facts::Facts;
use crate::ids::{RuleId, RuleVersionId};
use crate::intent::Intent;
use crate::script::Script;

pub use crate::sandbox::Stopwatch;
pub use trace::{Overridden, Refusal, RuleRun, RunOutcome, SkipReason};

/// A published version of a rule, ready to run.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// The rule.
    pub id: RuleId,
    /// The version whose text this is.
    pub version: RuleVersionId,
    /// Its text, checked and compiled.
    pub script: Script,
}

/// A tenant's enabled rules in the order they run, found by event.
///
/// Which rules are enabled is the caller's knowledge: `enabled` in a header is
/// only the beginning.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<CompiledRule>,
    by_kind: Vec<Vec<usize>>,
    by_name: BTreeMap<String, usize>,
    by_id: HashMap<RuleId, usize>,
}

impl RuleSet {
    /// Sorts by position, then id, and indexes by event.
    pub fn new(mut rules: Vec<CompiledRule>) -> Self {
        rules.sort_by_key(|rule| (rule.script.header().position, rule.id));
        let mut by_kind = vec![Vec::new(); EventKind::ALL.len()];
        let mut by_name = BTreeMap::new();
        let mut by_id = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            for kind in &rule.script.header().on {
                if let Some(list) = by_kind.get_mut(*kind as usize) {
                    list.push(index);
                }
            }
            by_name.entry(rule.script.header().name.to_lowercase()).or_insert(index);
            by_id.insert(rule.id, index);
        }
        Self { rules, by_kind, by_name, by_id }
    }

    /// Does any rule run on this kind of event? When not, facts need not be loaded.
    pub fn is_subscribed(&self, kind: EventKind) -> bool {
        !self.subscribers(kind).is_empty()
    }

    /// The rules in the order they run.
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    fn subscribers(&self, kind: EventKind) -> &[usize] {
        self.by_kind.get(kind as usize).map_or(&[], Vec::as_slice)
    }

    /// The rules for this event; those of a manual start or a schedule are for one rule only.
    fn due(&self, event: &Event) -> Vec<usize> {
        let all = self.subscribers(event.body.kind()).iter().copied();
        match &event.body {
            EventBody::RuleManual { rule } | EventBody::ScheduleTick { rule } => {
                all.filter(|index| self.by_id.get(rule) == Some(index)).collect()
            }
            _ => all.collect(),
        }
    }

    /// The rule with this name, ignoring case, or id.
    fn find(&self, name: &str) -> Option<usize> {
        let by_id = || self.by_id.get(&RuleId::parse(name).ok()?);
        self.by_name.get(&name.to_lowercase()).or_else(by_id).copied()
    }
}

/// What to do about one event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// What to apply, in this order. `run_rule` and `stop_rules` have been followed and are not in it.
    pub planned: Vec<Planned>,
    /// One entry for every rule that was looked at, in the order they ran.
    pub runs: Vec<RuleRun>,
}

/// An intent to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Who asks.
    pub rule: RuleId,
    /// In which version.
    pub version: RuleVersionId,
    /// Which of the run's intents it is, from 0; refused ones count, so that it never shifts.
    pub ordinal: u32,
    /// The line that asked.
    pub line: u32,
    /// What for.
    pub intent: Intent,
}

/// Runs the rules of one event. A function of its arguments: the stopwatch only
/// limits and measures.
pub fn decide(rules: &RuleSet, event: &Event, facts: &Facts, stopwatch: &Stopwatch) -> Decision {
    let due = rules.due(event);
    if due.is_empty() {
        return Decision::default();
    }
    turn::Turn::new(rules, event, facts, stopwatch).run(due)
}

#[cfg(test)]
mod tests;
