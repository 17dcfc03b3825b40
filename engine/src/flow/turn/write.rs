//! Writes what turns came to: one transaction for all lanes of a batch, fenced
//! lane by lane by their leases.

use std::sync::Arc;

use pointsman_rules::event::EventBody;
use pointsman_rules::facts::Status;
use pointsman_rules::ids::{ChannelId, ConversationId, LaneId, TenantId};

use serde_json::Value;

use super::Turned;
use crate::bus::News;
use crate::clock::Clock;
use crate::flow::case::{ContactChange, Notice, NoticeTo, TimerChange};
use crate::flow::deliver::{self, Begun, Start};
use crate::flow::rule_watch;
use crate::flow::webhook::outbox::{self, Told};
use crate::flow::{Flow, session};
use crate::store::assistant_tasks::TaskKind;
use crate::store::contacts::Person;
use crate::store::conversations::Conversation;
use crate::store::effects::{self, Ending};
use crate::store::lanes::{self, Append, Finish, Task};
use crate::store::log::{self, Logged};
use crate::store::{
    Durability, StoreError, Tx, assistant_tasks, attachments, contacts, conversations, intake, jobs, labels,
    messages, notices, queue, rule_health, templates, timers,
};

/// What was written.
pub(super) struct Written {
    /// The lanes that were still ours, and whether more waits in them.
    pub(super) lanes: Vec<(LaneId, bool)>,
    /// Deliveries whose first step is taken.
    pub(super) begun: Vec<Begun>,
    /// Is there something to tell other programs?
    pub(super) tells: bool,
    /// Whose rules were parked.
    pub(super) parked: Vec<TenantId>,
    /// News of channels' sessions, to be settled.
    pub(super) sessions: Vec<(TenantId, ChannelId, Vec<News>)>,
}

/// Begins at most `places` deliveries.
pub(super) async fn write(
    flow: &Flow,
    turned: Arc<Vec<Turned>>,
    places: usize,
) -> Result<Written, StoreError> {
    let inside = flow.clone();
    flow.db
        .write(Durability::Hard, move |tx| {
            let (flow, turned) = (inside.clone(), turned.clone());
            Box::pin(async move {
                let (clock, now_ms) = (&flow.clock, flow.clock.now_ms());
                let ends: Vec<Finish> = turned
                    .iter()
                    .map(|it| Finish { claim: it.claim, done: it.done, conversation: it.conversation })
                    .collect();
                let ours = lanes::finish(tx, Task::Turn, now_ms, &ends).await?;
                let kept: Vec<&Turned> =
                    turned.iter().filter(|it| ours.iter().any(|(lane, _)| *lane == it.claim.lane)).collect();
                // Lanes before conversations: the order in which deliveries lock them too.
                wake_deliveries(tx, &kept, now_ms).await?;
                state(tx, &kept, now_ms).await?;
                story(tx, &kept).await?;
                changes(tx, &kept, now_ms).await?;
                deliveries(tx, &kept, now_ms).await?;
                for it in &kept {
                    tell(tx, clock, it.claim.tenant, &it.out.notices, now_ms).await?;
                }
                let parked = watch_rules(tx, &flow, &kept, now_ms).await?;
                let sessions = sessions(tx, clock, &kept).await?;
                let tells = outbox::put(tx, clock, told(&kept)).await?;
                let starts: Vec<Start> = kept.iter().filter_map(|it| start(it)).take(places).collect();
                let begun = deliver::begin(tx, &flow, &starts).await?;
                Ok(Written { lanes: ours, begun, tells, parked, sessions })
            })
        })
        .await
}

/// What vendors say of the phones that channels are linked to.
async fn sessions(
    tx: &mut Tx,
    clock: &Clock,
    kept: &[&Turned],
) -> Result<Vec<(TenantId, ChannelId, Vec<News>)>, StoreError> {
    let mut all = Vec::new();
    for it in kept {
        let Some((_, view)) = &it.desk else { continue };
        let of = (it.claim.tenant, it.claim.channel);
        for update in &it.out.sessions {
            let news =
                session::record(tx, (clock, view.as_ref()), of, update, session::Source::Webhook).await?;
            all.push((of.0, of.1, news));
        }
    }
    Ok(all)
}

/// What other programs are told of these turns.
fn told(kept: &[&Turned]) -> Vec<(TenantId, Told)> {
    let of = |it: &&Turned| {
        let view = it.desk.as_ref().map(|(_, view)| view.clone());
        let events = it.out.events.iter();
        let told: Vec<Told> = match &view {
            Some(view) => events.flat_map(|logged| outbox::of_event(view, logged)).collect(),
            None => Vec::new(),
        };
        let tenant = it.claim.tenant;
        told.into_iter().chain(it.out.called.clone()).map(move |it| (tenant, it)).collect::<Vec<_>>()
    };
    kept.iter().flat_map(of).collect()
}

fn start(it: &Turned) -> Option<Start> {
    let (channel, view) = it.desk.clone()?;
    let wants_more = !it.out.effects.is_empty() || !it.out.retried.is_empty();
    wants_more.then_some(Start { tenant: it.claim.tenant, lane: it.claim.lane, channel, view })
}

/// One list for all lanes, with the tenant beside each item.
fn gather<T: Clone>(kept: &[&Turned], list: impl Fn(&Turned) -> &Vec<T>) -> Vec<(TenantId, T)> {
    kept.iter().flat_map(|it| list(it).iter().map(|item| (it.claim.tenant, item.clone()))).collect()
}

async fn state(tx: &mut Tx, kept: &[&Turned], now_ms: i64) -> Result<(), StoreError> {
    let people = gather(kept, |it| &it.out.people);
    contacts::insert(tx, &people, now_ms).await?;
    let mut identities = gather(kept, |it| &it.out.identities);
    for (tenant, it) in &mut identities {
        it.facts.id = contacts::survivor(tx, *tenant, it.facts.id).await?;
    }
    contacts::insert_identities(tx, &identities, now_ms).await?;
    // A conversation that was set aside is closed before its successor opens.
    let mut conversations = gather(kept, |it| &it.out.conversations);
    give_contacts(tx, &people, &gather(kept, |it| &it.out.begun), &mut conversations).await?;
    conversations.sort_by_key(|(_, it)| (it.facts.status != Status::Closed, it.facts.id));
    conversations::upsert(tx, &conversations).await?;
    for it in kept {
        unlabel(tx, it.claim.tenant, &it.out.events).await?;
    }
    messages::insert(tx, &gather(kept, |it| &it.out.messages)).await?;
    attachments::insert(tx, &gather(kept, |it| &it.out.files)).await
}

/// Labels that were taken away, as the log says.
async fn unlabel(tx: &mut Tx, tenant: TenantId, events: &[Logged]) -> Result<(), StoreError> {
    for event in events.iter().map(|it| &it.event) {
        let EventBody::ConversationUpdated { changes } = &event.body else { continue };
        let (Some([before, now]), Some(conversation)) = (changes.get("labels"), event.conversation) else {
            continue;
        };
        let texts =
            |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap_or_default() };
        let now = texts(now);
        let gone: Vec<_> = texts(before).into_iter().filter(|label| !now.contains(label)).collect();
        labels::forget(tx, tenant, conversation, &gone).await?;
    }
    Ok(())
}

/// New conversations belong to whom their identity belongs to now: merging may have moved it since the turn read it.
async fn give_contacts(
    tx: &mut Tx,
    new: &[(TenantId, Person)],
    begun: &[(TenantId, ConversationId)],
    conversations: &mut [(TenantId, Conversation)],
) -> Result<(), StoreError> {
    let is_new = |it: &Conversation| {
        begun.iter().any(|(_, id)| *id == it.facts.id)
            && !new.iter().any(|(_, p)| p.identity.id == it.identity)
    };
    let wanted: Vec<_> = conversations
        .iter()
        .filter(|(_, it)| is_new(it))
        .map(|(tenant, it)| (*tenant, it.identity))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let owners = contacts::hold(tx, &wanted).await?;
    for (_, it) in conversations.iter_mut().filter(|(_, it)| is_new(it)) {
        it.contact = owners.get(&it.identity).copied().ok_or(StoreError::Moved("the contact"))?;
    }
    Ok(())
}

async fn story(tx: &mut Tx, kept: &[&Turned]) -> Result<(), StoreError> {
    log::append(tx, &gather(kept, |it| &it.out.events)).await?;
    log::record_runs(tx, &gather(kept, |it| &it.out.runs)).await
}

async fn changes(tx: &mut Tx, kept: &[&Turned], now_ms: i64) -> Result<(), StoreError> {
    messages::set_status(tx, &gather(kept, |it| &it.out.statuses)).await?;
    let settled = gather(kept, |it| &it.out.settled).into_iter();
    let ending = |state| Ending { state, next_ms: now_ms, failure: None };
    let settled: Vec<_> = settled.map(|(tenant, (id, state))| (tenant, id, ending(state))).collect();
    effects::end(tx, &settled, now_ms).await?;
    for it in kept {
        let (tenant, out) = (it.claim.tenant, &it.out);
        for change in &out.contacts {
            contact(tx, tenant, change, now_ms).await?;
        }
        for change in &out.timers {
            match change {
                TimerChange::Start(timer) => timers::upsert(tx, tenant, timer, now_ms).await?,
                TimerChange::Cancel { conversation, name } => {
                    timers::cancel(tx, tenant, *conversation, name).await?;
                }
            }
        }
        for change in &out.templates {
            let now = (change.name.as_str(), change.language.as_str(), change.status.as_str());
            templates::set_status(tx, tenant, it.claim.channel, now).await?;
            jobs::wake(tx, tenant, crate::flow::templates::JOB, now_ms).await?;
        }
        for conversation in &out.unasked {
            assistant_tasks::drop(tx, tenant, *conversation, TaskKind::Reply).await?;
        }
        for task in &out.asked {
            assistant_tasks::ask(tx, tenant, task).await?;
        }
        for (rule, conversation) in &out.holds {
            rule_health::hold(tx, tenant, *rule, *conversation, now_ms).await?;
        }
        for conversation in &out.placed {
            queue::arrived(tx, tenant, *conversation).await?;
        }
        for (seq, refused) in &out.refusals {
            let problem = serde_json::json!({"code": refused.code, "detail": refused.detail}).to_string();
            intake::set_problem(tx, tenant, it.claim.lane, *seq, &problem).await?;
            // What it says is about somebody who was erased.
            if refused.code == "gone" {
                intake::empty(tx, tenant, it.claim.lane, *seq).await?;
            }
        }
    }
    Ok(())
}

async fn contact(
    tx: &mut Tx,
    tenant: TenantId,
    change: &ContactChange,
    now_ms: i64,
) -> Result<(), StoreError> {
    match change {
        ContactChange::Updated(person) => contacts::update(tx, tenant, person).await,
        ContactChange::AlsoAt(person) => {
            let mut person = (**person).clone();
            person.facts.id = contacts::survivor(tx, tenant, person.facts.id).await?;
            contacts::add_identity(tx, tenant, &person, now_ms).await
        }
        ContactChange::Blocked(identity, since_ms) => {
            contacts::set_blocked(tx, tenant, *identity, *since_ms).await
        }
        ContactChange::OptedOut(identity, kind, since) => {
            let since = since.as_ref().map(|(ms, source)| (*ms, source.as_str()));
            contacts::set_opted_out(tx, tenant, *identity, kind, since).await
        }
    }
}

async fn wake_deliveries(tx: &mut Tx, kept: &[&Turned], now_ms: i64) -> Result<(), StoreError> {
    let appends: Vec<Append> = kept
        .iter()
        .map(|it| (it, it.out.effects.len() + it.out.retried.len()))
        .filter(|(_, count)| *count > 0)
        .map(|(it, count)| Append {
            tenant: it.claim.tenant,
            lane: it.claim.lane,
            channel: it.claim.channel,
            count: i64::try_from(count).unwrap_or(i64::MAX),
            ready_ms: now_ms,
        })
        .collect();
    lanes::append(tx, Task::Deliver, &appends).await.map(|_| ())
}

async fn deliveries(tx: &mut Tx, kept: &[&Turned], now_ms: i64) -> Result<(), StoreError> {
    effects::insert(tx, &gather(kept, |it| &it.out.effects), now_ms).await?;
    for it in kept {
        for (message, effect) in &it.out.retried {
            effects::requeue(tx, it.claim.tenant, *effect, now_ms).await?;
            messages::requeue(tx, it.claim.tenant, *message).await?;
        }
        for (message, effect) in &it.out.discarded {
            attachments::release(tx, it.claim.tenant, *message).await?;
            messages::delete_failed(tx, it.claim.tenant, *message).await?;
            effects::cancel(tx, it.claim.tenant, *effect).await?;
        }
    }
    Ok(())
}

/// Answers whose rules were parked.
async fn watch_rules(
    tx: &mut Tx,
    flow: &Flow,
    kept: &[&Turned],
    now_ms: i64,
) -> Result<Vec<TenantId>, StoreError> {
    let turns: Vec<_> = kept
        .iter()
        .filter_map(|it| Some((it.claim.tenant, &*it.desk.as_ref()?.1, it.out.ran.as_slice())))
        .collect();
    let parked = rule_watch::keep(tx, &flow.watch, &turns).await?;
    for (tenant, notice) in &parked {
        tell(tx, &flow.clock, *tenant, std::slice::from_ref(notice), now_ms).await?;
    }
    Ok(parked.into_iter().map(|(tenant, _)| tenant).collect())
}

async fn tell(
    tx: &mut Tx,
    clock: &crate::clock::Clock,
    tenant: TenantId,
    notices: &[Notice],
    now_ms: i64,
) -> Result<(), StoreError> {
    for notice in notices {
        let users = match &notice.to {
            NoticeTo::Users(users) => users.clone(),
            NoticeTo::Admins => notices::admins(tx, tenant).await?,
        };
        for user in users {
            let id = pointsman_rules::ids::NotificationId::new(now_ms, clock.random());
            let of = notices::Of {
                user,
                kind: notice.kind,
                conversation: notice.conversation,
                text: &notice.text,
                event: notice.event,
            };
            notices::insert(tx, tenant, id, &of, now_ms).await?;
        }
    }
    Ok(())
}
