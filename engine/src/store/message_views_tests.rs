//! What the message views promise, on both databases where they read one.

use pointsman_rules::facts::SenderKind;

use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::*;

fn visitor(n: u128) -> Visitor {
    Visitor { tenant: tenant(1), channel: channel(1), value: format!("v_{n}") }
}

#[test]
fn a_thread_is_read_from_either_end() {
    each_db(|db| async move {
        Thread::new(1).add(&db).await;
        for seq in 1..=3 {
            add_message(&db, 1, (seq, seq), ("inbound", "contact", None), None).await;
        }
        let read = |order: Order, after: Option<i64>| {
            let db = db.clone();
            async move {
                let mut tx = db.read().await.unwrap();
                let found =
                    of_conversation(&mut tx, tenant(1), conversation(1), order, after, 2).await.unwrap();
                found.into_iter().map(|it| it.message.seq).collect::<Vec<_>>()
            }
        };
        assert_eq!(read(Order::OldestFirst, None).await, [1, 2]);
        assert_eq!(read(Order::OldestFirst, Some(2)).await, [3]);
        assert_eq!(read(Order::NewestFirst, None).await, [3, 2]);
        assert_eq!(read(Order::NewestFirst, Some(2)).await, [1]);
    });
}

#[test]
fn a_message_carries_its_senders_name_and_its_attempts() {
    each_db(|db| async move {
        Thread { group: Some(group(1)), ..Thread::new(1) }.add(&db).await;
        let columns = "tenant_id, id, email, name, role, presence, created_ms";
        let ana = args![tenant(1), user(1), "ana@shop.example", "Ana", "agent", "online", NOW_MS];
        insert(&db, "users", columns, ana).await;
        add_message(&db, 1, (1, 1), ("outbound", "agent", Some(user(1).to_string())), Some("failed")).await;
        for number in [2i64, 1] {
            let values = args![
                tenant(1),
                effect(9),
                number,
                NOW_MS,
                Some(NOW_MS + 5),
                Some("retry"),
                Some(r#"{"class":"rate_limited"}"#)
            ];
            let columns = "tenant_id, effect_id, number, started_ms, ended_ms, outcome, failure";
            insert(&db, "attempts", columns, values).await;
        }
        let mut tx = db.read().await.unwrap();
        let found = get(&mut tx, tenant(1), Sight::All, message(1)).await.unwrap().unwrap();
        assert_eq!((found.message.sender, found.sender_name.as_deref()), (SenderKind::Agent, Some("Ana")));
        assert_eq!(found.content["text"], "hi");
        let calls = attempts(&mut tx, tenant(1), found.message.effect.unwrap()).await.unwrap();
        assert_eq!(calls.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(calls[0].failure.as_ref().unwrap()["class"], "rate_limited");
        for (who, of) in [(Sight::Ungrouped, tenant(1)), (Sight::All, tenant(2))] {
            assert_eq!(get(&mut tx, of, who, message(1)).await.unwrap(), None, "{who:?}");
        }
    });
}

#[test]
fn a_visitor_sees_only_what_was_said_to_them() {
    each_db(|db| async move {
        Thread { status: "closed", ..Thread::new(1) }.add(&db).await;
        Thread::new(2).add(&db).await;
        // One turn: the answer is stored in the same moment, and its id happens to be smaller.
        add_message(&db, 1, (1, 18), ("inbound", "contact", None), None).await;
        add_message(&db, 1, (2, 12), ("outbound", "rule", None), Some("sent")).await;
        add_message(&db, 1, (3, 30), ("internal", "agent", None), None).await;
        add_message(&db, 1, (4, 40), ("outbound", "agent", None), Some("failed")).await;
        add_message(&db, 1, (5, 50), ("outbound", "agent", None), Some("sending")).await;
        add_message(&db, 1, (6, 60), ("outbound", "agent", None), Some("read")).await;
        add_message(&db, 2, (1, 15), ("inbound", "contact", None), None).await;

        let read = |who: Visitor, page: Page, rows_max: u32| {
            let db = db.clone();
            async move {
                let mut tx = db.read().await.unwrap();
                let found = of_visitor(&mut tx, &who, page, rows_max).await.unwrap();
                found.into_iter().map(|it| it.message.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(read(visitor(1), Page::Latest, 50).await, [18, 12, 60].map(message));
        assert_eq!(read(visitor(1), Page::Latest, 2).await, [12, 60].map(message), "the end, oldest first");
        assert_eq!(read(visitor(1), Page::Before(message(60)), 1).await, [message(12)]);
        assert_eq!(read(visitor(1), Page::After(message(18)), 1).await, [message(12)]);
        assert_eq!(read(visitor(2), Page::Latest, 50).await, [message(15)]);
        assert_eq!(read(visitor(3), Page::Latest, 50).await, []);
        let elsewhere = Visitor { channel: channel(2), ..visitor(1) };
        assert_eq!(read(elsewhere, Page::Latest, 50).await, [], "the same visitor id on another channel");

        let mut tx = db.read().await.unwrap();
        let asked: Vec<MessageId> = [15, 12, 30, 40, 60].map(message).to_vec();
        let mut seen: Vec<_> = visible_to(&mut tx, &visitor(1), &asked)
            .await
            .unwrap()
            .into_iter()
            .map(|it| it.message.id)
            .collect();
        seen.sort();
        assert_eq!(seen, [12, 60].map(message));
        assert_eq!(conversations_of(&mut tx, &visitor(1)).await.unwrap(), [conversation(1)]);
    });
}
