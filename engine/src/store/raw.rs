//! One kept webhook, for replaying it; listing them is the API's.

use pointsman_rules::ids::{ChannelId, RawWebhookId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// The outcome of a webhook that arrived while its plugin was stopped: nobody has looked whether it is authentic.
pub const WAITING: &str = "waiting";

/// A kept webhook, as it is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// For which channel it came.
    pub channel: ChannelId,
    /// Unix milliseconds.
    pub received_ms: i64,
    /// JSON.
    pub request: String,
    /// Did it never get as far as its plugin?
    pub is_waiting: bool,
}

/// The webhook with this id.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: RawWebhookId) -> Result<Option<Kept>, StoreError> {
    let sql =
        "select channel_id, received_ms, request, outcome from raw_webhooks where tenant_id = $1 and id = $2";
    let Some(row) = tx.first("read a webhook", sql, args![tenant, id]).await? else { return Ok(None) };
    let c = &mut row.columns("raw_webhooks");
    Ok(Some(Kept {
        channel: c.id("channel_id")?,
        received_ms: c.int("received_ms")?,
        request: c.text("request")?,
        is_waiting: c.text("outcome")? == WAITING,
    }))
}

/// Channels for which webhooks wait.
///
/// # Errors
/// The database's own.
pub async fn channels_waiting(tx: &mut Tx, tenant: TenantId) -> Result<Vec<ChannelId>, StoreError> {
    let sql = "select distinct channel_id from raw_webhooks where tenant_id = $1 and outcome = 'waiting' \
               order by channel_id";
    let rows = tx.all("look for webhooks that wait", sql, args![tenant]).await?;
    rows.iter().map(|row| row.columns("raw_webhooks").id("channel_id")).collect()
}

/// Webhooks of a channel that wait, the oldest first, after this one.
///
/// # Errors
/// The database's own.
pub async fn waiting(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    after: Option<RawWebhookId>,
    limit: i64,
) -> Result<Vec<RawWebhookId>, StoreError> {
    let sql = "select id from raw_webhooks where tenant_id = $1 and channel_id = $2 and outcome = 'waiting' \
               and id > $3 order by id limit $4";
    let after = after.map_or_else(String::new, |id| id.to_string());
    let rows = tx.all("list webhooks that wait", sql, args![tenant, channel, after, limit]).await?;
    rows.iter().map(|row| row.columns("raw_webhooks").id("id")).collect()
}

/// It is authentic, and its plugin could not read it.
///
/// # Errors
/// The database's own.
pub async fn set_quarantined(
    tx: &mut Tx,
    tenant: TenantId,
    id: RawWebhookId,
    problem: &str,
) -> Result<(), StoreError> {
    let sql =
        "update raw_webhooks set outcome = 'quarantined', problem = $3 where tenant_id = $1 and id = $2";
    tx.execute("quarantine a webhook", sql, args![tenant, id, problem]).await.map(|_| ())
}

/// It was parsed after all.
///
/// # Errors
/// The database's own.
pub async fn set_replayed(tx: &mut Tx, tenant: TenantId, id: RawWebhookId) -> Result<(), StoreError> {
    let sql = "update raw_webhooks set outcome = 'replayed', problem = null where tenant_id = $1 and id = $2";
    tx.execute("mark a webhook", sql, args![tenant, id]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::intake::{self, RawWebhook};
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn what_waits_is_listed_by_channel_in_the_order_of_arrival() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, sales, help) =
                        (TenantId::new(1, 1), ChannelId::new(1, 1), ChannelId::new(1, 2));
                    let make = |n: i64, channel, outcome| RawWebhook {
                        tenant,
                        id: RawWebhookId::new(n, 0),
                        channel,
                        received_ms: n,
                        request: "{}".into(),
                        outcome,
                        problem: None,
                    };
                    let all = [
                        make(1, sales, WAITING),
                        make(2, sales, "stored"),
                        make(3, sales, WAITING),
                        make(4, help, WAITING),
                    ];
                    intake::insert_raw(tx, all.iter()).await?;
                    assert_eq!(channels_waiting(tx, tenant).await?, [sales, help]);
                    assert_eq!(channels_waiting(tx, TenantId::new(1, 2)).await?, []);
                    assert_eq!(waiting(tx, tenant, sales, None, 9).await?, [all[0].id, all[2].id]);
                    assert_eq!(waiting(tx, tenant, sales, Some(all[0].id), 9).await?, [all[2].id]);
                    assert!(get(tx, tenant, all[0].id).await?.unwrap().is_waiting);
                    set_quarantined(tx, tenant, all[0].id, "odd").await?;
                    set_replayed(tx, tenant, all[2].id).await?;
                    assert!(!get(tx, tenant, all[0].id).await?.unwrap().is_waiting);
                    assert_eq!(channels_waiting(tx, tenant).await?, [help]);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
