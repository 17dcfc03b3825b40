//! Looks for plugins that were installed or removed, in every process: when one
//! tells of it, and every now and then for what was not heard.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::bus::News;
use crate::flow::Flow;
use crate::flow::plugins::Keeper;

/// How often, when nobody tells.
const EVERY: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub async fn keep_plugins(flow: Flow, stop: CancellationToken) {
    let (mut keeper, mut news) = (Keeper::default(), flow.bus.subscribe());
    loop {
        let told = async {
            while !matches!(
                news.recv().await,
                Ok(News::Plugins) | Err(RecvError::Lagged(_) | RecvError::Closed)
            ) {}
        };
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = keeper.sync(&flow).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "installed plugins cannot be looked up");
        }
    }
}
