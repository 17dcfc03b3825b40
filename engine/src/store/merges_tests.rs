//! What a merge moves and fills, and what its undoing puts back.

use super::super::Durability;
use super::super::contact_views;
use super::super::filter::Sight;
use super::super::testing::each_db;
use super::super::views_fixture::{NOW_MS, Thread, contact, conversation, insert, tenant};
use super::*;

async fn view(tx: &mut Tx, n: u128) -> ContactView {
    contact_views::get(tx, tenant(1), Sight::All, contact(n)).await.unwrap().unwrap()
}

async fn owner_of(tx: &mut Tx, n: u128) -> ContactId {
    let sql = "select contact_id from conversations where tenant_id = $1 and id = $2";
    let row = tx.first("look", sql, args![tenant(1), conversation(n)]).await.unwrap().unwrap();
    row.columns("conversations").id("contact_id").unwrap()
}

#[test]
fn a_merge_moves_fills_and_is_strict_and_undoing_puts_all_back() {
    each_db(|db| async move {
        for n in 1..=2 {
            Thread::new(n).add(&db).await;
        }
        for (kind, source) in [("webchat", "rule"), ("sms", "vendor")] {
            let values = args![tenant(1), contact(2), kind, 7i64, source];
            insert(&db, "opt_outs", "tenant_id, contact_id, channel_kind, since_ms, source", values).await;
        }
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let sql = "update contacts set blocked_ms = 9, phone = '+1', attributes = '{\"plan\":\"gold\"}' \
                           where tenant_id = $1 and id = $2";
                tx.execute("set a test row", sql, args![tenant(1), contact(2)]).await?;
                let (into, from) = (view(tx, 1).await, view(tx, 2).await);
                let (card, kept) = joined(&into, &from, [None, Some("+1".into())]);
                assert_eq!((card.name.as_deref(), card.phone.as_deref()), (Some("visitor 1"), Some("+1")));
                assert_eq!((kept.filled.as_slice(), kept.blocked), (&["phone".to_owned()][..], true));
                let id = MergeId::new(NOW_MS, 1);
                let (at_ms, actor) = (NOW_MS, "usr_x".to_owned());
                let it = Merge { id, into: into.id, from: from.id, actor, kept, at_ms, undone_ms: None };
                merge(tx, tenant(1), (&into, &from), &card, &it).await?;
                let stale = merge(tx, tenant(1), (&into, &from), &card, &it).await;
                assert!(matches!(stale, Err(StoreError::Moved(_))), "{stale:?}");
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let (into, from) = (view(tx, 1).await, view(tx, 2).await);
                assert_eq!((into.identities.len(), from.identities.len()), (2, 0));
                assert_eq!((into.blocked_ms, into.opt_outs.len()), (Some(9), 2));
                assert_eq!((owner_of(tx, 2).await, from.merged_into), (contact(1), Some(contact(1))));
                // Meanwhile they forbid one more kind of channel.
                contact_changes::opt_out(tx, tenant(1), (contact(1), "telegram"), NOW_MS + 1, "api").await?;
                let into = view(tx, 1).await;
                let it = get(tx, tenant(1), MergeId::new(NOW_MS, 1)).await?.unwrap();
                undo(tx, tenant(1), &it, (&into, &from), Some("+1".into()), NOW_MS + 2).await?;
                let (one, two) = (view(tx, 1).await, view(tx, 2).await);
                assert_eq!((one.phone, one.blocked_ms, one.attributes.len()), (None, None, 0));
                let kinds = |it: &ContactView| {
                    it.opt_outs.iter().map(|out| out.channel_kind.clone()).collect::<Vec<_>>()
                };
                assert_eq!(
                    one.opt_outs.iter().map(|it| it.channel_kind.as_str()).collect::<Vec<_>>(),
                    ["telegram"]
                );
                assert_eq!(kinds(&two), ["sms", "telegram", "webchat"]);
                assert_eq!((two.phone.as_deref(), two.blocked_ms), (Some("+1"), Some(9)));
                assert_eq!((owner_of(tx, 1).await, owner_of(tx, 2).await), (contact(1), contact(2)));
                assert!(get(tx, tenant(1), it.id).await?.unwrap().undone_ms.is_some());
                let again = undo(tx, tenant(1), &it, (&into, &from), None, NOW_MS + 3).await;
                assert!(matches!(again, Err(StoreError::Moved(_))), "{again:?}");
                assert_eq!(of_contact(tx, tenant(1), contact(2), 9).await?.len(), 1);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}
