//! Erasing against turns that are under way, and going on after a stop.

use pointsman_rules::event::Actor;
use pointsman_rules::ids::UserId;

use super::*;
use crate::args;
use crate::clock::Clock;
use crate::flow::command::ContactNews;
use crate::flow::contact::Teller;
use crate::flow::testing;
use crate::store::lanes::{Finish, Task};
use crate::store::testing::each_db;
use crate::store::views_fixture::{
    self as rows, NOW_MS, Thread as Row, add_event, add_message, channel, contact, conversation, identity,
    insert, lane, tenant,
};

fn asked() -> Asked {
    Asked { id: ErasureId::new(NOW_MS, 1), tenant: tenant(1), actor: "usr_x".into() }
}

async fn begin(flow: &Flow) {
    let inside = flow.clone();
    flow.db
        .write(Durability::Hard, move |tx| {
            let flow = inside.clone();
            Box::pin(async move { begin_contact(&flow, tx, &asked(), contact(1)).await })
        })
        .await
        .unwrap();
}

async fn count(flow: &Flow, table: &'static str) -> i64 {
    rows::count(&flow.db, tenant(1), table).await
}

#[test]
fn a_turn_that_was_under_way_writes_nothing_and_a_later_one_knows_nobody() {
    each_db(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let flow = testing::on(db.clone(), Clock::fixed(NOW_MS), folder.path());
        Row::new(1).add(&db).await;
        let values = args![tenant(1), contact(1), "webchat", 5i64, "vendor"];
        insert(&db, "opt_outs", "tenant_id, contact_id, channel_kind, since_ms, source", values).await;
        let teller = Teller {
            tenant: tenant(1),
            actor: Actor::User { id: UserId::new(1, 1) },
            clock: flow.clock.clone(),
        };
        let claim = db
            .write(Durability::Hard, move |tx| {
                let teller = teller.clone();
                Box::pin(async move {
                    teller.tell(tx, contact(1), None, &ContactNews::Merged).await?;
                    lanes::claim(tx, Task::Turn, "me", NOW_MS, NOW_MS + 9, 9).await
                })
            })
            .await
            .unwrap()[0];
        begin(&flow).await;
        let end = Finish { claim, done: 1, conversation: Some(conversation(1)) };
        let ours = db.write(Durability::Hard, move |tx| {
            Box::pin(async move { lanes::finish(tx, Task::Turn, NOW_MS, &[end]).await })
        });
        assert_eq!(ours.await.unwrap(), [], "the lease is gone");
        let tx = &mut db.read().await.unwrap();
        assert!(!lanes::any_ready(tx, Task::Turn, NOW_MS + 99).await.unwrap(), "what waited is dropped");
        let hashes = suppress::hashes(&flow.keyring, "webchat", "v_1", None);
        let kept = suppressions::find(tx, tenant(1), &hashes).await.unwrap().remove(&hashes[0]).unwrap();
        assert_eq!(kept.opted_out, Some((5, "vendor".to_owned())));
        let left = contact_views::get(tx, tenant(1), Sight::All, contact(1)).await.unwrap().unwrap();
        assert_eq!((left.name, left.identities.len(), left.erased_ms), (None, 0, Some(NOW_MS)));
        assert!(crate::store::contacts::hold(tx, &[(tenant(1), identity(1))]).await.unwrap().is_empty());
    });
}

#[test]
fn what_a_stop_left_goes_in_the_next_round() {
    each_db(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let flow = testing::on(db.clone(), Clock::fixed(NOW_MS), folder.path());
        for n in 1..=2 {
            Row::new(n).add(&db).await;
        }
        for seq in 1..=2 * i64::from(ROWS_PER_STEP) {
            add_message(&db, 1, (seq, seq), ("inbound", "contact", None), None).await;
        }
        add_message(&db, 2, (1, 100_000), ("inbound", "contact", None), None).await;
        add_event(&db, Some(1), 1, 1, serde_json::json!({"type": "conversation.created"})).await;
        let webhook = |body: &str| {
            let request = WebhookRequest {
                method: "POST".into(),
                url: "https://x.test/hooks/k".into(),
                query: vec![],
                headers: vec![],
                body: body.as_bytes().to_vec(),
                remote_address: None,
            };
            serde_json::to_string(&request).unwrap()
        };
        let columns = "tenant_id, id, channel_id, received_ms, request, outcome";
        for (n, body) in [(1, "From=v_1-visitor"), (2, "From=somebody")] {
            let id = RawWebhookId::new(NOW_MS + n, 1);
            let values = args![tenant(1), id, channel(1), NOW_MS, webhook(body), "quarantined"];
            insert(&db, "raw_webhooks", columns, values).await;
        }
        let renamed = "value = 'v_1-visitor', address = 'v_1-visitor'";
        rows::set(&db, tenant(1), "identities", renamed, "value = 'v_1'").await;
        begin(&flow).await;
        let stop = CancellationToken::new();
        stop.cancel();
        let round = Round { flow: flow.clone(), tenant: tenant(1), stop };
        assert_eq!(resume(&round).await.unwrap(), Outcome::Snoozed);
        assert!(count(&flow, "messages").await > 1, "one step only");
        let round = Round { stop: CancellationToken::new(), ..round };
        assert_eq!(resume(&round).await.unwrap(), Outcome::Done);
        let left = [
            count(&flow, "messages").await,
            count(&flow, "events").await,
            count(&flow, "raw_webhooks").await,
        ];
        assert_eq!(left, [1, 0, 1], "only what is somebody else's");
        assert_eq!(count(&flow, "conversations").await, 2, "dates and counts stay");
        let done =
            erasures::get(&mut db.read().await.unwrap(), tenant(1), asked().id).await.unwrap().unwrap();
        assert!(done.is_done && done.plan == Plan::default(), "{done:?}");
        assert!(done.rows_gone > 2 * i64::from(ROWS_PER_STEP), "{done:?}");
    });
}

#[test]
fn deleting_a_conversation_leaves_what_waits_and_other_conversations_of_the_lane() {
    each_db(|db| async move {
        let folder = tempfile::tempdir().unwrap();
        let flow = testing::on(db.clone(), Clock::fixed(NOW_MS), folder.path());
        Row { status: "closed", ..Row::new(1) }.add(&db).await;
        Row::new(2).add(&db).await;
        let columns =
            "tenant_id, id, task, channel_id, ready_ms, leased, token, gen, done, attempts, conversation_id";
        let values = args![
            tenant(1),
            lane(1),
            "turn",
            channel(1),
            Some(NOW_MS),
            true,
            4i64,
            7i64,
            6i64,
            0i64,
            conversation(2)
        ];
        insert(&db, "lanes", columns, values).await;
        let delete = async |n: u128| {
            let (inside, asked) = (flow.clone(), Asked { id: ErasureId::new(NOW_MS, n), ..asked() });
            let begun = flow.db.write(Durability::Hard, move |tx| {
                let (flow, asked) = (inside.clone(), asked.clone());
                Box::pin(async move { begin_conversation(&flow, tx, &asked, conversation(n)).await })
            });
            begun.await.unwrap()
        };
        let newest = async || rows::only_lane(&flow.db, tenant(1)).await;
        assert!(delete(1).await && !delete(1).await, "twice is once");
        assert_eq!(newest().await, (Some(conversation(2)), Some(NOW_MS), 6), "the newer one goes on");
        assert!(delete(2).await);
        assert_eq!(newest().await, (None, Some(NOW_MS), 6), "what waits begins a new one");
    });
}
