//! Stands in for the flow room until it exists: the shape that HTTP is written
//! against, with configuration lookups that work and verbs that answer "not found".

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::ids::{ChannelId, ConversationId, MessageId, RawWebhookId, TenantId};

use crate::bus::{Bus, News};
use crate::clock::Clock;
use crate::crypto::{Keyring, Secret};
use crate::flow::command::Order;
use crate::plugins::{ChannelContext, Host, Plugin, WebhookReply, WebhookRequest};
use crate::store::{Db, StoreError};

/// What the verbs share; cheap to clone.
#[derive(Clone)]
pub struct Flow {
    /// The database.
    pub db: Db,
    /// Time and chance.
    pub clock: Clock,
    /// The master key.
    pub keyring: Keyring,
    /// The plugins.
    pub host: Host,
    /// In-process news.
    pub bus: Bus,
    /// What was configured.
    pub settings: Arc<FlowSettings>,
}

/// What was configured.
#[derive(Debug, Clone)]
pub struct FlowSettings {
    /// How the world reaches us, without a slash at the end.
    pub public_url: String,
}

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "a stand-in")]
pub enum AcceptError {
    #[error("no channel has this webhook address")]
    UnknownHook,
    #[error("the channel is not active")]
    Inactive,
    #[error("the webhook is not from the vendor: {reason}")]
    Forged { reason: String },
    #[error("the webhook cannot be read: {reason}")]
    Malformed { reason: String },
    #[error("the webhook is too large")]
    TooLarge,
    #[error("too much waits; try again in {retry_after_s} s")]
    Overloaded { retry_after_s: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// The conversation it was applied to.
    pub conversation: ConversationId,
    /// The message it made.
    pub message: Option<MessageId>,
}

/// Why a command was not applied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "a stand-in")]
pub enum OrderError {
    #[error("there is no such conversation")]
    NotFound,
    #[error("{detail}")]
    Refused { code: String, detail: String, message: Option<MessageId> },
    #[error("the command waits longer than 10 s")]
    TimedOut,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What parsing a stored webhook again gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// There is no such webhook.
    NotFound,
    /// So many events came out of it.
    Replayed {
        /// How many.
        events: usize,
    },
    /// It still cannot be read.
    Quarantined {
        /// Why.
        problem: String,
    },
}

impl Flow {
    /// A vendor's webhook.
    ///
    /// # Errors
    /// Always, here.
    pub async fn accept(
        &self,
        _hook_key: &str,
        _request: WebhookRequest,
    ) -> Result<WebhookReply, AcceptError> {
        Err(AcceptError::UnknownHook)
    }

    /// A command to a conversation.
    ///
    /// # Errors
    /// Always, here.
    pub async fn order(
        &self,
        _tenant: TenantId,
        _channel: Option<ChannelId>,
        _order: Order,
    ) -> Result<Ordered, OrderError> {
        Err(OrderError::NotFound)
    }

    /// Drops caches after a change.
    pub fn forget(&self, tenant: TenantId, channel: Option<ChannelId>) {
        self.bus.publish(News::Configuration { tenant, channel });
    }

    /// The channel with its plugin context.
    ///
    /// # Errors
    /// The database's own.
    pub async fn channel_context(
        &self,
        tenant: TenantId,
        channel: ChannelId,
    ) -> Result<Option<(Arc<Plugin>, ChannelContext)>, StoreError> {
        let mut tx = self.db.read().await?;
        let Some(row) = crate::store::channels::get(&mut tx, tenant, channel).await? else { return Ok(None) };
        let Some(plugin) = self.host.get(&row.provider) else { return Ok(None) };
        let secrets: BTreeMap<String, String> = self
            .keyring
            .open(&format!("channel:{channel}"), &row.secrets)
            .ok()
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .unwrap_or_default();
        let context = ChannelContext {
            channel_id: channel.to_string(),
            kind: row.kind,
            address: row.address,
            settings: row.settings.to_string(),
            secrets: Arc::new(secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()),
            webhook_url: format!("{}/hooks/{}", self.settings.public_url, row.hook_key),
            now_ms: self.clock.now_ms(),
            locale: row.language.unwrap_or_else(|| "en".to_owned()),
            allow_private_egress: row.allow_private_egress,
        };
        Ok(Some((plugin, context)))
    }

    /// Parses a stored webhook again.
    ///
    /// # Errors
    /// The database's own.
    pub async fn replay(&self, _tenant: TenantId, _raw: RawWebhookId) -> Result<ReplayOutcome, StoreError> {
        Ok(ReplayOutcome::NotFound)
    }
}
