//! Work that waits for assistants: taken with a lease, done, and its outcome put
//! into the conversation's lane together with the end of the work. A crash before
//! that costs an attempt and asks again; after it nothing is asked twice.

use pointsman_rules::event::Actor;
use pointsman_rules::ids::{InboxId, TenantId};

use super::ask::{NotAsked, think};
use super::bill::{self, Bill};
use super::{Answer, Judgement, Run};
use crate::flow::case::to_json;
use crate::flow::command::{Command, Order};
use crate::flow::turn::Entry;
use crate::flow::{Flow, FlowError};
use crate::plugins::{AssistOutcome, AssistTask, OutboundContent, OutboundMessage, Party};
use crate::store::assistant_tasks::{self, Task, TaskKind};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes;
use crate::store::{Durability, assistant_calls, contacts, conversations};

/// Attempts that may end with their process; then a person takes over.
const ATTEMPTS_MAX: i64 = 2;

/// Work that was taken.
#[derive(Debug, Clone)]
pub struct Due {
    tenant: TenantId,
    task: Task,
}

/// Takes work that is due, at most `rows_max`.
///
/// # Errors
/// The store's.
pub async fn claim(flow: &Flow, rows_max: u32) -> Result<Vec<Due>, FlowError> {
    let now_ms = flow.clock.now_ms();
    // Looking costs no commit; nearly always there is nothing.
    if !assistant_tasks::is_due(&mut flow.db.read().await?, now_ms).await? {
        return Ok(Vec::new());
    }
    let (owner, until_ms) = (flow.owner.clone(), now_ms + flow.settings.lease_ms);
    let taken = flow.db.write(Durability::Soft, move |tx| {
        let owner = owner.clone();
        Box::pin(async move { assistant_tasks::claim(tx, &owner, (now_ms, until_ms), rows_max).await })
    });
    Ok(taken.await?.into_iter().map(|(tenant, task)| Due { tenant, task }).collect())
}

/// Asks, and puts what came of it into the lane.
///
/// # Errors
/// The store's; the work is due again when its lease has run out.
pub async fn run(flow: &Flow, due: Due) -> Result<(), FlowError> {
    let Due { tenant, task } = due;
    let (command, bill) = if task.attempts > ATTEMPTS_MAX {
        let reason = "The process ended each time that the assistant was asked.".to_owned();
        (failed(&task, reason), None)
    } else {
        if task.kind == TaskKind::Reply {
            show_typing(flow, tenant, &task);
        }
        match ask(flow, tenant, &task).await? {
            Some(asked) => asked,
            // The conversation is gone, and its work with it.
            None => return Ok(()),
        }
    };
    record(flow, tenant, task, command, bill).await
}

type Asked = (Command, Option<Bill>);

async fn ask(flow: &Flow, tenant: TenantId, task: &Task) -> Result<Option<Asked>, FlowError> {
    let wanted = match task.kind {
        TaskKind::Reply => AssistTask::Reply,
        TaskKind::Insights => AssistTask::Insights,
    };
    match think(flow, tenant, task.conversation, wanted, task.id).await {
        Ok(thought) => {
            let command = match task.kind {
                TaskKind::Reply => {
                    let answer = answer(thought.said);
                    Command::Answered { task: task.id, answer, run: thought.run }
                }
                TaskKind::Insights => Command::Judged { found: judgement(thought.said), run: thought.run },
            };
            Ok(Some((command, Some(thought.bill))))
        }
        Err(NotAsked::NotFound) => Ok(None),
        Err(NotAsked::Flow(error)) => Err(error),
        Err(NotAsked::NoConsent(_)) => {
            let reason = "No assistant may read this channel any more.".to_owned();
            Ok(Some((failed(task, reason), None)))
        }
        Err(why) => Ok(Some((failed(task, sentence(&why.to_string())), None))),
    }
}

fn answer(said: Result<AssistOutcome, String>) -> Answer {
    match said {
        Ok(AssistOutcome::Reply { text }) => Answer::Reply { text },
        Ok(AssistOutcome::Handoff { reason, note }) if note.trim().is_empty() => {
            Answer::HandOver { reason: format!("The assistant says: {}.", reason.replace('_', " ")) }
        }
        Ok(AssistOutcome::Handoff { note, .. }) => Answer::HandOver { reason: note },
        Ok(AssistOutcome::Silence) => Answer::Silence,
        Ok(AssistOutcome::Insights(_)) => {
            Answer::Failed { reason: "The assistant did not answer the question.".to_owned() }
        }
        Err(reason) => Answer::Failed { reason: sentence(&reason) },
    }
}

/// What an assistant was found to think, or why it did not tell.
///
/// # Errors
/// One sentence.
pub fn judgement(said: Result<AssistOutcome, String>) -> Result<Judgement, String> {
    match said {
        Ok(AssistOutcome::Insights(found)) => Ok(found.into()),
        Ok(_) => Err("The assistant answered something else.".to_owned()),
        Err(reason) => Err(sentence(&reason)),
    }
}

fn failed(task: &Task, reason: String) -> Command {
    let run = Run { assistant: None, model: None, took_ms: 0, input_tokens: 0, output_tokens: 0 };
    match task.kind {
        TaskKind::Reply => Command::Answered { task: task.id, answer: Answer::Failed { reason }, run },
        TaskKind::Insights => Command::Judged { found: Err(reason), run },
    }
}

/// With a capital and a full stop, as people are told.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The outcome goes into the lane under the name of its asking: however often it is recorded, it counts once.
async fn record(
    flow: &Flow,
    tenant: TenantId,
    task: Task,
    command: Command,
    bill: Option<Bill>,
) -> Result<(), FlowError> {
    let now_ms = flow.clock.now_ms();
    let order = Order { conversation: Some(task.conversation), actor: Actor::Assistant, command };
    let entry = NewEntry {
        tenant,
        lane: task.lane,
        id: InboxId::new(now_ms, flow.clock.random()),
        channel: task.channel,
        raw: None,
        dedupe_key: format!("assist:{}", task.id),
        body: to_json(&Entry::Order(order)),
        received_ms: now_ms,
    };
    let inputs = std::sync::Arc::new((task, entry, bill));
    flow.db
        .write(Durability::Hard, move |tx| {
            let inputs = inputs.clone();
            Box::pin(async move {
                let (task, entry, bill) = &*inputs;
                // The lane first: it is the lock that a turn takes too. An outcome that nobody waits for any more
                // comes to nothing there.
                intake::enqueue(tx, std::slice::from_ref(entry), now_ms).await?;
                assistant_tasks::end(tx, tenant, task).await?;
                match bill {
                    Some(bill) => bill::settle(tx, tenant, bill).await,
                    None => Ok(()),
                }
            })
        })
        .await?;
    flow.bus.ring(lanes::Task::Turn);
    Ok(())
}

/// Gives back what this process was at; with `None`, what any process was at.
///
/// # Errors
/// The store's.
pub async fn free(flow: &Flow, owner: Option<String>) -> Result<u64, FlowError> {
    let now_ms = flow.clock.now_ms();
    let freed = flow.db.write(Durability::Soft, move |tx| {
        let owner = owner.clone();
        Box::pin(async move {
            if owner.is_none() {
                assistant_calls::forget_all(tx).await?;
            }
            assistant_tasks::free(tx, owner.as_deref(), now_ms).await
        })
    });
    Ok(freed.await?)
}

/// Shows the contact that somebody types, where the channel can. A courtesy: whether it arrives does not matter.
fn show_typing(flow: &Flow, tenant: TenantId, task: &Task) {
    let (flow, task) = (flow.clone(), task.clone());
    tokio::spawn(async move {
        if let Err(error) = typing(&flow, tenant, &task).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "typing could not be shown");
        }
    });
}

async fn typing(flow: &Flow, tenant: TenantId, task: &Task) -> Result<(), FlowError> {
    let Some(channel) = flow.catalog.channel(flow, tenant, task.channel).await? else { return Ok(()) };
    let can = channel.facts.capabilities.typing && !channel.facts.receive_only && !channel.is_removed;
    if !can || channel.is_held() {
        return Ok(());
    }
    let Some((plugin, context)) = flow.channel_context(tenant, task.channel).await? else { return Ok(()) };
    let to = {
        let tx = &mut flow.db.read().await?;
        let found = conversations::load(tx, &[(tenant, task.conversation)]).await?;
        let Some(conversation) = found.first() else { return Ok(()) };
        let person = contacts::by_identity(tx, &[(tenant, conversation.identity)]).await?;
        let refuses = |facts: &pointsman_rules::facts::ContactFacts| facts.blocked || facts.opted_out;
        let Some(person) = person.into_iter().find(|it| !refuses(&it.facts)) else { return Ok(()) };
        let it = person.identity;
        Party {
            address: it.address,
            phone: it.phone,
            scoped_id: it.scoped_id,
            username: it.username,
            display_name: None,
            extras: Vec::new(),
        }
    };
    let message = OutboundMessage {
        effect_id: task.id.to_string(),
        attempt: 1,
        to,
        reply_to: None,
        content: OutboundContent::Typing,
        status_url: channel.webhook_url(&flow.settings.public_url),
    };
    if let Err(failure) = plugin.send(&context, &message).await {
        tracing::debug!(kind = failure.kind.class(), "the vendor shows no typing");
    }
    Ok(())
}
