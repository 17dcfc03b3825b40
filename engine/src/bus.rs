//! In-process news: which lanes have work, which conversations changed. Only a
//! hint: whoever misses one finds the same in the database a little later.

use std::sync::Arc;

use pointsman_rules::ids::{ChannelId, ConversationId, EventId, LaneId, TenantId};
use tokio::sync::{Notify, broadcast};

/// News that a slow listener may miss before it is told to catch up from the database.
const NEWS_MAX: usize = 4_096;

/// Something was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Events were appended to the log.
    Event {
        /// Whose.
        tenant: TenantId,
        /// Which event.
        event: EventId,
        /// Its conversation; none for channel events.
        conversation: Option<ConversationId>,
    },
    /// A lane's inbox was worked off up to `seq`.
    Turned {
        /// Which lane.
        lane: LaneId,
        /// The last inbox entry that is done.
        seq: i64,
    },
    /// Channels, rules, groups, users or templates of a tenant changed: drop caches.
    Configuration {
        /// Whose.
        tenant: TenantId,
        /// The channel, if only one changed.
        channel: Option<ChannelId>,
    },
}

/// The bus, cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    news: broadcast::Sender<News>,
    turn: Notify,
    deliver: Notify,
    due: Notify,
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            news: broadcast::channel(NEWS_MAX).0,
            turn: Notify::new(),
            deliver: Notify::new(),
            due: Notify::new(),
        }))
    }

    /// Tells everybody who listens.
    pub fn publish(&self, news: News) {
        let _ = self.0.news.send(news); // nobody listening is fine
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.0.news.subscribe()
    }

    /// A lane's inbox has entries.
    pub fn ring_turn(&self) {
        self.0.turn.notify_one();
    }

    /// A lane has effects to deliver.
    pub fn ring_deliver(&self) {
        self.0.deliver.notify_one();
    }

    /// A deadline may be earlier than the one that is waited for.
    pub fn ring_due(&self) {
        self.0.due.notify_one();
    }

    /// Waits for `ring_turn`.
    pub async fn turn_rung(&self) {
        self.0.turn.notified().await;
    }

    /// Waits for `ring_deliver`.
    pub async fn deliver_rung(&self) {
        self.0.deliver.notified().await;
    }

    /// Waits for `ring_due`.
    pub async fn due_rung(&self) {
        self.0.due.notified().await;
    }
}
