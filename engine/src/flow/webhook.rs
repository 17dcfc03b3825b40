//! Webhooks out: what happens is told to endpoints of other programs. Told in
//! the transaction of what happened (`outbox`), sent in order within an endpoint
//! and conversation and tried again for days (`send`), signed as the Standard
//! Webhooks specification wants it (`sign`).

pub mod outbox;
pub mod send;
pub mod sign;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_rules::ids::{AuditId, EventId, NotificationId, TenantId, WebhookId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::json;

use super::{Flow, FlowError};
use crate::clock::{Clock, rfc3339};
use crate::crypto::{CryptoError, Keyring, Secret};
use crate::plugins::{Post, Posted};
use crate::store::webhook_deliveries::Attempt;
use crate::store::webhooks::Webhook;
use crate::store::{StoreError, Tx, audit, notices, webhook_deliveries, webhooks};
use sign::Secrets;

/// Time for one call.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 2 << 10;
/// Calls of one endpoint at once in one process, so that a slow one does not take the places of others.
const CALLS_PER_WEBHOOK_MAX: usize = 16;
/// Type of the event that tests an endpoint.
pub const TEST: &str = "webhook.test";

/// What this process knows of calls under way and ended; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    under_way: Arc<Mutex<HashMap<WebhookId, usize>>>,
    /// Ended calls by outcome.
    pub ended: Family<CallLabels, Counter>,
}

/// What a counter of [`Calls`] counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// `delivered`, `again` or `failed`.
    pub outcome: &'static str,
}

/// A place among the calls of one endpoint; free again when dropped.
#[derive(Debug)]
struct Place {
    calls: Calls,
    webhook: WebhookId,
}

impl Calls {
    fn place(&self, webhook: WebhookId) -> Option<Place> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(webhook).or_default();
        if *count >= CALLS_PER_WEBHOOK_MAX {
            return None;
        }
        *count += 1;
        Some(Place { calls: self.clone(), webhook })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.calls.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.webhook) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.webhook);
            }
        }
    }
}

/// Where an endpoint's secrets are sealed for.
fn secrets_place(webhook: WebhookId) -> String {
    format!("webhook:{webhook}")
}

/// Seals an endpoint's secrets.
pub fn seal(keyring: &Keyring, clock: &Clock, webhook: WebhookId, secrets: &Secrets) -> String {
    keyring.seal(clock, &secrets_place(webhook), secrets.to_json().as_bytes())
}

/// Opens an endpoint's secrets.
///
/// # Errors
/// They were sealed by another key, or for another endpoint.
pub fn open(keyring: &Keyring, webhook: &Webhook) -> Result<Secrets, CryptoError> {
    let plain = keyring.open(&secrets_place(webhook.id), &webhook.secrets)?;
    Secrets::from_json(&plain).ok_or(CryptoError::NotOurs)
}

/// A new secret, as it is shown once.
pub fn new_secret(clock: &Clock) -> Secret {
    sign::new_secret(clock)
}

/// One call of an endpoint, as it ended.
#[derive(Debug, Clone)]
pub struct Call {
    /// To be kept.
    pub attempt: Attempt,
    /// When the endpoint wants to be called again.
    pub retry_after_s: Option<u64>,
}

impl Call {
    /// Does the endpoint have it? Any 2xx says so.
    pub fn is_delivered(&self) -> bool {
        self.attempt.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Sends an endpoint a test, now. Nothing of it is kept.
///
/// # Errors
/// The endpoint's secrets cannot be opened.
pub async fn test(flow: &Flow, webhook: &Webhook) -> Result<Call, FlowError> {
    let now_ms = flow.clock.now_ms();
    let id = EventId::new(now_ms, flow.clock.random()).to_string();
    let data = json!({"id": id, "webhook": webhook.id, "name": webhook.name});
    let body = json!({"type": TEST, "timestamp": rfc3339(now_ms), "data": data}).to_string();
    call(flow, webhook, (&id, body), 1).await
}

/// Calls an endpoint once.
async fn call(
    flow: &Flow,
    webhook: &Webhook,
    (message_id, body): (&str, String),
    number: i64,
) -> Result<Call, FlowError> {
    let at_ms = flow.clock.now_ms();
    let headers = open(&flow.keyring, webhook)?.headers(message_id, at_ms, &body)?;
    let post = Post {
        url: webhook.url.clone(),
        allow_private: webhook.allow_private_egress,
        headers,
        body,
        timeout: TIMEOUT,
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    let posted = flow.host.post(post).await;
    let took_ms = (flow.clock.now_ms() - at_ms).max(0);
    let mut attempt = Attempt { number, at_ms, took_ms, status: None, answer: None, problem: None };
    let mut retry_after_s = None;
    match posted {
        Posted::Nothing(problem) => attempt.problem = Some(problem),
        Posted::Answer { status, retry_after_s: asked, body } => {
            attempt.status = Some(status.into());
            attempt.answer = Some(body);
            retry_after_s = asked;
            attempt.problem = match status {
                200..=299 => None,
                300..=399 => {
                    Some(format!("it answered {status}; redirects are not followed, give the final address"))
                }
                410 => Some("it answered 410: it does not want to be called any more".to_owned()),
                status => Some(format!("it answered {status}")),
            };
        }
    }
    Ok(Call { attempt, retry_after_s })
}

/// Switches an endpoint off because of how it answers: gives up what waits for it, and tells admins.
///
/// # Errors
/// The database's own.
async fn switch_off(
    tx: &mut Tx,
    clock: &Clock,
    (tenant, webhook): (TenantId, &Webhook),
    reason: &str,
) -> Result<(), StoreError> {
    let now_ms = clock.now_ms();
    webhook_deliveries::give_up(tx, tenant, webhook.id, reason, now_ms).await?;
    if !webhooks::switch_off(tx, tenant, webhook.id, reason).await? {
        return Ok(());
    }
    let entry = audit::Entry {
        id: AuditId::new(now_ms, clock.random()),
        at_ms: now_ms,
        actor: audit::SYSTEM.to_owned(),
        action: "webhook.switch_off".to_owned(),
        target: webhook.id.to_string(),
        change: audit::Change::edited(
            &json!({"active": true, "off_reason": webhook.off_reason}),
            &json!({"active": false, "off_reason": reason}),
        ),
        origin: audit::Origin::default(),
    };
    audit::append(tx, tenant, &entry).await?;
    let text = format!(
        "The webhook {} was switched off: {reason} Mend it, switch it on, and replay what failed.",
        webhook.name
    );
    for admin in notices::admins(tx, tenant).await? {
        let id = NotificationId::new(now_ms, clock.random());
        notices::insert_general(tx, tenant, id, (admin, "webhook", &text), now_ms).await?;
    }
    Ok(())
}
