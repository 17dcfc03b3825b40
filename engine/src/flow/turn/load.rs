//! Reads what claimed lanes need, in few queries for all of them. Runs after
//! the claim and in statements of its own: what a claim returns together with
//! its lanes may be older than the lease.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use pointsman_rules::facts::MessageFacts;
use pointsman_rules::ids::{ChannelId, ConversationId, EffectId, LaneId, MessageId, TenantId};

use super::strangers::{self, Stranger};
use super::{ENTRIES_PER_TURN_MAX, Entry};
use crate::flow::case::message_facts;
use crate::flow::catalog::{Channel, TenantView};
use crate::flow::command::{Command, Order};
use crate::flow::content::Content;
use crate::flow::{Flow, FlowError};
use crate::plugins::{InboundBody, InboundMessage, Party, StatusUpdate};
use crate::store::Tx;
use crate::store::contacts::{self, Namesake, Person};
use crate::store::conversations::{self, Conversation};
use crate::store::effects;
use crate::store::intake;
use crate::store::lanes::Claim;
use crate::store::messages::{self, Message};
use crate::store::suppressions::Suppressed;
use crate::store::timers::{self, Timer};

/// An entry to be worked off.
pub(super) struct Pending {
    /// Its place in the lane.
    pub(super) seq: i64,
    /// Or why it cannot be read.
    pub(super) body: Result<Entry, String>,
}

impl Pending {
    pub(super) fn read(seq: i64, body: &str) -> Self {
        Self { seq, body: serde_json::from_str(body).map_err(|error| error.to_string()) }
    }
}

/// What is on one lane's table before its turn.
#[derive(Default)]
pub(super) struct Table {
    pub(super) channel: Option<Arc<Channel>>,
    pub(super) view: Option<Arc<TenantView>>,
    pub(super) entries: Vec<Pending>,
    pub(super) conversation: Option<Conversation>,
    pub(super) person: Option<Person>,
    pub(super) namesake: Option<Namesake>,
    pub(super) suppressed: Option<Suppressed>,
    pub(super) timers: Vec<Timer>,
    /// Older conversations of the lane that commands are for; without those whose contact was erased.
    pub(super) past: HashMap<ConversationId, Conversation>,
    pub(super) messages: BTreeMap<MessageId, MessageFacts>,
    pub(super) known: Vec<Message>,
    /// Messages by the vendor's ids, as far as entries speak of them.
    pub(super) by_vendor_id: HashMap<String, MessageId>,
    /// Contents of messages on their way to the vendor, when an entry may be the echo of one.
    pub(super) leaving: Vec<String>,
    /// What a conversation's list line will be without a message that somebody wants to delete.
    pub(super) previews: HashMap<MessageId, String>,
}

impl Table {
    /// The message that a delivery callback is about.
    pub(super) fn message_of(&self, status: &StatusUpdate) -> Option<&Message> {
        let effect = status.effect_id.as_deref().and_then(|id| EffectId::parse(id).ok());
        self.known.iter().find(|message| {
            (effect.is_some() && message.effect == effect)
                || message.vendor_id.as_deref() == Some(status.message_id.as_str())
        })
    }

    /// The message that a command is about.
    pub(super) fn message_of_order(&self, order: &Order) -> Option<&Message> {
        let (Command::Retry { message } | Command::Discard { message }) = &order.command else { return None };
        self.known.iter().find(|known| known.id == *message && Some(known.conversation) == order.conversation)
    }
}

#[cfg(test)]
impl Table {
    /// Puts messages on the table as if they had been loaded.
    pub(super) fn remember(&mut self, messages: Vec<Message>) {
        for message in messages {
            let content = serde_json::from_str(&message.content).unwrap();
            self.messages.insert(message.id, message_facts(&message, &content));
            self.known.push(message);
        }
    }

    /// All messages on the table.
    pub(super) fn recall(&self) -> Vec<Message> {
        self.known.clone()
    }

    /// What `store::messages::set_status` would do.
    pub(super) fn advance(&mut self, update: &messages::StatusUpdate) {
        for message in self.known.iter_mut().filter(|it| it.id == update.message) {
            if message.status.as_deref().is_some_and(|status| update.over.contains(&status)) {
                message.status = Some(update.status.to_owned());
            }
        }
    }
}

/// The tables of claimed lanes.
pub(super) type Tables = HashMap<LaneId, Table>;

/// What the entries refer to.
#[derive(Default)]
struct Wanted {
    vendor_ids: BTreeMap<(TenantId, ChannelId), Vec<String>>,
    effects: Vec<(TenantId, EffectId)>,
    messages: Vec<(TenantId, MessageId)>,
    /// What is quoted, and what may be an echo of ours.
    mentioned: BTreeMap<(TenantId, ChannelId), Vec<String>>,
    echoes: Vec<(TenantId, LaneId)>,
    discarded: Vec<(TenantId, LaneId, MessageId)>,
    people: Vec<Stranger>,
    past: Vec<(TenantId, ConversationId)>,
}

pub(super) async fn load(flow: &Flow, claims: &[Claim]) -> Result<Tables, FlowError> {
    // Entries first: none may meet rules that are older than itself.
    let entries = intake::pending(&mut flow.db.read().await?, claims, ENTRIES_PER_TURN_MAX).await?;
    let mut tables = Tables::with_capacity(claims.len());
    for claim in claims {
        let channel = flow.catalog.channel(flow, claim.tenant, claim.channel).await?;
        let view = Some(flow.catalog.view(flow, claim.tenant).await?);
        tables.insert(claim.lane, Table { channel, view, ..Table::default() });
    }
    for (lane, entry) in entries {
        if let Some(table) = tables.get_mut(&lane) {
            table.entries.push(Pending::read(entry.seq, &entry.body));
        }
    }
    let tx = &mut flow.db.read().await?;
    load_conversations(tx, claims, &mut tables).await?;
    let wanted = wanted(claims, &tables);
    load_people(tx, &wanted, &mut tables).await?;
    strangers::load(tx, &flow.keyring, &wanted.people, &mut tables).await?;
    load_messages(tx, claims, &wanted, &mut tables).await?;
    load_past(tx, &wanted, &mut tables).await?;
    load_mentioned(tx, &wanted, &mut tables).await?;
    Ok(tables)
}

async fn load_conversations(tx: &mut Tx, claims: &[Claim], tables: &mut Tables) -> Result<(), FlowError> {
    let of: Vec<_> = claims.iter().filter_map(|claim| Some((claim.tenant, claim.conversation?))).collect();
    if of.is_empty() {
        return Ok(());
    }
    let tenants: HashMap<LaneId, TenantId> = claims.iter().map(|claim| (claim.lane, claim.tenant)).collect();
    let mut identities = Vec::new();
    for conversation in conversations::load(tx, &of).await? {
        let lane = conversation.lane;
        if let (Some(table), Some(tenant)) = (tables.get_mut(&lane), tenants.get(&lane)) {
            identities.push((*tenant, conversation.identity));
            table.conversation = Some(conversation);
        }
    }
    let people = contacts::by_identity(tx, &identities).await?;
    let timers = timers::load(tx, &of).await?;
    for table in tables.values_mut() {
        let Some(conversation) = &table.conversation else { continue };
        table.person = people.iter().find(|it| it.identity.id == conversation.identity).cloned();
        table.timers =
            timers.iter().filter(|timer| timer.conversation == conversation.facts.id).cloned().collect();
    }
    Ok(())
}

fn wanted(claims: &[Claim], tables: &Tables) -> Wanted {
    let mut wanted = Wanted::default();
    for claim in claims {
        let Some(table) = tables.get(&claim.lane) else { continue };
        let kind = table.channel.as_ref().map(|channel| channel.facts.kind.clone()).unwrap_or_default();
        for entry in &table.entries {
            // An entry that cannot be read is refused when its turn comes.
            let Ok(body) = &entry.body else { continue };
            let party = match body {
                Entry::Webhook(event) => match &event.body {
                    InboundBody::Message(message) => {
                        want_mentioned(&mut wanted, claim, message);
                        Some(&message.contact)
                    }
                    InboundBody::ContactChanged(change) => Some(&change.old),
                    InboundBody::Consent(it) => Some(&it.contact),
                    InboundBody::Status(status) => {
                        want_status(&mut wanted, claim, status);
                        None
                    }
                    _ => None,
                },
                Entry::Past(event) => match &event.body {
                    InboundBody::Message(message) => {
                        want_mentioned(&mut wanted, claim, message);
                        Some(&message.contact)
                    }
                    _ => None,
                },
                Entry::Order(order) => {
                    let past = order.conversation.filter(|id| Some(*id) != claim.conversation);
                    wanted.past.extend(past.map(|id| (claim.tenant, id)));
                    of_command(&mut wanted, claim, &order.command)
                }
                Entry::File(news) => {
                    wanted.messages.push((claim.tenant, news.message));
                    None
                }
                _ => None,
            };
            if let Some(party) = party.filter(|_| table.person.is_none()) {
                wanted.people.push(Stranger {
                    lane: claim.lane,
                    tenant: claim.tenant,
                    channel: claim.channel,
                    kind: kind.clone(),
                    party: party.clone(),
                    is_ours: matches!(body, Entry::Order(_)),
                });
            }
        }
    }
    wanted
}

/// The person whom a command is about, if it names one.
fn of_command<'c>(wanted: &mut Wanted, claim: &Claim, command: &'c Command) -> Option<&'c Party> {
    match command {
        Command::Start { to, .. } => Some(to),
        Command::Retry { message } => {
            wanted.messages.push((claim.tenant, *message));
            None
        }
        Command::Discard { message } => {
            wanted.messages.push((claim.tenant, *message));
            wanted.discarded.push((claim.tenant, claim.lane, *message));
            None
        }
        _ => None,
    }
}

fn want_mentioned(wanted: &mut Wanted, claim: &Claim, message: &InboundMessage) {
    let echo = message.echo.then(|| message.id.clone());
    let ids: Vec<_> = message.reply_to.clone().into_iter().chain(echo).collect();
    if !ids.is_empty() {
        wanted.mentioned.entry((claim.tenant, claim.channel)).or_default().extend(ids);
    }
    if message.echo {
        wanted.echoes.push((claim.tenant, claim.lane));
    }
}

fn want_status(wanted: &mut Wanted, claim: &Claim, status: &StatusUpdate) {
    match status.effect_id.as_deref().and_then(|id| EffectId::parse(id).ok()) {
        Some(effect) => wanted.effects.push((claim.tenant, effect)),
        None => {
            wanted
                .vendor_ids
                .entry((claim.tenant, claim.channel))
                .or_default()
                .push(status.message_id.clone());
        }
    }
}

async fn load_people(tx: &mut Tx, wanted: &Wanted, tables: &mut Tables) -> Result<(), FlowError> {
    let mut by_kind: BTreeMap<(TenantId, &str), Vec<&str>> = BTreeMap::new();
    for it in &wanted.people {
        by_kind.entry((it.tenant, &it.kind)).or_default().push(it.party.key());
    }
    for ((tenant, kind), mut values) in by_kind {
        values.sort_unstable();
        values.dedup();
        let found = contacts::by_value(tx, tenant, kind, &values).await?;
        for stranger in wanted.people.iter().filter(|it| (it.tenant, it.kind.as_str()) == (tenant, kind)) {
            let person = found.iter().find(|it| it.identity.value == stranger.party.key());
            if let (Some(person), Some(table)) = (person, tables.get_mut(&stranger.lane)) {
                table.person.get_or_insert_with(|| person.clone());
            }
        }
    }
    Ok(())
}

async fn load_past(tx: &mut Tx, wanted: &Wanted, tables: &mut Tables) -> Result<(), FlowError> {
    if wanted.past.is_empty() {
        return Ok(());
    }
    let past = conversations::load(tx, &wanted.past).await?;
    let tenants: HashMap<_, _> = wanted.past.iter().map(|(tenant, id)| (*id, *tenant)).collect();
    let identities: Vec<_> =
        past.iter().filter_map(|it| Some((*tenants.get(&it.facts.id)?, it.identity))).collect();
    let people = contacts::by_identity(tx, &identities).await?;
    for conversation in past {
        let is_of_somebody = people.iter().any(|it| it.identity.id == conversation.identity);
        if let Some(table) = tables.get_mut(&conversation.lane).filter(|_| is_of_somebody) {
            table.past.insert(conversation.facts.id, conversation);
        }
    }
    Ok(())
}

async fn load_mentioned(tx: &mut Tx, wanted: &Wanted, tables: &mut Tables) -> Result<(), FlowError> {
    for (tenant, lane, message) in &wanted.discarded {
        let newest = messages::newest_beside(tx, *tenant, *message).await?;
        let content = newest.and_then(|it| serde_json::from_str::<Content>(&it.content).ok());
        if let (Some(content), Some(table)) = (content, tables.get_mut(lane)) {
            table.previews.insert(*message, content.preview());
        }
    }
    // What leaves before what has left: a message that gets its id in between is found by it.
    for (tenant, lane) in &wanted.echoes {
        if let Some(table) = tables.get_mut(lane) {
            table.leaving = effects::leaving(tx, *tenant, *lane).await?;
        }
    }
    for ((tenant, channel), ids) in &wanted.mentioned {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for (vendor_id, message, lane) in messages::mentioned(tx, *tenant, *channel, &ids).await? {
            if let Some(table) = tables.get_mut(&lane) {
                table.by_vendor_id.insert(vendor_id, message);
            }
        }
    }
    Ok(())
}

async fn load_messages(
    tx: &mut Tx,
    claims: &[Claim],
    wanted: &Wanted,
    tables: &mut Tables,
) -> Result<(), FlowError> {
    let mut known = Vec::new();
    for ((tenant, channel), ids) in &wanted.vendor_ids {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        known.extend(messages::by_vendor_id(tx, *tenant, *channel, &ids).await?);
    }
    known.extend(messages::by_effect(tx, &wanted.effects).await?);
    for (tenant, id) in &wanted.messages {
        known.extend(messages::get(tx, *tenant, *id).await?);
    }
    // Of earlier conversations too: callbacks come late, and people work on what is over.
    let present: HashSet<_> = claims.iter().filter_map(|claim| claim.conversation).collect();
    let past: Vec<_> = known.iter().filter(|it| !present.contains(&it.conversation)).collect();
    for claim in claims {
        let Some(table) = tables.get_mut(&claim.lane) else { continue };
        let Some(conversation) = claim.conversation else { continue };
        table.known.extend(past.iter().copied().filter(|it| it.channel == claim.channel).cloned());
        for message in known.iter().filter(|message| message.conversation == conversation) {
            // A message whose content this version cannot read is still known by its id and status.
            let content = serde_json::from_str(&message.content)
                .unwrap_or_else(|_| Content::Unsupported { what: "unreadable".into() });
            table.messages.insert(message.id, message_facts(message, &content));
            table.known.push(message.clone());
        }
    }
    Ok(())
}
