//! What is kept for a while only, and deleted when its time is over: in small
//! steps, so that nobody waits long for the database's writer.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::FlowError;
use super::jobs::{Outcome, Round};
use crate::config::Retention;
use crate::store::Durability;
use crate::store::aging::{self, Aged};

/// An answer to a request with an idempotency key is kept this long, milliseconds: what the API promises, 24 hours.
pub const ANSWERS_MS: i64 = 24 * 3_600_000;
/// Where such an answer is sealed; `key` as it is kept.
pub fn answer_place(key: &str) -> String {
    format!("idempotency:{key}")
}

/// One day, milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// Rows deleted in one transaction.
const ROWS_PER_STEP: u32 = 250;
/// Pause between two steps, in which others write.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// Steps in one run; what is left then waits until the other jobs that are due had their turn.
const STEPS_MAX: usize = 500;

/// Deletes what is too old of one kind, step by step.
pub fn delete(round: &Round, aged: Aged) -> BoxFuture<'_, Result<Outcome, FlowError>> {
    Box::pin(async move {
        let view = round.flow.catalog.view(&round.flow, round.tenant).await?;
        let kept_ms = kept_ms(aged, &view.settings.retention.over(&round.flow.settings.retention));
        let (tenant, before_ms) = (round.tenant, round.flow.clock.now_ms() - kept_ms);
        for _ in 0..STEPS_MAX {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            // Soft: what a power cut brings back is deleted again.
            let step = round.flow.db.write(Durability::Soft, move |tx| {
                Box::pin(aging::delete(tx, aged, tenant, before_ms, ROWS_PER_STEP))
            });
            if step.await? < u64::from(ROWS_PER_STEP) {
                return Ok(Outcome::Done);
            }
            tokio::time::sleep(STEP_PAUSE).await;
        }
        Ok(Outcome::Snoozed)
    })
}

/// How long rows of a kind are kept, milliseconds.
fn kept_ms(aged: Aged, settings: &Retention) -> i64 {
    match aged {
        Aged::Webhooks => settings.webhooks_days * DAY_MS,
        Aged::Quarantined => settings.quarantine_days * DAY_MS,
        Aged::Entries => settings.redelivery_days * DAY_MS,
        Aged::Runs | Aged::Findings => settings.rule_runs_days * DAY_MS,
        Aged::Deliveries | Aged::Calls => settings.deliveries_days * DAY_MS,
        Aged::Answers => ANSWERS_MS,
        Aged::Sessions | Aged::SigninLinks => 0, // their age counts from their end
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{ChannelId, RawWebhookId, TenantId};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::Clock;
    use crate::flow::testing;
    use crate::store::intake::{self, RawWebhook};
    use crate::store::testing::each_db;

    const NOW_MS: i64 = 1_763_712_000_000;
    const WEBHOOKS: i64 = 2 * ROWS_PER_STEP as i64;

    fn webhook(n: i64, outcome: &'static str) -> RawWebhook {
        let received_ms = NOW_MS + n;
        RawWebhook {
            tenant: TenantId::new(1, 1),
            id: RawWebhookId::new(received_ms, 1),
            channel: ChannelId::new(1, 1),
            received_ms,
            request: "{}".into(),
            outcome,
            problem: None,
        }
    }

    #[test]
    fn webhooks_go_when_their_time_is_over_and_quarantined_ones_later() {
        each_db(|db| async move {
            let mut kept: Vec<_> = (1..=WEBHOOKS).map(|n| webhook(n, "stored")).collect();
            kept.push(webhook(0, "quarantined"));
            let written = db.write(Durability::Hard, move |tx| {
                let kept = kept.clone();
                Box::pin(async move { intake::insert_raw(tx, kept.iter()).await })
            });
            written.await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db, Clock::fixed(NOW_MS), folder.path());
            let settings = flow.settings.retention;
            let (tenant, stop) = (TenantId::new(1, 1), CancellationToken::new());
            let round = Round { flow: flow.clone(), tenant, stop: stop.clone() };
            let left = async || {
                let filter = crate::store::raw_webhooks::Filter::default();
                let tx = &mut flow.db.read().await.unwrap();
                crate::store::raw_webhooks::list(tx, tenant, &filter, 10_000).await.unwrap().len()
            };
            flow.clock.advance(settings.webhooks_days * DAY_MS);
            assert_eq!(delete(&round, Aged::Webhooks).await.unwrap(), Outcome::Done);
            assert_eq!(left().await, 1 + usize::try_from(WEBHOOKS).unwrap(), "not a millisecond early");
            flow.clock.advance(WEBHOOKS + 1);
            assert_eq!(delete(&round, Aged::Webhooks).await.unwrap(), Outcome::Done);
            assert_eq!(delete(&round, Aged::Quarantined).await.unwrap(), Outcome::Done);
            assert_eq!(left().await, 1, "what could not be read waits for its plugin to be mended");
            flow.clock.advance((settings.quarantine_days - settings.webhooks_days) * DAY_MS);
            stop.cancel();
            assert_eq!(delete(&round, Aged::Quarantined).await.unwrap(), Outcome::Snoozed);
            assert_eq!(left().await, 1, "a process that goes down leaves it to others");
            let round = Round { stop: CancellationToken::new(), ..round };
            assert_eq!(delete(&round, Aged::Quarantined).await.unwrap(), Outcome::Done);
            assert_eq!(left().await, 0);
        });
    }
}
