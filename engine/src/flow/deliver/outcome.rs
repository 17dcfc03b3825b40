//! How a call ended: done, again later, failed, or unknown. Decides in memory;
//! the book keeps it.

use pointsman_rules::event::{EventBody, EventKind};
use pointsman_rules::ids::InboxId;

use super::book::Book;
use super::{Called, Step};
use crate::bus::News;
use crate::flow::case;
use crate::flow::turn::{Entry, failure_json};
use crate::plugins::{
    Certainty, Delivery, Failure, InboundBody, InboundEvent, Party, Receipt, Retry, StatusUpdate,
};
use crate::store::effects::{Attempt, Effect, EffectState, Ending};
use crate::store::intake::NewEntry;
use crate::store::lanes::Task;

/// Calls of one effect at most, until a person has it sent again; then it failed and waits among the dead letters.
const ATTEMPTS_MAX: i64 = 12;
/// The first pause, milliseconds; it doubles with every attempt.
const BACKOFF_MS: i64 = 500;
/// The longest pause, milliseconds.
const BACKOFF_MS_MAX: i64 = 600_000;
/// The longest pause that a vendor may ask for, milliseconds.
const RETRY_AFTER_MS_MAX: i64 = 3_600_000;
const CRASHED: &str = "The process ended between the call and its record; the vendor may have it.";

/// Records a call. It counts even when the lease is lost: nobody else knows how the call ended.
pub(super) fn record(book: &mut Book, index: usize, step: &Step, called: &Called) {
    match &called.outcome {
        Ok(receipt) => done(book, (index, step), called, receipt),
        Err(failure) => failed(book, (index, step), called, failure),
    }
}

fn done(book: &mut Book, at: (usize, &Step), called: &Called, receipt: &Receipt) {
    let (tenant, effect) = (at.1.claim.tenant, &called.parcel.effect);
    book.end(tenant, effect.id, EffectState::Done, None);
    if effect.attempts > 1 {
        attempt(book, at.1, called, "sent", None);
    }
    let vendor_id = receipt.message_ids.first().cloned();
    if at.1.view.rules.is_subscribed(EventKind::MessageStatusChanged) {
        // A rule wants to know: the news goes through the lane like any other.
        return tell_lane(book, at, effect, vendor_id, Delivery::Sent);
    }
    let message = called.parcel.message;
    let (from, to) = ("sending".to_owned(), "sent".to_owned());
    let story = EventBody::MessageStatusChanged { message, from, to };
    book.move_on(at, message, ("sent", None, vendor_id), (effect, story));
}

fn failed(book: &mut Book, at: (usize, &Step), called: &Called, failure: &Failure) {
    let (step, effect) = (at.1, &called.parcel.effect);
    let (tenant, json) = (step.claim.tenant, failure_json(failure));
    let idempotent = step.channel.facts.capabilities.idempotent_send;
    let repeatable = failure.effect == Certainty::NotPerformed || idempotent;
    if let (Retry::After { ms }, true) = (&failure.retry, repeatable && effect.tries() < ATTEMPTS_MAX) {
        let asked_ms = i64::try_from(*ms).unwrap_or(RETRY_AFTER_MS_MAX).min(RETRY_AFTER_MS_MAX);
        let pause_ms = asked_ms.max(backoff_ms(effect.tries(), book.random()));
        let next_ms = book.now_ms + pause_ms;
        let again = Ending { state: EffectState::Queued, next_ms, failure: Some(json.clone()) };
        book.endings.insert(effect.id, (tenant, again));
        return attempt(book, step, called, "retry", Some(json));
    }
    if matches!(failure.retry, Retry::AfterOwnerActs) {
        book.break_channel(at, &failure.message);
        if repeatable {
            return wait_for_owner(book, at, called, json);
        }
    }
    if !repeatable && failure.effect == Certainty::Unknown {
        attempt(book, step, called, "unknown", Some(json.clone()));
        return unclear(book, at, effect, Some(json));
    }
    book.end(tenant, effect.id, EffectState::Failed, Some(json.clone()));
    attempt(book, step, called, "failed", Some(json));
    tell_lane(book, at, effect, None, Delivery::Failed { failure: failure.clone() });
}

/// Nothing leaves by this channel until its owner acts: the message goes back to those that wait, with the reason.
fn wait_for_owner(book: &mut Book, at: (usize, &Step), called: &Called, failure: String) {
    let (effect, next_ms) = (&called.parcel.effect, book.now_ms);
    let again = Ending { state: EffectState::Queued, next_ms, failure: Some(failure.clone()) };
    book.endings.insert(effect.id, (at.1.claim.tenant, again));
    attempt(book, at.1, called, "retry", Some(failure.clone()));
    let message = called.parcel.message;
    let story = EventBody::MessageStatusChanged { message, from: "sending".into(), to: "queued".into() };
    book.move_on(at, message, ("queued", Some(failure), None), (effect, story));
    book.held.insert(at.0);
}

/// The gate refused, before any call.
pub(super) fn refused(book: &mut Book, at: (usize, &Step), effect: &Effect, code: &str, detail: &str) {
    let failure = case::failure_json(code, detail);
    book.end(at.1.claim.tenant, effect.id, EffectState::Failed, Some(failure.clone()));
    let Some(message) = effect.message else { return };
    *book.refused.entry(at.0).or_default() += 1;
    let story = EventBody::MessageFailed { message, class: code.to_owned(), code: None };
    book.move_on(at, message, ("failed", Some(failure), None), (effect, story));
}

/// Nobody knows whether the vendor has it.
pub(super) fn unclear(book: &mut Book, at: (usize, &Step), effect: &Effect, failure: Option<String>) {
    let failure = failure.unwrap_or_else(|| case::failure_json("unknown", CRASHED));
    book.end(at.1.claim.tenant, effect.id, EffectState::Unknown, Some(failure.clone()));
    let Some(message) = effect.message else { return };
    let (from, to) = ("sending".to_owned(), "unknown".to_owned());
    let story = EventBody::MessageStatusChanged { message, from, to };
    book.move_on(at, message, ("unknown", Some(failure), None), (effect, story));
}

fn attempt(book: &mut Book, step: &Step, called: &Called, outcome: &'static str, failure: Option<String>) {
    let (effect, started_ms) = (&called.parcel.effect, called.parcel.started_ms);
    book.attempts.push(Attempt {
        tenant: step.claim.tenant,
        effect: effect.id,
        number: effect.attempts,
        started_ms,
        ended_ms: book.now_ms,
        outcome,
        failure,
    });
}

/// The outcome goes through the lane's inbox, so that it is ordered and rules see it.
fn tell_lane(
    book: &mut Book,
    (index, step): (usize, &Step),
    effect: &Effect,
    vendor_id: Option<String>,
    delivery: Delivery,
) {
    let dedupe_key = format!("sent:{}:{}:{}", effect.id, effect.attempts, book.now_ms);
    let nobody = Party {
        address: String::new(),
        phone: None,
        scoped_id: None,
        username: None,
        display_name: None,
        extras: Vec::new(),
    };
    let status = StatusUpdate {
        message_id: vendor_id.unwrap_or_default(),
        contact: nobody,
        to: String::new(),
        at_ms: book.now_ms,
        delivery,
        effect_id: Some(effect.id.to_string()),
        extras: Vec::new(),
        window_closes_at_ms: None,
    };
    let event = InboundEvent { dedupe_key: dedupe_key.clone(), body: InboundBody::Status(status) };
    book.entries.push(NewEntry {
        tenant: step.claim.tenant,
        lane: step.claim.lane,
        id: InboxId::new(book.now_ms, book.random()),
        channel: step.claim.channel,
        raw: None,
        dedupe_key,
        body: case::to_json(&Entry::Webhook(event)),
        received_ms: book.now_ms,
    });
    book.tell(index, News::Ready { task: Task::Turn });
}

/// Exponential with jitter: between half and the whole of a pause that doubles.
fn backoff_ms(attempts: i64, random: u128) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    let pause = BACKOFF_MS.saturating_mul(1 << doublings).min(BACKOFF_MS_MAX);
    pause / 2 + i64::try_from(random % 1_000).unwrap_or(0) * (pause / 2) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stay_within_bounds() {
        for attempts in 1..=ATTEMPTS_MAX {
            let whole = (BACKOFF_MS << (attempts - 1)).min(BACKOFF_MS_MAX);
            for random in [0, 1, 999, u128::MAX] {
                let pause = backoff_ms(attempts, random);
                assert!((whole / 2..=whole).contains(&pause), "{attempts}: {pause}");
            }
        }
    }
}
