//! What is deleted, what must stay, and that no deletion reads a whole table.

use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::super::{Arg, Db, Durability};
use super::*;
use pointsman_rules::ids::{DeliveryId, InboxId, RawWebhookId, TrialId, WebhookId};

/// The moment before which rows are old.
const LIMIT_MS: i64 = NOW_MS;

async fn drop_old(db: &Db, aged: Aged, rows_max: u32) -> u64 {
    let deleted = db.write(Durability::Soft, move |tx| {
        Box::pin(async move { delete(tx, aged, tenant(1), LIMIT_MS, rows_max).await })
    });
    deleted.await.unwrap()
}

async fn count(db: &Db, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    let row = db.read().await.unwrap().first("count", &sql, args![]).await.unwrap().unwrap();
    row.columns("count").int("count").unwrap()
}

/// Columns and values of a row of this kind whose age is `at_ms`.
fn row(aged: Aged, tenant: TenantId, at_ms: i64) -> (&'static str, &'static str, Vec<Arg>) {
    let webhook =
        |n: u128, outcome: &str| args![tenant, RawWebhookId::new(at_ms, n), channel(1), at_ms, "{}", outcome];
    let webhooks = ("raw_webhooks", "tenant_id, id, channel_id, received_ms, request, outcome");
    let with = |(table, columns), values| (table, columns, values);
    match aged {
        Aged::Webhooks => with(webhooks, webhook(1, "replayed")),
        Aged::Quarantined => with(webhooks, webhook(2, "quarantined")),
        Aged::Entries => entry(tenant, at_ms - LIMIT_MS + 100, at_ms, None),
        Aged::Answers => {
            let columns = "tenant_id, key, request_hash, at_ms";
            ("idempotency", columns, args![tenant, format!("k{at_ms}"), "h", at_ms])
        }
        Aged::Runs => {
            let columns = "tenant_id, event_id, facts, trace, at_ms";
            ("runs", columns, args![tenant, EventId::new(at_ms, 1), "{}", "[]", at_ms])
        }
        Aged::Findings => {
            let columns = "tenant_id, trial_id, event_id, conversation_id, kind, body, at_ms";
            let (trial, event) = (TrialId::new(1, 1), EventId::new(at_ms, 1));
            (
                "trial_findings",
                columns,
                args![tenant, trial, event, conversation(1), "would_fire", "{}", at_ms],
            )
        }
        Aged::Sessions => {
            let columns = "tenant_id, id, token_hash, csrf_hash, user_id, created_ms, expires_ms";
            let key = format!("{tenant}{at_ms}");
            ("sessions", columns, args![tenant, &key, &key, "c", user(1), 1i64, at_ms])
        }
        Aged::SigninLinks => {
            let columns = "tenant_id, token_hash, role, created_ms, expires_ms";
            ("signin_links", columns, args![tenant, format!("t{at_ms}"), "owner", 1i64, at_ms])
        }
        Aged::Deliveries => {
            let columns = "tenant_id, id, webhook_id, lane_id, seq, message_id, type, channel_id, payload, state, \
                attempts, tries, next_ms, created_ms, done_ms";
            let (id, hook) = (DeliveryId::new(at_ms, 1), WebhookId::new(1, 1));
            let what =
                args![tenant, id, hook, lane(1), 1i64, "evt", "message.sent", channel(1), "{}", "failed"];
            let times = args![1i64, 1i64, at_ms, at_ms, at_ms];
            ("webhook_deliveries", columns, [what, times].concat())
        }
        Aged::Calls => {
            let columns = "tenant_id, delivery_id, number, at_ms, took_ms";
            ("webhook_attempts", columns, args![tenant, DeliveryId::new(1, 1), at_ms, at_ms, 1i64])
        }
    }
}

fn entry(
    tenant: TenantId,
    seq: i64,
    at_ms: i64,
    raw: Option<RawWebhookId>,
) -> (&'static str, &'static str, Vec<Arg>) {
    let columns = "tenant_id, lane_id, seq, id, channel_id, raw_id, dedupe_key, body, received_ms";
    let (id, key) = (InboxId::new(at_ms, 0), format!("d{seq}"));
    ("inbox", columns, args![tenant, lane(1), seq, id, channel(1), raw, key, "{}", at_ms])
}

async fn add(db: &Db, (table, columns, values): (&'static str, &'static str, Vec<Arg>)) {
    insert(db, table, columns, values).await;
}

/// A lane whose turns have worked off everything up to `done`.
async fn add_lane(db: &Db, tenant: TenantId, done: i64) {
    let columns = "tenant_id, id, task, channel_id, leased, token, gen, done, attempts";
    insert(db, "lanes", columns, args![tenant, lane(1), "turn", channel(1), false, 0i64, done, done, 0i64])
        .await;
}

#[test]
fn old_rows_of_one_tenant_go_oldest_first_and_few_at_a_time() {
    each_db(|db| async move {
        add_lane(&db, tenant(1), 1_000).await;
        add_lane(&db, tenant(2), 1_000).await;
        for aged in Aged::ALL {
            for at_ms in [-30, -20, -10, 0, 10] {
                add(&db, row(aged, tenant(1), LIMIT_MS + at_ms)).await;
            }
            add(&db, row(aged, tenant(2), LIMIT_MS - 30)).await;
            let table = aged.plan().table;
            let before = count(&db, table).await;
            let deleted =
                [drop_old(&db, aged, 2).await, drop_old(&db, aged, 2).await, drop_old(&db, aged, 2).await];
            assert_eq!(deleted, [2, 1, 0], "{aged:?}");
            assert_eq!(count(&db, table).await, before - 3, "{aged:?}");
            // What is kept is what was young or another's, not merely as much.
            let (_, _, values) = row(aged, tenant(1), LIMIT_MS);
            let key = aged.plan().key.split(", ").last().unwrap();
            let place = row(aged, tenant(1), LIMIT_MS).1.split(", ").position(|it| it == key).unwrap();
            let sql = format!("select 1 from {table} where tenant_id = $1 and {key} = $2 limit 1");
            let found = vec![values[0].clone(), values[place].clone()];
            let kept = db.read().await.unwrap().first("look", &sql, found).await.unwrap();
            assert!(kept.is_some(), "{aged:?} deletes what is not older than the limit");
        }
    });
}

#[test]
fn entries_stay_while_they_are_needed() {
    each_db(|db| async move {
        add_lane(&db, tenant(1), 2).await;
        let raw = RawWebhookId::new(LIMIT_MS - 50, 0);
        let (table, columns, _) = row(Aged::Webhooks, tenant(1), LIMIT_MS - 50);
        insert(&db, table, columns, args![tenant(1), raw, channel(1), LIMIT_MS - 50, "{}", "replayed"]).await;
        add(&db, entry(tenant(1), 1, LIMIT_MS - 50, Some(raw))).await;
        add(&db, entry(tenant(1), 2, LIMIT_MS - 40, None)).await;
        add(&db, entry(tenant(1), 3, LIMIT_MS - 30, None)).await;
        assert_eq!(drop_old(&db, Aged::Entries, 9).await, 1, "one is replayable, one is not worked off yet");
        assert_eq!(drop_old(&db, Aged::Webhooks, 9).await, 1);
        assert_eq!(drop_old(&db, Aged::Entries, 9).await, 1, "its webhook is gone");
        assert_eq!(count(&db, "inbox").await, 1);
    });
}

#[test]
fn no_deletion_reads_or_sorts_a_whole_table() {
    each_db(|db| async move {
        if db.is_postgres() {
            return; // its plans depend on how full the tables are
        }
        for aged in Aged::ALL {
            let sql = format!("explain query plan {}", aged.sql());
            let rows = db
                .read()
                .await
                .unwrap()
                .all("explain", &sql, args![tenant(1), LIMIT_MS, 9i64])
                .await
                .unwrap();
            for row in rows {
                let mut c = row.columns("plan");
                let _ = (c.int("id").unwrap(), c.int("parent").unwrap(), c.int("notused").unwrap());
                let step = c.text("detail").unwrap();
                assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{aged:?}: {step}");
            }
        }
    });
}
