//! outbox → endpoint. One delivery of a lane at a time, signed afresh at every
//! call, with the same id however often it is sent. What fails is tried again
//! for three days; an endpoint that fails for longer is switched off.

use std::sync::Arc;

use pointsman_rules::ids::TenantId;

use super::{Call, CallLabels, call, switch_off};
use crate::flow::{Flow, FlowError};
use crate::store::lanes::{self, Claim, Finish, Task};
use crate::store::webhook_deliveries::{self, Due, Fate};
use crate::store::webhooks::{self, Webhook};
use crate::store::{Durability, StoreError, Tx};

/// Pauses after failures, milliseconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, as the Standard Webhooks
/// specification proposes; then the delivery failed.
const PAUSES_MS: [i64; 9] = [
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A pause is longer by up to this share of it, percent, so that many who failed together do not come back together.
const JITTER_PERCENT: i64 = 10;
/// The longest pause that an endpoint may ask for, milliseconds.
const RETRY_AFTER_MS_MAX: i64 = 24 * HOUR_MS;
/// An endpoint that has only failed for so long is switched off, milliseconds: 5 days.
const FAILING_MS_MAX: i64 = 5 * 24 * HOUR_MS;
/// When an endpoint has all the calls it may have, its other lanes wait for so long, milliseconds.
const BUSY_PAUSE_MS: i64 = 1_000;
const GONE: i64 = 410;

/// Tells the endpoint of a claimed lane what is next, and gives the lane back.
///
/// # Errors
/// The store's, or the endpoint's secrets cannot be opened; the lane is taken up again.
pub async fn run(flow: &Flow, claim: Claim) -> Result<(), FlowError> {
    let Some((due, webhook)) = next(flow, &claim).await? else {
        return rest(flow, claim).await;
    };
    let now_ms = flow.clock.now_ms();
    if due.next_ms > now_ms {
        return give_back(flow, claim, due.next_ms).await;
    }
    let Some(place) = flow.calls.place(webhook.id) else {
        return give_back(flow, claim, now_ms + BUSY_PAUSE_MS).await;
    };
    let called = call(flow, &webhook, (&due.message_id, due.payload.clone()), due.attempts + 1).await?;
    drop(place);
    let fate = fate(&called, due.tries, flow.clock.now_ms(), flow.clock.random());
    let outcome = match &fate {
        Fate::Delivered => "delivered",
        Fate::Again(_) => "again",
        Fate::Failed => "failed",
    };
    flow.calls.ended.get_or_create(&CallLabels { outcome }).inc();
    let (status, number) = (called.attempt.status, called.attempt.number);
    tracing::debug!(webhook = %webhook.id, delivery = %due.id, outcome, status, number, "called a webhook");
    record(flow, claim, due, webhook, called, fate).await
}

async fn next(flow: &Flow, claim: &Claim) -> Result<Option<(Due, Webhook)>, FlowError> {
    let tx = &mut flow.db.read().await?;
    let Some(due) = webhook_deliveries::next(tx, claim.tenant, claim.lane).await? else { return Ok(None) };
    let webhook = webhooks::get(tx, claim.tenant, due.webhook).await?;
    Ok(webhook.map(|webhook| (due, webhook)))
}

/// What becomes of a delivery that was tried `tries` times before this call.
fn fate(called: &Call, tries: i64, now_ms: i64, random: u128) -> Fate {
    if called.is_delivered() {
        return Fate::Delivered;
    }
    let pause_ms = usize::try_from(tries).ok().and_then(|index| PAUSES_MS.get(index).copied());
    let Some(pause_ms) = pause_ms.filter(|_| called.attempt.status != Some(GONE)) else {
        return Fate::Failed;
    };
    let jitter_ms = i64::try_from(random % 1_000).unwrap_or(0) * (pause_ms * JITTER_PERCENT / 100) / 1_000;
    let asked_ms =
        called.retry_after_s.map_or(0, |s| i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000));
    Fate::Again(now_ms + (pause_ms + jitter_ms).max(asked_ms.min(RETRY_AFTER_MS_MAX)))
}

/// Records a call and gives the lane back, all in one transaction. Soft: what a power cut forgets is sent again under
/// the same id.
async fn record(
    flow: &Flow,
    claim: Claim,
    due: Due,
    webhook: Webhook,
    called: Call,
    fate: Fate,
) -> Result<(), FlowError> {
    let (inside, inputs) = (flow.clone(), Arc::new((due, webhook, called, fate)));
    let (tenant, webhook) = (claim.tenant, inputs.1.id);
    let recorded = flow.db.write(Durability::Soft, move |tx| {
        let (flow, inputs) = (inside.clone(), inputs.clone());
        Box::pin(async move {
            let (due, webhook, called, fate) = &*inputs;
            let now_ms = flow.clock.now_ms();
            let held = lanes::hold(tx, Task::Webhook, &[claim], (now_ms, flow.settings.lease_ms)).await?;
            if held.is_empty() {
                return Ok(Recorded::Lost); // whoever has the lane now sends it again
            }
            webhook_deliveries::record(tx, tenant, due.id, &called.attempt, fate).await?;
            let is_off = note(tx, &flow, (tenant, webhook), called).await?;
            let more = match fate {
                Fate::Again(next_ms) if !is_off => {
                    lanes::give_back(tx, Task::Webhook, &claim, *next_ms).await?;
                    false
                }
                _ => finish(tx, claim, due.seq, now_ms).await?,
            };
            Ok(if is_off { Recorded::Off } else { Recorded::Kept { more } })
        })
    });
    match recorded.await? {
        Recorded::Kept { more: true } => flow.bus.ring(Task::Webhook),
        Recorded::Kept { more: false } => {}
        Recorded::Off => {
            tracing::warn!(%webhook, "a webhook was switched off");
            flow.forget(tenant, None);
        }
        Recorded::Lost => {
            tracing::warn!(lane = %claim.lane, "a webhook lease ran out; another worker goes on")
        }
    }
    Ok(())
}

enum Recorded {
    Kept { more: bool },
    Off,
    Lost,
}

/// Keeps how the endpoint is doing; answers whether it was switched off for it.
async fn note(
    tx: &mut Tx,
    flow: &Flow,
    (tenant, webhook): (TenantId, &Webhook),
    called: &Call,
) -> Result<bool, StoreError> {
    if called.is_delivered() {
        // Looked at before the call: mostly there is nothing to write.
        if webhook.failing_since_ms.is_some() {
            webhooks::note_success(tx, tenant, webhook.id).await?;
        }
        return Ok(false);
    }
    let now_ms = flow.clock.now_ms();
    let since_ms = webhooks::note_failure(tx, tenant, webhook.id, now_ms).await?.unwrap_or(now_ms);
    let reason = if called.attempt.status == Some(GONE) {
        "It answered 410 Gone."
    } else if now_ms - since_ms >= FAILING_MS_MAX {
        "Every call has failed for 5 days."
    } else {
        return Ok(false);
    };
    switch_off(tx, &flow.clock, (tenant, webhook), reason).await?;
    Ok(true)
}

async fn finish(tx: &mut Tx, claim: Claim, done: i64, now_ms: i64) -> Result<bool, StoreError> {
    let end = Finish { claim, done, conversation: claim.conversation };
    let ended = lanes::finish(tx, Task::Webhook, now_ms, &[end]).await?;
    Ok(ended.iter().any(|(_, is_ready)| *is_ready))
}

/// Nothing waits in the lane, or nobody is there any more to be told.
async fn rest(flow: &Flow, claim: Claim) -> Result<(), FlowError> {
    let inside = flow.clone();
    let more = flow.db.write(Durability::Soft, move |tx| {
        let flow = inside.clone();
        Box::pin(async move {
            let now_ms = flow.clock.now_ms();
            let held = lanes::hold(tx, Task::Webhook, &[claim], (now_ms, flow.settings.lease_ms)).await?;
            let Some(gen_now) = held.get(&(claim.lane, claim.token)) else { return Ok(false) };
            while let Some(due) = webhook_deliveries::next(tx, claim.tenant, claim.lane).await? {
                if webhooks::get(tx, claim.tenant, due.webhook).await?.is_some() {
                    return finish(tx, claim, claim.done, now_ms).await;
                }
                let reason = "the webhook was removed";
                webhook_deliveries::give_up(tx, claim.tenant, due.webhook, reason, now_ms).await?;
            }
            finish(tx, claim, *gen_now, now_ms).await
        })
    });
    if more.await? {
        flow.bus.ring(Task::Webhook);
    }
    Ok(())
}

async fn give_back(flow: &Flow, claim: Claim, ready_ms: i64) -> Result<(), FlowError> {
    let given = flow.db.write(Durability::Soft, move |tx| {
        Box::pin(async move { lanes::give_back(tx, Task::Webhook, &claim, ready_ms).await })
    });
    Ok(given.await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::webhook_deliveries::Attempt;

    fn called(status: i64, retry_after_s: Option<u64>) -> Call {
        let (answer, problem) = (None, Some("no".to_owned()));
        let attempt = Attempt { number: 1, at_ms: 0, took_ms: 1, status: Some(status), answer, problem };
        Call { attempt, retry_after_s }
    }

    #[test]
    fn pauses_follow_the_schedule_with_jitter_and_then_it_failed() {
        for (tries, pause_ms) in (0..).zip(PAUSES_MS) {
            for random in [0, 500, 999, u128::MAX] {
                let Fate::Again(next_ms) = fate(&called(500, None), tries, 1_000, random) else {
                    panic!("{tries}")
                };
                let most_ms = pause_ms + pause_ms * JITTER_PERCENT / 100;
                assert!((pause_ms..=most_ms).contains(&(next_ms - 1_000)), "{tries}: {next_ms}");
            }
        }
        let last = i64::try_from(PAUSES_MS.len()).unwrap();
        assert_eq!(fate(&called(500, None), last, 0, 0), Fate::Failed);
    }

    #[test]
    fn an_endpoint_has_its_say() {
        assert_eq!(fate(&called(204, None), 5, 0, 0), Fate::Delivered);
        assert_eq!(fate(&called(302, None), 0, 0, 0), Fate::Again(5_000), "redirects are not followed");
        assert_eq!(fate(&called(410, None), 0, 0, 0), Fate::Failed, "gone is gone");
        assert_eq!(fate(&called(429, Some(60)), 0, 0, 0), Fate::Again(60_000));
        assert_eq!(
            fate(&called(429, Some(1)), 0, 0, 0),
            Fate::Again(5_000),
            "sooner than the schedule it is not"
        );
        assert_eq!(fate(&called(503, Some(u64::MAX)), 0, 0, 0), Fate::Again(RETRY_AFTER_MS_MAX));
    }
}
