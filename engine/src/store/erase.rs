//! Removing everything of a tenant, a few rows at a time. Every table that
//! belongs to tenants is on the list; a test holds it against the schema.

use pointsman_rules::ids::TenantId;

use super::{StoreError, Tx};
use crate::args;

/// A table and the columns of its key besides the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    name: &'static str,
    key: &'static str,
}

const fn table(name: &'static str, key: &'static str) -> Table {
    Table { name, key }
}

/// In the order of removal: what people wrote first, who may look on last.
pub const TABLES: &[Table] = &[
    table("channels", "id"),
    table("webhooks", "id"),
    table("channel_assistants", "channel_id"),
    table("assistants", "id"),
    table("group_instructions", "group_id"),
    table("knowledge", "id"),
    table("assistant_usage", "day, channel_id, assistant_id, currency"),
    table("assistant_calls", "id"),
    table("assistant_tasks", "conversation_id, kind"),
    table("raw_webhooks", "id"),
    table("inbox", "lane_id, seq"),
    table("lanes", "id, task"),
    table("webhook_attempts", "delivery_id, number"),
    table("webhook_deliveries", "id"),
    table("attempts", "effect_id, number"),
    table("effects", "id"),
    table("timers", "conversation_id, name"),
    table("placements", "conversation_id"),
    table("runs", "event_id"),
    table("events", "id"),
    table("attachments", "id"),
    table("thumbnails", "blob"),
    table("uploads", "id"),
    table("messages", "id"),
    table("conversation_labels", "conversation_id, label"),
    table("conversations", "id"),
    table("opt_outs", "contact_id, channel_kind"),
    table("suppressions", "hash"),
    table("contact_merges", "id"),
    table("erasures", "id"),
    table("identities", "id"),
    table("contacts", "id"),
    table("templates", "channel_id, id"),
    table("channel_health", "channel_id"),
    table("rule_ticks", "rule_id"),
    table("rule_hooks", "id"),
    table("rule_counts", "rule_id, day, what"),
    table("rule_holds", "rule_id, conversation_id"),
    table("rule_health", "rule_id"),
    table("trial_findings", "trial_id, event_id"),
    table("trials", "id"),
    table("channel_sessions", "channel_id"),
    table("backfills", "channel_id"),
    table("rule_versions", "id"),
    table("rules", "id"),
    table("calendars", "id"),
    table("group_members", "group_id, user_id"),
    table("groups", "id"),
    table("notifications", "id"),
    table("idempotency", "key"),
    table("audit", "id"),
];

/// Credentials and the jobs themselves: with them the removal is watched and done. They go with the tenant's row.
const LAST: [&str; 5] = ["signin_links", "sessions", "api_keys", "users", "jobs"];

/// What a step removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How many rows.
    pub rows: u64,
    /// Bytes of files that had them.
    pub blobs: Vec<String>,
}

/// Removes at most `rows_max` rows of a table.
///
/// # Errors
/// The database's own.
pub async fn step(tx: &mut Tx, tenant: TenantId, table: &Table, rows_max: u32) -> Result<Step, StoreError> {
    let Table { name, key } = table;
    let of_files = *name == "attachments";
    let returning = if of_files { "returning blob" } else { "" };
    let sql = format!(
        "delete from {name} where tenant_id = $1 and ({key}) in \
         (select {key} from {name} where tenant_id = $1 limit $2) {returning}"
    );
    if !of_files {
        let rows = tx.execute("remove a tenant's rows", &sql, args![tenant, rows_max]).await?;
        return Ok(Step { rows, blobs: Vec::new() });
    }
    let rows = tx.all("remove a tenant's files", &sql, args![tenant, rows_max]).await?;
    let blobs: Vec<Option<String>> =
        rows.iter().map(|row| row.columns("attachments").opt_text("blob")).collect::<Result<_, _>>()?;
    Ok(Step { rows: rows.len() as u64, blobs: blobs.into_iter().flatten().collect() })
}

/// Removes the tenant itself, with all credentials.
///
/// # Errors
/// The database's own.
pub async fn finish(tx: &mut Tx, tenant: TenantId) -> Result<(), StoreError> {
    for name in LAST {
        let sql = format!("delete from {name} where tenant_id = $1");
        tx.execute("remove a tenant's credentials", &sql, args![tenant]).await?;
    }
    tx.execute("remove a tenant", "delete from tenants where id = $1", args![tenant]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::groups::tests::example;
    use super::super::tenants::{self, Tenant};
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError, groups};
    use super::*;

    #[test]
    fn every_table_of_tenants_is_on_the_list() {
        each_db(|db| async move {
            if db.is_postgres() {
                return; // the same schema
            }
            let sql = "select m.name from sqlite_master m join pragma_table_info(m.name) c \
                where m.type = 'table' and c.name = 'tenant_id'";
            let rows = db.read().await.unwrap().all("list tables", sql, args![]).await.unwrap();
            let there: BTreeSet<String> =
                rows.iter().map(|row| row.columns("sqlite_master").text("name").unwrap()).collect();
            let listed: BTreeSet<String> =
                TABLES.iter().map(|it| it.name).chain(LAST).map(str::to_owned).collect();
            assert_eq!(there, listed);
        });
    }

    #[test]
    fn only_one_tenants_rows_go_and_few_at_a_time() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (gone, stays) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    for (tenant, name) in [(gone, "A"), (stays, "B")] {
                        tenants::insert(tx, &Tenant { id: tenant, name: name.into() }, 1).await?;
                        for n in 1..=3 {
                            let group = example(n, &format!("G{n}"));
                            groups::insert(tx, tenant, &group).await?;
                        }
                    }
                    for table in TABLES {
                        let first = step(tx, gone, table, 2).await?;
                        let is_groups = table.name == "groups";
                        assert_eq!(first, Step { rows: if is_groups { 2 } else { 0 }, blobs: vec![] });
                        assert_eq!(step(tx, gone, table, 2).await?.rows, u64::from(is_groups));
                    }
                    finish(tx, gone).await?;
                    assert_eq!(tenants::get(tx, gone).await?, None);
                    assert_eq!(groups::list(tx, stays, None, 9).await?.len(), 3);
                    assert!(tenants::get(tx, stays).await?.is_some());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
