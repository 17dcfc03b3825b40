//! Vendors' templates → ours: listed anew when a channel is switched on, when a
//! vendor says that one changed, every few hours, and on demand. What changed its
//! status is told.

use futures_util::future::BoxFuture;
use pointsman_rules::event::{Actor, Cause, Event, EventBody};
use pointsman_rules::ids::{ChannelId, EventId, TemplateId, TenantId};
use serde_json::json;

use super::jobs::{Outcome, Round};
use super::{Flow, FlowError, slot};
use crate::bus::News;
use crate::crypto::hash16;
use crate::plugins::{Failure, VendorTemplate};
use crate::store::log::{self, Logged};
use crate::store::templates::{self, Template};
use crate::store::{Durability, StoreError};

/// The job that lists templates anew.
pub const JOB: &str = "templates.sync";
/// A list older than this is read again, milliseconds: six hours.
const AGE_MS_MAX: i64 = 6 * 3_600_000;
/// Pages of the vendor's list at most; beyond it the rest is left out.
const PAGES_MAX: usize = 100;

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The channel is gone, or its plugin is.
    #[error("the channel or its plugin is not there")]
    Gone,
    /// The vendor refused.
    #[error("the vendor refused to list its templates")]
    Vendor(Failure),
    /// Ours.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// Asks the vendor for a channel's templates and keeps them; answers all of them.
///
/// # Errors
/// The vendor's or the store's; what was kept before stays then.
pub async fn sync(flow: &Flow, tenant: TenantId, channel: ChannelId) -> Result<Vec<Template>, SyncError> {
    let (plugin, context) = flow.channel_context(tenant, channel).await?.ok_or(SyncError::Gone)?;
    let now_ms = flow.clock.now_ms();
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = plugin.list_templates(&context, cursor.as_deref()).await.map_err(SyncError::Vendor)?;
        found.extend(page.templates.into_iter().map(|template| kept(channel, template, now_ms)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let (inside, rows) = (flow.clone(), found.clone());
    let events = flow.db.write(Durability::Hard, move |tx| {
        let (flow, rows) = (inside.clone(), rows.clone());
        Box::pin(async move {
            let before = templates::list(tx, tenant, channel).await?;
            templates::replace(tx, tenant, channel, &rows, now_ms).await?;
            let changed = rows.iter().filter(|now| {
                let old = before.iter().find(|old| old.id == now.id);
                old.is_some_and(|old| old.status != now.status)
            });
            let events: Vec<_> = changed.map(|now| (tenant, told(&flow, channel, now))).collect();
            log::append(tx, &events).await?;
            Ok(events)
        })
    });
    for (tenant, it) in events.await? {
        flow.bus.publish(News::Event { tenant, event: it.event.id, conversation: None });
    }
    flow.forget(tenant, Some(channel));
    Ok(found)
}

fn told(flow: &Flow, channel: ChannelId, it: &Template) -> Logged {
    let at_ms = flow.clock.now_ms();
    let body = EventBody::TemplateStatusChanged {
        template: it.name.clone(),
        language: it.language.clone(),
        status: it.status.clone(),
    };
    let cause = Cause { actor: Actor::Vendor, chain: Vec::new() };
    let event =
        Event { id: EventId::new(at_ms, flow.clock.random()), at_ms, conversation: None, cause, body };
    Logged { event, channel: Some(channel), seq: 0 }
}

fn kept(channel: ChannelId, template: VendorTemplate, now_ms: i64) -> Template {
    let parts = ["template", &channel.to_string(), &template.name, &template.language];
    let slot = |it: crate::plugins::TemplateSlot| slot::key(&it.place, &it.name);
    Template {
        id: TemplateId::from_hash(hash16(&parts)),
        vendor_id: Some(template.vendor_id).filter(|id| !id.is_empty()),
        name: template.name,
        language: template.language,
        category: template.category,
        status: template.status.to_lowercase(),
        body: template.body,
        slots: template.slots.into_iter().map(slot).collect(),
        buttons: serde_json::to_value(template.buttons).unwrap_or_else(|_| json!([])),
        synced_ms: now_ms,
    }
}

/// Reads the lists of a tenant's channels that are too old. A vendor that refuses stops nobody else's; its channel
/// shows what is wrong.
pub fn refresh(round: &Round) -> BoxFuture<'_, Result<Outcome, FlowError>> {
    Box::pin(async move {
        let (flow, tenant) = (&round.flow, round.tenant);
        let before_ms = flow.clock.now_ms() - AGE_MS_MAX;
        let old = templates::outdated(&mut flow.db.read().await?, tenant, before_ms).await?;
        for channel in old {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            let known = flow.catalog.channel(flow, tenant, channel).await?;
            if !known.is_some_and(|channel| channel.facts.capabilities.templates) {
                continue;
            }
            match sync(flow, tenant, channel).await {
                Ok(_) | Err(SyncError::Gone) => {}
                Err(SyncError::Flow(error)) => return Err(error),
                Err(SyncError::Vendor(failure)) => {
                    tracing::warn!(%channel, kind = failure.kind.word(), "templates cannot be listed");
                }
            }
        }
        Ok(Outcome::Done)
    })
}
