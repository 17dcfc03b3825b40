//! One kept webhook, for replaying it; listing them is the API's.

use pointsman_rules::ids::{ChannelId, RawWebhookId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// Channel, time of arrival (unix milliseconds) and the request as JSON.
///
/// # Errors
/// The database's own.
pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    id: RawWebhookId,
) -> Result<Option<(ChannelId, i64, String)>, StoreError> {
    let sql = "select channel_id, received_ms, request from raw_webhooks where tenant_id = $1 and id = $2";
    let Some(row) = tx.first("read a webhook", sql, args![tenant, id]).await? else { return Ok(None) };
    let c = &mut row.columns("raw_webhooks");
    Ok(Some((c.id("channel_id")?, c.int("received_ms")?, c.text("request")?)))
}

/// It was parsed after all.
///
/// # Errors
/// The database's own.
pub async fn set_replayed(tx: &mut Tx, tenant: TenantId, id: RawWebhookId) -> Result<(), StoreError> {
    let sql = "update raw_webhooks set outcome = 'replayed', problem = null where tenant_id = $1 and id = $2";
    tx.execute("mark a webhook", sql, args![tenant, id]).await.map(|_| ())
}
