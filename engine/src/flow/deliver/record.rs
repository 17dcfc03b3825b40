//! Recording how a call ended: done, again later, failed, or unknown.

use pointsman_rules::event::{Actor, Cause, Event, EventBody, EventKind};
use pointsman_rules::ids::{EventId, InboxId, MessageId, NotificationId};

use super::Called;
use crate::bus::News;
use crate::flow::Flow;
use crate::flow::case;
use crate::flow::catalog::{Channel, TenantView};
use crate::flow::turn::{Entry, failure_json, replaces};
use crate::plugins::{
    Certainty, Delivery, Failure, InboundBody, InboundEvent, Party, Receipt, Retry, StatusUpdate,
};
use crate::store::effects::{Effect, EffectState, Ending, end, record_attempt};
use crate::store::intake::{NewEntry, enqueue};
use crate::store::lanes::{Claim, Task};
use crate::store::log::{Logged, append};
use crate::store::{StoreError, Tx, messages, notices, outgoing};

/// Calls of one effect at most; then it failed and waits among the dead letters.
const ATTEMPTS_MAX: i64 = 12;
/// The first pause, milliseconds; it doubles with every attempt.
const BACKOFF_MS: i64 = 500;
/// The longest pause, milliseconds.
const BACKOFF_MS_MAX: i64 = 600_000;
/// The longest pause that a vendor may ask for, milliseconds.
const RETRY_AFTER_MS_MAX: i64 = 3_600_000;

/// One lane's delivery, inside a transaction.
pub(super) struct Desk<'a> {
    pub(super) tx: &'a mut Tx,
    pub(super) flow: &'a Flow,
    pub(super) channel: &'a Channel,
    pub(super) view: &'a TenantView,
    pub(super) claim: Claim,
    pub(super) now_ms: i64,
    /// To publish after the commit.
    pub(super) news: Vec<News>,
}

impl Desk<'_> {
    /// Records a call.
    pub(super) async fn record(&mut self, called: &Called) -> Result<(), StoreError> {
        match &called.outcome {
            Ok(receipt) => self.done(called, receipt).await,
            Err(failure) => self.failed(called, failure).await,
        }
    }

    async fn done(&mut self, called: &Called, receipt: &Receipt) -> Result<(), StoreError> {
        let effect = &called.parcel.effect;
        self.end(effect, EffectState::Done, self.now_ms, None).await?;
        if effect.attempts > 1 {
            self.attempt(called, "sent", None).await?;
        }
        let vendor_id = receipt.message_ids.first().cloned();
        if self.view.rules.is_subscribed(EventKind::MessageStatusChanged) {
            // A rule wants to know: the news goes through the lane like any other.
            return self.tell_lane(effect, vendor_id, Delivery::Sent).await;
        }
        let message = called.parcel.message;
        if self.move_on(message, "sent", None, vendor_id).await? {
            let (from, to) = ("sending".to_owned(), "sent".to_owned());
            self.log(effect, EventBody::MessageStatusChanged { message, from, to }).await?;
        }
        Ok(())
    }

    async fn failed(&mut self, called: &Called, failure: &Failure) -> Result<(), StoreError> {
        let effect = &called.parcel.effect;
        let json = failure_json(failure);
        let repeatable =
            failure.effect == Certainty::NotPerformed || self.channel.facts.capabilities.idempotent_send;
        if let (Retry::After { ms }, true) = (&failure.retry, repeatable && effect.attempts < ATTEMPTS_MAX) {
            let asked_ms = i64::try_from(*ms).unwrap_or(RETRY_AFTER_MS_MAX).min(RETRY_AFTER_MS_MAX);
            let pause_ms = asked_ms.max(backoff_ms(effect.attempts, self.flow.clock.random()));
            self.end(effect, EffectState::Queued, self.now_ms + pause_ms, Some(&json)).await?;
            return self.attempt(called, "retry", Some(&json)).await;
        }
        if !repeatable && failure.effect == Certainty::Unknown {
            self.attempt(called, "unknown", Some(&json)).await?;
            return self.unclear(effect, Some(&json)).await;
        }
        self.end(effect, EffectState::Failed, self.now_ms, Some(&json)).await?;
        self.attempt(called, "failed", Some(&json)).await?;
        if matches!(failure.retry, Retry::AfterOwnerActs) {
            self.channel_failed(&failure.message).await?;
        }
        self.tell_lane(effect, None, Delivery::Failed { failure: failure.clone() }).await
    }

    /// The gate refused, before any call.
    pub(super) async fn refused(
        &mut self,
        effect: &Effect,
        code: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let failure = case::failure_json(code, detail);
        self.end(effect, EffectState::Failed, self.now_ms, Some(&failure)).await?;
        let Some(message) = effect.message else { return Ok(()) };
        if self.move_on(message, "failed", Some(failure), None).await? {
            let class = code.to_owned();
            self.log(effect, EventBody::MessageFailed { message, class, code: None }).await?;
        }
        Ok(())
    }

    /// Nobody knows whether the vendor has it.
    pub(super) async fn unclear(&mut self, effect: &Effect, failure: Option<&str>) -> Result<(), StoreError> {
        let failure = failure.map_or_else(|| case::failure_json("unknown", CRASHED), str::to_owned);
        self.end(effect, EffectState::Unknown, self.now_ms, Some(&failure)).await?;
        let Some(message) = effect.message else { return Ok(()) };
        if self.move_on(message, "unknown", Some(failure), None).await? {
            let (from, to) = ("sending".to_owned(), "unknown".to_owned());
            self.log(effect, EventBody::MessageStatusChanged { message, from, to }).await?;
        }
        Ok(())
    }

    async fn end(
        &mut self,
        effect: &Effect,
        state: EffectState,
        next_ms: i64,
        failure: Option<&str>,
    ) -> Result<(), StoreError> {
        let ending = Ending { state, next_ms, failure: failure.map(str::to_owned) };
        end(self.tx, self.claim.tenant, effect.id, &ending, self.now_ms).await
    }

    async fn attempt(
        &mut self,
        called: &Called,
        outcome: &str,
        failure: Option<&str>,
    ) -> Result<(), StoreError> {
        let (effect, times_ms) = (&called.parcel.effect, (called.parcel.started_ms, self.now_ms));
        record_attempt(self.tx, self.claim.tenant, effect.id, effect.attempts, times_ms, outcome, failure)
            .await
    }

    async fn move_on(
        &mut self,
        message: MessageId,
        status: &str,
        failure: Option<String>,
        vendor_id: Option<String>,
    ) -> Result<bool, StoreError> {
        let (over, at_ms) = (replaces(status), self.now_ms);
        let update =
            messages::StatusUpdate { message, status: status.to_owned(), over, failure, vendor_id, at_ms };
        messages::set_status(self.tx, self.claim.tenant, &update).await
    }

    /// The outcome goes through the lane's inbox, so that it is ordered and rules see it.
    async fn tell_lane(
        &mut self,
        effect: &Effect,
        vendor_id: Option<String>,
        delivery: Delivery,
    ) -> Result<(), StoreError> {
        let dedupe_key = format!("sent:{}:{}:{}", effect.id, effect.attempts, self.now_ms);
        let nobody = Party {
            address: String::new(),
            phone: None,
            scoped_id: None,
            username: None,
            display_name: None,
        };
        let status = StatusUpdate {
            message_id: vendor_id.unwrap_or_default(),
            contact: nobody,
            to: String::new(),
            at_ms: self.now_ms,
            delivery,
            effect_id: Some(effect.id.to_string()),
            extras: Vec::new(),
        };
        let event = InboundEvent { dedupe_key: dedupe_key.clone(), body: InboundBody::Status(status) };
        let entry = NewEntry {
            tenant: self.claim.tenant,
            lane: self.claim.lane,
            id: InboxId::new(self.now_ms, self.flow.clock.random()),
            channel: self.claim.channel,
            raw: None,
            dedupe_key,
            body: case::to_json(&Entry::Webhook(event)),
            received_ms: self.now_ms,
        };
        enqueue(self.tx, std::slice::from_ref(&entry), self.now_ms).await?;
        self.news.push(News::Ready { task: Task::Turn });
        Ok(())
    }

    /// A call was refused in a way that only the channel's owner can mend.
    async fn channel_failed(&mut self, reason: &str) -> Result<(), StoreError> {
        let (tenant, id, now_ms) = (self.claim.tenant, self.channel.facts.id, self.now_ms);
        let before = outgoing::set_channel_state(self.tx, tenant, id, "failed", Some(reason), now_ms).await?;
        let Some(from) = before else { return Ok(()) };
        let event = Event {
            id: EventId::new(now_ms, self.flow.clock.random()),
            at_ms: now_ms,
            conversation: None,
            cause: Cause { actor: Actor::Vendor, chain: Vec::new() },
            body: EventBody::ChannelStateChanged {
                from,
                to: "failed".into(),
                reason: Some(reason.to_owned()),
            },
        };
        self.news.push(News::Event { tenant, event: event.id, conversation: None });
        append(self.tx, &[(tenant, Logged { event, channel: Some(id), seq: 0 })]).await?;
        let text = format!("The channel {} failed: {reason}", self.channel.facts.name);
        for admin in notices::admins(self.tx, tenant).await? {
            let notification = NotificationId::new(now_ms, self.flow.clock.random());
            notices::insert_about_channel(self.tx, tenant, notification, admin, &text, now_ms).await?;
        }
        Ok(())
    }

    async fn log(&mut self, effect: &Effect, body: EventBody) -> Result<(), StoreError> {
        let (tenant, conversation) = (self.claim.tenant, Some(effect.conversation));
        let event = Event {
            id: EventId::new(self.now_ms, self.flow.clock.random()),
            at_ms: self.now_ms,
            conversation,
            cause: Cause { actor: Actor::System, chain: Vec::new() },
            body,
        };
        self.news.push(News::Event { tenant, event: event.id, conversation });
        let logged = Logged { event, channel: Some(self.channel.facts.id), seq: effect.seq };
        append(self.tx, &[(tenant, logged)]).await
    }
}

const CRASHED: &str = "The process ended between the call and its record; the vendor may have it.";

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
