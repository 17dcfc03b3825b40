//! Rules that run by the clock. A tick becomes an entry in the lane of every
//! conversation that its filter takes, page by page; how far it came is written
//! with each page, so that a crash goes on where it was and nobody gets it twice.

use std::sync::Arc;

use pointsman_rules::decide::CompiledRule;
use pointsman_rules::event::Actor;
use pointsman_rules::ids::{InboxId, TenantId};
use pointsman_rules::schedule::Schedule;

use super::case::to_json;
use super::command::{Command, Order};
use super::jobs::{Outcome, Round};
use super::turn::Entry;
use super::{Flow, FlowError};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::rule_ticks::{self, Place, Ticks};
use crate::store::{Durability, StoreError};

/// A tick that comes later than this, because nobody was here, is skipped; milliseconds: one hour. Of several that are
/// not so late, only the last one runs.
const LATE_MS_MAX: i64 = 3_600_000;
/// Conversations that get a tick in one transaction.
const PLACES_PER_STEP: u32 = 200;

/// Gives out the ticks that are due.
///
/// # Errors
/// The store's; what was not given out yet is by the next round.
pub async fn run(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let view = flow.catalog.view(flow, tenant).await?;
    let known = rule_ticks::list(&mut flow.db.read().await?, tenant).await?;
    let runs =
        |it: &Ticks| view.rules.rules().iter().any(|rule| rule.id == it.rule && schedule(rule).is_some());
    // Whatever comes back later begins anew: what was due meanwhile was not missed.
    for gone in known.iter().filter(|it| !runs(it)) {
        let rule = gone.rule;
        let forgotten =
            flow.db.write(Durability::Soft, move |tx| Box::pin(rule_ticks::forget(tx, tenant, rule)));
        forgotten.await?;
    }
    for rule in view.rules.rules() {
        let Some(schedule) = schedule(rule) else { continue };
        let ticks = known.iter().find(|it| it.rule == rule.id).cloned();
        if !one(round, rule, schedule, ticks).await? {
            return Ok(Outcome::Snoozed);
        }
    }
    Ok(Outcome::Done)
}

fn schedule(rule: &CompiledRule) -> Option<&Schedule> {
    rule.script.header().schedule.as_ref()
}

/// Answers whether there was time to come to an end.
async fn one(
    round: &Round,
    rule: &CompiledRule,
    schedule: &Schedule,
    known: Option<Ticks>,
) -> Result<bool, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let now_ms = flow.clock.now_ms();
    let cron = format!("{} {}", schedule.cron, schedule.zone);
    let Some(mut ticks) = known.filter(|it| it.cron == cron) else {
        let (rule, after_ms) = (rule.id, now_ms);
        let new = Ticks { rule, cron, after_ms, due_ms: None, cursor: None, ran_ms: None, skipped_ms: None };
        give(flow, tenant, &new, &[], now_ms).await?;
        return Ok(true);
    };
    if ticks.due_ms.is_none() {
        let Some(due) = due(schedule, ticks.after_ms, now_ms) else { return Ok(true) };
        if let Some(skipped_ms) = due.skipped_ms {
            tracing::warn!(rule = %rule.id, %tenant, skipped_ms, "ticks of a rule came too late and are skipped");
            ticks.skipped_ms = Some(skipped_ms);
        }
        ticks.due_ms = due.run_ms;
        if due.run_ms.is_none() {
            ticks.after_ms = now_ms;
            give(flow, tenant, &ticks, &[], now_ms).await?;
        }
    }
    while let Some(due_ms) = ticks.due_ms {
        if round.stop.is_cancelled() {
            return Ok(false);
        }
        let view = flow.catalog.view(flow, tenant).await?;
        let of = (&schedule.filter, &*view.directory);
        let tx = &mut flow.db.read().await?;
        let places = rule_ticks::places(tx, tenant, of, now_ms, ticks.cursor, PLACES_PER_STEP).await?;
        if places.len() < PLACES_PER_STEP as usize {
            ticks = Ticks { after_ms: due_ms, due_ms: None, cursor: None, ran_ms: Some(due_ms), ..ticks };
        } else {
            ticks.cursor = places.last().map(|it| it.conversation);
        }
        let entries: Vec<NewEntry> =
            places.iter().map(|place| entry(flow, tenant, &ticks, due_ms, *place)).collect();
        give(flow, tenant, &ticks, &entries, now_ms).await?;
    }
    Ok(true)
}

/// What is due of a schedule.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    /// The tick to give out.
    run_ms: Option<i64>,
    /// The first of those that came too late.
    skipped_ms: Option<i64>,
}

/// What came after `after_ms`, up to now.
fn due(schedule: &Schedule, after_ms: i64, now_ms: i64) -> Option<Due> {
    let first_ms = schedule.next_after(after_ms).filter(|ms| *ms <= now_ms)?;
    let early_ms = now_ms - LATE_MS_MAX;
    let mut run_ms = None;
    let mut from_ms = after_ms.max(early_ms - 1);
    while let Some(ms) = schedule.next_after(from_ms).filter(|ms| *ms <= now_ms) {
        (run_ms, from_ms) = (Some(ms), ms);
    }
    Some(Due { run_ms, skipped_ms: Some(first_ms).filter(|ms| *ms < early_ms) })
}

fn entry(flow: &Flow, tenant: TenantId, ticks: &Ticks, due_ms: i64, place: Place) -> NewEntry {
    let (now_ms, rule) = (flow.clock.now_ms(), ticks.rule);
    let command = Command::Tick { rule };
    let order = Order { conversation: Some(place.conversation), actor: Actor::System, command };
    NewEntry {
        tenant,
        lane: place.lane,
        id: InboxId::new(now_ms, flow.clock.random()),
        channel: place.channel,
        raw: None,
        // The same in every process and after every crash.
        dedupe_key: format!("tick:{rule}:{due_ms}:{}", place.conversation),
        body: to_json(&Entry::Order(order)),
        received_ms: now_ms,
    }
}

async fn give(
    flow: &Flow,
    tenant: TenantId,
    ticks: &Ticks,
    entries: &[NewEntry],
    now_ms: i64,
) -> Result<(), StoreError> {
    let inputs = Arc::new((ticks.clone(), entries.to_vec()));
    flow.db
        .write(Durability::Hard, move |tx| {
            let inputs = inputs.clone();
            Box::pin(async move {
                let (ticks, entries) = &*inputs;
                intake::enqueue(tx, entries, now_ms).await?;
                rule_ticks::put(tx, tenant, ticks).await
            })
        })
        .await?;
    if !entries.is_empty() {
        flow.bus.ring(Task::Turn);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pointsman_rules::schedule::Filter;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    fn at(cron: &str, after_ms: i64, now_ms: i64) -> Option<Due> {
        let schedule = Schedule { cron: cron.into(), zone: "UTC".into(), filter: Filter::default() };
        due(&schedule, after_ms, now_ms)
    }

    #[test]
    fn late_ticks_run_once_and_later_ones_not_at_all() {
        let nine = 9 * HOUR_MS;
        let run = |ms| Some(Due { run_ms: Some(ms), skipped_ms: None });
        assert_eq!(at("0 9 * * *", nine - 5, nine - 1), None);
        assert_eq!(at("0 9 * * *", nine - 5, nine), run(nine));
        assert_eq!(at("0 9 * * *", nine, nine + HOUR_MS), None, "once");
        assert_eq!(at("0 9 * * *", 0, nine + HOUR_MS), run(nine), "an hour late");
        let skipped = |run_ms, ms| Some(Due { run_ms, skipped_ms: Some(ms) });
        assert_eq!(at("0 9 * * *", 0, nine + HOUR_MS + 1), skipped(None, nine));
        let quarters = "*/15 * * * *";
        assert_eq!(at(quarters, nine, nine + HOUR_MS - 1), run(nine + HOUR_MS * 3 / 4), "three at once");
        let down = at(quarters, nine, nine + DAY_MS + 1);
        assert_eq!(down, skipped(Some(nine + DAY_MS), nine + HOUR_MS / 4));
    }
}
