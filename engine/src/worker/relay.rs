//! News between processes on one PostgreSQL: many rings become one NOTIFY. Only
//! a hint; the sweep finds what a lost notification missed.

use std::time::Duration;

use pointsman_rules::ids::TenantId;
use tokio_util::sync::CancellationToken;

use crate::bus::{News, Outward};
use crate::flow::Flow;
use crate::store::StoreError;
use crate::store::lanes::Task;
use crate::store::notify::{self, Listener};

/// Rings within this time become one notification.
const GATHER: Duration = Duration::from_millis(2);
/// Pause after the connection was lost.
const RECONNECT: Duration = Duration::from_secs(1);

/// Tells other processes until `stop`.
pub(super) async fn send(flow: Flow, stop: CancellationToken) {
    loop {
        let outward = tokio::select! {
            outward = flow.bus.take_outward() => outward,
            () = stop.cancelled() => return,
        };
        let text = write(&flow.owner, &outward);
        let sent = async { notify::send(&mut flow.db.read().await?, &text).await }.await;
        if let Err(error) = sent {
            tracing::warn!(error = &error as &dyn std::error::Error, "other processes cannot be told");
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Listens to other processes until `stop`.
pub(super) async fn receive(flow: Flow, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            ended = listen(&flow) => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = ended {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "listening to other processes failed; the sweep goes on");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn listen(flow: &Flow) -> Result<(), StoreError> {
    let Some(mut listener) = Listener::start(&flow.db).await? else { return Ok(()) };
    loop {
        read(flow, &listener.next().await?);
    }
}

/// `owner word word tenant…`.
fn write(owner: &str, outward: &Outward) -> String {
    let mut words = vec![owner.to_owned()];
    let flags = [
        (outward.turn, "turn"),
        (outward.deliver, "deliver"),
        (outward.webhook, "webhook"),
        (outward.news, "news"),
        (outward.plugins, "plugins"),
    ];
    words.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
    words.extend(outward.tenants.iter().map(ToString::to_string));
    words.join(" ")
}

fn read(flow: &Flow, text: &str) {
    let mut words = text.split(' ');
    if words.next() == Some(&flow.owner) {
        return; // our own
    }
    for word in words {
        match word {
            "turn" => flow.bus.publish_here(News::Ready { task: Task::Turn }),
            "deliver" => flow.bus.publish_here(News::Ready { task: Task::Deliver }),
            "webhook" => flow.bus.publish_here(News::Ready { task: Task::Webhook }),
            "news" => flow.bus.publish_here(News::Elsewhere),
            "plugins" => flow.bus.publish_here(News::Plugins),
            tenant => {
                if let Ok(tenant) = TenantId::parse(tenant) {
                    flow.catalog.forget(tenant);
                    flow.bus.publish_here(News::Configuration { tenant, channel: None });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rings_are_one_line() {
        let outward =
            Outward { turn: true, news: true, tenants: [TenantId::new(1, 2)].into(), ..Outward::default() };
        assert_eq!(write("me", &outward), format!("me turn news {}", TenantId::new(1, 2)));
    }
}
