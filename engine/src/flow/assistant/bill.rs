//! What a call of an assistant may use and did use: held before it is made, in
//! the transaction that allows it, and counted after it. A call whose process
//! died stops to be held by itself. Must not ask anybody anything.

use std::sync::Arc;

use pointsman_rules::ids::{JobId, TenantId};

use super::ask::NotAsked;
use super::budget::{self, Caps};
use crate::flow::{Flow, FlowError};
use crate::store::assistant_calls::{self, Call};
use crate::store::assistant_usage::{self, Line, Place};
use crate::store::assistants::Limits;
use crate::store::{Durability, StoreError, Tx, tenants};

/// How long a call is held beyond the time that it may take, milliseconds: until its outcome is recorded.
const RECORD_MS_MAX: i64 = 30_000;

/// A call that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Which; the same when it is tried again.
    pub(super) id: JobId,
    /// What it is counted for.
    pub(super) place: Place,
    /// What must not be passed.
    pub(super) caps: Caps,
    /// Of the caps and prices, ISO 4217.
    pub(super) currency: String,
    /// Of the assistant.
    pub(super) limits: Limits,
    /// Tokens of what it is given to read.
    pub(super) read_tokens: usize,
    /// How long it may take, milliseconds.
    pub(super) time_ms: i64,
}

/// What a call that has ended is counted as.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// The call, if it is held.
    pub(super) held: Option<JobId>,
    /// What it used, where.
    pub(super) line: Line,
}

/// Holds what a call may use at most; `None`: nothing limits it.
///
/// # Errors
/// [`NotAsked::Spent`] when a cap might be passed; the store's.
pub(super) async fn hold(flow: &Flow, tenant: TenantId, wish: Wish) -> Result<Option<JobId>, NotAsked> {
    if wish.caps.are_absent() {
        return Ok(None);
    }
    let (id, now_ms, wish) = (wish.id, flow.clock.now_ms(), Arc::new(wish));
    let refused = flow.db.write(Durability::Soft, move |tx| {
        let wish = wish.clone();
        Box::pin(async move { begin(tx, tenant, &wish, now_ms).await })
    });
    match refused.await? {
        None => Ok(Some(id)),
        Some(reason) => Err(NotAsked::Spent(reason)),
    }
}

/// Notes that a call begins, or answers why it must not.
async fn begin(
    tx: &mut Tx,
    tenant: TenantId,
    wish: &Wish,
    now_ms: i64,
) -> Result<Option<String>, StoreError> {
    // One after the other: each sees the calls that were allowed before it.
    tenants::lock(tx, tenant).await?;
    let place = wish.place;
    let counted = assistant_usage::of_day(tx, tenant, place.day, &wish.currency).await?;
    let under_way = assistant_calls::under_way(tx, tenant, place.day, wish.id, now_ms).await?;
    let [so_far, ..] = budget::sums(place, &counted);
    let at_most = budget::at_most(&wish.limits, wish.read_tokens, so_far);
    let used = budget::sums(place, &[counted, under_way].concat());
    if let Some(reason) = wish.caps.refuse(&used, at_most) {
        return Ok(Some(reason));
    }
    let until_ms = now_ms.saturating_add(wish.time_ms).saturating_add(RECORD_MS_MAX);
    assistant_calls::begin(tx, tenant, &Call { id: wish.id, place, at_most, until_ms }, now_ms).await?;
    Ok(None)
}

/// Counts what a call used, and holds nothing for it any more.
///
/// # Errors
/// The database's own.
pub(super) async fn settle(tx: &mut Tx, tenant: TenantId, bill: &Bill) -> Result<(), StoreError> {
    assistant_usage::add(tx, tenant, &bill.line).await?;
    match bill.held {
        Some(id) => assistant_calls::end(tx, tenant, id).await,
        None => Ok(()),
    }
}

/// The same, by itself.
///
/// # Errors
/// The store's.
pub async fn pay(flow: &Flow, tenant: TenantId, bill: Bill) -> Result<(), FlowError> {
    let paid = flow.db.write(Durability::Soft, move |tx| {
        let bill = bill.clone();
        Box::pin(async move { settle(tx, tenant, &bill).await })
    });
    Ok(paid.await?)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use pointsman_rules::ids::{AssistantId, ChannelId};

    use super::*;
    use crate::clock::Clock;
    use crate::flow::assistant::budget::Cap;
    use crate::flow::testing;
    use crate::store::assistant_usage::Used;
    use crate::store::channel_assistants::Consent;
    use crate::store::tenants::Tenant;
    use crate::store::testing::each_db;

    /// Each call of these tests may use so many tokens: 1,000 of the plugin, 100 to read, 500 to write.
    const ONE: i64 = 1_600;
    const TENANT: fn() -> TenantId = || TenantId::new(1, 1);

    fn wish(id: u128, tokens_per_day_max: Option<i64>) -> Wish {
        let place = Place { day: 0, channel: ChannelId::new(1, 1), assistant: AssistantId::new(1, 1) };
        let limits = Limits { tokens_per_day_max, ..Limits::default() };
        let consent = Consent {
            channel: place.channel,
            assistant: place.assistant,
            replies: true,
            insights_at_end: false,
            instructions: String::new(),
            tokens_per_day_max: None,
            cost_micros_per_day_max: None,
            version: 1,
            created_ms: 1,
        };
        Wish {
            id: JobId::new(1, id),
            place,
            caps: Caps::new(&limits, &consent, Cap::default()),
            currency: "USD".into(),
            limits,
            read_tokens: 100,
            time_ms: 20_000,
        }
    }

    fn bill(id: u128, tokens: i64) -> Bill {
        let used = Used { runs: 1, input_tokens: tokens, output_tokens: 0, cost_micros: 0 };
        let line = Line { place: wish(id, None).place, currency: "USD".into(), used };
        Bill { held: Some(JobId::new(1, id)), line }
    }

    #[test]
    fn of_calls_that_begin_at_once_only_as_many_are_allowed_as_fit() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let added = db.write(Durability::Hard, |tx| {
                let tenant = Tenant { id: TENANT(), name: "Default".into() };
                Box::pin(async move { tenants::insert(tx, &tenant, 1).await })
            });
            added.await.unwrap();
            let flow = testing::on(db, Clock::fixed(1_000), folder.path());
            let want = async |id| hold(&flow, TENANT(), wish(id, Some(3 * ONE))).await;
            let held = join_all((1..=20).map(want)).await;
            let allowed: Vec<u128> =
                (1..=20).zip(&held).filter(|(_, it)| it.is_ok()).map(|(id, _)| id).collect();
            assert_eq!(allowed.len(), 3, "{held:?}");
            assert!(held.iter().flatten().all(Option::is_some));
            assert!(want(allowed[0]).await.is_ok(), "tried again, it is not counted against itself");
            pay(&flow, TENANT(), bill(allowed[0], 400)).await.unwrap();
            let refused = want(21).await;
            assert!(matches!(&refused, Err(NotAsked::Spent(_))), "400 and 2 calls and one more: {refused:?}");
            pay(&flow, TENANT(), bill(allowed[1], 400)).await.unwrap();
            assert!(want(22).await.is_ok(), "what was not used is free again");
            assert!(want(23).await.is_err());
            flow.clock.advance(20_000 + RECORD_MS_MAX);
            assert!(want(24).await.is_ok() && want(25).await.is_ok(), "the calls' process died");
            assert!(want(26).await.is_err());
            assert_eq!(hold(&flow, TENANT(), wish(27, None)).await.unwrap(), None, "nothing limits it");
        });
    }
}
