//! Giving a command: into the lane's inbox, and wait until its turn has come.

use std::time::Duration;

use pointsman_rules::ids::{ChannelId, ConversationId, InboxId, LaneId, MessageId, TenantId};
use tokio::sync::broadcast::error::RecvError;

use super::command::{Command, Order};
use super::turn::Entry;
use super::{Flow, FlowError};
use crate::bus::News;
use crate::store::intake::{self, NewEntry};
use crate::store::{Durability, StoreError, conversations, lanes, messages};

/// How long a command may wait for its turn before the caller is told that it is still waiting.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often the database is asked when no news comes (the turn may run in another process).
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The conversation it was for.
    pub conversation: ConversationId,
    /// The message it made.
    pub message: Option<MessageId>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such conversation.
    #[error("there is no such conversation")]
    NotFound,
    /// It was refused; a refused message stays visible as failed.
    #[error("{detail}")]
    Refused {
        /// Stable.
        code: String,
        /// One sentence.
        detail: String,
        /// The message that was refused.
        message: Option<MessageId>,
    },
    /// It is kept and will be carried out, but not yet.
    #[error("the command is kept but was not carried out within ten seconds; look again in a moment")]
    TimedOut,
    /// The flow room failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for OrderError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

impl Flow {
    /// Appends a command to its conversation's lane and waits until a turn has carried it out. `channel` is for
    /// `Command::Start` only.
    ///
    /// # Errors
    /// Refused, unknown, or not carried out in time (it is kept then).
    pub async fn order(
        &self,
        tenant: TenantId,
        channel: Option<ChannelId>,
        order: Order,
    ) -> Result<Ordered, OrderError> {
        let message = message_of(&order.command);
        let (lane, channel) = self.address(tenant, channel, &order).await?;
        let mut news = self.bus.subscribe();
        let seq = self.enqueue(tenant, lane, channel, &order).await?;
        let wait = self.wait(tenant, lane, seq, &mut news);
        tokio::time::timeout(WAIT_MAX, wait).await.map_err(|_| OrderError::TimedOut)??;
        let tx = &mut self.db.read().await?;
        if let Some(problem) = intake::problem(tx, tenant, lane, seq).await? {
            return Err(refused(&problem, message));
        }
        let conversation = match (order.conversation, message) {
            (Some(conversation), _) => conversation,
            (None, Some(id)) => {
                messages::get(tx, tenant, id).await?.map(|it| it.conversation).ok_or(OrderError::NotFound)?
            }
            (None, None) => return Err(OrderError::NotFound),
        };
        Ok(Ordered { conversation, message })
    }

    async fn address(
        &self,
        tenant: TenantId,
        channel: Option<ChannelId>,
        order: &Order,
    ) -> Result<(LaneId, ChannelId), OrderError> {
        match (&order.command, order.conversation, channel) {
            (Command::Start { to, .. }, _, Some(channel)) => {
                let known = self.catalog.channel(self, tenant, channel).await?.ok_or(OrderError::NotFound)?;
                Ok((self.lane_of_party(&known, to, true).await?, channel))
            }
            (_, Some(conversation), _) => {
                conversations::lane_of(&mut self.db.read().await?, tenant, conversation)
                    .await?
                    .ok_or(OrderError::NotFound)
            }
            _ => Err(OrderError::NotFound),
        }
    }

    async fn enqueue(
        &self,
        tenant: TenantId,
        lane: LaneId,
        channel: ChannelId,
        order: &Order,
    ) -> Result<i64, OrderError> {
        let now_ms = self.clock.now_ms();
        let id = InboxId::new(now_ms, self.clock.random());
        let entry = NewEntry {
            tenant,
            lane,
            id,
            channel,
            raw: None,
            dedupe_key: id.to_string(),
            body: super::case::to_json(&Entry::Order(order.clone())),
            received_ms: now_ms,
        };
        let seq = self
            .db
            .write(Durability::Hard, move |tx| {
                let entry = entry.clone();
                Box::pin(async move { intake::enqueue(tx, std::slice::from_ref(&entry), now_ms).await })
            })
            .await?;
        self.bus.ring(lanes::Task::Turn);
        Ok(seq.first().copied().unwrap_or_default())
    }

    async fn wait(
        &self,
        tenant: TenantId,
        lane: LaneId,
        seq: i64,
        news: &mut tokio::sync::broadcast::Receiver<News>,
    ) -> Result<(), OrderError> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.tick().await; // the first tick is immediate
        loop {
            let must_look = tokio::select! {
                it = news.recv() => match it {
                    Ok(News::Turned { lane: turned, seq: done }) if turned == lane && done >= seq => return Ok(()),
                    Ok(_) => false,
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return Err(StoreError::Closed.into()),
                },
                _ = look.tick() => true,
            };
            if must_look && lanes::is_done(&mut self.db.read().await?, tenant, lane, seq).await? {
                return Ok(());
            }
        }
    }
}

fn message_of(command: &Command) -> Option<MessageId> {
    match command {
        Command::Start { message, .. }
        | Command::Send { message, .. }
        | Command::Note { message, .. }
        | Command::Retry { message }
        | Command::Discard { message } => Some(*message),
        _ => None,
    }
}

fn refused(problem: &str, message: Option<MessageId>) -> OrderError {
    let value: serde_json::Value = serde_json::from_str(problem).unwrap_or_default();
    let field = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or("refused").to_owned();
    OrderError::Refused { code: field("code"), detail: field("detail"), message }
}
