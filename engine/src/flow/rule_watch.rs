//! Watches over running rules: counts what becomes of them, in memory as
//! [`super::tally`] does, and takes one that keeps failing out of service, in the
//! turn's own transaction. Never stops a turn: the other rules go on.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::decide::{RuleRun, RunOutcome, SkipReason};
use pointsman_rules::event::Event;
use pointsman_rules::ids::{ConversationId, RuleId, TenantId};
use pointsman_rules::quota::MINUTES_MAX;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::case::{Notice, NoticeTo};
use super::catalog::TenantView;
use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::store::rule_counts::{self, Count};
use crate::store::rule_health::{self, Failure};
use crate::store::{Durability, StoreError, Tx};

/// A rule that fails on so many events in a row is parked (semantics 9).
pub const FAILURES_MAX: i64 = 5;
/// Counts are kept so many days: a year and a month to compare it with.
pub const COUNT_DAYS_MAX: i64 = 400;
/// What `rule_counts` begins run times with.
pub const MICROS: &str = "micros:";
/// Run times are counted within an eighth of their size.
const MICROS_BITS: u32 = 3;
const DAY_MS: i64 = 24 * 3_600_000;
/// Rows deleted in one transaction.
const ROWS_PER_STEP: u32 = 250;

/// What became of one rule on one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Which rule.
    pub rule: RuleId,
    name: String,
    failure: Option<Failure>,
    /// The version, if it ran and did not fail.
    passed: Option<pointsman_rules::ids::RuleVersionId>,
    what: &'static str,
    micros: Option<u64>,
    conversation: ConversationId,
    at_ms: i64,
}

impl Ran {
    /// What became of `run` on `event`.
    pub fn new(run: &RuleRun, event: &Event, conversation: ConversationId) -> Self {
        let at_ms = event.at_ms;
        let failure = match &run.outcome {
            RunOutcome::Failed { problem } => {
                let (version, event, problem) = (run.version, event.id, problem.to_string());
                Some(Failure { version, event, problem, at_ms })
            }
            _ => None,
        };
        let has_run = !matches!(run.outcome, RunOutcome::Skipped { .. });
        Self {
            rule: run.rule,
            name: run.name.clone(),
            passed: (has_run && failure.is_none()).then_some(run.version),
            failure,
            what: word(&run.outcome),
            micros: has_run.then_some(run.micros),
            conversation,
            at_ms,
        }
    }
}

/// As `rule_counts` names it.
fn word(outcome: &RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Matched => "fired",
        RunOutcome::NotMatched => "passed",
        RunOutcome::Failed { .. } => "failed",
        RunOutcome::Skipped { reason } => match reason {
            SkipReason::Channel => "skipped:channel",
            SkipReason::Filter => "skipped:filter",
            SkipReason::ReplyTaken => "skipped:reply_taken",
            SkipReason::Stopped => "skipped:stopped",
            SkipReason::CausedByRule => "skipped:caused_by_rule",
            SkipReason::AlreadyInChain => "skipped:already_in_chain",
            SkipReason::ChainTooDeep => "skipped:chain_too_deep",
            SkipReason::Quota => "skipped:quota",
        },
    }
}

/// The smallest bound that is counted and not below `micros`.
fn bound(micros: u64) -> u64 {
    let coarse = (u64::BITS - micros.leading_zeros()).saturating_sub(MICROS_BITS);
    ((micros >> coarse) << coarse) | ((1 << coarse) - 1)
}

/// What is being counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Became(&'static str),
    Micros(u64),
}

type Counts = BTreeMap<(TenantId, RuleId, i64, What), (i64, i64)>;

/// What this process knows of its rules and has not written yet; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    counts: Arc<Mutex<Counts>>,
    /// Rules whose last run here failed: the next one that does not fail must say so.
    ailing: Arc<Mutex<HashSet<(TenantId, RuleId)>>>,
    /// What became of rules since the start of this process.
    pub ended: Family<WhatLabels, Counter>,
}

/// What a counter of [`Watch`] counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WhatLabels {
    /// `fired`, `passed`, `failed`, `skipped:quota`…
    pub outcome: &'static str,
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Counts what a turn that was written made of its rules.
    pub fn count(&self, tenant: TenantId, ran: &[Ran]) {
        if ran.is_empty() {
            return;
        }
        let (mut counts, mut ailing) = (lock(&self.counts), lock(&self.ailing));
        for it in ran {
            if it.failure.is_some() {
                ailing.insert((tenant, it.rule));
            } else if it.passed.is_some() {
                ailing.remove(&(tenant, it.rule));
            }
            self.ended.get_or_create(&WhatLabels { outcome: it.what }).inc();
            let day = it.at_ms.div_euclid(DAY_MS);
            let whats = [Some(What::Became(it.what)), it.micros.map(|micros| What::Micros(bound(micros)))];
            for what in whats.into_iter().flatten() {
                let (count, last_ms) = counts.entry((tenant, it.rule, day, what)).or_insert((0, it.at_ms));
                *count += 1;
                *last_ms = (*last_ms).max(it.at_ms);
            }
        }
    }

    fn put_back(&self, taken: Counts) {
        let mut now = lock(&self.counts);
        for (key, (count, last_ms)) in taken {
            let later = now.entry(key).or_insert((0, last_ms));
            later.0 += count;
            later.1 = later.1.max(last_ms);
        }
    }

    fn is_ailing(&self, tenant: TenantId, rule: RuleId, view: &TenantView) -> bool {
        view.ailing.contains(&rule) || lock(&self.ailing).contains(&(tenant, rule))
    }
}

/// Writes what was counted since the last time.
///
/// # Errors
/// The store's; the counts are kept for the next time.
pub async fn flush(flow: &Flow) -> Result<(), FlowError> {
    let taken = std::mem::take(&mut *lock(&flow.watch.counts));
    if taken.is_empty() {
        return Ok(());
    }
    let row = |(key, (count, last_ms)): (&(TenantId, RuleId, i64, What), &(i64, i64))| {
        let (tenant, rule, day, what) = *key;
        let what = match what {
            What::Became(word) => word.to_owned(),
            What::Micros(bound) => format!("{MICROS}{bound}"),
        };
        (tenant, rule, Count { day, what, count: *count, last_ms: *last_ms })
    };
    let rows: Vec<_> = taken.iter().map(row).collect();
    let written = flow.db.write(Durability::Soft, move |tx| {
        let rows = rows.clone();
        Box::pin(async move { rule_counts::add(tx, &rows).await })
    });
    if let Err(error) = written.await {
        flow.watch.put_back(taken);
        return Err(error.into());
    }
    Ok(())
}

/// Forgets counts that are too old, and where rules were held back longer ago than any quota looks.
///
/// # Errors
/// The store's.
pub async fn sweep(round: &Round) -> Result<Outcome, FlowError> {
    let (tenant, now_ms) = (round.tenant, round.flow.clock.now_ms());
    let (day, held_ms) = (now_ms.div_euclid(DAY_MS) - COUNT_DAYS_MAX, now_ms - MINUTES_MAX * 60_000);
    let step = round.flow.db.write(Durability::Soft, move |tx| {
        Box::pin(async move {
            rule_health::forget_holds(tx, tenant, held_ms).await?;
            rule_counts::forget(tx, tenant, day, ROWS_PER_STEP).await
        })
    });
    let is_last = step.await? < u64::from(ROWS_PER_STEP);
    Ok(if is_last { Outcome::Done } else { Outcome::Snoozed })
}

/// What a batch of turns means for one rule.
#[derive(Default)]
struct Course<'r> {
    /// A run that did not fail, after which the failures below came.
    passed: Option<&'r Ran>,
    failures: Vec<&'r Ran>,
}

/// Counts failures in a row and parks rules, in the transaction of the turns. Costs no statement while nothing fails.
/// Answers whom to tell of parked rules. Rows are touched in the order of their keys, so that two batches cannot block
/// each other.
///
/// # Errors
/// The database's own.
pub async fn keep(
    tx: &mut Tx,
    watch: &Watch,
    turns: &[(TenantId, &TenantView, &[Ran])],
) -> Result<Vec<(TenantId, Notice)>, StoreError> {
    let mut courses: BTreeMap<(TenantId, RuleId), Course<'_>> = BTreeMap::new();
    for (tenant, view, ran) in turns {
        for it in *ran {
            let is_news = it.failure.is_some() || watch.is_ailing(*tenant, it.rule, view);
            let key = (*tenant, it.rule);
            if !is_news && !courses.contains_key(&key) {
                continue;
            }
            let course = courses.entry(key).or_default();
            if it.failure.is_some() {
                course.failures.push(it);
            } else if it.passed.is_some() {
                *course = Course { passed: Some(it), failures: Vec::new() };
            }
        }
    }
    let mut parked = Vec::new();
    for ((tenant, rule), course) in &courses {
        if let Some(version) = course.passed.and_then(|it| it.passed) {
            rule_health::recovered(tx, *tenant, *rule, version).await?;
        }
        for it in &course.failures {
            let Some(failure) = &it.failure else { continue };
            if rule_health::failed(tx, *tenant, *rule, failure, FAILURES_MAX).await? {
                parked.push((*tenant, notice(it)));
            }
        }
    }
    Ok(parked)
}

fn notice(it: &Ran) -> Notice {
    let name = &it.name;
    Notice {
        to: NoticeTo::Admins,
        kind: "rule",
        conversation: it.conversation,
        event: None,
        text: format!(
            "The rule `{name}` failed on {FAILURES_MAX} events in a row and is parked: it does not run until \
             somebody mends and publishes it, or resumes it as it is. The rule shows its last error."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_below_and_within_a_quarter() {
        for micros in (0..5_000).chain([49_999, 1 << 40]) {
            let bound = bound(micros);
            assert!(bound >= micros && bound - micros <= micros / 4, "{micros}: {bound}");
            assert_eq!(super::bound(bound), bound, "a bound is its own");
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_later() {
        let watch = Watch::default();
        let (tenant, rule) = (TenantId::new(1, 1), RuleId::new(1, 1));
        let ran = |at_ms| Ran {
            rule,
            name: "A".into(),
            failure: None,
            passed: None,
            what: "fired",
            micros: Some(9),
            conversation: ConversationId::new(1, 1),
            at_ms,
        };
        watch.count(tenant, &[ran(5), ran(9)]);
        let taken = std::mem::take(&mut *lock(&watch.counts));
        watch.count(tenant, &[ran(7)]);
        watch.put_back(taken);
        let counts = lock(&watch.counts).clone();
        let key = |what| (tenant, rule, 0, what);
        assert_eq!(counts[&key(What::Became("fired"))], (3, 9));
        assert_eq!(counts[&key(What::Micros(9))], (3, 9));
    }
}
