//! What happens to a removed channel's conversations: they are closed, each by a
//! command in its own lane, and stay readable. Repeating it changes nothing, so a
//! crash half way is mended by the next round.

use std::sync::Arc;

use pointsman_rules::event::Actor;
use pointsman_rules::ids::{ChannelId, ConversationId, InboxId, LaneId, TenantId};

use super::case::to_json;
use super::command::{Command, Order};
use super::jobs::{Outcome, Round};
use super::turn::Entry;
use super::{Flow, FlowError};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::{Durability, channels};

/// Conversations that are told in one transaction.
const ROWS_PER_STEP: u32 = 200;

/// Closes what is open in a removed channel.
///
/// # Errors
/// The store's; what was not told yet is told by the next round.
pub async fn close_cases(flow: &Flow, tenant: TenantId, channel: ChannelId) -> Result<(), FlowError> {
    let mut after: Option<ConversationId> = None;
    loop {
        let tx = &mut flow.db.read().await?;
        let open = channels::open_cases(tx, tenant, channel, after, ROWS_PER_STEP).await?;
        let is_last = open.len() < ROWS_PER_STEP as usize;
        after = open.last().map(|(id, _)| *id);
        tell(flow, tenant, channel, &open).await?;
        if is_last {
            return Ok(());
        }
    }
}

async fn tell(
    flow: &Flow,
    tenant: TenantId,
    channel: ChannelId,
    open: &[(ConversationId, LaneId)],
) -> Result<(), FlowError> {
    let now_ms = flow.clock.now_ms();
    let entry = |(id, lane): &(ConversationId, LaneId)| {
        let order = Order { conversation: Some(*id), actor: Actor::System, command: Command::ChannelRemoved };
        NewEntry {
            tenant,
            lane: *lane,
            id: InboxId::new(now_ms, flow.clock.random()),
            channel,
            raw: None,
            // The same every time: told twice is told once.
            dedupe_key: format!("channel-removed:{id}"),
            body: to_json(&Entry::Order(order)),
            received_ms: now_ms,
        }
    };
    let entries: Arc<Vec<NewEntry>> = Arc::new(open.iter().map(entry).collect());
    if entries.is_empty() {
        return Ok(());
    }
    let told = flow.db.write(Durability::Hard, move |tx| {
        let entries = entries.clone();
        Box::pin(async move { intake::enqueue(tx, &entries, now_ms).await })
    });
    told.await?;
    flow.bus.ring(Task::Turn);
    Ok(())
}

/// Closes what removals that were cut off have left open.
///
/// # Errors
/// The store's.
pub async fn sweep(round: &Round) -> Result<Outcome, FlowError> {
    let tx = &mut round.flow.db.read().await?;
    for channel in channels::removed_with_open_cases(tx, round.tenant).await? {
        close_cases(&round.flow, round.tenant, channel).await?;
    }
    Ok(Outcome::Done)
}
