//! What runs by the clock: deadlines that become due, and leases that must not
//! run out while their holder lives.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::WorkerSettings;
use crate::flow::{Flow, distribute, fire, presence};
use crate::store::{Durability, assistant_tasks, attachments, jobs, lanes};

/// How often waiting conversations are looked at when nobody rings: somebody's pause after passing ran out, or another
/// process changed something.
const HAND_OUT_EVERY: Duration = Duration::from_secs(1);
/// How often lost connections are looked for.
const PRESENCE_EVERY: Duration = Duration::from_secs(15);

/// Moves due deadlines and timers into inboxes until `stop`.
pub(super) async fn fire_deadlines(flow: Flow, settings: WorkerSettings, stop: CancellationToken) {
    loop {
        let pause = match fire::run(&flow).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => settings.sweep,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "deadlines cannot be moved");
                settings.sweep
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Hands out conversations that wait, until `stop`.
pub(super) async fn hand_out(flow: Flow, stop: CancellationToken) {
    loop {
        if let Err(error) = distribute::run(&flow).await {
            tracing::error!(error = &error as &dyn std::error::Error, "conversations cannot be handed out");
        }
        tokio::select! {
            () = flow.bus.handout_rung() => {}
            () = tokio::time::sleep(HAND_OUT_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Sets people offline whose connection is lost, until `stop`.
pub(super) async fn watch_presence(flow: Flow, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRESENCE_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = presence::sweep(&flow).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "lost connections cannot be looked for"
            );
        }
    }
}

/// Lengthens this process' leases three times per lease until `stop`.
pub(super) async fn renew_leases(flow: Flow, stop: CancellationToken) {
    let every = Duration::from_millis(u64::try_from(flow.settings.lease_ms / 3).unwrap_or(1_000).max(10));
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
        let (owner, until_ms) = (flow.owner.clone(), flow.clock.now_ms() + flow.settings.lease_ms);
        let renewed = flow
            .db
            .write(Durability::Soft, move |tx| {
                let owner = owner.clone();
                Box::pin(async move {
                    jobs::renew(tx, &owner, until_ms).await?;
                    // Lanes first, as turns lock them.
                    lanes::renew(tx, &owner, until_ms).await?;
                    assistant_tasks::renew(tx, &owner, until_ms).await?;
                    attachments::renew(tx, &owner, until_ms).await
                })
            })
            .await;
        if let Err(error) = renewed {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be renewed");
        }
    }
}
