//! Pauses that double, with chance in them, so that many who failed together do
//! not come back together.

/// How long to wait after each failure.
pub(super) struct Backoff {
    /// After the first, milliseconds.
    pub(super) first_ms: i64,
    /// At most, milliseconds.
    pub(super) most_ms: i64,
}

impl Backoff {
    /// Between half and the whole of the pause after so many attempts.
    pub(super) fn pause_ms(&self, attempts: i64, random: u128) -> i64 {
        let doublings = u32::try_from(attempts.clamp(1, 40) - 1).unwrap_or(0);
        let whole = self.first_ms.saturating_mul(1 << doublings).min(self.most_ms);
        whole / 2 + i64::try_from(random % 1_000).unwrap_or(0) * (whole / 2) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stay_within_bounds() {
        let backoff = Backoff { first_ms: 100, most_ms: 1_000 };
        for (attempts, whole) in [(1, 100), (2, 200), (4, 800), (5, 1_000), (99, 1_000)] {
            for random in [0, 999, u128::MAX] {
                assert!((whole / 2..=whole).contains(&backoff.pause_ms(attempts, random)), "{attempts}");
            }
        }
    }
}
