//! The rules of one event, one after the other, against one snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use rhai::Scope;

use super::trace::{Overridden, Refusal, RuleRun, RunOutcome, SkipReason};
use super::{CompiledRule, Decision, Planned, RuleSet, conflict, vet};
use crate::event::{CAUSE_DEPTH_MAX, Event, EventBody};
use crate::facts::Facts;
use crate::header::{Header, Stage};
use crate::intent::Intent;
use crate::sandbox::{self, Stopwatch, run};
use crate::view::Snapshot;

pub(super) struct Turn<'a> {
    rules: &'a RuleSet,
    event: &'a Event,
    facts: &'a Facts,
    stopwatch: &'a Stopwatch,
    /// Built for the first rule that really runs.
    stage: Option<(Arc<Snapshot>, Scope<'static>)>,
    vetting: vet::Vetting<'a>,
    visited: Vec<usize>,
    reply_taken: bool,
    stopped: bool,
    decision: Decision,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        rules: &'a RuleSet,
        event: &'a Event,
        facts: &'a Facts,
        stopwatch: &'a Stopwatch,
    ) -> Self {
        Self {
            rules,
            event,
            facts,
            stopwatch,
            stage: None,
            vetting: vet::Vetting::new(event, facts),
            visited: Vec::new(),
            reply_taken: false,
            stopped: false,
            decision: Decision::default(),
        }
    }

    pub(super) fn run(mut self, due: Vec<usize>) -> Decision {
        let mut queue = VecDeque::from(due);
        while let Some(index) = queue.pop_front() {
            let Some(rule) = self.rules.rules.get(index) else { continue };
            if self.visited.contains(&index) {
                continue;
            }
            self.visited.push(index);
            match self.skip(rule) {
                Some(reason) => self.decision.runs.push(blank(rule, RunOutcome::Skipped { reason })),
                None => {
                    let next = self.rule(rule);
                    next.into_iter().rev().for_each(|index| queue.push_front(index));
                }
            }
        }
        self.drop_overridden();
        self.decision
    }

    /// Semantics 2, 4 and 5, and the channels of the header.
    fn skip(&self, rule: &CompiledRule) -> Option<SkipReason> {
        let header = rule.script.header();
        let chain = &self.event.cause.chain;
        let channel = &self.facts.channel;
        if chain.len() > CAUSE_DEPTH_MAX {
            Some(SkipReason::ChainTooDeep)
        } else if chain.iter().any(|step| step.rule == rule.id) {
            Some(SkipReason::AlreadyInChain)
        } else if !chain.is_empty() && !header.chain {
            Some(SkipReason::CausedByRule)
        } else if !header.takes_channel(&channel.kind, channel.id) {
            Some(SkipReason::Channel)
        } else if self.stopped {
            Some(SkipReason::Stopped)
        } else if self.reply_taken && header.stage == Stage::Reply {
            Some(SkipReason::ReplyTaken)
        } else if self.is_filtered(header) {
            Some(SkipReason::Filter)
        } else if vet::is_parked(rule.id, self.facts) {
            Some(SkipReason::Quota)
        } else {
            None
        }
    }

    /// A tick was meant for this conversation; it may have changed since.
    fn is_filtered(&self, header: &Header) -> bool {
        let is_tick = matches!(self.event.body, EventBody::ScheduleTick { .. });
        is_tick && header.schedule.as_ref().is_some_and(|schedule| !schedule.filter.takes(self.facts))
    }

    /// Runs one rule; answers with the rules that it wants to run next.
    fn rule(&mut self, rule: &CompiledRule) -> Vec<usize> {
        let (snapshot, scope) = self.stage.get_or_insert_with(|| {
            let snapshot = Snapshot::new(self.event, self.facts);
            let scope = sandbox::scope(&snapshot);
            (snapshot, scope)
        });
        let ran = run::execute(rule.script.ast(), scope, snapshot, self.stopwatch);
        let outcome = match ran.failure {
            Some(problem) => RunOutcome::Failed { problem },
            None if ran.intents.is_empty() => RunOutcome::NotMatched,
            None => RunOutcome::Matched,
        };
        let mut trace =
            RuleRun { intents: ran.intents, ops: ran.operations, micros: ran.micros, ..blank(rule, outcome) };
        let mut next = Vec::new();
        // Semantics 9: what a failed rule asked for is dropped.
        if trace.outcome == RunOutcome::Matched {
            let accepted = self.accept(rule, &mut trace, &mut next);
            self.reply_taken |= accepted && rule.script.header().stage == Stage::Reply;
        }
        self.decision.runs.push(trace);
        next
    }

    /// Plans what can be and refuses the rest. Was anything accepted?
    fn accept(&mut self, rule: &CompiledRule, trace: &mut RuleRun, next: &mut Vec<usize>) -> bool {
        let mut accepted = false;
        self.vetting.next_rule();
        for (ordinal, (line, intent)) in trace.intents.iter().enumerate() {
            let verdict = match intent {
                Intent::RunRule { name } => self.follow(name, next),
                other => self.vetting.vet(other),
            };
            if let Err(refused) = verdict {
                let (code, reason) = (refused.code.to_owned(), refused.reason);
                trace.refusals.push(Refusal { intent: intent.clone(), line: *line, code, reason });
                continue;
            }
            accepted = true;
            match intent {
                Intent::StopRules => self.stopped = true,
                Intent::RunRule { .. } => {}
                other => self.decision.planned.push(Planned {
                    rule: rule.id,
                    version: rule.version,
                    ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
                    line: *line,
                    intent: other.clone(),
                }),
            }
        }
        accepted
    }

    fn follow(&self, name: &str, next: &mut Vec<usize>) -> Result<(), vet::Refused> {
        let Some(index) = self.rules.find(name) else {
            return Err(vet::Refused::new("unknown_rule", format!("no enabled rule is called `{name}`")));
        };
        if self.visited.contains(&index) || next.contains(&index) {
            let reason = format!("`{name}` already had its turn on this event");
            return Err(vet::Refused::new("already_ran", reason));
        }
        next.push(index);
        Ok(())
    }

    /// Semantics 2: the last write wins, and the trace of the loser says so.
    fn drop_overridden(&mut self) {
        let planned = std::mem::take(&mut self.decision.planned);
        for (index, earlier) in planned.iter().enumerate() {
            let later =
                planned.iter().skip(index + 1).rev().find(|l| conflict::replaces(&l.intent, &earlier.intent));
            let Some(later) = later else {
                self.decision.planned.push(earlier.clone());
                continue;
            };
            if let Some(run) = self.decision.runs.iter_mut().find(|r| r.rule == earlier.rule) {
                run.overridden.push(Overridden {
                    intent: earlier.intent.clone(),
                    line: earlier.line,
                    by: later.rule,
                    by_line: later.line,
                });
            }
        }
    }
}

fn blank(rule: &CompiledRule, outcome: RunOutcome) -> RuleRun {
    RuleRun {
        rule: rule.id,
        version: rule.version,
        name: rule.script.header().name.clone(),
        outcome,
        intents: Vec::new(),
        refusals: Vec::new(),
        overridden: Vec::new(),
        ops: 0,
        micros: 0,
    }
}
