//! Fetches the files of received messages: takes what is due, a few at a time,
//! until `stop`. Each file is its own row with its own lease, so nothing here has
//! to be remembered.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WorkerSettings;
use crate::flow::{Flow, fetch};

/// Files that are fetched at once in one process.
const FETCHES_MAX: usize = 16;

/// Runs until `stop`; then what is under way may end within the drain time, and the rest is given back.
pub(super) async fn fetch_files(flow: Flow, settings: WorkerSettings, stop: CancellationToken) {
    let (places, tasks) = (Arc::new(Semaphore::new(FETCHES_MAX)), TaskTracker::new());
    while !stop.is_cancelled() {
        let took = take(&flow, &places, &tasks).await;
        if took == 0 {
            tokio::select! {
                () = tokio::time::sleep(settings.sweep) => {}
                () = stop.cancelled() => break,
            }
        }
    }
    tasks.close();
    if tokio::time::timeout(settings.drain, tasks.wait()).await.is_err() {
        tracing::warn!("files were still being fetched when the drain time ended; they are fetched again");
    }
    if let Err(error) = fetch::free(&flow, Some(flow.owner.to_string())).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "files cannot be given back");
    }
}

/// Starts on as many files as there are places; answers how many.
async fn take(flow: &Flow, places: &Arc<Semaphore>, tasks: &TaskTracker) -> usize {
    let free = u32::try_from(places.available_permits()).unwrap_or(0);
    if free == 0 {
        return 0;
    }
    let due = match fetch::claim(flow, free).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "files to fetch cannot be taken");
            return 0;
        }
    };
    let count = due.len();
    for file in due {
        // Only this loop takes places, so there is one for each.
        let place = places.clone().acquire_owned().await;
        let flow = flow.clone();
        tasks.spawn(async move {
            if let Err(error) = fetch::run(&flow, file).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a fetched file cannot be recorded"
                );
            }
            drop(place);
        });
    }
    count
}
