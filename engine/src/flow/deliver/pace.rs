//! How fast messages leave by a channel: as many per second as the vendor takes,
//! all of a second's at once if need be. Kept in memory: each process paces what
//! it sends itself, and the vendor's own refusals are honoured besides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_rules::ids::{ChannelId, TenantId};

/// What may leave at once is what may leave in this time, microseconds.
const BURST_US: i64 = 1_000_000;

/// The pace of all channels, cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pacer(Arc<Mutex<HashMap<(TenantId, ChannelId), Line>>>);

/// One channel's, unix microseconds.
#[derive(Debug, Default)]
struct Line {
    /// When the channel would be idle if messages left evenly.
    idle_us: i64,
    /// When the last of those who wait may ask again.
    last_us: i64,
}

impl Pacer {
    /// May a message leave now? `per_second` 0: always.
    ///
    /// # Errors
    /// Not yet: when to ask again, unix milliseconds. Everybody who waits is given a time of their own.
    pub(super) fn ask(
        &self,
        channel: (TenantId, ChannelId),
        per_second: u32,
        now_ms: i64,
    ) -> Result<(), i64> {
        if per_second == 0 {
            return Ok(());
        }
        let (now_us, gap_us) = (now_ms * 1_000, (BURST_US / i64::from(per_second)).max(1));
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(channel).or_default();
        let free_us = line.idle_us - (BURST_US - gap_us);
        if free_us <= now_us {
            line.idle_us = line.idle_us.max(now_us) + gap_us;
            return Ok(());
        }
        line.last_us = free_us.max(line.last_us + gap_us);
        Err(line.last_us.div_euclid(1_000) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_messages_leave_at_once_and_then_evenly() {
        let (pacer, channel) = (Pacer::default(), (TenantId::new(1, 1), ChannelId::new(1, 1)));
        let ask = |now_ms| pacer.ask(channel, 4, now_ms);
        assert_eq!((0..4).filter(|_| ask(10_000).is_ok()).count(), 4);
        let waiting: Vec<i64> = (0..3).map(|_| ask(10_000).unwrap_err()).collect();
        assert_eq!(waiting, [10_251, 10_501, 10_751], "each at a time of their own");
        for at_ms in waiting {
            assert_eq!(ask(at_ms), Ok(()));
        }
        assert!(ask(10_751).is_err());
        assert_eq!((0..9).filter(|_| ask(20_000).is_ok()).count(), 4, "what was not used is not saved up");
    }

    #[test]
    fn channels_do_not_wait_for_each_other_and_without_a_pace_nobody_waits() {
        let pacer = Pacer::default();
        let of = |number| (TenantId::new(1, 1), ChannelId::new(1, number));
        assert_eq!(pacer.ask(of(1), 1, 5_000), Ok(()));
        assert_eq!(pacer.ask(of(1), 1, 5_000), Err(6_001));
        assert_eq!(pacer.ask(of(2), 1, 5_000), Ok(()));
        assert!((0..1_000).all(|_| pacer.ask(of(3), 0, 5_000).is_ok()));
    }
}
