//! Which effect of a lane leaves next, step by step; the vendor's answers are made up.

use pointsman_rules::facts::Window;
use tempfile::TempDir;

use super::*;
use crate::flow::testing;
use crate::plugins::Certainty;
use crate::store::lanes::Append;
use crate::store::testing::each_db;
use crate::store::views_fixture::{self as rows, NOW_MS, Thread, add_message, channel, effect, lane, tenant};

const LEASE_MS: i64 = 30_000;

/// The lane of one conversation, leased.
struct Desk {
    flow: Flow,
    channel: Arc<Channel>,
    claim: Claim,
    left: Option<Left>,
    _folder: TempDir,
}

impl Desk {
    /// Effects `1..=count` wait.
    async fn new(db: Db, count: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flow = testing::on(db.clone(), Clock::fixed(NOW_MS), folder.path());
        Thread::new(1).add(&db).await;
        for n in 1..=count {
            add_effect(&db, n, i64::from(n)).await;
        }
        append(&db, i64::from(count)).await;
        let claims = db.write(Durability::Soft, |tx| {
            Box::pin(async move { lanes::claim(tx, Task::Deliver, "me", NOW_MS, NOW_MS + LEASE_MS, 9).await })
        });
        let claim = claims.await.unwrap()[0];
        let channel = Arc::new(testing::channel("webchat", Window::None));
        Self { flow, channel, claim, left: None, _folder: folder }
    }

    /// Takes a step with what became of the last call; answers what is next.
    async fn step(&mut self, called: Option<Called>) -> Next {
        let view = self.flow.catalog.view(&self.flow, tenant(1)).await.unwrap();
        let (claim, channel, left) = (self.claim, self.channel.clone(), self.left.take());
        let step = Step { claim, channel, view, called, left, is_last: false };
        let stepped = self.flow.dispatch.put(step).await.unwrap();
        self.left = stepped.left;
        stepped.next
    }

    /// The numbers of the effects that leave from now on, each taken by the vendor, until the lane rests.
    async fn leave(&mut self, mut next: Next) -> Vec<u8> {
        let mut left = Vec::new();
        while let Next::Send(parcel) = next {
            left.push((1..=u8::MAX).find(|n| effect(*n) == parcel.effect.id).unwrap());
            next = self.step(Some(taken(*parcel))).await;
        }
        assert!(matches!(next, Next::Rest(false)), "{next:?}");
        left
    }
}

fn taken(parcel: Parcel) -> Called {
    Called { parcel, outcome: Ok(Receipt { message_ids: vec![], accepted_at_ms: None }) }
}

async fn append(db: &Db, count: i64) {
    db.write(Durability::Soft, move |tx| {
        let entries =
            Append { tenant: tenant(1), lane: lane(1), channel: channel(1), count, ready_ms: NOW_MS };
        Box::pin(async move { lanes::append(tx, Task::Deliver, &[entries]).await })
    })
    .await
    .unwrap();
}

/// Adds an effect with its message; `seq`: its place in the lane.
async fn add_effect(db: &Db, n: u8, seq: i64) {
    add_message(db, 1, (seq, i64::from(n)), ("outbound", "rule", None), Some("queued")).await;
    rows::add_effect(db, n, seq, ("queued", 0), (None, None)).await;
}

#[test]
fn all_leave_in_order_however_many_are_read_at_once() {
    each_db(|db| async move {
        let mut desk = Desk::new(db.clone(), 40).await;
        let next = desk.step(None).await;
        assert_eq!(desk.leave(next).await, (1..=40).collect::<Vec<_>>());
        let once = rows::count_where(&db, tenant(1), "effects", "state = 'done' and attempts = 1").await;
        assert_eq!(once, 40);
        assert_eq!(rows::only_lane(&db, tenant(1)).await, (None, None, 40), "it is at rest");
    });
}

#[test]
fn what_is_added_during_a_call_leaves_in_its_place() {
    each_db(|db| async move {
        let mut desk = Desk::new(db.clone(), 3).await;
        let Next::Send(first) = desk.step(None).await else { panic!("nothing leaves") };
        // An earlier message that a person wants sent again, and a new one.
        add_effect(&db, 9, 0).await;
        add_effect(&db, 4, 4).await;
        append(&db, 2).await;
        let next = desk.step(Some(taken(*first))).await;
        assert_eq!(desk.leave(next).await, [9, 2, 3, 4]);
    });
}

#[test]
fn what_is_to_be_tried_again_holds_back_what_follows() {
    each_db(|db| async move {
        let mut desk = Desk::new(db.clone(), 3).await;
        let Next::Send(first) = desk.step(None).await else { panic!("nothing leaves") };
        let retry = Retry::After { ms: 1_000 };
        let busy = Failure { retry, ..Failure::internal(Certainty::NotPerformed, "busy") };
        let next = desk.step(Some(Called { parcel: *first, outcome: Err(busy) })).await;
        assert!(matches!(next, Next::Rest(false)), "{next:?}");
        let (_, ready_ms, _) = rows::only_lane(&db, tenant(1)).await;
        assert!(ready_ms.is_some_and(|ms| ms >= NOW_MS + 1_000), "{ready_ms:?}");
    });
}

#[test]
fn whose_lane_was_taken_away_sends_nothing_more() {
    each_db(|db| async move {
        let mut desk = Desk::new(db.clone(), 3).await;
        let Next::Send(first) = desk.step(None).await else { panic!("nothing leaves") };
        let fence = db.write(Durability::Hard, |tx| {
            Box::pin(async move { lanes::fence(tx, tenant(1), &[lane(1)], None, NOW_MS).await })
        });
        fence.await.unwrap();
        assert!(matches!(desk.step(Some(taken(*first))).await, Next::Lost));
    });
}
