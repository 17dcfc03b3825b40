//! Waiting conversations → people who are there. One hand-out at a time per
//! tenant, so that nobody gets more chats than they may have; the choice itself
//! is pure (`pointsman_rules::assign`), and the conversation's own turn carries it
//! out.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::assign::{Waiting as Wants, distribute};
use pointsman_rules::event::Actor;
use pointsman_rules::facts::Directory;
use pointsman_rules::ids::{ConversationId, GroupId, InboxId, TenantId, UserId};

use super::case::to_json;
use super::command::{Command, Order};
use super::turn::Entry;
use super::{Flow, FlowError};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::queue::{self, Waiting};
use crate::store::{Durability, StoreError, Tx, tenants};

/// Conversations of one group that one hand-out looks at.
const ROWS_MAX: u32 = 100;
/// What is on its way to somebody longer than this got lost, milliseconds; it is handed out again. (The turn that
/// carries it out refuses a second one.)
const ON_ITS_WAY_MS: i64 = 60_000;
/// Who passed on a conversation is not asked again for this long, milliseconds.
const PASSED_MS: i64 = 300_000;

/// Hands out what waits, in all tenants.
///
/// # Errors
/// The store's; what was not handed out waits on.
pub async fn run(flow: &Flow) -> Result<(), FlowError> {
    let mut queues: BTreeMap<TenantId, Vec<GroupId>> = BTreeMap::new();
    for (tenant, group) in queue::groups(&mut flow.db.read().await?).await? {
        queues.entry(tenant).or_default().push(group);
    }
    for (tenant, groups) in queues {
        let directory = flow.catalog.view(flow, tenant).await?.directory.clone();
        let now_ms = flow.clock.now_ms();
        // Looking costs no lock; most of the time nobody is free.
        if plan(&mut flow.db.read().await?, tenant, &groups, &directory, now_ms).await?.is_empty() {
            continue;
        }
        hand_out(flow, tenant, groups, directory).await?;
    }
    Ok(())
}

async fn hand_out(
    flow: &Flow,
    tenant: TenantId,
    groups: Vec<GroupId>,
    directory: Arc<Directory>,
) -> Result<(), FlowError> {
    let (inside, groups) = (flow.clone(), Arc::new(groups));
    let given = flow.db.write(Durability::Hard, move |tx| {
        let (flow, groups, directory) = (inside.clone(), groups.clone(), directory.clone());
        Box::pin(async move {
            // One hand-out at a time.
            tenants::lock(tx, tenant).await?;
            let now_ms = flow.clock.now_ms();
            let plan = plan(tx, tenant, &groups, &directory, now_ms).await?;
            let entries: Vec<NewEntry> =
                plan.iter().map(|(it, agent)| entry(&flow, tenant, it, *agent, now_ms)).collect();
            intake::enqueue(tx, &entries, now_ms).await?;
            let pairs: Vec<_> = plan.iter().map(|(it, agent)| (it.conversation, *agent)).collect();
            queue::place(tx, tenant, &pairs, now_ms).await?;
            Ok(plan.len())
        })
    });
    if given.await? > 0 {
        flow.bus.ring(Task::Turn);
    }
    Ok(())
}

async fn plan(
    tx: &mut Tx,
    tenant: TenantId,
    groups: &[GroupId],
    directory: &Directory,
    now_ms: i64,
) -> Result<Vec<(Waiting, UserId)>, StoreError> {
    let seats = queue::seats(tx, tenant, now_ms - ON_ITS_WAY_MS).await?;
    let mut waiting = Vec::new();
    for group in groups {
        let facts = directory.group_by_id(*group);
        if facts.is_some_and(|group| seats.iter().any(|seat| group.members.contains(&seat.agent))) {
            waiting.extend(queue::waiting(tx, tenant, *group, now_ms - ON_ITS_WAY_MS, ROWS_MAX).await?);
        }
    }
    let wants: Vec<Wants<'_>> = waiting.iter().map(|it| wants(it, directory, now_ms)).collect();
    let given: BTreeMap<ConversationId, UserId> = distribute(&wants, seats, now_ms).into_iter().collect();
    Ok(waiting.into_iter().filter_map(|it| given.get(&it.conversation).map(|agent| (it, *agent))).collect())
}

fn wants<'a>(it: &Waiting, directory: &'a Directory, now_ms: i64) -> Wants<'a> {
    let group = directory.group_by_id(it.group);
    let passed = it.queue.passed.iter().filter(|(_, at_ms)| *at_ms > now_ms - PASSED_MS);
    Wants {
        conversation: it.conversation,
        policy: it.queue.policy,
        members: group.map(|group| group.members.as_slice()).unwrap_or_default(),
        chats_max: group.and_then(|group| group.assignment.chats_max),
        passed: passed.map(|(agent, _)| *agent).collect(),
    }
}

fn entry(flow: &Flow, tenant: TenantId, it: &Waiting, agent: UserId, now_ms: i64) -> NewEntry {
    let id = InboxId::new(now_ms, flow.clock.random());
    let order = Order {
        conversation: Some(it.conversation),
        actor: Actor::System,
        command: Command::Place { agent },
    };
    NewEntry {
        tenant,
        lane: it.lane,
        id,
        channel: it.channel,
        raw: None,
        dedupe_key: id.to_string(),
        body: to_json(&Entry::Order(order)),
        received_ms: now_ms,
    }
}
