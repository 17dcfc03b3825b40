//! What the effect views promise, on both databases where they read one.

use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::super::{Db, Durability};
use super::*;

async fn add(db: &Db, n: u8, state: &'static str, done_ms: Option<i64>) {
    let failure = Some(r#"{"class":"provider_down"}"#);
    add_effect(db, n, i64::from(n), (state, 2), (failure, done_ms)).await;
}

#[test]
fn what_gave_up_is_listed_latest_first_and_can_be_discarded() {
    each_db(|db| async move {
        add(&db, 1, "failed", Some(100)).await;
        add(&db, 2, "unknown", Some(300)).await;
        add(&db, 3, "failed", Some(200)).await;
        add(&db, 4, "queued", None).await;
        add(&db, 5, "sending", None).await;
        add(&db, 6, "done", Some(400)).await;

        let mut tx = db.read().await.unwrap();
        let page = dead(&mut tx, tenant(1), None, 2).await.unwrap();
        assert_eq!(page.iter().map(|it| it.id).collect::<Vec<_>>(), [effect(2), effect(3)]);
        assert_eq!(page[0].failure.as_ref().unwrap()["class"], "provider_down");
        let place: Place = page[1].place().to_string().parse().unwrap();
        let rest = dead(&mut tx, tenant(1), Some(place), 2).await.unwrap();
        assert_eq!(rest.iter().map(|it| it.id).collect::<Vec<_>>(), [effect(1)]);
        let waiting = under_way(&mut tx, tenant(1), None, 9).await.unwrap();
        assert_eq!(waiting.iter().map(|it| it.id).collect::<Vec<_>>(), [effect(4), effect(5)]);
        let waiting = under_way(&mut tx, tenant(1), Some(waiting[0].place()), 9).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(dead_one(&mut tx, tenant(2), effect(1)).await.unwrap(), None);
        assert_eq!(dead_one(&mut tx, tenant(1), effect(4)).await.unwrap(), None, "not dead");
        drop(tx);

        let throw = |n: u8| {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move { discard(tx, tenant(1), effect(n)).await })
            })
        };
        assert!(throw(1).await.unwrap() && !throw(1).await.unwrap());
        assert!(!throw(4).await.unwrap(), "what is under way is not discarded");
        let mut tx = db.read().await.unwrap();
        assert_eq!(dead(&mut tx, tenant(1), None, 9).await.unwrap().len(), 2);
    });
}

#[test]
fn lanes_are_counted_by_what_they_wait_for() {
    each_db(|db| async move {
        let columns = "tenant_id, id, task, channel_id, ready_ms, leased, token, gen, done, attempts";
        let rows = [
            (1, "turn", Some(NOW_MS - 900), false, 0i64),
            (2, "turn", Some(NOW_MS - 100), false, 1),
            (3, "turn", Some(NOW_MS + 100), false, 0),
            (4, "turn", Some(NOW_MS + 5_000), true, 0),
            (5, "turn", None, false, 0),
            (1, "deliver", Some(NOW_MS + 60_000), false, 3),
        ];
        for (n, task, ready_ms, leased, attempts) in rows {
            let values =
                args![tenant(1), lane(n), task, channel(1), ready_ms, leased, 1i64, 1i64, 0i64, attempts];
            insert(&db, "lanes", columns, values).await;
        }
        let mut tx = db.read().await.unwrap();
        let deliver =
            QueueView { task: "deliver".into(), ready: 0, running: 0, waiting: 1, failing: 1, lag_ms: 0 };
        let turn =
            QueueView { task: "turn".into(), ready: 2, running: 1, waiting: 1, failing: 1, lag_ms: 900 };
        assert_eq!(queues(&mut tx, tenant(1), NOW_MS).await.unwrap(), [deliver, turn]);
        assert_eq!(queues(&mut tx, tenant(2), NOW_MS).await.unwrap(), []);
    });
}
