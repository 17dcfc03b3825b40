//! Deadlines → inbox. What is due becomes an entry of its lane, ordered with
//! everything else there, and happens once.

use std::sync::Arc;

use pointsman_rules::ids::InboxId;

use super::case::to_json;
use super::turn::{Entry, RanOut};
use super::{Flow, FlowError};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::{Durability, conversations, timers};

/// Deadlines moved in one transaction at most; more follow at once.
const BATCH_MAX: u32 = 500;
/// A fired timer whose entry was never worked off would be fired again after this long, milliseconds; its entry's
/// key makes that harmless.
const TIMER_HIDDEN_MS: i64 = 600_000;

/// Moves what is due into the inboxes. Answers whether there may be more.
///
/// # Errors
/// The store's; nothing moved then.
pub async fn run(flow: &Flow) -> Result<bool, FlowError> {
    let now_ms = flow.clock.now_ms();
    let tx = &mut flow.db.read().await?;
    let due = conversations::due(tx, now_ms, BATCH_MAX).await?;
    let ran_out = timers::due(tx, now_ms, BATCH_MAX).await?;
    if due.is_empty() && ran_out.is_empty() {
        return Ok(false);
    }
    let more = due.len().max(ran_out.len()) >= BATCH_MAX as usize;
    let id = || InboxId::new(now_ms, flow.clock.random());
    let mut entries: Vec<NewEntry> = due
        .iter()
        .map(|it| NewEntry {
            tenant: it.tenant,
            lane: it.lane,
            id: id(),
            channel: it.channel,
            raw: None,
            dedupe_key: format!("due:{}:{}:{}", it.conversation, it.due_ms, it.version),
            body: to_json(&Entry::Due(it.conversation)),
            received_ms: now_ms,
        })
        .collect();
    entries.extend(ran_out.iter().map(|(tenant, it)| NewEntry {
        tenant: *tenant,
        lane: it.lane,
        id: id(),
        channel: it.channel,
        raw: None,
        dedupe_key: it.id.to_string(),
        body: to_json(&Entry::Timer(RanOut {
            timer: it.id,
            name: it.name.clone(),
            due_ms: it.due_ms,
            episode: it.episode,
            conversation: it.conversation,
        })),
        received_ms: now_ms,
    }));
    let inputs = Arc::new((due, ran_out, entries));
    flow.db
        .write(Durability::Hard, move |tx| {
            let inputs = inputs.clone();
            Box::pin(async move {
                let (due, ran_out, entries) = &*inputs;
                // The lanes first: they are the lock that a turn takes too.
                intake::enqueue(tx, entries, now_ms).await?;
                for it in due {
                    conversations::clear_due(tx, it).await?;
                }
                for (tenant, timer) in ran_out {
                    timers::hide(tx, *tenant, timer, now_ms + TIMER_HIDDEN_MS).await?;
                }
                Ok(())
            })
        })
        .await?;
    flow.bus.ring(Task::Turn);
    Ok(more)
}
