//! One transaction for the steps of many lanes: outcomes into the book, then
//! what waits in each lane, then everything is written.
//!
//! Rows are locked in one order, which turns keep too, so that neither waits for
//! the other in a circle: inbox lanes, delivery lanes, conversations, messages,
//! effects, and last what other programs are told: webhook lanes, deliveries,
//! webhooks.

use std::collections::{HashMap, VecDeque};

use pointsman_rules::ids::{ChannelId, LaneId, MessageId, TenantId};

use super::book::Book;
use super::{Left, Next, Office, Step, Stepped, outcome, parcel};
use crate::bus::News;
use crate::store::effects::{Effect, EffectState, waiting};
use crate::store::intake::enqueue;
use crate::store::lanes::{self, Rest, Task};
use crate::store::outgoing::{self, Outgoing};
use crate::store::{StoreError, Tx, channels};

/// A lane whose channel is held looks again after this long, milliseconds; it is woken when the channel works again.
const HELD_MS: i64 = 60_000;
/// The same when only our copy of the channel is old.
const STALE_MS: i64 = 500;
/// Effects of one lane that are read at once at most; later steps of the lease go on with them.
const WAITING_READ_MAX: u32 = 16;

pub(super) async fn all(tx: &mut Tx, office: &Office, steps: &[Step]) -> Result<Vec<Stepped>, StoreError> {
    let mut book = Book::new(office, steps.len());
    for (index, step) in steps.iter().enumerate() {
        if let Some(called) = &step.called {
            outcome::record(&mut book, index, step, called);
        }
    }
    enqueue(tx, &book.entries, book.now_ms).await?;
    let claims: Vec<_> = steps.iter().map(|step| step.claim).collect();
    let lease = (book.now_ms, office.settings.lease_ms);
    let held = lanes::hold(tx, Task::Deliver, &claims, lease).await?;
    let waits = waits(tx, &book, steps).await?;
    let mut desks = desks(tx, &mut book, steps, &held, &waits).await?;
    loop {
        let wanted: Vec<_> = desks.iter_mut().filter_map(|desk| desk.advance(&mut book)).collect();
        if wanted.is_empty() {
            break;
        }
        let mut messages = outgoing::load(tx, &wanted).await?;
        for desk in desks.iter_mut().filter(|desk| desk.next.is_none()) {
            desk.decide(tx, &mut book, &mut messages).await?;
        }
    }
    let refused = std::mem::take(&mut book.refused);
    let news = book.write(tx, steps).await?;
    let failed = |index: usize| refused.get(&index).copied().unwrap_or_default();
    let stepped = desks.into_iter().zip(news).enumerate();
    Ok(stepped.map(|(index, (desk, news))| desk.stepped(news, failed(index))).collect())
}

/// How long each step's lane waits because nothing may leave by its channel, by the step's place.
///
/// Called with the lanes locked: who makes a channel work again does so first and wakes its lanes afterwards, so either
/// we see it here, or it finds our lane waiting.
async fn waits(tx: &mut Tx, book: &Book, steps: &[Step]) -> Result<HashMap<usize, i64>, StoreError> {
    let mut waits: HashMap<usize, i64> = book.held.iter().map(|index| (*index, HELD_MS)).collect();
    let mut known: HashMap<(TenantId, ChannelId), bool> = HashMap::new();
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.channel.is_held()) {
        let of = (step.claim.tenant, step.channel.facts.id);
        let is_held = match known.get(&of) {
            Some(is_held) => *is_held,
            None => *known.entry(of).or_insert(channels::is_held(tx, of.0, of.1).await?),
        };
        waits.insert(index, if is_held { HELD_MS } else { STALE_MS });
    }
    Ok(waits)
}

/// A lane whose next effect is looked for.
struct Desk<'a> {
    index: usize,
    step: &'a Step,
    /// The lane's `gen` when it was held.
    gen_now: i64,
    waiting: VecDeque<Effect>,
    /// There is more than what was read.
    more: bool,
    next: Option<Next>,
}

async fn desks<'a>(
    tx: &mut Tx,
    book: &mut Book,
    steps: &'a [Step],
    held: &HashMap<(LaneId, i64), i64>,
    waits: &HashMap<usize, i64>,
) -> Result<Vec<Desk<'a>>, StoreError> {
    let mut desks = Vec::with_capacity(steps.len());
    let mut looked_at = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let claim = step.claim;
        let mut desk = Desk { index, step, gen_now: 0, waiting: VecDeque::new(), more: false, next: None };
        match held.get(&(claim.lane, claim.token)) {
            None => desk.next = Some(Next::Lost),
            Some(gen_now) if waits.contains_key(&index) => {
                desk.gen_now = *gen_now;
                let wait_ms = waits.get(&index).copied().unwrap_or(HELD_MS);
                desk.rest(book, Some(book.now_ms + wait_ms), false);
            }
            Some(gen_now) if step.is_last => {
                desk.gen_now = *gen_now;
                desk.rest(book, Some(book.now_ms), true);
            }
            Some(gen_now) => {
                desk.gen_now = *gen_now;
                match still_left(step, *gen_now) {
                    Some(left) => (desk.waiting, desk.more) = (left.effects.clone(), left.more),
                    None => looked_at.push(claim),
                }
            }
        }
        desks.push(desk);
    }
    let mut by_lane: HashMap<LaneId, VecDeque<Effect>> = HashMap::with_capacity(looked_at.len());
    for effect in waiting(tx, &looked_at, WAITING_READ_MAX).await? {
        by_lane.entry(effect.lane).or_default().push_back(effect);
    }
    for desk in desks.iter_mut().filter(|desk| desk.next.is_none()) {
        let Some(mut waiting) = by_lane.remove(&desk.step.claim.lane) else { continue };
        desk.more = waiting.len() == WAITING_READ_MAX as usize;
        waiting.retain_mut(|effect| is_waiting(book, effect));
        desk.waiting = waiting;
    }
    Ok(desks)
}

/// What the last step of this lease left, unless something was added since, its call comes back into the lane, or it is
/// used up and more waits.
fn still_left(step: &Step, gen_now: i64) -> Option<&Left> {
    let went_well = step.called.as_ref().is_some_and(|called| called.outcome.is_ok());
    let is_used_up = |left: &Left| left.effects.is_empty() && left.more;
    step.left.as_ref().filter(|left| went_well && left.gen_seen == gen_now && !is_used_up(left))
}

/// Is this effect still to be sent, now that its last call is in the book?
fn is_waiting(book: &Book, effect: &mut Effect) -> bool {
    let Some((_, ending)) = book.endings.get(&effect.id) else { return true };
    effect.state = ending.state;
    effect.next_ms = ending.next_ms;
    ending.state == EffectState::Queued
}

impl Desk<'_> {
    /// Goes on to the first effect that may leave, and answers the message it sends. `None`: the lane rests.
    fn advance(&mut self, book: &mut Book) -> Option<(TenantId, MessageId)> {
        while self.next.is_none() {
            let Some(effect) = self.waiting.front() else {
                // What was added after `gen_now` was read makes the lane ready again by itself.
                self.rest(book, self.more.then_some(book.now_ms), self.more);
                break;
            };
            if effect.next_ms > book.now_ms {
                let next_ms = effect.next_ms;
                self.rest(book, Some(next_ms), false);
                break;
            }
            let tenant = self.step.claim.tenant;
            if effect.state == EffectState::Sending && !self.step.channel.facts.capabilities.idempotent_send {
                // Whoever marked it died before it could record: nobody knows whether the vendor has it.
                outcome::unclear(book, (self.index, self.step), effect, None);
            } else if let Some(message) = effect.message {
                if let Err(ready_ms) = book.pace(self.step) {
                    self.rest(book, Some(ready_ms), false);
                    break;
                }
                return Some((tenant, message));
            } else {
                book.end(tenant, effect.id, EffectState::Cancelled, None);
            }
            self.waiting.pop_front();
        }
        None
    }

    /// Marks the first effect for sending, or takes it out of the lane.
    async fn decide(
        &mut self,
        tx: &mut Tx,
        book: &mut Book,
        messages: &mut HashMap<MessageId, Outgoing>,
    ) -> Result<(), StoreError> {
        let (tenant, at) = (self.step.claim.tenant, (self.index, self.step));
        let Some(effect) = self.waiting.pop_front() else { return Ok(()) };
        let Some(outgoing) = effect.message.and_then(|id| messages.remove_entry(&id)) else {
            // The conversation was deleted; there is nothing to send any more.
            book.end(tenant, effect.id, EffectState::Cancelled, None);
            return Ok(());
        };
        match parcel::pack(tx, book, self.step, &effect, outgoing).await? {
            Ok(parcel) => {
                book.begun.push((tenant, effect.id, parcel.message));
                self.next = Some(Next::Send(Box::new(parcel)));
            }
            Err(refusal) => outcome::refused(book, at, &effect, refusal.code, &refusal.detail),
        }
        Ok(())
    }

    fn stepped(self, news: Vec<News>, failed: i64) -> Stepped {
        let next = self.next.unwrap_or(Next::Lost);
        let left = Left { gen_seen: self.gen_now, effects: self.waiting, more: self.more };
        let left = matches!(next, Next::Send(_)).then_some(left);
        Stepped { next, left, news, failed }
    }

    fn rest(&mut self, book: &mut Book, ready_ms: Option<i64>, more: bool) {
        book.rests.push(Rest { claim: self.step.claim, seen_gen: self.gen_now, ready_ms });
        self.next = Some(Next::Rest(more));
    }
}
