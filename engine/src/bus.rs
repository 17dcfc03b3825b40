//! In-process news: which lanes have work, which conversations changed. Only a
//! hint: whoever misses one finds the same in the database a little later.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_rules::ids::{ChannelId, ConversationId, EventId, LaneId, TenantId};
use tokio::sync::{Notify, broadcast};

use crate::store::lanes::Task;

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
    /// Some lane has work of this kind.
    Ready {
        /// Which kind.
        task: Task,
    },
    /// A lane's inbox was worked off up to `seq`.
    Turned {
        /// Which lane.
        lane: LaneId,
        /// The last inbox entry that is done.
        seq: i64,
    },
    /// Another process committed something: look at the database.
    Elsewhere,
    /// Plugins were installed or removed over the API.
    Plugins,
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
    webhook: Notify,
    handout: Notify,
    /// What other processes have to be told, until somebody takes it.
    outward: Mutex<Outward>,
    outward_rung: Notify,
}

/// What other processes have to be told; many rings become one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outward {
    /// Lanes have inbox entries.
    pub turn: bool,
    /// Lanes have effects.
    pub deliver: bool,
    /// Lanes have deliveries to webhooks.
    pub webhook: bool,
    /// Events were appended or lanes worked off.
    pub news: bool,
    /// Plugins were installed or removed.
    pub plugins: bool,
    /// Configurations that changed.
    pub tenants: BTreeSet<TenantId>,
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
            webhook: Notify::new(),
            handout: Notify::new(),
            outward: Mutex::default(),
            outward_rung: Notify::new(),
        }))
    }

    /// Tells everybody who listens, here and in other processes.
    pub fn publish(&self, news: News) {
        self.tell_others(|outward| match &news {
            News::Ready { task: Task::Turn } => outward.turn = true,
            News::Ready { task: Task::Deliver } => outward.deliver = true,
            News::Ready { task: Task::Webhook } => outward.webhook = true,
            News::Plugins => outward.plugins = true,
            News::Event { .. } | News::Turned { .. } | News::Elsewhere => outward.news = true,
            News::Configuration { tenant, .. } => {
                outward.tenants.insert(*tenant);
            }
        });
        self.publish_here(news);
    }

    /// Tells everybody in this process.
    pub fn publish_here(&self, news: News) {
        if matches!(news, News::Configuration { .. }) {
            self.ring_handout(); // somebody may have come online
        }
        if let News::Ready { task } = news {
            self.bell(task).notify_one();
        } else {
            let _ = self.0.news.send(news); // nobody listening is fine
        }
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.0.news.subscribe()
    }

    /// A lane has work of this kind.
    pub fn ring(&self, task: Task) {
        self.publish(News::Ready { task });
    }

    /// Waits for `ring`; a ring while nobody waits is kept.
    pub async fn rung(&self, task: Task) {
        self.bell(task).notified().await;
    }

    /// Somebody may be found for a conversation that waits. Other processes look by themselves.
    pub fn ring_handout(&self) {
        self.0.handout.notify_one();
    }

    /// Waits for `ring_handout`.
    pub async fn handout_rung(&self) {
        self.0.handout.notified().await;
    }

    /// Waits until other processes have to be told something, and takes it.
    pub async fn take_outward(&self) -> Outward {
        self.0.outward_rung.notified().await;
        std::mem::take(&mut *self.0.outward.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_others(&self, note: impl FnOnce(&mut Outward)) {
        note(&mut self.0.outward.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.outward_rung.notify_one();
    }

    fn bell(&self, task: Task) -> &Notify {
        match task {
            Task::Turn => &self.0.turn,
            Task::Deliver => &self.0.deliver,
            Task::Webhook => &self.0.webhook,
        }
    }
}
