//! Endpoints of other programs that are told what happens. Names are unique in
//! the tenant whatever their case. Secrets arrive sealed; what is told lies in
//! `webhook_deliveries`.

use pointsman_rules::ids::{TenantId, WebhookId};

use super::conversations::json;
use super::{Row, StoreError, Tx};
use crate::args;

/// Deliveries that may wait for one endpoint; what comes beyond is kept as failed, and can be replayed.
pub const QUEUE_MAX: u32 = 10_000;
/// Stands for every type of event.
pub const ALL_EVENTS: &str = "*";

/// An endpoint as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// For people and rules.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where it listens.
    pub url: String,
    /// Types of events, or [`ALL_EVENTS`].
    pub events: Vec<String>,
    /// Is it told anything?
    pub active: bool,
    /// Why it was switched off.
    pub off_reason: Option<String>,
    /// May it be in a private network, and speak HTTP without TLS?
    pub allow_private_egress: bool,
    /// Sealed.
    pub secrets: String,
    /// When the secret was made, unix milliseconds.
    pub secret_ms: i64,
    /// The first failure since the last success, unix milliseconds.
    pub failing_since_ms: Option<i64>,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

/// What must be known of an endpoint when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its id.
    pub id: WebhookId,
    /// What rules call it.
    pub name: String,
    /// Types of events, or [`ALL_EVENTS`].
    pub events: Vec<String>,
    /// Is it told anything?
    pub active: bool,
    /// Does [`QUEUE_MAX`] wait for it?
    pub is_full: bool,
}

impl Subscriber {
    /// Is it told of events of this type?
    pub fn wants(&self, kind: &str) -> bool {
        self.active && self.events.iter().any(|event| event == ALL_EVENTS || event == kind)
    }
}

const COLUMNS: &str = "id, name, description, url, events, active, off_reason, allow_private_egress, secrets, \
    secret_ms, failing_since_ms, version, created_ms";

fn read(row: &Row) -> Result<Webhook, StoreError> {
    let mut c = row.columns("webhooks");
    Ok(Webhook {
        id: c.id("id")?,
        name: c.text("name")?,
        description: c.opt_text("description")?,
        url: c.text("url")?,
        events: c.json("events")?,
        active: c.bool("active")?,
        off_reason: c.opt_text("off_reason")?,
        allow_private_egress: c.bool("allow_private_egress")?,
        secrets: c.text("secrets")?,
        secret_ms: c.int("secret_ms")?,
        failing_since_ms: c.opt_int("failing_since_ms")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
    })
}

/// Adds an endpoint; `false`: the name is taken.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, w: &Webhook) -> Result<bool, StoreError> {
    let sql = format!(
        "insert into webhooks (tenant_id, name_key, {COLUMNS}) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict do nothing"
    );
    let values = args![
        tenant,
        w.name.to_lowercase(),
        w.id,
        &w.name,
        w.description.clone(),
        &w.url,
        json("events", &w.events)?,
        w.active,
        w.off_reason.clone(),
        w.allow_private_egress,
        &w.secrets,
        w.secret_ms,
        w.failing_since_ms,
        w.version,
        w.created_ms
    ];
    Ok(tx.execute("add a webhook", &sql, values).await? == 1)
}

/// Writes everything of an endpoint and counts its version up; `false`: there is none, or the name is taken.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, w: &Webhook) -> Result<bool, StoreError> {
    let name_key = w.name.to_lowercase();
    let sql = "select id from webhooks where tenant_id = $1 and name_key = $2 and id <> $3";
    if tx.first("look for a webhook", sql, args![tenant, &name_key, w.id]).await?.is_some() {
        return Ok(false);
    }
    let sql = "update webhooks set name = $3, name_key = $4, description = $5, url = $6, events = $7, active = $8, \
        off_reason = $9, allow_private_egress = $10, secrets = $11, secret_ms = $12, failing_since_ms = $13, \
        version = version + 1 where tenant_id = $1 and id = $2";
    let values = args![
        tenant,
        w.id,
        &w.name,
        name_key,
        w.description.clone(),
        &w.url,
        json("events", &w.events)?,
        w.active,
        w.off_reason.clone(),
        w.allow_private_egress,
        &w.secrets,
        w.secret_ms,
        w.failing_since_ms
    ];
    Ok(tx.execute("change a webhook", sql, values).await? == 1)
}

/// Removes an endpoint. What it was told is kept as long as that of others.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: WebhookId) -> Result<bool, StoreError> {
    let sql = "delete from webhooks where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a webhook", sql, args![tenant, id]).await? == 1)
}

/// The endpoint with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    let sql = format!("select {COLUMNS} from webhooks where tenant_id = $1 and id = $2");
    tx.first("read a webhook", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// Endpoints after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<WebhookId>,
    limit: i64,
) -> Result<Vec<Webhook>, StoreError> {
    let sql = format!("select {COLUMNS} from webhooks where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list webhooks", &sql, args![tenant, after, limit]).await?.iter().map(read).collect()
}

/// How many endpoints there are.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, StoreError> {
    let row = tx.first("count webhooks", "select count(*) from webhooks where tenant_id = $1", args![tenant]);
    row.await?.map_or(Ok(0), |row| row.columns("webhooks").int("count"))
}

/// What rules may call.
///
/// # Errors
/// The database's own.
pub async fn names(tx: &mut Tx, tenant: TenantId) -> Result<Vec<String>, StoreError> {
    let sql = "select name from webhooks where tenant_id = $1 order by name_key";
    let rows = tx.all("list webhooks' names", sql, args![tenant]).await?;
    rows.iter().map(|row| row.columns("webhooks").text("name")).collect()
}

/// All endpoints, as far as must be known when something happens.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn subscribers(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Subscriber>, StoreError> {
    let sql = "select w.id, w.name, w.events, w.active, (select count(*) from (select 1 from webhook_deliveries d \
        where d.tenant_id = w.tenant_id and d.webhook_id = w.id and d.state = 'waiting' limit $2) as queue) \
        from webhooks w where w.tenant_id = $1 order by w.id";
    let rows = tx.all("read webhooks", sql, args![tenant, QUEUE_MAX]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("webhooks");
            Ok(Subscriber {
                id: c.id("id")?,
                name: c.text("name")?,
                events: c.json("events")?,
                active: c.bool("active")?,
                is_full: c.int("queue")? >= i64::from(QUEUE_MAX),
            })
        })
        .collect()
}

/// A delivery failed: answers since when they all do, unix milliseconds; `None`: the endpoint is gone.
///
/// # Errors
/// The database's own.
pub async fn note_failure(
    tx: &mut Tx,
    tenant: TenantId,
    id: WebhookId,
    now_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = "update webhooks set failing_since_ms = coalesce(failing_since_ms, $3) \
        where tenant_id = $1 and id = $2 returning failing_since_ms";
    let row = tx.first("note a webhook's failure", sql, args![tenant, id, now_ms]).await?;
    row.map(|row| row.columns("webhooks").int("failing_since_ms")).transpose()
}

/// A delivery succeeded.
///
/// # Errors
/// The database's own.
pub async fn note_success(tx: &mut Tx, tenant: TenantId, id: WebhookId) -> Result<(), StoreError> {
    let sql = "update webhooks set failing_since_ms = null \
        where tenant_id = $1 and id = $2 and failing_since_ms is not null";
    tx.execute("note a webhook's success", sql, args![tenant, id]).await.map(|_| ())
}

/// Switches an endpoint off; `false`: it was off already, or is gone.
///
/// # Errors
/// The database's own.
pub async fn switch_off(
    tx: &mut Tx,
    tenant: TenantId,
    id: WebhookId,
    reason: &str,
) -> Result<bool, StoreError> {
    let sql = "update webhooks set active = false, off_reason = $3, version = version + 1 \
        where tenant_id = $1 and id = $2 and active";
    Ok(tx.execute("switch a webhook off", sql, args![tenant, id, reason]).await? == 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    pub(crate) fn webhook(n: u128, name: &str) -> Webhook {
        Webhook {
            id: WebhookId::new(1, n),
            name: name.into(),
            description: None,
            url: "https://x.test/in".into(),
            events: vec!["message.received".into()],
            active: true,
            off_reason: None,
            allow_private_egress: false,
            secrets: "sealed".into(),
            secret_ms: 1,
            failing_since_ms: None,
            version: 1,
            created_ms: 1,
        }
    }

    #[test]
    fn names_are_unique_and_failures_count_from_the_first() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, other) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let (crm, shop) = (webhook(1, "CRM"), webhook(2, "shop"));
                    assert!(insert(tx, tenant, &crm).await? && insert(tx, tenant, &shop).await?);
                    assert!(!insert(tx, tenant, &webhook(3, "crm")).await?, "taken");
                    assert!(insert(tx, other, &webhook(4, "crm")).await?, "another tenant's");
                    assert!(!update(tx, tenant, &Webhook { name: "SHOP".into(), ..crm.clone() }).await?);
                    assert!(update(tx, tenant, &Webhook { events: vec!["*".into()], ..crm.clone() }).await?);
                    assert_eq!(list(tx, tenant, Some(crm.id), 9).await?, std::slice::from_ref(&shop));
                    assert_eq!((count(tx, tenant).await?, count(tx, other).await?), (2, 1));
                    assert_eq!(names(tx, tenant).await?, ["CRM", "shop"]);
                    assert_eq!(note_failure(tx, tenant, crm.id, 5).await?, Some(5));
                    assert_eq!(note_failure(tx, tenant, crm.id, 9).await?, Some(5));
                    assert_eq!(note_failure(tx, other, crm.id, 9).await?, None);
                    assert!(switch_off(tx, tenant, crm.id, "gone").await?);
                    assert!(!switch_off(tx, tenant, crm.id, "again").await?);
                    let now = get(tx, tenant, crm.id).await?.unwrap();
                    assert_eq!((now.version, now.off_reason.as_deref()), (3, Some("gone")));
                    note_success(tx, tenant, crm.id).await?;
                    assert_eq!(get(tx, tenant, crm.id).await?.unwrap().failing_since_ms, None);
                    let known = subscribers(tx, tenant).await?;
                    assert!(!known[0].wants("message.sent"), "it is off");
                    assert!(known[1].wants("message.received") && !known[1].wants("message.sent"));
                    assert!(!known[1].is_full);
                    assert!(delete(tx, tenant, shop.id).await? && !delete(tx, tenant, shop.id).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
