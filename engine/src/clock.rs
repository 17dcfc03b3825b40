//! The only place that reads the time or draws random numbers. Everything else
//! takes a `Clock`, so that tests can freeze and move time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

/// Time and chance, cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System { start: Instant, random: SystemRandom, shift_ms: Arc<AtomicI64> },
    Fixed { now_ms: AtomicI64, drawn: AtomicU64 },
}

impl Clock {
    /// The machine's clock and random source.
    pub fn system() -> Self {
        Self::shifted(Arc::default())
    }

    /// The machine's clock, and so many milliseconds more; for stories in which days pass.
    pub fn shifted(shift_ms: Arc<AtomicI64>) -> Self {
        Self(Arc::new(Source::System { start: Instant::now(), random: SystemRandom::new(), shift_ms }))
    }

    /// A clock that stands still at `now_ms` (unix milliseconds) and draws a fixed sequence; for tests.
    pub fn fixed(now_ms: i64) -> Self {
        Self(Arc::new(Source::Fixed { now_ms: AtomicI64::new(now_ms), drawn: AtomicU64::new(0) }))
    }

    /// Moves a fixed clock forward by `ms`. The system clock ignores it.
    pub fn advance(&self, ms: i64) {
        if let Source::Fixed { now_ms, .. } = &*self.0 {
            now_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Unix milliseconds.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> i64 {
        match &*self.0 {
            Source::System { shift_ms, .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
                .saturating_add(shift_ms.load(Ordering::Relaxed)),
            Source::Fixed { now_ms, .. } => now_ms.load(Ordering::SeqCst),
        }
    }

    /// Monotonic microseconds since this clock was made.
    pub fn micros(&self) -> u64 {
        match &*self.0 {
            Source::System { start, .. } => u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
            Source::Fixed { now_ms, .. } => u64::try_from(now_ms.load(Ordering::SeqCst)).unwrap_or(0) * 1_000,
        }
    }

    /// Microseconds for which the calling thread has worked so far, without those for which it waited for a processor.
    /// A fixed clock knows only [`Self::micros`].
    pub fn worked_micros(&self) -> u64 {
        match &*self.0 {
            Source::System { .. } => worked().unwrap_or_else(|| self.micros()),
            Source::Fixed { .. } => self.micros(),
        }
    }

    /// 128 unpredictable bits (a counter in a fixed clock).
    pub fn random(&self) -> u128 {
        match &*self.0 {
            Source::System { random, .. } => {
                let mut bytes = [0u8; 16];
                // A machine without a random source must not hand out guessable tokens.
                random.fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
                u128::from_be_bytes(bytes)
            }
            Source::Fixed { drawn, .. } => u128::from(drawn.fetch_add(1, Ordering::SeqCst)),
        }
    }
}

/// RFC 3339 in UTC with milliseconds, for JSON.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.3}"))
}

/// Unix milliseconds of an RFC 3339 text.
///
/// # Errors
/// The text is not a time with an offset.
pub fn parse_rfc3339(text: &str) -> Result<i64, jiff::Error> {
    text.parse::<jiff::Timestamp>().map(|at| at.as_millisecond())
}

/// What the system says of this thread; `None` where it says nothing.
#[cfg(unix)]
fn worked() -> Option<u64> {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(worked.tv_sec * 1_000_000 + worked.tv_nsec / 1_000).ok()
}

#[cfg(not(unix))]
fn worked() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_thread_that_waits_does_not_work() {
        let clock = Clock::system();
        let (began, before) = (clock.micros(), clock.worked_micros());
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (elapsed, worked) = (clock.micros() - began, clock.worked_micros() - before);
        assert!(elapsed >= 50_000 && worked < elapsed / 2, "{worked} of {elapsed} us");
        let before = clock.worked_micros();
        while clock.worked_micros() - before < 5_000 {
            std::hint::spin_loop(); // ends: this is work
        }
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(1_000);
        assert_eq!(clock.now_ms(), 1_000);
        clock.clone().advance(5);
        assert_eq!((clock.now_ms(), clock.random(), clock.random()), (1_005, 0, 1));
    }

    #[test]
    fn times_round_trip() {
        assert_eq!(rfc3339(1_763_712_000_123), "2025-11-21T08:00:00.123Z");
        assert_eq!(parse_rfc3339("2025-11-21T09:00:00.123+01:00").unwrap(), 1_763_712_000_123);
    }
}
