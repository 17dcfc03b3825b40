//! Erasing a person, or one conversation. The first step, one transaction, takes
//! the lanes away from whoever works on them and makes the rest unreachable; what
//! is then left goes in short steps, each of which may be repeated, so that a
//! process that dies half way loses nothing: a job goes on where it was.
//!
//! Of a person stay the id of the contact and of the conversations, with counts and
//! times; whoever had opted out or was blocked stays so by a keyed hash (`suppress`).

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman_rules::ids::{ContactId, ConversationId, ErasureId, LaneId, RawWebhookId, TenantId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::jobs::{Outcome, Round};
use super::mask::mask_name;
use super::retention::answer_place;
use super::{Flow, FlowError, lane_of, suppress};
use crate::plugins::WebhookRequest;
use crate::store::contact_views::{self, ContactView, Thread};
use crate::store::erasures::{self, Erasure, Part, Plan, Target};
use crate::store::filter::Sight;
use crate::store::suppressions::{self, Suppressed};
use crate::store::{
    Durability, StoreError, Tx, attachments, channels, conversations, idempotency, lanes, raw_webhooks,
};

/// Rows that go in one transaction.
const ROWS_PER_STEP: u32 = 250;
/// Webhooks and answers that are looked at in one query.
const LOOKED_AT_PER_STEP: u32 = 100;
/// Pause between two steps, in which others write.
const STEP_PAUSE: Duration = Duration::from_millis(10);
/// Channels of a tenant that are asked for lanes at most.
const CHANNELS_MAX: i64 = 10_000;
/// Shorter texts are found by chance in webhooks of others.
const NEEDLE_CHARS_MIN: usize = 7;

/// Who asks for it.
#[derive(Clone)]
pub struct Asked {
    /// The id it will have.
    pub id: ErasureId,
    /// Whose.
    pub tenant: TenantId,
    /// Id of the user or key.
    pub actor: String,
}

/// Begins to erase a contact, with all that were merged into it; they must not be erased yet. From this transaction's
/// end on nobody finds them, and nothing is written to them.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when they got a conversation meanwhile.
pub async fn begin_contact(
    flow: &Flow,
    tx: &mut Tx,
    asked: &Asked,
    contact: ContactId,
) -> Result<(), StoreError> {
    let (tenant, now_ms) = (asked.tenant, flow.clock.now_ms());
    let family = erasures::family(tx, tenant, contact).await?;
    let mut people = Vec::with_capacity(family.len());
    for id in &family {
        people.extend(contact_views::get(tx, tenant, Sight::All, *id).await?);
    }
    let threads = contact_views::threads(tx, tenant, &family).await?;
    let lanes = lanes_of(tx, tenant, &people, &threads).await?;
    let fenced = lanes::fence(tx, tenant, &lanes, None, now_ms).await?;
    let conversations: Vec<ConversationId> = threads.iter().map(|it| it.conversation).collect();
    erasures::strip_conversations(tx, tenant, &conversations, now_ms).await?;
    for conversation in &conversations {
        erasures::silence(tx, tenant, *conversation).await?;
    }
    remember(flow, tx, tenant, &people).await?;
    erasures::strip_contacts(tx, tenant, &family, now_ms).await?;
    // A turn of a lane that had no conversation before may have begun one until its identity was gone.
    if contact_views::threads(tx, tenant, &family).await?.len() != threads.len() {
        return Err(StoreError::Moved("the contact"));
    }
    let plan = Plan { conversations, lanes: fenced, needles: needles(&people) };
    erasures::insert(tx, tenant, &erasure(asked, Target::Contact(contact), plan, now_ms)).await
}

/// Begins to erase a conversation; answers whether there was one. What waits in its lane begins a new one.
///
/// # Errors
/// The database's own.
pub async fn begin_conversation(
    flow: &Flow,
    tx: &mut Tx,
    asked: &Asked,
    id: ConversationId,
) -> Result<bool, StoreError> {
    let (tenant, now_ms) = (asked.tenant, flow.clock.now_ms());
    let Some((lane, _)) = conversations::lane_of(tx, tenant, id).await? else { return Ok(false) };
    let fenced = lanes::fence(tx, tenant, &[lane], Some(id), now_ms).await?;
    if !erasures::remove_conversation(tx, tenant, id).await? {
        return Ok(false);
    }
    erasures::silence(tx, tenant, id).await?;
    let plan = Plan { conversations: vec![id], lanes: fenced, needles: Vec::new() };
    erasures::insert(tx, tenant, &erasure(asked, Target::Conversation(id), plan, now_ms)).await?;
    Ok(true)
}

fn erasure(asked: &Asked, target: Target, plan: Plan, now_ms: i64) -> Erasure {
    let actor = asked.actor.clone();
    let (is_done, rows_gone, created_ms, done_ms) = (false, 0, now_ms, None);
    Erasure { id: asked.id, target, actor, is_done, plan, rows_gone, created_ms, done_ms }
}

/// The lanes of their conversations, and those in which they may have written without one (who is blocked has none).
async fn lanes_of(
    tx: &mut Tx,
    tenant: TenantId,
    people: &[ContactView],
    threads: &[Thread],
) -> Result<Vec<LaneId>, StoreError> {
    let mut lanes: BTreeSet<LaneId> = threads.iter().map(|it| it.lane).collect();
    let channels = channels::list(tx, tenant, Sight::All, None, CHANNELS_MAX).await?;
    for identity in people.iter().flat_map(|it| &it.identities) {
        let of_kind = channels.iter().filter(|channel| channel.kind == identity.channel_kind);
        lanes.extend(of_kind.map(|channel| lane_of(tenant, channel.id, &identity.value)));
    }
    Ok(lanes.into_iter().collect())
}

/// Keeps in mind, by hashes, who must not be written to.
async fn remember(
    flow: &Flow,
    tx: &mut Tx,
    tenant: TenantId,
    people: &[ContactView],
) -> Result<(), StoreError> {
    let blocked_ms = people.iter().filter_map(|it| it.blocked_ms).min();
    let opt_outs: Vec<_> = people.iter().flat_map(|it| &it.opt_outs).collect();
    for identity in people.iter().flat_map(|it| &it.identities) {
        let kind = &identity.channel_kind;
        let out =
            opt_outs.iter().filter(|it| it.channel_kind == *kind).max_by_key(|it| it.source == "vendor");
        let opted_out = out.map(|it| (it.since_ms, it.source.clone()));
        let it = Suppressed { blocked_ms, opted_out };
        for hash in suppress::hashes(&flow.keyring, kind, &identity.value, identity.phone_key.as_deref()) {
            suppressions::set(tx, tenant, &hash, kind, &it).await?;
        }
    }
    Ok(())
}

/// Texts by which webhooks of theirs are recognised: numbers by their digits, other addresses as they are.
fn needles(people: &[ContactView]) -> Vec<String> {
    let mut out = BTreeSet::new();
    for person in people {
        let identities = &person.identities;
        let addresses =
            identities.iter().flat_map(|it| [Some(&it.value), Some(&it.address), it.scoped_id.as_ref()]);
        let phones = identities.iter().flat_map(|it| [it.phone.as_ref(), it.phone_key.as_ref()]);
        for text in addresses.chain(phones).flatten().chain(&person.phone) {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let is_number = mask_name(text) != *text;
            out.insert(if is_number { digits } else { text.clone() });
        }
    }
    out.into_iter().filter(|needle| needle.chars().count() >= NEEDLE_CHARS_MIN).collect()
}

/// Erases what is left of everything that was begun.
///
/// # Errors
/// The store's; the next round goes on.
pub async fn resume(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    while let Some(erasure) = erasures::next(&mut flow.db.read().await?, tenant).await? {
        if !work_off(flow, tenant, &erasure, &round.stop).await? {
            return Ok(Outcome::Snoozed);
        }
    }
    Ok(Outcome::Done)
}

/// Erases what is left; answers whether that is all. `stop`: no further step. Two processes at it do no harm.
///
/// # Errors
/// The store's; what is gone is gone, and it can be gone on with.
pub async fn work_off(
    flow: &Flow,
    tenant: TenantId,
    it: &Erasure,
    stop: &CancellationToken,
) -> Result<bool, FlowError> {
    let step = Step { flow, tenant, id: it.id, stop };
    for conversation in &it.plan.conversations {
        for part in Part::ALL {
            if part == Part::Files {
                step.bytes(*conversation, &it.plan.conversations).await?;
            }
            if !step.part(*conversation, part).await? {
                return Ok(false);
            }
        }
    }
    for lane in &it.plan.lanes {
        if !step.inbox(lane).await? {
            return Ok(false);
        }
    }
    let ids = it.plan.conversations.iter().map(ConversationId::to_string);
    let contact = match it.target {
        Target::Contact(id) => Some(id.to_string()),
        Target::Conversation(_) => None,
    };
    let words: Vec<String> = ids.chain(contact).chain(it.plan.needles.iter().cloned()).collect();
    if !step.webhooks(&it.plan.needles).await? || !step.answers(&words).await? {
        return Ok(false);
    }
    let (id, now_ms) = (it.id, flow.clock.now_ms());
    flow.db
        .write(Durability::Hard, move |tx| {
            Box::pin(async move { erasures::finish(tx, tenant, id, now_ms).await })
        })
        .await?;
    Ok(true)
}

/// What all steps need.
struct Step<'a> {
    flow: &'a Flow,
    tenant: TenantId,
    id: ErasureId,
    stop: &'a CancellationToken,
}

impl Step<'_> {
    /// Removes one part of a conversation; `false`: there is more, but it is time to stop.
    async fn part(&self, conversation: ConversationId, part: Part) -> Result<bool, FlowError> {
        let (tenant, id) = (self.tenant, self.id);
        self.repeat(|| {
            self.flow.db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let rows = erasures::remove_part(tx, tenant, conversation, part, ROWS_PER_STEP).await?;
                    erasures::count(tx, tenant, id, rows).await?;
                    Ok::<_, StoreError>(rows)
                })
            })
        })
        .await
    }

    /// Empties an inbox, and removes the webhooks it was filled from.
    async fn inbox(&self, lane: &lanes::Fenced) -> Result<bool, FlowError> {
        let (tenant, id, lane) = (self.tenant, self.id, *lane);
        self.repeat(|| {
            self.flow.db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let rows = erasures::empty_inbox(tx, tenant, &lane, ROWS_PER_STEP).await?;
                    erasures::count(tx, tenant, id, rows).await?;
                    Ok::<_, StoreError>(rows)
                })
            })
        })
        .await
    }

    async fn repeat<F>(&self, step: impl Fn() -> F) -> Result<bool, FlowError>
    where
        F: Future<Output = Result<u64, StoreError>>,
    {
        loop {
            if step().await? < u64::from(ROWS_PER_STEP) {
                return Ok(true);
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            tokio::time::sleep(STEP_PAUSE).await;
        }
    }

    /// Removes the bytes of a conversation's files before their rows, so that none stay behind: but for those that
    /// somebody else has.
    async fn bytes(&self, conversation: ConversationId, erased: &[ConversationId]) -> Result<(), FlowError> {
        let tx = &mut self.flow.db.read().await?;
        for blob in attachments::blobs_of(tx, self.tenant, conversation).await? {
            let users = attachments::users_of(tx, self.tenant, &blob).await?;
            let is_ours = |user: &Option<ConversationId>| user.is_some_and(|user| erased.contains(&user));
            if !users.iter().all(is_ours) {
                continue;
            }
            if let Err(error) = self.flow.host.blobs().remove(&self.tenant.to_string(), &blob).await {
                tracing::error!(blob, %error, "the bytes of an erased file cannot be removed; remove them by hand");
            }
        }
        Ok(())
    }

    /// Removes webhooks that name the person and led to nothing: repeats, and what no plugin could read.
    async fn webhooks(&self, needles: &[String]) -> Result<bool, FlowError> {
        if needles.is_empty() {
            return Ok(true);
        }
        let mut before = None;
        loop {
            let filter = raw_webhooks::Filter { before, ..raw_webhooks::Filter::default() };
            let tx = &mut self.flow.db.read().await?;
            let page = raw_webhooks::list(tx, self.tenant, &filter, i64::from(LOOKED_AT_PER_STEP)).await?;
            let Some(last) = page.last() else { return Ok(true) };
            before = Some(last.id);
            let found: Vec<RawWebhookId> =
                page.iter().filter(|it| names(&it.request, needles)).map(|it| it.id).collect();
            self.remove_webhooks(found).await?;
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
    }

    async fn remove_webhooks(&self, ids: Vec<RawWebhookId>) -> Result<(), FlowError> {
        if ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant;
        self.flow
            .db
            .write(Durability::Hard, move |tx| {
                let ids = ids.clone();
                Box::pin(async move {
                    for id in ids {
                        raw_webhooks::remove(tx, tenant, id).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        tokio::time::sleep(STEP_PAUSE).await;
        Ok(())
    }

    /// Empties kept answers to requests that name the person or what is theirs.
    async fn answers(&self, words: &[String]) -> Result<bool, FlowError> {
        let (keyring, tenant) = (&self.flow.keyring, self.tenant);
        let mut after = String::new();
        loop {
            let tx = &mut self.flow.db.read().await?;
            let page = idempotency::answers(tx, tenant, &after, LOOKED_AT_PER_STEP).await?;
            let Some((last, _)) = page.last() else { return Ok(true) };
            after.clone_from(last);
            for (key, sealed) in page {
                let place = answer_place(&key);
                let Ok(plain) = keyring.open(&place, &sealed) else { continue };
                if !holds(&plain, words) {
                    continue;
                }
                let empty = json!({"headers": [], "body": "{}"}).to_string();
                let sealed = keyring.seal(&self.flow.clock, &place, empty.as_bytes());
                let replaced = self.flow.db.write(Durability::Hard, move |tx| {
                    let (key, sealed) = (key.clone(), sealed.clone());
                    Box::pin(async move { idempotency::replace(tx, tenant, &key, &sealed).await })
                });
                replaced.await?;
            }
            if self.stop.is_cancelled() {
                return Ok(false);
            }
        }
    }
}

/// Does a kept webhook name one of these?
fn names(request: &str, needles: &[String]) -> bool {
    // What cannot be read is looked at as it is.
    match serde_json::from_str::<WebhookRequest>(request) {
        Ok(request) => holds(&request.body, needles) || holds(request.url.as_bytes(), needles),
        Err(_) => holds(request.as_bytes(), needles),
    }
}

fn holds(text: &[u8], needles: &[String]) -> bool {
    let text = String::from_utf8_lossy(text);
    needles.iter().any(|needle| text.contains(needle.as_str()))
}

#[cfg(test)]
#[path = "erase_tests.rs"]
mod tests;
