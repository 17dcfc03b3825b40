//! Deliveries to webhooks for people who look what an endpoint was told.

use pointsman_rules::ids::{ConversationId, DeliveryId, TenantId, WebhookId};

use super::filter::Filter;
use super::webhook_deliveries::Attempt;
use super::{Row, StoreError, Tx};
use crate::args;

/// Where a delivery is.
pub const STATES: [&str; 3] = ["waiting", "delivered", "failed"];

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// For whom.
    pub webhook: WebhookId,
    /// `webhook-id`.
    pub message_id: String,
    /// Type of the event.
    pub kind: String,
    /// About which conversation.
    pub conversation: Option<ConversationId>,
    /// One of [`STATES`].
    pub state: String,
    /// What was wrong last.
    pub problem: Option<String>,
    /// Calls so far.
    pub attempts: i64,
    /// Not before this moment while it waits, unix milliseconds.
    pub next_ms: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// When it ended, unix milliseconds.
    pub done_ms: Option<i64>,
    /// The body.
    pub payload: String,
}

const HEAD: &str = "select d.id, d.webhook_id, d.message_id, d.type, d.conversation_id, d.state, d.problem, \
    d.attempts, d.next_ms, d.created_ms, d.done_ms, d.payload from webhook_deliveries d";

fn read(row: &Row) -> Result<DeliveryView, StoreError> {
    let mut c = row.columns("webhook_deliveries");
    Ok(DeliveryView {
        id: c.id("id")?,
        webhook: c.id("webhook_id")?,
        message_id: c.text("message_id")?,
        kind: c.text("type")?,
        conversation: c.opt_id("conversation_id")?,
        state: c.text("state")?,
        problem: c.opt_text("problem")?,
        attempts: c.int("attempts")?,
        next_ms: c.int("next_ms")?,
        created_ms: c.int("created_ms")?,
        done_ms: c.opt_int("done_ms")?,
        payload: c.text("payload")?,
    })
}

/// Deliveries of an endpoint, the newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    webhook: WebhookId,
    state: Option<&str>,
    before: Option<DeliveryId>,
    rows_max: u32,
) -> Result<Vec<DeliveryView>, StoreError> {
    let mut filter = Filter::new("d", tenant);
    filter.and("d.webhook_id = ?", args![webhook]);
    filter.and_if("d.state = ?", state);
    filter.and_if("d.id < ?", before);
    let (sql, args) = filter.finish(HEAD, "order by d.id desc", rows_max);
    tx.all("list deliveries", &sql, args).await?.iter().map(read).collect()
}

/// One delivery.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: DeliveryId) -> Result<Option<DeliveryView>, StoreError> {
    let sql = format!("{HEAD} where d.tenant_id = $1 and d.id = $2");
    tx.first("read a delivery", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// The calls of a delivery, the first first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn attempts(tx: &mut Tx, tenant: TenantId, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    let sql = "select number, at_ms, took_ms, status, answer, problem from webhook_attempts \
        where tenant_id = $1 and delivery_id = $2 order by number";
    let rows = tx.all("list attempts", sql, args![tenant, id]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("webhook_attempts");
            Ok(Attempt {
                number: c.int("number")?,
                at_ms: c.int("at_ms")?,
                took_ms: c.int("took_ms")?,
                status: c.opt_int("status")?,
                answer: c.opt_text("answer")?,
                problem: c.opt_text("problem")?,
            })
        })
        .collect()
}

/// How an endpoint's queue is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Deliveries that wait.
    pub waiting: i64,
    /// When the oldest of them happened, unix milliseconds.
    pub oldest_ms: Option<i64>,
    /// Deliveries that were given up and are still kept.
    pub failed: i64,
}

/// The queue of one endpoint, or of all of a tenant.
///
/// # Errors
/// The database's own.
pub async fn queue(tx: &mut Tx, tenant: TenantId, webhook: Option<WebhookId>) -> Result<Queue, StoreError> {
    let mut queue = Queue::default();
    for state in ["waiting", "failed"] {
        let sql = format!(
            "select count(*), min(created_ms) from webhook_deliveries where tenant_id = $1 \
             and ($2 = '' or webhook_id = $2) and state = '{state}'"
        );
        let of = webhook.map_or_else(String::new, |id| id.to_string());
        let Some(row) = tx.first("measure a webhook's queue", &sql, args![tenant, of]).await? else {
            continue;
        };
        let mut c = row.columns("webhook_deliveries");
        let (count, oldest_ms) = (c.int("count")?, c.opt_int("min")?);
        match state {
            "waiting" => (queue.waiting, queue.oldest_ms) = (count, oldest_ms),
            _ => queue.failed = count,
        }
    }
    Ok(queue)
}
