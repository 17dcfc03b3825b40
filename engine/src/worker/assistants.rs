//! Asks assistants: takes what is due, a few at a time, until `stop`. Each asking
//! is its own row with its own lease, so nothing here has to be remembered.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WorkerSettings;
use crate::flow::Flow;
use crate::flow::assistant::run;

/// Assistants that think at once for one process; they mostly wait for their vendors.
const THINKING_MAX: usize = 32;

/// Runs until `stop`; then what is under way may end within the drain time, and the rest is given back.
pub(super) async fn ask(flow: Flow, settings: WorkerSettings, stop: CancellationToken) {
    let (places, tasks) = (Arc::new(Semaphore::new(THINKING_MAX)), TaskTracker::new());
    while !stop.is_cancelled() {
        if take(&flow, &places, &tasks).await == 0 {
            tokio::select! {
                () = tokio::time::sleep(settings.sweep) => {}
                () = stop.cancelled() => break,
            }
        }
    }
    tasks.close();
    if tokio::time::timeout(settings.drain, tasks.wait()).await.is_err() {
        tracing::warn!("assistants were still thinking when the drain time ended; they are asked again");
    }
    if let Err(error) = run::free(&flow, Some(flow.owner.to_string())).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "work of assistants cannot be given back");
    }
}

/// Starts on as much work as there are places; answers how much.
async fn take(flow: &Flow, places: &Arc<Semaphore>, tasks: &TaskTracker) -> usize {
    let free = u32::try_from(places.available_permits()).unwrap_or(0);
    if free == 0 {
        return 0;
    }
    let due = match run::claim(flow, free).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "work of assistants cannot be taken");
            return 0;
        }
    };
    let count = due.len();
    for work in due {
        // Only this loop takes places, so there is one for each.
        let place = places.clone().acquire_owned().await;
        let flow = flow.clone();
        tasks.spawn(async move {
            if let Err(error) = run::run(&flow, work).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "what an assistant said cannot be recorded; it is asked again");
            }
            drop(place);
        });
    }
    count
}
