//! Each part of a conversation goes in pieces, and nobody else's goes with it.

use super::super::Durability;
use super::super::lanes::Fenced;
use super::super::testing::each_db;
use super::super::views_fixture::{
    NOW_MS, Thread, add_event, add_message, channel, contact, conversation, effect, event, insert, lane,
    tenant,
};
use super::*;

async fn count(db: &crate::store::Db, table: &'static str) -> i64 {
    let sql = format!("select count(*) from {table} where tenant_id = $1");
    let row = db.read().await.unwrap().first("count", &sql, args![tenant(1)]).await.unwrap().unwrap();
    row.columns(table).int("count").unwrap()
}

#[test]
fn parts_go_in_pieces_and_only_those_of_the_conversation() {
    each_db(|db| async move {
        for n in 1..=2 {
            Thread::new(n).add(&db).await;
            let at_ms = i64::try_from(n).unwrap();
            add_message(&db, n, (1, at_ms), ("inbound", "contact", None), None).await;
            add_message(&db, n, (2, at_ms + 10), ("inbound", "contact", None), None).await;
            add_event(&db, Some(n), 1, at_ms, serde_json::json!({"type": "conversation.created"})).await;
            // What the rules saw on the conversation's own event, and on one of before it.
            let nowhere = None::<pointsman_rules::ids::ConversationId>;
            for (event, elsewhere) in [(event(at_ms), nowhere), (event(at_ms + 100), Some(conversation(n)))] {
                let values = args![tenant(1), event, elsewhere, "{}", "[]", NOW_MS];
                insert(&db, "runs", "tenant_id, event_id, conversation_id, facts, trace, at_ms", values)
                    .await;
            }
            let columns = "tenant_id, trial_id, event_id, conversation_id, kind, body, at_ms";
            let found = args![tenant(1), "trl_1", event(at_ms), conversation(n), "would_fire", "{}", NOW_MS];
            insert(&db, "trial_findings", columns, found).await;
            let effect = effect(u8::try_from(n).unwrap());
            let columns = "tenant_id, id, lane_id, channel_id, conversation_id, seq, kind, state, attempts, \
                next_ms, created_ms";
            let values = args![
                tenant(1),
                effect,
                lane(1),
                channel(1),
                conversation(n),
                1i64,
                "send",
                "done",
                1i64,
                NOW_MS,
                NOW_MS
            ];
            insert(&db, "effects", columns, values).await;
            let values = args![tenant(1), effect, 1i64, NOW_MS];
            insert(&db, "attempts", "tenant_id, effect_id, number, started_ms", values).await;
        }
        let step = |part| {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move { remove_part(tx, tenant(1), conversation(1), part, 1).await })
            })
        };
        for part in Part::ALL {
            let mut steps = 0;
            while step(part).await.unwrap() == 1 {
                steps += 1;
            }
            assert_eq!(
                steps,
                match part {
                    Part::Messages | Part::Runs => 2,
                    Part::Calls | Part::Deliveries | Part::Timers | Part::Files | Part::Notifications => 0,
                    _ => 1,
                },
                "{part:?}"
            );
        }
        for (table, left) in [
            ("messages", 2),
            ("events", 1),
            ("runs", 2),
            ("trial_findings", 1),
            ("effects", 1),
            ("attempts", 1),
        ] {
            assert_eq!(count(&db, table).await, left, "{table}");
        }
    });
}

#[test]
fn an_inbox_is_emptied_up_to_a_point_with_its_webhooks_and_still_knows_redeliveries() {
    each_db(|db| async move {
        for n in 1..=3 {
            let raw = pointsman_rules::ids::RawWebhookId::new(n, 1);
            let values = args![tenant(1), raw, channel(1), n, "{\"body\":\"x\"}", "stored"];
            insert(&db, "raw_webhooks", "tenant_id, id, channel_id, received_ms, request, outcome", values)
                .await;
            let columns = "tenant_id, lane_id, seq, id, channel_id, raw_id, dedupe_key, body, received_ms";
            let id = pointsman_rules::ids::InboxId::new(n, 1);
            let values = args![
                tenant(1),
                lane(1),
                n,
                id,
                channel(1),
                raw,
                format!("k{n}"),
                "{\"text\":\"secret\"}",
                n
            ];
            insert(&db, "inbox", columns, values).await;
        }
        let upto = Fenced { lane: lane(1), done: 2 };
        let step = || {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move { empty_inbox(tx, tenant(1), &upto, 1).await })
            })
        };
        let steps = [step().await.unwrap(), step().await.unwrap(), step().await.unwrap()];
        assert_eq!(steps, [1, 1, 0]);
        assert_eq!((count(&db, "inbox").await, count(&db, "raw_webhooks").await), (3, 1));
        let sql = "select body from inbox where tenant_id = $1 and body <> '{}' limit 9";
        let left = db.read().await.unwrap().all("look", sql, args![tenant(1)]).await.unwrap();
        assert_eq!(left.len(), 1, "what came later stays");
    });
}

#[test]
fn an_erasure_is_found_until_it_is_done_and_then_remembers_nothing() {
    each_db(|db| async move {
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let plan = Plan { needles: vec!["34600000001".into()], ..Plan::default() };
                let it = Erasure {
                    id: ErasureId::new(NOW_MS, 1),
                    target: Target::Contact(contact(1)),
                    actor: "usr_x".into(),
                    is_done: false,
                    plan,
                    rows_gone: 0,
                    created_ms: NOW_MS,
                    done_ms: None,
                };
                insert_erasure(tx, &it).await?;
                assert_eq!(next(tx, tenant(1)).await?, Some(it.clone()));
                assert_eq!(next(tx, tenant(2)).await?, None);
                super::count(tx, tenant(1), it.id, 3).await?;
                finish(tx, tenant(1), it.id, NOW_MS + 1).await?;
                assert_eq!(next(tx, tenant(1)).await?, None);
                let done = get(tx, tenant(1), it.id).await?.unwrap();
                assert_eq!((done.is_done, done.rows_gone, done.plan.clone()), (true, 3, Plan::default()));
                assert_eq!(list(tx, tenant(1), None, 9).await?, [done]);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}

async fn insert_erasure(tx: &mut Tx, it: &Erasure) -> Result<(), StoreError> {
    super::insert(tx, tenant(1), it).await
}
