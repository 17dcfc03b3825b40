//! A channel's state: moving it once, saying so in the log, telling those who can
//! mend it, and letting go what waited for it.

use pointsman_rules::event::{Actor, Cause, Event, EventBody};
use pointsman_rules::ids::{ChannelId, EventId, NotificationId, TenantId};

use super::catalog::TenantView;
use super::webhook::outbox;
use super::{Flow, FlowError};
use crate::bus::News;
use crate::clock::Clock;
use crate::store::lanes::{self, Task};
use crate::store::log::{self, Logged};
use crate::store::{Durability, StoreError, Tx, channels, notices};

/// The vendor refuses us until the channel's owner acts; what is to be sent waits.
pub use crate::store::channels::FAILED;
/// A phone has to be linked; what is to be sent waits.
pub use crate::store::channels::QR_REQUIRED;
/// Switched on, and nobody has asked the vendor yet.
pub const CONNECTING: &str = "connecting";
/// All is well.
pub const CONNECTED: &str = "connected";
/// It works in part: somebody should look.
pub const DEGRADED: &str = "degraded";
/// The vendor was told to call us no more.
pub const DISCONNECTED: &str = "disconnected";
/// Switched off by us, or stopped because its plugin crashed again and again.
pub use crate::store::channels::PAUSED;

/// A state to move into.
#[derive(Debug, Clone)]
pub struct Move {
    /// Whose channel.
    pub tenant: TenantId,
    /// Which.
    pub channel: ChannelId,
    /// The new state.
    pub to: String,
    /// One sentence: why.
    pub reason: Option<String>,
    /// What owners and admins are told, if it is news to them.
    pub notice: Option<String>,
    /// Who did it.
    pub actor: Actor,
}

/// Moves a channel that is switched on; an event and notifications only when it was in another state. Answers the news
/// to publish after the commit; then caches must be dropped, too.
///
/// # Errors
/// The store's.
pub async fn enter(tx: &mut Tx, clock: &Clock, it: &Move) -> Result<Option<Entered>, StoreError> {
    let now_ms = clock.now_ms();
    let to = (it.to.as_str(), it.reason.as_deref());
    let Some(from) = channels::move_state(tx, it.tenant, it.channel, to, now_ms).await? else {
        return Ok(None);
    };
    for admin in if it.notice.is_some() { notices::admins(tx, it.tenant).await? } else { Vec::new() } {
        let id = NotificationId::new(now_ms, clock.random());
        let text = it.notice.as_deref().unwrap_or_default();
        notices::insert_general(tx, it.tenant, id, (admin, "channel", text), now_ms).await?;
    }
    announce(tx, clock, it, from).await.map(Some)
}

/// Writes into the log that a channel was moved by hand; `from`: the state it had.
///
/// # Errors
/// The store's.
pub async fn announce(tx: &mut Tx, clock: &Clock, it: &Move, from: String) -> Result<Entered, StoreError> {
    let at_ms = clock.now_ms();
    let event = Event {
        id: EventId::new(at_ms, clock.random()),
        at_ms,
        conversation: None,
        cause: Cause { actor: it.actor.clone(), chain: Vec::new() },
        body: EventBody::ChannelStateChanged { from, to: it.to.clone(), reason: it.reason.clone() },
    };
    let logged = Logged { event, channel: Some(it.channel), seq: 0 };
    log::append(tx, &[(it.tenant, logged.clone())]).await?;
    Ok(Entered { tenant: it.tenant, logged })
}

/// A state that was entered: what is in the log of it.
#[derive(Debug)]
pub struct Entered {
    tenant: TenantId,
    /// The event.
    pub logged: Logged,
}

impl Entered {
    /// Something else of a channel that is in the log.
    pub(super) fn of(tenant: TenantId, logged: Logged) -> Self {
        Self { tenant, logged }
    }

    /// To be published after the commit.
    pub fn news(&self) -> News {
        News::Event { tenant: self.tenant, event: self.logged.event.id, conversation: None }
    }

    /// Tells other programs; call it last in the transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell(self, tx: &mut Tx, clock: &Clock, view: &TenantView) -> Result<News, StoreError> {
        let told = outbox::of_event(view, &self.logged).map(|it| (self.tenant, it)).collect();
        outbox::put(tx, clock, told).await?;
        Ok(self.news())
    }
}

/// Says after the commit that a channel's state has changed, here and in other processes, and lets go what waited.
///
/// Lanes and channels are never locked in one transaction: a delivery has its lane when it looks at the channel. What
/// a crash in between leaves waiting looks again by itself.
///
/// # Errors
/// The store's.
pub async fn settle(
    flow: &Flow,
    tenant: TenantId,
    channel: ChannelId,
    news: Option<News>,
) -> Result<(), FlowError> {
    flow.forget(tenant, Some(channel));
    if let Some(news) = news {
        flow.bus.publish(news);
        flow.bus.ring(Task::Webhook);
    }
    let now_ms = flow.clock.now_ms();
    let woken = flow.db.write(Durability::Soft, move |tx| {
        Box::pin(async move { lanes::wake_deliveries(tx, tenant, channel, now_ms).await })
    });
    if woken.await? > 0 {
        flow.bus.ring(Task::Deliver);
    }
    Ok(())
}

/// A message has left by a channel that nobody had checked: it works.
///
/// # Errors
/// The store's.
pub(super) async fn works(flow: &Flow, tenant: TenantId, channel: ChannelId) -> Result<(), FlowError> {
    let (clock, view) = (flow.clock.clone(), flow.catalog.view(flow, tenant).await?);
    let moved = flow.db.write(Durability::Soft, move |tx| {
        let (clock, view) = (clock.clone(), view.clone());
        Box::pin(async move {
            let (reason, notice, actor) = (None, None, Actor::Vendor);
            let to = CONNECTED.to_owned();
            match enter(tx, &clock, &Move { tenant, channel, to, reason, notice, actor }).await? {
                Some(entered) => entered.tell(tx, &clock, &view).await.map(Some),
                None => Ok(None),
            }
        })
    });
    if let Some(news) = moved.await? {
        flow.forget(tenant, Some(channel));
        flow.bus.publish(news);
        flow.bus.ring(Task::Webhook);
    }
    Ok(())
}
