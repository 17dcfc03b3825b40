//! What is kept for a while only, and deleted when its time is over: in small
//! steps, so that nobody waits long for the database's writer.

use std::time::Duration;

use futures_util::future::BoxFuture;
use pointsman_rules::ids::TenantId;

use super::FlowError;
use super::jobs::{Outcome, Round};
use crate::store::{Durability, StoreError, Tx, idempotency};

/// An answer to a request with an idempotency key is kept this long, milliseconds: what the API promises, 24 hours.
pub const ANSWERS_MS: i64 = 24 * 3_600_000;
/// Rows deleted in one transaction.
const ROWS_PER_STEP: u32 = 250;
/// Pause between two steps, in which others write.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// Steps in one run; what is left then waits until the other jobs that are due had their turn.
const STEPS_MAX: usize = 500;

/// Deletes up to so many rows of a tenant that are older than a moment; answers how many it found.
type Delete = for<'t> fn(&'t mut Tx, TenantId, i64, u32) -> BoxFuture<'t, Result<u64, StoreError>>;

/// Answers to requests with an idempotency key.
pub fn answers(round: &Round) -> BoxFuture<'_, Result<Outcome, FlowError>> {
    older_than(round, ANSWERS_MS, |tx, tenant, before_ms, rows_max| {
        Box::pin(idempotency::delete_before(tx, tenant, before_ms, rows_max))
    })
}

fn older_than(round: &Round, kept_ms: i64, delete: Delete) -> BoxFuture<'_, Result<Outcome, FlowError>> {
    Box::pin(async move {
        let (tenant, before_ms) = (round.tenant, round.flow.clock.now_ms() - kept_ms);
        for _ in 0..STEPS_MAX {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            // Soft: what a power cut brings back is deleted again.
            let step =
                round.flow.db.write(Durability::Soft, move |tx| delete(tx, tenant, before_ms, ROWS_PER_STEP));
            if step.await? < u64::from(ROWS_PER_STEP) {
                return Ok(Outcome::Done);
            }
            tokio::time::sleep(STEP_PAUSE).await;
        }
        Ok(Outcome::Snoozed)
    })
}
