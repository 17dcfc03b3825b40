//! Writes what was counted of channels and rules every few seconds, in every process: also
//! one that only answers requests takes webhooks.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, tally};

/// How often; a process that is killed loses the counts of so long.
const EVERY: Duration = Duration::from_secs(3);

/// Runs until `stop`; what is counted afterwards is the caller's to write.
pub async fn keep_tallies(flow: Flow, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
        if let Err(error) = tally::flush(&flow).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "counts of channels and rules wait for the database"
            );
        }
    }
}
