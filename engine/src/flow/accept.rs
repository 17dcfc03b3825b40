//! webhook → inbox. The plugin names the proofs and translates, the host checks
//! and calls, and only when everything lies on disk does the vendor get its 2xx.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_rules::ids::{EffectId, InboxId, LaneId, RawWebhookId, TenantId};

use super::case::to_json;
use super::catalog::Channel;
use super::gather::{Full, Gather};
use super::head_start::HeadStart;
use super::turn::Entry;
use super::{Flow, FlowError, lane_of};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::plugins::{InboundBody, InboundEvent, StatusUpdate, Verdict, WebhookReply, WebhookRequest};
use crate::store::channel_health::Tally;
use crate::store::intake::{self, NewEntry, RawWebhook};
use crate::store::lanes::{Claim, Task};
use crate::store::{Db, Durability, StoreError, effects, raw, raw_webhooks};

/// Webhooks written with one commit at most.
const BATCH_MAX: usize = 128;
/// Webhooks that may wait for the commit; beyond it vendors are told to come back.
const WAITING_MAX: usize = 2_048;
/// What a vendor that is told to come back is told to wait, seconds.
pub(super) const COME_BACK_S: u32 = 2;

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// No channel has this key.
    #[error("there is no such webhook address")]
    UnknownHook,
    /// The channel is switched off.
    #[error("the channel is switched off")]
    Inactive,
    /// Not from the vendor.
    #[error("the webhook is not authentic: {reason}")]
    Forged {
        /// For the log; never shown to the sender.
        reason: String,
    },
    /// Too much at once; nothing is kept.
    #[error("too many webhooks are waiting; come back in {retry_after_s} s")]
    Overloaded {
        /// Seconds.
        retry_after_s: u32,
    },
    /// The plugin broke.
    #[error("the plugin failed on this webhook: {reason}")]
    Plugin {
        /// What happened.
        reason: String,
    },
    /// The flow room failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for AcceptError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// There is no such webhook.
    NotFound,
    /// It still cannot be parsed.
    StillUnreadable {
        /// Why.
        reason: String,
    },
    /// So many events were read from it (those known already are dropped by their keys).
    Replayed {
        /// Events.
        events: usize,
    },
}

impl Flow {
    /// Takes a vendor's webhook: authenticates, parses, stores, and answers what the plugin says.
    ///
    /// # Errors
    /// Nothing is kept then.
    pub async fn accept(&self, hook_key: &str, request: WebhookRequest) -> Result<WebhookReply, AcceptError> {
        let _arriving = Arriving::new(self.head_start.arriving());
        let channel = self.catalog.channel_by_hook(self, hook_key).await?.ok_or(AcceptError::UnknownHook)?;
        if !channel.active {
            return Err(AcceptError::Inactive);
        }
        let plugin = self.host.get(&channel.facts.provider).ok_or_else(|| FlowError::NoPlugin {
            provider: channel.facts.provider.clone(),
            kind: channel.facts.kind.clone(),
        })?;
        let now_ms = self.clock.now_ms();
        if channel.is_stopped() {
            return self.shelve(&channel, &request, now_ms).await;
        }
        let context = channel.context(&self.settings.public_url, now_ms);
        let (verdict, parsed) = match plugin.receive(&context, &request).await {
            Ok(received) => received,
            Err(error) => {
                self.heed_crashes(&plugin, &channel).await?;
                return Err(AcceptError::Plugin { reason: error.to_string() });
            }
        };
        if matches!(parsed, Some(Err(_))) {
            self.heed_crashes(&plugin, &channel).await?;
        }
        let reply = match verdict {
            Verdict::Reject(reason) => return Err(AcceptError::Forged { reason }),
            Verdict::Answer(reply) => return Ok(reply),
            Verdict::Accept(reply) => reply,
        };
        let (events, problem) = match parsed {
            Some(Ok(events)) => (events, None),
            Some(Err(failure)) => (Vec::new(), Some(failure.message)),
            None => (Vec::new(), Some("the plugin did not parse it".to_owned())),
        };
        let raw = RawWebhook {
            tenant: channel.tenant,
            id: RawWebhookId::new(now_ms, self.clock.random()),
            channel: channel.facts.id,
            received_ms: now_ms,
            request: to_json(&request),
            outcome: if problem.is_some() { "quarantined" } else { "stored" },
            problem,
        };
        let entries = self.entries(&channel, raw.id, events, now_ms).await?;
        let tally = Tally {
            received: 1,
            stored: i64::try_from(entries.len()).unwrap_or(i64::MAX),
            quarantined: i64::from(raw.problem.is_some()),
            last_inbound_ms: Some(now_ms),
            ..Tally::default()
        };
        let stored = self.intake.try_put(Arrived { raw: Some(raw), entries }).await;
        stored.map_err(|_: Full| AcceptError::Overloaded { retry_after_s: COME_BACK_S })??;
        self.tallies.add(channel.tenant, channel.facts.id, tally);
        Ok(reply)
    }

    /// Keeps a webhook whose plugin was stopped. Nobody knows yet whether it is authentic: that is looked at when the
    /// plugin works again, and what is not is thrown away then.
    async fn shelve(
        &self,
        channel: &Channel,
        request: &WebhookRequest,
        now_ms: i64,
    ) -> Result<WebhookReply, AcceptError> {
        let reason = "its plugin is stopped; resume the channel when it is mended";
        // A challenge has to be answered now or not at all.
        if request.method != "POST" {
            return Err(AcceptError::Plugin { reason: reason.to_owned() });
        }
        let raw = RawWebhook {
            tenant: channel.tenant,
            id: RawWebhookId::new(now_ms, self.clock.random()),
            channel: channel.facts.id,
            received_ms: now_ms,
            request: to_json(request),
            outcome: raw::WAITING,
            problem: Some(reason.to_owned()),
        };
        let stored = self.intake.try_put(Arrived { raw: Some(raw), entries: Vec::new() }).await;
        stored.map_err(|_: Full| AcceptError::Overloaded { retry_after_s: COME_BACK_S })??;
        let tally = Tally { received: 1, last_inbound_ms: Some(now_ms), ..Tally::default() };
        self.tallies.add(channel.tenant, channel.facts.id, tally);
        Ok(WebhookReply { status: 200, headers: Vec::new(), body: Vec::new() })
    }

    async fn entries(
        &self,
        channel: &Channel,
        raw: RawWebhookId,
        events: Vec<InboundEvent>,
        now_ms: i64,
    ) -> Result<Vec<NewEntry>, AcceptError> {
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            entries.push(NewEntry {
                tenant: channel.tenant,
                lane: self.lane_of_event(channel, &event.body).await?,
                id: InboxId::new(now_ms, self.clock.random()),
                channel: channel.facts.id,
                raw: Some(raw),
                dedupe_key: event.dedupe_key.clone(),
                body: to_json(&Entry::Webhook(event)),
                received_ms: now_ms,
            });
        }
        Ok(entries)
    }

    /// A message belongs to its contact's lane; a delivery callback to the lane its message left by, because vendors
    /// may name the contact differently in callbacks; the channel's own news to a lane of the channel.
    pub(super) async fn lane_of_event(
        &self,
        channel: &Channel,
        body: &InboundBody,
    ) -> Result<LaneId, AcceptError> {
        let (tenant, id) = (channel.tenant, channel.facts.id);
        match body {
            InboundBody::Message(message) => Ok(self.lane_of_party(channel, &message.contact, false).await?),
            InboundBody::ContactChanged(change) => {
                Ok(self.lane_of_party(channel, &change.old, false).await?)
            }
            InboundBody::Consent(it) => Ok(self.lane_of_party(channel, &it.contact, false).await?),
            InboundBody::Status(status) => {
                let known = self.lane_of_status(tenant, channel, status).await?;
                Ok(known.unwrap_or_else(|| lane_of(tenant, id, status.contact.key())))
            }
            _ => Ok(lane_of(tenant, id, "")),
        }
    }

    async fn lane_of_status(
        &self,
        tenant: TenantId,
        channel: &Channel,
        status: &StatusUpdate,
    ) -> Result<Option<LaneId>, AcceptError> {
        let tx = &mut self.db.read().await?;
        if let Some(id) = status.effect_id.as_deref().and_then(|id| EffectId::parse(id).ok())
            && let Some(effect) = effects::get(tx, tenant, id).await?
        {
            return Ok(Some(effect.lane));
        }
        Ok(effects::lane_of_vendor_id(tx, tenant, channel.facts.id, &status.message_id).await?)
    }

    /// Parses a kept webhook again, with the plugin as it is now. One that waited is authenticated first.
    ///
    /// # Errors
    /// The store's, or the plugin broke.
    pub async fn replay(&self, tenant: TenantId, id: RawWebhookId) -> Result<ReplayOutcome, AcceptError> {
        let kept = raw::get(&mut self.db.read().await?, tenant, id).await?;
        let Some(kept) = kept else { return Ok(ReplayOutcome::NotFound) };
        let channel = self.catalog.channel(self, tenant, kept.channel).await?;
        let Some(channel) = channel.filter(|it| !it.is_removed) else { return Ok(ReplayOutcome::NotFound) };
        let request: WebhookRequest = serde_json::from_str(&kept.request).map_err(|error| {
            StoreError::BadRow { table: "raw_webhooks", column: "request", reason: error.to_string() }
        })?;
        let plugin = self.host.get(&channel.facts.provider).ok_or_else(|| FlowError::NoPlugin {
            provider: channel.facts.provider.clone(),
            kind: channel.facts.kind.clone(),
        })?;
        let context = channel.context(&self.settings.public_url, kept.received_ms);
        let parsed = if kept.is_waiting {
            let received = plugin.receive(&context, &request).await;
            received.map(|(verdict, parsed)| match verdict {
                Verdict::Accept(_) => parsed,
                Verdict::Answer(_) | Verdict::Reject(_) => None,
            })
        } else {
            plugin.parse(&context, &request).await.map(Some)
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                self.heed_crashes(&plugin, &channel).await?;
                return Err(AcceptError::Plugin { reason: error.to_string() });
            }
        };
        let events = match parsed {
            Some(Ok(events)) => events,
            Some(Err(failure)) => {
                self.heed_crashes(&plugin, &channel).await?;
                let reason = failure.message;
                self.still_unreadable((tenant, id), &reason).await?;
                return Ok(ReplayOutcome::StillUnreadable { reason });
            }
            None => {
                self.throw_away(tenant, id).await?;
                return Ok(ReplayOutcome::NotFound);
            }
        };
        let count = events.len();
        let entries = Arc::new(self.entries(&channel, id, events, kept.received_ms).await?);
        let now_ms = self.clock.now_ms();
        self.db
            .write(Durability::Hard, move |tx| {
                let entries = entries.clone();
                Box::pin(async move {
                    intake::enqueue(tx, &entries, now_ms).await?;
                    raw::set_replayed(tx, tenant, id).await
                })
            })
            .await?;
        self.bus.ring(Task::Turn);
        Ok(ReplayOutcome::Replayed { events: count })
    }

    async fn still_unreadable(
        &self,
        (tenant, id): (TenantId, RawWebhookId),
        problem: &str,
    ) -> Result<(), StoreError> {
        let problem = problem.to_owned();
        let kept = self.db.write(Durability::Hard, move |tx| {
            let problem = problem.clone();
            Box::pin(async move { raw::set_quarantined(tx, tenant, id, &problem).await })
        });
        kept.await
    }

    /// It waited and turned out not to be the vendor's, or to be of no use any more.
    async fn throw_away(&self, tenant: TenantId, id: RawWebhookId) -> Result<(), StoreError> {
        let removed = self.db.write(Durability::Hard, move |tx| {
            Box::pin(async move { raw_webhooks::remove(tx, tenant, id).await })
        });
        removed.await
    }
}

/// Counts a webhook for as long as it is worked on, even when its sender hangs up.
pub(super) struct Arriving<'a>(&'a AtomicUsize);

impl<'a> Arriving<'a> {
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where webhooks wait for their commit.
pub(super) type Intake = Gather<Arrived, ()>;

/// A webhook and what was read from it. A call of a rule's own URL is its entry and nothing else.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) raw: Option<RawWebhook>,
    pub(super) entries: Vec<NewEntry>,
}

pub(super) fn intake(db: Db, clock: Clock, bus: Bus, head_start: HeadStart) -> Intake {
    Gather::start(WAITING_MAX, BATCH_MAX, move |batch: Arc<Vec<Arrived>>| {
        let (db, clock, bus, head_start) = (db.clone(), clock.clone(), bus.clone(), head_start.clone());
        async move {
            let count = batch.len();
            let place = if entries(&batch).next().is_some() { head_start.place() } else { None };
            let lanes = place.as_ref().map(|place| place.lanes(entries(&batch)));
            let (lanes, are_all) = lanes.unwrap_or_default();
            let claims = write(&db, &clock, batch.clone(), (head_start, lanes)).await?;
            if let Some(place) = place {
                place.begin(claims);
            }
            if !are_all {
                bus.ring(Task::Turn);
            }
            Ok(vec![(); count])
        }
    })
}

fn entries(batch: &[Arrived]) -> impl Iterator<Item = &NewEntry> {
    batch.iter().flat_map(|it| &it.entries)
}

/// Answers the leases on `lanes`.
async fn write(
    db: &Db,
    clock: &Clock,
    batch: Arc<Vec<Arrived>>,
    (head_start, lanes): (HeadStart, Vec<(TenantId, LaneId)>),
) -> Result<Vec<Claim>, StoreError> {
    let now_ms = clock.now_ms();
    let lanes = Arc::new(lanes);
    db.write(Durability::Hard, move |tx| {
        let (batch, head_start, lanes) = (batch.clone(), head_start.clone(), lanes.clone());
        Box::pin(async move {
            intake::insert_raw(tx, batch.iter().filter_map(|it| it.raw.as_ref())).await?;
            let entries: Vec<&NewEntry> = entries(&batch).collect();
            intake::enqueue(tx, &entries, now_ms).await?;
            head_start.lease(tx, &lanes, now_ms).await
        })
    })
    .await
}
