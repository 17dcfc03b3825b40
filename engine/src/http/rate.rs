//! How fast one caller may be: a token bucket per API key, session user or
//! sign-in address. In memory, per process: a guard against runaway scripts and
//! guessing, not a quota.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::problem::Problem;
use crate::clock::Clock;

/// What a bucket allows.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Refill.
    pub per_second: f64,
    /// Size; also what a new caller starts with.
    pub burst: f64,
}

/// Requests of one API key or user.
pub const CALLER: Rate = Rate { per_second: 200.0, burst: 1_000.0 };
/// Calls of one rule's URL: one program that runs wild must not hold up the others.
pub const RULE_HOOK: Rate = Rate { per_second: 50.0, burst: 200.0 };
/// Attempts to sign in as one e-mail address or from one address of the network.
pub const SIGN_IN: Rate = Rate { per_second: 0.2, burst: 10.0 };

/// Buckets kept at most; full ones are forgotten first, since a new one is full too.
const BUCKETS_MAX: usize = 10_000;

/// The buckets, cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    clock: Clock,
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    rate: Rate,
    at_micros: u64,
}

impl Bucket {
    fn refill(&mut self, now_micros: u64) {
        let seconds = now_micros.saturating_sub(self.at_micros) as f64 / 1e6;
        self.tokens = (self.tokens + seconds * self.rate.per_second).min(self.rate.burst);
        self.at_micros = now_micros;
    }
}

impl Limits {
    /// No bucket yet.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, buckets: Mutex::default() }))
    }

    /// Takes a token from the caller's bucket.
    ///
    /// # Errors
    /// 429 with the time until there is one.
    pub fn take(&self, caller: &str, rate: Rate) -> Result<(), Problem> {
        let now = self.0.clock.micros();
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                bucket.tokens < bucket.rate.burst
            });
        }
        let bucket =
            buckets.entry(caller.to_owned()).or_insert(Bucket { tokens: rate.burst, rate, at_micros: now });
        bucket.refill(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait_s = ((1.0 - bucket.tokens) / rate.per_second).ceil().clamp(1.0, 3_600.0) as u32;
        Err(Problem::too_many(format!("too many requests; try again in {wait_s} s"), wait_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let clock = Clock::fixed(0);
        let limits = Limits::new(clock.clone());
        let rate = Rate { per_second: 0.5, burst: 2.0 };
        assert!(limits.take("a", rate).is_ok() && limits.take("a", rate).is_ok());
        let problem = limits.take("a", rate).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.retry_after_s), (429, Some(2)));
        assert!(limits.take("b", rate).is_ok(), "another caller");
        clock.advance(2_000);
        assert!(limits.take("a", rate).is_ok() && limits.take("a", rate).is_err());
    }
}
