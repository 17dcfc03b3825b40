//! The hand-over of a lane between whoever appends and whoever works, on both
//! databases, with delays injected where the races would be.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pointsman_rules::ids::{ChannelId, InboxId, LaneId, TenantId};

use super::*;
use crate::clock::Clock;
use crate::store::intake::{self, NewEntry};
use crate::store::testing::each_db;
use crate::store::{Db, Durability};

const LEASE_MS: i64 = 1_000;

fn tenant() -> TenantId {
    TenantId::new(1, 1)
}

async fn put(db: &Db, clock: &Clock, lane: LaneId, key: &str, now_ms: i64) {
    let entry = NewEntry {
        tenant: tenant(),
        lane,
        id: InboxId::new(now_ms, clock.random()),
        channel: ChannelId::new(1, 3),
        raw: None,
        dedupe_key: key.to_owned(),
        body: key.to_owned(),
        received_ms: now_ms,
    };
    db.write(Durability::Hard, move |tx| {
        let entry = entry.clone();
        Box::pin(async move { intake::enqueue(tx, std::slice::from_ref(&entry), now_ms).await })
    })
    .await
    .unwrap();
}

async fn take(db: &Db, owner: &'static str, now_ms: i64, lanes_max: u32) -> Vec<Claim> {
    db.write(Durability::Soft, move |tx| {
        Box::pin(async move { claim(tx, Task::Turn, owner, now_ms, now_ms + LEASE_MS, lanes_max).await })
    })
    .await
    .unwrap()
}

async fn give(db: &Db, claim: Claim, done: i64, now_ms: i64) -> Vec<(LaneId, bool)> {
    db.write(Durability::Hard, move |tx| {
        Box::pin(async move {
            finish(tx, Task::Turn, now_ms, &[Finish { claim, done, conversation: None }]).await
        })
    })
    .await
    .unwrap()
}

async fn waiting(db: &Db, claim: &Claim) -> Vec<(i64, String)> {
    let tx = &mut db.read().await.unwrap();
    let entries = intake::pending(tx, std::slice::from_ref(claim), 100).await.unwrap();
    entries.into_iter().map(|(_, entry)| (entry.seq, entry.body)).collect()
}

#[test]
fn a_leased_lane_is_nobody_elses_until_the_lease_runs_out() {
    each_db(|db| async move {
        let (clock, lane) = (Clock::system(), LaneId::new(1, 2));
        put(&db, &clock, lane, "a", 100).await;
        assert!(take(&db, "early", 99, 8).await.is_empty(), "not ready yet");
        let first = take(&db, "one", 100, 8).await;
        assert_eq!((first.len(), first[0].done, first[0].attempts), (1, 0, 1));
        assert!(take(&db, "two", 100 + LEASE_MS - 1, 8).await.is_empty(), "leased");
        let second = take(&db, "two", 100 + LEASE_MS, 8).await;
        assert_eq!((second.len(), second[0].attempts), (1, 2), "the lease ran out");
        assert!(second[0].token > first[0].token);
        // The first worker wakes up and wants to write: it must not.
        assert!(give(&db, first[0], 1, 2_000).await.is_empty());
        assert_eq!(give(&db, second[0], 1, 2_000).await, [(lane, false)]);
        assert!(take(&db, "three", 9_000, 8).await.is_empty(), "nothing left");
    });
}

#[test]
fn of_two_leases_of_one_lane_only_the_newer_holds() {
    each_db(|db| async move {
        let (clock, lane) = (Clock::system(), LaneId::new(1, 2));
        put(&db, &clock, lane, "a", 100).await;
        let (old, other) = (take(&db, "one", 100, 8).await[0], LaneId::new(1, 9));
        let new = take(&db, "one", 100 + LEASE_MS, 8).await[0];
        let stranger = Claim { lane: other, ..new };
        let hold_at = async |now_ms| {
            let held = db.write(Durability::Hard, move |tx| {
                let claims = [old, new, stranger];
                Box::pin(async move { hold(tx, Task::Turn, &claims, (now_ms, LEASE_MS)).await })
            });
            assert_eq!(held.await.unwrap(), HashMap::from([((lane, new.token), 1)]));
        };
        let ends_ms = 100 + 2 * LEASE_MS;
        hold_at(ends_ms - LEASE_MS / 2).await;
        hold_at(ends_ms - LEASE_MS / 2 + 1).await;
        assert!(
            take(&db, "two", ends_ms + LEASE_MS / 2, 8).await.is_empty(),
            "a lease that ends is lengthened"
        );
        assert_eq!(
            take(&db, "two", ends_ms + LEASE_MS / 2 + 1, 8).await.len(),
            1,
            "one that is fresh is not"
        );
    });
}

#[test]
fn an_entry_committed_while_the_lane_is_released_is_not_left_behind() {
    each_db(|db| async move {
        let (clock, lane) = (Clock::system(), LaneId::new(1, 2));
        put(&db, &clock, lane, "a", 100).await;
        let claim = take(&db, "one", 100, 8).await[0];
        assert_eq!(waiting(&db, &claim).await, [(1, "a".to_owned())]);
        put(&db, &clock, lane, "b", 101).await; // after the read, before the release
        assert_eq!(give(&db, claim, 1, 102).await, [(lane, true)], "ready again at once");
        let claim = take(&db, "two", 102, 8).await[0];
        assert_eq!(waiting(&db, &claim).await, [(2, "b".to_owned())], "a is not seen twice");
        assert_eq!(claim.attempts, 1, "the turn before ended well");
    });
}

#[test]
fn the_same_key_is_taken_once() {
    each_db(|db| async move {
        let (clock, lane) = (Clock::system(), LaneId::new(1, 2));
        for _ in 0..3 {
            put(&db, &clock, lane, "a", 100).await;
        }
        put(&db, &clock, lane, "b", 100).await;
        let claim = take(&db, "one", 100, 8).await[0];
        let bodies: Vec<String> = waiting(&db, &claim).await.into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, ["a", "b"]);
    });
}

/// Many appenders and many workers, with pauses before and after every step: every entry is worked off exactly once
/// and in its lane's order.
#[test]
fn nothing_is_lost_doubled_or_reordered_under_races() {
    const LANES: usize = 10;
    const ENTRIES: usize = 40;
    each_db(|db| async move {
        let clock = Clock::system();
        let left = Arc::new(AtomicUsize::new(LANES * ENTRIES));
        let seen: Arc<Mutex<HashMap<LaneId, Vec<String>>>> = Arc::default();
        let mut tasks = Vec::new();
        for lane in 0..LANES {
            let (db, clock) = (db.clone(), clock.clone());
            tasks.push(tokio::spawn(async move {
                for index in 0..ENTRIES {
                    pause(&clock).await;
                    let key = format!("{lane}:{index:03}");
                    put(&db, &clock, LaneId::new(1, lane as u128), &key, clock.now_ms()).await;
                }
            }));
        }
        for _ in 0..6 {
            let (db, clock, left, seen) = (db.clone(), clock.clone(), left.clone(), seen.clone());
            tasks.push(tokio::spawn(async move {
                while left.load(Ordering::SeqCst) > 0 {
                    for claim in take(&db, "w", clock.now_ms(), 3).await {
                        pause(&clock).await;
                        let entries = waiting(&db, &claim).await;
                        pause(&clock).await;
                        let Some((done, _)) = entries.last() else { continue };
                        if give(&db, claim, *done, clock.now_ms()).await.is_empty() {
                            continue; // too slow: somebody else has it
                        }
                        left.fetch_sub(entries.len(), Ordering::SeqCst);
                        let bodies = entries.into_iter().map(|(_, body)| body);
                        seen.lock().unwrap().entry(claim.lane).or_default().extend(bodies);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }));
        }
        for task in tasks {
            tokio::time::timeout(Duration::from_secs(60), task).await.expect("it ends").unwrap();
        }
        let seen = seen.lock().unwrap();
        for (lane, bodies) in seen.iter() {
            let unique: BTreeSet<&String> = bodies.iter().collect();
            assert_eq!(unique.len(), ENTRIES, "{lane}: lost or doubled");
        }
        assert_eq!(seen.len(), LANES);
    });
}

async fn pause(clock: &Clock) {
    let micros = u64::try_from(clock.random() % 3_000).unwrap();
    tokio::time::sleep(Duration::from_micros(micros)).await;
}
