//! What the event views promise, on both databases where they read one.

use pointsman_rules::ids::RuleVersionId;
use serde_json::json;

use super::super::Db;
use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::*;

async fn ids(db: &Db, sight: Sight, filter: EventFilter, after: Option<EventId>) -> Vec<EventId> {
    let mut tx = db.read().await.unwrap();
    let found = list(&mut tx, tenant(1), sight, &filter, after, 3).await.unwrap();
    found.into_iter().map(|it| it.id).collect()
}

async fn stage(db: &Db) {
    Thread { group: Some(group(1)), ..Thread::new(1) }.add(db).await;
    Thread::new(2).add(db).await;
    add_event(db, Some(1), 1, 10, json!({"type": "conversation.created"})).await;
    add_event(db, Some(1), 2, 20, json!({"type": "message.received", "message": message(20)})).await;
    add_event(db, Some(2), 1, 30, json!({"type": "message.received", "message": message(30)})).await;
    add_event(
        db,
        None,
        0,
        40,
        json!({"type": "channel.state_changed", "from": "a", "to": "b", "reason": null}),
    )
    .await;
}

#[test]
fn the_log_is_narrowed_and_paged() {
    each_db(|db| async move {
        stage(&db).await;
        let kind = |kind: &str| EventFilter { kind: Some(kind.into()), ..EventFilter::default() };
        assert_eq!(ids(&db, Sight::All, EventFilter::default(), None).await, [10, 20, 30].map(event));
        assert_eq!(ids(&db, Sight::All, EventFilter::default(), Some(event(30))).await, [event(40)]);
        assert_eq!(ids(&db, Sight::All, kind("message.received"), None).await, [20, 30].map(event));
        let newest = EventFilter { is_newest_first: true, ..EventFilter::default() };
        assert_eq!(ids(&db, Sight::All, newest.clone(), None).await, [40, 30, 20].map(event));
        assert_eq!(ids(&db, Sight::All, newest, Some(event(20))).await, [event(10)]);
        assert_eq!(ids(&db, Sight::All, kind("conversation."), None).await, [event(10)]);
        let of = EventFilter { conversation: Some(conversation(1)), ..EventFilter::default() };
        assert_eq!(ids(&db, Sight::All, of, None).await, [10, 20].map(event));
        assert_eq!(
            ids(&db, Sight::Ungrouped, EventFilter::default(), None).await,
            [event(30)],
            "neither another group's nor a channel's events"
        );
        let mut tx = db.read().await.unwrap();
        let elsewhere = list(&mut tx, tenant(2), Sight::All, &EventFilter::default(), None, 9).await.unwrap();
        assert_eq!(elsewhere, []);
    });
}

#[test]
fn message_events_of_some_conversations_only() {
    each_db(|db| async move {
        stage(&db).await;
        let mut tx = db.read().await.unwrap();
        let mut read = async |of: &[ConversationId], after| {
            let found = about_messages(&mut tx, tenant(1), of, after, 9).await.unwrap();
            found.into_iter().map(|it| it.id).collect::<Vec<_>>()
        };
        let both = [conversation(1), conversation(2)];
        assert_eq!(read(&both, event(0)).await, [20, 30].map(event));
        assert_eq!(read(&both[1..], event(0)).await, [event(30)]);
        assert_eq!(read(&both, event(20)).await, [event(30)]);
        assert_eq!(read(&[], event(0)).await, []);
    });
}

#[test]
fn a_timeline_is_in_order_of_time_and_carries_its_runs() {
    each_db(|db| async move {
        stage(&db).await;
        // About delivery: later, but with the place of its message.
        add_event(
            &db,
            Some(1),
            1,
            50,
            json!({"type": "message.failed", "message": message(20), "class": "x", "code": null}),
        )
        .await;
        let version = RuleVersionId::new(NOW_MS, 1);
        let ran = json!({"rule": rule(1), "version": version, "name": "Refunds", "outcome": "matched", "ops": 1, "micros": 1});
        let trace = json!([ran]);
        let values = args![tenant(1), event(20), conversation(1), "{}", trace.to_string(), NOW_MS + 21];
        insert(&db, "runs", "tenant_id, event_id, conversation_id, facts, trace, at_ms", values).await;

        let mut tx = db.read().await.unwrap();
        let all = timeline(&mut tx, tenant(1), conversation(1), None, 9).await.unwrap();
        assert_eq!(all.iter().map(|it| it.event.id).collect::<Vec<_>>(), [10, 20, 50].map(event));
        assert_eq!(all[1].run.as_ref().unwrap().runs[0].name, "Refunds");
        assert!(all[0].run.is_none() && all[2].run.is_none());
        let first: Moment = all[0].event.moment().to_string().parse().unwrap();
        let rest = timeline(&mut tx, tenant(1), conversation(1), Some(first), 1).await.unwrap();
        assert_eq!(rest.iter().map(|it| it.event.id).collect::<Vec<_>>(), [event(20)]);
    });
}
