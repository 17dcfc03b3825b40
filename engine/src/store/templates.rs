//! Provider-approved messages, as the vendor listed them last.

use pointsman_rules::ids::{ChannelId, TemplateId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A template as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// A function of channel, name and language.
    pub id: TemplateId,
    /// The vendor's id.
    pub vendor_id: Option<String>,
    /// Its name at the vendor.
    pub name: String,
    /// The vendor's language code.
    pub language: String,
    /// `marketing`, `utility`, …
    pub category: Option<String>,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`.
    pub status: String,
    /// Its text with its holes.
    pub body: String,
    /// Names of the slots to fill.
    pub slots: Vec<String>,
    /// JSON array of kind, title and value.
    pub buttons: serde_json::Value,
    /// When the vendor listed it last, unix milliseconds.
    pub synced_ms: i64,
}

const COLUMNS: &str = "id, vendor_id, name, language, category, status, body, slots, buttons, synced_ms";

fn template(row: &Row) -> Result<Template, StoreError> {
    let mut c = row.columns("templates");
    Ok(Template {
        id: c.id("id")?,
        vendor_id: c.opt_text("vendor_id")?,
        name: c.text("name")?,
        language: c.text("language")?,
        category: c.opt_text("category")?,
        status: c.text("status")?,
        body: c.text("body")?,
        slots: c.json("slots")?,
        buttons: c.json("buttons")?,
        synced_ms: c.int("synced_ms")?,
    })
}

/// A vendor says that a template changed: its status holds at once, and the whole list is read again soon.
///
/// # Errors
/// The database's own.
pub async fn set_status(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    (name, language, status): (&str, &str, &str),
) -> Result<(), StoreError> {
    let sql = "update templates set status = $5 where tenant_id = $1 and channel_id = $2 and name = $3 and language = $4";
    tx.execute("change a template", sql, args![tenant, channel, name, language, status]).await?;
    let sql = "update channels set templates_synced_ms = null where tenant_id = $1 and id = $2";
    tx.execute("doubt a list of templates", sql, args![tenant, channel]).await.map(|_| ())
}

/// Switched-on channels whose list was not read since then (unix milliseconds).
///
/// # Errors
/// The database's own.
pub async fn outdated(tx: &mut Tx, tenant: TenantId, before_ms: i64) -> Result<Vec<ChannelId>, StoreError> {
    let sql = "select id from channels where tenant_id = $1 and active and deleted_ms is null \
               and (templates_synced_ms is null or templates_synced_ms < $2) order by id";
    let rows = tx.all("find old lists of templates", sql, args![tenant, before_ms]).await?;
    rows.iter().map(|row| row.columns("channels").id("id")).collect()
}

/// Makes `templates` all that the channel has, as of now.
///
/// # Errors
/// The database's own.
pub async fn replace(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    templates: &[Template],
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "update channels set templates_synced_ms = $3 where tenant_id = $1 and id = $2";
    tx.execute("note a list of templates", sql, args![tenant, channel, now_ms]).await?;
    let sql = "delete from templates where tenant_id = $1 and channel_id = $2";
    tx.execute("forget templates", sql, args![tenant, channel]).await?;
    let rows = templates
        .iter()
        .map(|t| {
            args![
                tenant,
                channel,
                t.id,
                t.vendor_id.clone(),
                &t.name,
                &t.language,
                t.category.clone(),
                &t.status,
                &t.body,
                serde_json::Value::from(t.slots.clone()).to_string(),
                t.buttons.to_string(),
                t.synced_ms,
            ]
        })
        .collect();
    let head = format!("insert into templates (tenant_id, channel_id, {COLUMNS})");
    // A vendor that lists a name and language twice must not stop the whole list.
    tx.insert_many("keep templates", &head, rows, "on conflict do nothing").await.map(|_| ())
}

/// All templates of a channel, by name and language.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<Vec<Template>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from templates where tenant_id = $1 and channel_id = $2 order by name, language"
    );
    tx.all("list templates", &sql, args![tenant, channel]).await?.iter().map(template).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    // S76
    #[test]
    fn a_new_list_replaces_the_old_one() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 1));
                    let make = |n: u128, name: &str| Template {
                        id: TemplateId::new(1, n),
                        vendor_id: Some("HX1".into()),
                        name: name.into(),
                        language: "es".into(),
                        category: None,
                        status: "approved".into(),
                        body: "Hola {{1}}".into(),
                        slots: vec!["1".into()],
                        buttons: serde_json::json!([]),
                        synced_ms: 5,
                    };
                    replace(tx, tenant, channel, &[make(1, "b"), make(2, "a"), make(3, "a")], 5).await?;
                    assert_eq!(list(tx, tenant, channel).await?, [make(2, "a"), make(1, "b")]);
                    replace(tx, tenant, channel, &[make(4, "c")], 5).await?;
                    assert_eq!(list(tx, tenant, channel).await?, [make(4, "c")]);
                    set_status(tx, tenant, channel, ("c", "es", "paused")).await?;
                    set_status(tx, tenant, channel, ("c", "en", "rejected")).await?;
                    assert_eq!(list(tx, tenant, channel).await?[0].status, "paused");
                    let directory = super::super::catalog::directory(tx, tenant).await?;
                    assert_eq!(directory.templates[0].slots, ["1"]);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
