//! inbox → state, intents, effects. Works off claimed lanes: reads, decides in
//! memory, and writes everything in one transaction that is fenced by the
//! leases. A crash anywhere repeats the turn; doing it twice changes nothing.

#[cfg(test)]
mod assist_tests;
#[cfg(test)]
mod consents;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod handout_tests;
mod inbound;
mod load;
#[cfg(test)]
mod message_tests;
mod order;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod rule_tests;
mod strangers;
#[cfg(test)]
mod tests;
mod tick;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pointsman_rules::decide::{RuleRun, decide};
use pointsman_rules::event::Changes;
use pointsman_rules::facts::{ContactFacts, ConversationFacts, Facts, MessageFacts};
use pointsman_rules::ids::{AttachmentId, ChannelId, ConversationId, LaneId, MessageId, TenantId};
use pointsman_rules::sandbox::Stopwatch;
use serde::{Deserialize, Serialize};

pub(super) use inbound::{failure_json, replaces};
pub use tick::RanOut;

use super::apply::apply;
use super::case::{Case, Out, Refused};
use super::catalog::{Channel, TenantView};
use super::command::{Command, Order};
use super::deliver::Begun;
use super::rule_watch::Ran;
use super::{Flow, FlowError, session};
use crate::bus::News;
use crate::clock::Clock;
use crate::plugins::{InboundBody, InboundEvent};
use crate::store::channel_health::Tally;
use crate::store::conversations::Conversation;
use crate::store::lanes::{Claim, Task};
use crate::store::log::RunRecord;
use crate::store::messages::Message;
use crate::store::trace;
use load::{Pending, Table};
use write::Written;

/// Inbox entries of one lane in one turn at most; the rest follows in the next.
pub const ENTRIES_PER_TURN_MAX: u32 = 100;
/// Events that one turn of one lane shows to rules at most; a guard against rules that feed each other.
const EVENTS_PER_TURN_MAX: usize = 2_000;
/// A lane whose turn failed this often has its next entry set aside as poison.
pub const ATTEMPTS_MAX: i64 = 5;

/// An entry of a lane's inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// From a vendor's webhook.
    Webhook(InboundEvent),
    /// From the vendor's own past: no webhook told it, and it is over.
    Past(InboundEvent),
    /// From people and programs.
    Order(Order),
    /// Something of the conversation itself is due.
    Due(ConversationId),
    /// A rule's timer ran out.
    Timer(RanOut),
    /// A contact's file has arrived, or will not come.
    File(FileNews),
}

/// What became of a contact's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileNews {
    /// Whose.
    pub conversation: ConversationId,
    /// Its message.
    pub message: MessageId,
    /// The file.
    pub attachment: AttachmentId,
    /// Why it will not come; `None`: it is here.
    pub problem: Option<String>,
}

/// What one lane's turn came to.
#[derive(Debug)]
struct Turned {
    claim: Claim,
    /// The last entry that was worked off.
    done: i64,
    conversation: Option<ConversationId>,
    out: Out,
    /// What its deliveries need; none when the channel or tenant is gone.
    desk: Option<(Arc<Channel>, Arc<TenantView>)>,
}

/// Works off claimed lanes together. A lane whose lease ran out meanwhile is left as it was. Answers deliveries that
/// begin with the turn's commit, at most `places`; the caller goes on with them. What else is to be delivered waits in
/// its lane.
///
/// # Errors
/// The store's; the leases are then given back after a while, and the turn is repeated.
pub async fn run(flow: &Flow, claims: &[Claim], places: usize) -> Result<Vec<Begun>, FlowError> {
    let mut tables = load::load(flow, claims).await?;
    let turned: Vec<Turned> =
        claims.iter().map(|claim| turn(&flow.clock, tables.remove(&claim.lane), *claim)).collect();
    let turned = Arc::new(turned);
    match write::write(flow, turned.clone(), places).await {
        Ok(mut written) => {
            announce(flow, &turned, &written);
            for (tenant, channel, news) in std::mem::take(&mut written.sessions) {
                session::settle(flow, tenant, channel, news).await?;
            }
            Ok(written.begun)
        }
        // One lane of the batch is at fault; the others must not wait for it.
        Err(_) if turned.len() > 1 => one_by_one(flow, claims).await,
        Err(error) => Err(error.into()),
    }
}

async fn one_by_one(flow: &Flow, claims: &[Claim]) -> Result<Vec<Begun>, FlowError> {
    let mut failed = Ok(Vec::new());
    for claim in claims {
        if let Err(error) = Box::pin(run(flow, std::slice::from_ref(claim), 0)).await {
            tracing::warn!(lane = %claim.lane, error = &error as &dyn std::error::Error, "a turn failed");
            failed = Err(error);
        }
    }
    failed
}

/// One lane's turn, in memory.
fn turn(clock: &Clock, table: Option<Table>, claim: Claim) -> Turned {
    let Some(mut table) = table else {
        let (conversation, out) = (claim.conversation, Out::default());
        return Turned { claim, done: claim.done, conversation, out, desk: None };
    };
    let (Some(channel), Some(view)) = (table.channel.take(), table.view.take()) else {
        // The channel or tenant is gone: its entries have nowhere to go, and stay visible with their problem.
        return gone(&table, claim);
    };
    let mut case = Case::new(clock, claim.tenant, claim.lane, channel.clone(), view.clone());
    case.conversation = table.conversation.take();
    case.person = table.person.take();
    case.namesake = table.namesake.take();
    case.suppressed = table.suppressed.take();
    case.timers = std::mem::take(&mut table.timers);
    case.messages = std::mem::take(&mut table.messages);
    case.by_vendor_id = std::mem::take(&mut table.by_vendor_id);
    case.leaving = std::mem::take(&mut table.leaving);
    case.previews = std::mem::take(&mut table.previews);
    let mut past = std::mem::take(&mut table.past);
    let mut done = done_with(&table.entries, claim);
    for (index, entry) in std::mem::take(&mut table.entries).into_iter().enumerate() {
        let poisoned = index == 0 && claim.attempts > ATTEMPTS_MAX;
        let outcome = if poisoned {
            Err(Refused::new(
                "poison",
                format!("Working on this failed {ATTEMPTS_MAX} times; it was set aside."),
            ))
        } else {
            work_off(&mut case, &table, &mut past, entry.body)
        };
        if let Err(refused) = outcome {
            case.out.refusals.push((entry.seq, refused));
        }
        show_to_rules(clock, &mut case);
        if case.give_up() {
            show_to_rules(clock, &mut case);
        }
        if poisoned {
            done = entry.seq;
            break; // the next turn starts afresh with what follows
        }
    }
    let (out, conversation) = case.finish();
    Turned { claim, done, conversation, out, desk: Some((channel, view)) }
}

fn gone(table: &Table, claim: Claim) -> Turned {
    let mut out = Out::default();
    for entry in &table.entries {
        out.refusals.push((entry.seq, Refused::new("channel_gone", "The channel does not exist any more.")));
    }
    let done = done_with(&table.entries, claim);
    Turned { claim, done, conversation: claim.conversation, out, desk: None }
}

/// How far a lane is when these entries are worked off. When nothing else waits, also past the numbers that redelivered
/// entries drew and left: the lane would be ready for ever.
fn done_with(entries: &[Pending], claim: Claim) -> i64 {
    let last = entries.last().map_or(claim.done, |entry| entry.seq);
    let are_all = entries.len() < ENTRIES_PER_TURN_MAX as usize;
    if are_all { last.max(claim.gen_seen) } else { last }
}

fn work_off(
    case: &mut Case<'_>,
    table: &Table,
    past: &mut HashMap<ConversationId, Conversation>,
    entry: Result<Entry, String>,
) -> Result<(), Refused> {
    match entry.map_err(|why| Refused::new("unreadable", why))? {
        Entry::Webhook(event) => match event.body {
            InboundBody::Message(message) => inbound::message(case, message),
            InboundBody::Status(status) => {
                inbound::status(case, &status, table.message_of(&status));
                Ok(())
            }
            InboundBody::ContactChanged(change) => {
                inbound::contact_changed(case, &change);
                Ok(())
            }
            InboundBody::Consent(it) => inbound::consent(case, &it),
            InboundBody::Unreadable(what) => Err(Refused::new("unreadable", what)),
            InboundBody::Template(change) => {
                inbound::template(case, change);
                Ok(())
            }
            InboundBody::Session(update) => {
                case.out.sessions.push(update);
                Ok(())
            }
            // The raw webhook is kept.
            InboundBody::Other(_) => Ok(()),
        },
        Entry::Past(event) => match event.body {
            InboundBody::Message(message) => inbound::past(case, message),
            _ => Ok(()),
        },
        Entry::Order(order) => {
            let present = case.conversation.as_ref().map(|it| it.facts.id);
            let past_one = order.conversation.filter(|wanted| Some(*wanted) != present);
            match past_one {
                // A conversation that is over needs no news.
                Some(_) if matches!(order.command, Command::Contact { .. }) => Ok(()),
                Some(wanted) => {
                    let known = table.message_of_order(&order);
                    on_the_past(case, past, wanted, (order, known))
                }
                None => {
                    let known = table.message_of_order(&order);
                    order::carry_out(case, order, known)
                }
            }
        }
        Entry::Due(conversation) => {
            if case.conversation.as_ref().is_some_and(|it| it.facts.id == conversation) {
                tick::deadlines(case)
            } else {
                Ok(())
            }
        }
        Entry::File(news) => {
            inbound::file(case, news);
            Ok(())
        }
        Entry::Timer(ran_out) => match tick::timer(case, &ran_out) {
            None => Ok(()),
            Some(reason) => Err(Refused::new(reason, format!("The timer `{}` was skipped.", ran_out.name))),
        },
    }
}

/// A command for a conversation that is over, while the contact has a newer one, or was erased.
fn on_the_past(
    case: &mut Case<'_>,
    past: &mut HashMap<ConversationId, Conversation>,
    wanted: ConversationId,
    (order, known): (Order, Option<&Message>),
) -> Result<(), Refused> {
    if !order.command.is_for_the_past() {
        let detail = "This conversation is over and the contact has a newer one; work on that one.";
        return Err(Refused::new("superseded", detail));
    }
    let conversation = past.remove(&wanted).ok_or_else(|| {
        let detail = "This conversation was deleted, or its contact was erased; nothing is kept of it.";
        Refused::new("gone", detail)
    })?;
    let mut outcome = Ok(());
    let after = case.visit(conversation, |case| {
        outcome = order::carry_out(case, order, known);
        let clock = case.clock.clone();
        show_to_rules(&clock, case);
    });
    past.insert(wanted, after);
    outcome
}

/// Shows fresh events to the rules that subscribe to them, applies what they ask for, and so on with what that raised.
fn show_to_rules(clock: &Clock, case: &mut Case<'_>) {
    let view = case.view.clone();
    let (elapsed, worked) = (clock.clone(), clock.clone());
    let stopwatch = Stopwatch::new(move || elapsed.micros()).with_work(move || worked.worked_micros());
    while let Some(event) = case.fresh.pop_front() {
        if !view.rules.is_subscribed(event.body.kind()) {
            continue;
        }
        if case.out.runs.len() >= EVENTS_PER_TURN_MAX {
            tracing::error!(lane = %case.lane, "rules raise events without end; the rest of this turn's events is not shown to them");
            case.fresh.clear();
            return;
        }
        let Some(facts) = case.facts(&event) else { continue };
        let mut decision = decide(&view.rules, &event, &facts, &stopwatch);
        case.note_starts(&decision.runs);
        let conversation = facts.conversation.id;
        case.out.ran.extend(decision.runs.iter().map(|run| Ran::new(run, &event, conversation)));
        let refusals = apply(case, &event, std::mem::take(&mut decision.planned));
        if decision.runs.is_empty() {
            continue;
        }
        for refusal in refusals {
            let run = decision.runs.iter_mut().find(|run| run.rule == refusal.planned.rule);
            if let Some(run) = run {
                run.refusals.push(pointsman_rules::decide::Refusal {
                    intent: refusal.planned.intent,
                    line: refusal.planned.line,
                    code: refusal.refused.code,
                    reason: refusal.refused.detail,
                });
            }
        }
        let was_shown = decision.runs.iter().any(RuleRun::was_shown);
        case.out.runs.push(RunRecord {
            event: event.id,
            conversation: (event.conversation != Some(conversation)).then_some(conversation),
            facts: if was_shown { snapshot(&facts) } else { String::new() },
            trace: trace::pack(&decision.runs),
            at_ms: case.now_ms,
        });
    }
}

/// What is kept of the facts with a run. The channel's capabilities are large and known by its id.
fn snapshot(facts: &Facts) -> String {
    #[derive(serde::Serialize)]
    struct Kept<'a> {
        now_ms: i64,
        message: &'a Option<MessageFacts>,
        conversation: &'a ConversationFacts,
        contact: &'a ContactFacts,
        channel: ChannelId,
        changes: &'a Changes,
    }
    let Facts { now_ms, message, conversation, contact, channel, changes, .. } = facts;
    json(&Kept { now_ms: *now_ms, message, conversation, contact, channel: channel.id, changes })
}

/// Tells whoever listens. What they miss they find in the database.
fn announce(flow: &Flow, turned: &[Turned], written: &Written) {
    let (mut more, mut deliver, mut hands_out) = (false, false, false);
    let ready: HashMap<LaneId, bool> = written.lanes.iter().copied().collect();
    let begun: HashSet<LaneId> = written.begun.iter().map(|begun| begun.claim().lane).collect();
    for it in turned {
        let Some(is_ready) = ready.get(&it.claim.lane) else { continue };
        more |= *is_ready;
        let wants_more = !it.out.effects.is_empty() || !it.out.retried.is_empty();
        deliver |= wants_more && !begun.contains(&it.claim.lane);
        flow.bus.publish(News::Turned { lane: it.claim.lane, seq: it.done });
        publish_events(flow, it.claim.tenant, &it.out);
        flow.watch.count(it.claim.tenant, &it.out.ran);
        if !it.out.templates.is_empty() {
            flow.forget(it.claim.tenant, Some(it.claim.channel));
        }
        hands_out |=
            it.desk.as_ref().is_some_and(|(_, view)| view.hands_out) && !it.out.conversations.is_empty();
        if it.out.failed > 0 {
            let tally = Tally { failed: it.out.failed, ..Tally::default() };
            flow.tallies.add(it.claim.tenant, it.claim.channel, tally);
        }
    }
    for tenant in &written.parked {
        flow.forget(*tenant, None);
    }
    if more {
        flow.bus.ring(Task::Turn);
    }
    if deliver {
        flow.bus.ring(Task::Deliver);
    }
    if written.tells {
        flow.bus.ring(Task::Webhook);
    }
    if hands_out {
        flow.bus.ring_handout();
    }
}

fn publish_events(flow: &Flow, tenant: TenantId, out: &Out) {
    for it in &out.events {
        let (event, conversation) = (it.event.id, it.event.conversation);
        flow.bus.publish(News::Event { tenant, event, conversation });
    }
}

fn json<T: Serialize>(value: &T) -> String {
    super::case::to_json(value)
}
