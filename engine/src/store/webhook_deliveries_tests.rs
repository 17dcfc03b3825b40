//! Order within a lane, retries, giving up and replaying, on both databases.

use super::super::testing::each_db;
use super::super::webhook_views::{self, Queue};
use super::super::{Durability, StoreError};
use super::*;

const TENANT: (i64, u128) = (1, 1);

fn new(n: u128, lane: u128) -> NewDelivery {
    NewDelivery {
        tenant: TenantId::new(TENANT.0, TENANT.1),
        id: DeliveryId::new(i64::try_from(n).unwrap(), n),
        webhook: WebhookId::new(1, 1),
        lane: LaneId::new(1, lane),
        message_id: format!("evt_{n}"),
        kind: "message.received".into(),
        conversation: None,
        channel: ChannelId::new(1, 1),
        payload: format!("{{\"n\":{n}}}"),
        refused: None,
    }
}

fn attempt(number: i64, status: i64) -> Attempt {
    let problem = (status != 200).then(|| format!("status {status}"));
    Attempt {
        number,
        at_ms: 10 * number,
        took_ms: 3,
        status: Some(status),
        answer: Some("x".into()),
        problem,
    }
}

#[test]
fn a_lane_keeps_its_order_over_retries_and_replays() {
    each_db(|db| async move {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move {
                let tenant = TenantId::new(TENANT.0, TENANT.1);
                let (one, two) = (LaneId::new(1, 1), LaneId::new(1, 2));
                insert(tx, &[new(1, 1), new(2, 2), new(3, 1)], 5).await?;
                let full = NewDelivery { refused: Some("full"), ..new(4, 1) };
                insert(tx, std::slice::from_ref(&full), 6).await?;
                insert(tx, &[], 6).await?;
                let first = next(tx, tenant, one).await?.unwrap();
                assert_eq!((first.message_id.as_str(), first.seq, first.tries), ("evt_1", 1, 0));
                record(tx, tenant, first.id, &attempt(1, 500), &Fate::Again(99)).await?;
                let again = next(tx, tenant, one).await?.unwrap();
                assert_eq!((again.id, again.attempts, again.next_ms), (first.id, 1, 99), "it stays in front");
                record(tx, tenant, first.id, &attempt(2, 200), &Fate::Delivered).await?;
                let third = next(tx, tenant, one).await?.unwrap();
                assert_eq!((third.message_id.as_str(), third.seq), ("evt_3", 2));
                assert_eq!(next(tx, tenant, two).await?.unwrap().message_id, "evt_2");
                let queue = webhook_views::queue(tx, tenant, Some(first.webhook)).await?;
                assert_eq!(queue, Queue { waiting: 2, oldest_ms: Some(5), failed: 1 });
                assert_eq!(give_up(tx, tenant, first.webhook, "off", 20).await?, 2);
                assert_eq!(next(tx, tenant, one).await?, None);
                let failed = failed_since(tx, tenant, first.webhook, 3, 9).await?;
                assert_eq!(failed, [third.id, full.id], "from the third on");
                assert_eq!(requeue(tx, tenant, &failed, 30).await?, 2);
                assert_eq!(requeue(tx, tenant, &failed, 30).await?, 0, "they wait already");
                let back = next(tx, tenant, one).await?.unwrap();
                assert_eq!((back.message_id.as_str(), back.seq), ("evt_3", 3));
                assert_eq!(requeue(tx, TenantId::new(1, 2), &[first.id], 30).await?, 0, "not theirs");
                // What was queued in one moment goes out again as it was told, whatever the ids.
                let late = |n: u128, id: u128| NewDelivery { id: DeliveryId::new(9, id), ..new(n, 9) };
                insert(tx, &[late(11, 2), late(12, 1)], 9).await?;
                give_up(tx, tenant, first.webhook, "off", 20).await?;
                let both = [DeliveryId::new(9, 1), DeliveryId::new(9, 2)];
                assert_eq!(requeue(tx, tenant, &both, 30).await?, 2);
                assert_eq!(next(tx, tenant, LaneId::new(1, 9)).await?.unwrap().message_id, "evt_11");
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}

#[test]
fn the_log_shows_deliveries_with_their_calls() {
    each_db(|db| async move {
        db.write(Durability::Hard, move |tx| {
            Box::pin(async move {
                let tenant = TenantId::new(TENANT.0, TENANT.1);
                let (a, b) = (new(1, 1), new(2, 1));
                insert(tx, &[a.clone(), b.clone()], 5).await?;
                record(tx, tenant, a.id, &attempt(1, 500), &Fate::Again(50)).await?;
                record(tx, tenant, a.id, &attempt(2, 410), &Fate::Failed).await?;
                let ids = |found: Vec<webhook_views::DeliveryView>| {
                    found.iter().map(|it| it.id).collect::<Vec<_>>()
                };
                let hook = a.webhook;
                assert_eq!(ids(webhook_views::list(tx, tenant, hook, None, None, 9).await?), [b.id, a.id]);
                let failed = webhook_views::list(tx, tenant, hook, Some("failed"), None, 9).await?;
                assert_eq!((failed[0].id, failed[0].problem.as_deref()), (a.id, Some("status 410")));
                assert_eq!(ids(webhook_views::list(tx, tenant, hook, None, Some(b.id), 9).await?), [a.id]);
                let calls = webhook_views::attempts(tx, tenant, a.id).await?;
                assert_eq!(calls, [attempt(1, 500), attempt(2, 410)]);
                let other = TenantId::new(1, 2);
                assert_eq!(webhook_views::get(tx, other, a.id).await?, None);
                assert!(webhook_views::attempts(tx, other, a.id).await?.is_empty());
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}
