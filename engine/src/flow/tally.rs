//! Counts what goes through channels: in memory while messages flow, added to
//! the database every few seconds, so that no message pays for a statistic. A
//! process that is killed loses the seconds that were not written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_rules::ids::{ChannelId, TenantId};

use super::{Flow, FlowError, rule_watch};
use crate::store::Durability;
use crate::store::channel_health::{self, Tally};

/// Counts that are not written yet, by channel; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tallies(Arc<Mutex<Counts>>);

type Counts = BTreeMap<(TenantId, ChannelId), Tally>;

impl Tallies {
    /// Adds to a channel's counts.
    pub fn add(&self, tenant: TenantId, channel: ChannelId, tally: Tally) {
        self.lock().entry((tenant, channel)).or_default().add(tally);
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut *self.lock())
    }

    /// Puts back what could not be written, before what was counted since.
    fn put_back(&self, taken: Counts) {
        let mut now = self.lock();
        for (of, mut tally) in taken {
            let later = now.remove(&of).unwrap_or_default();
            tally.add(later);
            now.insert(of, tally);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what was counted of channels and rules since the last time.
///
/// # Errors
/// The store's; the counts are kept for the next time.
pub async fn flush(flow: &Flow) -> Result<(), FlowError> {
    let channels = flush_channels(flow).await;
    rule_watch::flush(flow).await?;
    channels
}

async fn flush_channels(flow: &Flow) -> Result<(), FlowError> {
    let taken = flow.tallies.take();
    if taken.is_empty() {
        return Ok(());
    }
    // In the order of the map, which is the same in every process.
    let rows: Vec<_> = taken.iter().map(|((tenant, channel), it)| (*tenant, *channel, it.clone())).collect();
    let written = flow.db.write(Durability::Soft, move |tx| {
        let rows = rows.clone();
        Box::pin(async move { channel_health::add(tx, &rows).await })
    });
    if let Err(error) = written.await {
        flow.tallies.put_back(taken);
        return Err(error.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_not_lost() {
        let (tallies, tenant, channel) = (Tallies::default(), TenantId::new(1, 1), ChannelId::new(1, 1));
        let problem = |text: &str, at_ms| Tally { problem: Some((text.into(), at_ms)), ..Tally::default() };
        tallies.add(tenant, channel, Tally { sent: 1, last_sent_ms: Some(5), ..problem("old", 5) });
        let taken = tallies.take();
        tallies.add(tenant, channel, Tally { sent: 2, last_sent_ms: Some(9), ..problem("new", 9) });
        tallies.put_back(taken);
        let wanted = Tally { sent: 3, last_sent_ms: Some(9), ..problem("new", 9) };
        assert_eq!(tallies.take(), BTreeMap::from([((tenant, channel), wanted)]));
        assert!(tallies.take().is_empty());
    }
}
