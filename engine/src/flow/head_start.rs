//! Turns that begin with the commit that stores what they work off: their lanes are leased there and handed to whoever
//! runs turns in this process. It saves the claim, which would be a transaction of its own.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_rules::ids::{LaneId, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::store::intake::NewEntry;
use crate::store::lanes::{self, Claim, Task};
use crate::store::{StoreError, Tx};

/// So many webhooks waiting for their 2xx are a rush: answering them comes first.
pub(super) const RUSH: usize = 16;

/// Leased lanes, and the place that their turn runs in.
#[derive(Debug)]
pub struct Begun {
    /// The leases.
    pub claims: Vec<Claim>,
    /// Held until the turn has ended.
    pub place: OwnedSemaphorePermit,
}

/// Whoever runs turns.
#[derive(Debug, Clone)]
struct Runner {
    places: Arc<Semaphore>,
    lanes_max: usize,
    begun: mpsc::UnboundedSender<Begun>,
}

/// A place that is free for a turn. A lease must not wait, so there is one before there is a lease.
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    runner: Runner,
}

/// The way from commits to turns; a copy is one more reference.
#[derive(Debug, Clone)]
pub(super) struct HeadStart {
    owner: Arc<str>,
    lease_ms: i64,
    arriving: Arc<AtomicUsize>,
    runner: Arc<Mutex<Option<Runner>>>,
}

impl HeadStart {
    pub(super) fn new(owner: Arc<str>, lease_ms: i64) -> Self {
        Self { owner, lease_ms, arriving: Arc::default(), runner: Arc::default() }
    }

    /// Webhooks that wait for their 2xx are counted here.
    pub(super) fn arriving(&self) -> &AtomicUsize {
        &self.arriving
    }

    /// Do more webhooks wait than can be answered soon? Turns wait then, and work off what has gathered with fewer
    /// statements and commits.
    pub(super) fn is_rush(&self) -> bool {
        self.arriving.load(Ordering::Relaxed) >= RUSH
    }

    /// From now on turns of up to `lanes_max` lanes may begin with a commit while `places` are free. Whoever was told
    /// before is told nothing any more.
    pub(super) fn run_by(&self, places: Arc<Semaphore>, lanes_max: usize) -> mpsc::UnboundedReceiver<Begun> {
        let (begun, told) = mpsc::unbounded_channel();
        *self.runner.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Runner { places, lanes_max, begun });
        told
    }

    /// `None`: nobody runs turns here, or they have enough to do, or they have to wait.
    pub(super) fn place(&self) -> Option<Place> {
        if self.is_rush() {
            return None;
        }
        let runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if runner.begun.is_closed() {
            return None;
        }
        let permit = runner.places.clone().try_acquire_owned().ok()?;
        Some(Place { permit, runner })
    }

    /// Leases lanes of these entries, which this transaction has stored. Lanes that somebody works on see the entries
    /// when they are done with what they have.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn lease(
        &self,
        tx: &mut Tx,
        lanes: &[(TenantId, LaneId)],
        now_ms: i64,
    ) -> Result<Vec<Claim>, StoreError> {
        lanes::take(tx, Task::Turn, &self.owner, (now_ms, now_ms + self.lease_ms), lanes).await
    }
}

impl Place {
    /// The lanes of these entries, as many as one turn takes, and whether these are all.
    pub(super) fn lanes<'e>(
        &self,
        entries: impl Iterator<Item = &'e NewEntry>,
    ) -> (Vec<(TenantId, LaneId)>, bool) {
        let mut seen = HashSet::new();
        let mut lanes: Vec<_> =
            entries.map(|it| (it.tenant, it.lane)).filter(|lane| seen.insert(*lane)).collect();
        let are_all = lanes.len() <= self.runner.lanes_max;
        lanes.truncate(self.runner.lanes_max);
        (lanes, are_all)
    }

    /// Hands over what was leased. Nobody there any more: the leases are freed at the end of this process.
    pub(super) fn begin(self, claims: Vec<Claim>) {
        if !claims.is_empty() {
            let _ = self.runner.begun.send(Begun { claims, place: self.permit });
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{ChannelId, InboxId};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::bus::Bus;
    use crate::clock::Clock;
    use crate::flow::accept::{Arrived, Intake, intake};
    use crate::store::lanes::Finish;
    use crate::store::testing::each_db;
    use crate::store::{Db, Durability};

    const NOW_MS: i64 = 1_000;
    const LEASE_MS: i64 = 500;
    const LANES_MAX: usize = 2;

    struct Desk {
        db: Db,
        intake: Intake,
        head_start: HeadStart,
        places: Arc<Semaphore>,
        begun: UnboundedReceiver<Begun>,
        stored: u32,
    }

    impl Desk {
        fn new(db: Db, places: usize) -> Self {
            let head_start = HeadStart::new("me".into(), LEASE_MS);
            let intake = intake(db.clone(), Clock::fixed(NOW_MS), Bus::new(), head_start.clone());
            let places = Arc::new(Semaphore::new(places));
            let begun = head_start.run_by(places.clone(), LANES_MAX);
            Self { db, intake, head_start, places, begun, stored: 0 }
        }

        /// Stores one entry for each of these lanes with one commit.
        async fn store(&mut self, lanes: &[u8]) {
            let entries = lanes.iter().map(|lane| {
                self.stored += 1;
                NewEntry {
                    tenant: TenantId::new(1, 1),
                    lane: LaneId::from_hash([*lane; 16]),
                    id: InboxId::new(NOW_MS, u128::from(self.stored)),
                    channel: ChannelId::new(1, 3),
                    raw: None,
                    dedupe_key: self.stored.to_string(),
                    body: String::new(),
                    received_ms: NOW_MS,
                }
            });
            let arrived = Arrived { raw: None, entries: entries.collect() };
            self.intake.put(arrived).await.unwrap();
        }

        /// What began, lane by lane; its place is free again.
        fn told(&mut self) -> Vec<Claim> {
            self.begun.try_recv().map_or(Vec::new(), |begun| begun.claims)
        }

        /// How many lanes somebody who looks for work finds.
        async fn found(&self) -> usize {
            let claim = self.db.write(Durability::Soft, |tx| {
                Box::pin(
                    async move { lanes::claim(tx, Task::Turn, "other", NOW_MS, NOW_MS + LEASE_MS, 10).await },
                )
            });
            claim.await.unwrap().len()
        }

        async fn end(&self, claim: Claim, done: i64) -> bool {
            let end = Finish { claim, done, conversation: None };
            let ended = self.db.write(Durability::Hard, move |tx| {
                Box::pin(async move { lanes::finish(tx, Task::Turn, NOW_MS, &[end]).await })
            });
            ended.await.unwrap()[0].1
        }
    }

    #[test]
    fn a_turn_begins_with_the_commit_and_nobody_else_finds_its_lane() {
        each_db(|db| async move {
            let mut desk = Desk::new(db, 4);
            desk.store(&[1]).await;
            let claims = desk.told();
            assert_eq!((claims.len(), claims[0].lane, claims[0].done), (1, LaneId::from_hash([1; 16]), 0));
            assert_eq!(desk.found().await, 0);
            // What comes while the turn runs is left to it: it is told at its end.
            desk.store(&[1]).await;
            assert!(desk.told().is_empty());
            assert!(desk.end(claims[0], 1).await, "more waits");
            assert_eq!(desk.found().await, 1);
        });
    }

    #[test]
    fn a_lane_whose_redelivery_was_dropped_comes_to_rest() {
        each_db(|db| async move {
            let mut desk = Desk::new(db, 4);
            desk.store(&[1]).await;
            let first = desk.told()[0];
            assert!(!desk.end(first, 1).await);
            desk.stored -= 1; // the same key again
            desk.store(&[1]).await;
            let again = desk.told()[0];
            assert_eq!((again.done, again.gen_seen), (1, 2));
            assert!(!desk.end(again, again.gen_seen).await);
            assert_eq!(desk.found().await, 0);
        });
    }

    #[test]
    fn what_has_no_place_waits_for_whoever_looks() {
        each_db(|db| async move {
            let mut desk = Desk::new(db, 1);
            // More lanes than a turn takes.
            desk.store(&[1, 2, 3]).await;
            let begun = desk.begun.try_recv().unwrap();
            assert_eq!((begun.claims.len(), desk.found().await), (LANES_MAX, 1));
            // Its place is taken while it runs.
            desk.store(&[4]).await;
            assert_eq!((desk.told().len(), desk.found().await), (0, 1));
            drop(begun);
            // In a rush answering comes first.
            desk.head_start.arriving().store(RUSH, Ordering::Relaxed);
            desk.store(&[5]).await;
            assert_eq!((desk.told().len(), desk.found().await), (0, 1));
            desk.head_start.arriving().store(0, Ordering::Relaxed);
            // Whoever ran turns has stopped.
            desk.begun.close();
            desk.store(&[6]).await;
            assert_eq!((desk.found().await, desk.places.available_permits()), (1, 1));
        });
    }
}
