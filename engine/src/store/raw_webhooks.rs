//! Kept webhooks, for people who look why something did not arrive.

use pointsman_rules::ids::{ChannelId, RawWebhookId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A kept webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: RawWebhookId,
    /// The channel it came for.
    pub channel: ChannelId,
    /// Unix milliseconds.
    pub received_ms: i64,
    /// JSON of `plugins::WebhookRequest`; the body is base64 there.
    pub request: String,
    /// `stored`, `quarantined`, `replayed`, or `waiting` for its plugin to be resumed.
    pub outcome: String,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this channel.
    pub channel: Option<ChannelId>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Only older than this one.
    pub before: Option<RawWebhookId>,
}

const COLUMNS: &str = "id, channel_id, received_ms, request, outcome, problem";

fn kept(row: &Row) -> Result<Kept, StoreError> {
    let mut c = row.columns("raw_webhooks");
    Ok(Kept {
        id: c.id("id")?,
        channel: c.id("channel_id")?,
        received_ms: c.int("received_ms")?,
        request: c.text("request")?,
        outcome: c.text("outcome")?,
        problem: c.opt_text("problem")?,
    })
}

/// Kept webhooks, newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Kept>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from raw_webhooks where tenant_id = $1 and id < $2 \
        and ($3 = '' or channel_id = $3) and ($4 = '' or outcome = $4) order by id desc limit $5"
    );
    // `s` sorts after every id's prefix.
    let before = filter.before.map_or_else(|| "s".to_owned(), |id| id.to_string());
    let channel = filter.channel.map_or_else(String::new, |id| id.to_string());
    let outcome = filter.outcome.clone().unwrap_or_default();
    let values = args![tenant, before, channel, outcome, limit];
    tx.all("list webhooks", &sql, values).await?.iter().map(kept).collect()
}

/// The webhook with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: RawWebhookId) -> Result<Option<Kept>, StoreError> {
    let sql = format!("select {COLUMNS} from raw_webhooks where tenant_id = $1 and id = $2");
    tx.first("read a webhook", &sql, args![tenant, id]).await?.as_ref().map(kept).transpose()
}

/// Removes a webhook.
///
/// # Errors
/// The database's own.
pub async fn remove(tx: &mut Tx, tenant: TenantId, id: RawWebhookId) -> Result<(), StoreError> {
    let sql = "delete from raw_webhooks where tenant_id = $1 and id = $2";
    tx.execute("remove a webhook", sql, args![tenant, id]).await.map(|_| ())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    pub(crate) async fn insert(tx: &mut Tx, tenant: TenantId, k: &Kept) -> Result<(), StoreError> {
        let sql =
            format!("insert into raw_webhooks (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7)");
        let values = args![tenant, k.id, k.channel, k.received_ms, &k.request, &k.outcome, k.problem.clone()];
        tx.execute("keep a webhook", &sql, values).await.map(|_| ())
    }

    #[test]
    fn webhooks_are_listed_by_channel_and_outcome() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, sales, help) =
                        (TenantId::new(1, 1), ChannelId::new(1, 1), ChannelId::new(1, 2));
                    let make = |n: i64, channel, outcome: &str| Kept {
                        id: RawWebhookId::new(n, 0),
                        channel,
                        received_ms: n,
                        request: "{}".into(),
                        outcome: outcome.into(),
                        problem: None,
                    };
                    let all = [
                        make(1, sales, "stored"),
                        make(2, help, "quarantined"),
                        make(3, sales, "quarantined"),
                    ];
                    for one in &all {
                        insert(tx, tenant, one).await?;
                    }
                    let ids = |found: Vec<Kept>| found.iter().map(|k| k.received_ms).collect::<Vec<_>>();
                    assert_eq!(ids(list(tx, tenant, &Filter::default(), 9).await?), [3, 2, 1]);
                    let of_sales = Filter { channel: Some(sales), ..Filter::default() };
                    assert_eq!(ids(list(tx, tenant, &of_sales, 9).await?), [3, 1]);
                    let odd = Filter {
                        outcome: Some("quarantined".into()),
                        before: Some(all[2].id),
                        channel: None,
                    };
                    assert_eq!(ids(list(tx, tenant, &odd, 9).await?), [2]);
                    assert_eq!(get(tx, tenant, all[0].id).await?, Some(all[0].clone()));
                    assert_eq!(get(tx, TenantId::new(1, 2), all[0].id).await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
