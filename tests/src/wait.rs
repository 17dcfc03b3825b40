//! Waiting for something that happens asynchronously, with a limit and a
//! sentence that says what never came. Stories never sleep for a fixed time.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// First pause between two looks; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Looks again and again until `look` gives `Some`. An error of `look` counts as
/// "not yet": the server may be restarting.
///
/// # Errors
/// Nothing came within `limit`; the text names `what` and the last error.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    let mut pause = PAUSE_MIN;
    let mut last = None;
    while start.elapsed() < limit {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => last = None,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Err(match last {
        Some(error) => error.context(format!("waited {limit:?} for: {what}")),
        None => anyhow!("waited {limit:?} in vain for: {what}"),
    })
}
