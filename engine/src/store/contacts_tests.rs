//! Finding who a party is, and writing by identity whatever merging did meanwhile.

use super::super::testing::each_db;
use super::super::views_fixture::{NOW_MS, Thread, contact, identity, insert as row, tenant};
use super::super::{Db, Durability};
use super::*;

async fn identity_of(db: &Db, n: u128, of: u128, value: &str, scoped: Option<&str>, key: Option<&str>) {
    let columns = "tenant_id, id, contact_id, channel_kind, kind, value, address, scoped_id, phone_key, evidence, created_ms";
    let (scoped, key) = (scoped.map(str::to_owned), key.map(str::to_owned));
    let values = args![
        tenant(1),
        identity(n),
        contact(of),
        "whatsapp",
        "address",
        value,
        value,
        scoped,
        key,
        "webhook",
        NOW_MS
    ];
    row(db, "identities", columns, values).await;
}

#[test]
fn a_party_is_known_by_its_value_then_by_the_vendors_id_then_by_its_phone() {
    each_db(|db| async move {
        Thread::new(1).add(&db).await;
        identity_of(&db, 11, 1, "+551187654321", None, Some("+551187654321")).await;
        identity_of(&db, 12, 1, "BR.1", Some("BR.1"), Some("+551197654321")).await;
        identity_of(&db, 13, 1, "old", Some("BR.2"), None).await;
        let tx = &mut db.read().await.unwrap();
        let mut known = async |value: &str, scoped_id: Option<&str>, phone_key: Option<&str>| {
            let by = Known { value, scoped_id, phone_key };
            known_value(tx, tenant(1), "whatsapp", by).await.unwrap()
        };
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(known("BR.1", Some("BR.1"), Some("+551187654321")).await, text("BR.1"), "by value");
        assert_eq!(
            known("BR.2", Some("BR.2"), Some("+551187654321")).await,
            text("old"),
            "by the vendor's id"
        );
        let long = known("+5511987654321", None, Some("+551187654321")).await;
        assert_eq!(long, text("+551187654321"), "by phone");
        assert_eq!(known("BR.3", Some("BR.3"), Some("+551187654321")).await, text("+551187654321"));
        assert_eq!(known("BR.3", Some("BR.3"), Some("+551197654321")).await, None, "two ids are two people");
        assert_eq!(known("x", None, None).await, None);
    });
}

#[test]
fn what_a_turn_writes_goes_to_whom_the_identity_belongs_to_now() {
    each_db(|db| async move {
        for n in 1..=2 {
            Thread::new(n).add(&db).await;
        }
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let stale = by_identity(tx, &[(tenant(1), identity(2))]).await?.remove(0);
                // Meanwhile: merged, and named by a person.
                let sql = "update identities set contact_id = $3 where tenant_id = $1 and id = $2";
                tx.execute("move", sql, args![tenant(1), identity(2), contact(1)]).await?;
                let sql = "update contacts set merged_into = $3 where tenant_id = $1 and id = $2";
                tx.execute("merge", sql, args![tenant(1), contact(2), contact(1)]).await?;
                assert_eq!(survivor(tx, tenant(1), contact(2)).await?, contact(1));
                let mut next = stale.clone();
                next.facts.name = Some("the vendor's".into());
                next.facts.phone = Some("+34600000001".into());
                next.identity.phone_key = Some("+34600000001".into());
                update(tx, tenant(1), &next).await?;
                set_blocked(tx, tenant(1), identity(2), Some(7)).await?;
                set_opted_out(tx, tenant(1), identity(2), "webchat", Some((7, "rule"))).await?;
                set_opted_out(tx, tenant(1), identity(2), "webchat", Some((8, BY_VENDOR))).await?;
                set_opted_out(tx, tenant(1), identity(2), "webchat", Some((9, "rule"))).await?;
                let now = by_identity(tx, &[(tenant(1), identity(2))]).await?.remove(0);
                assert_eq!((now.facts.id, now.facts.name.as_deref()), (contact(1), Some("visitor 1")));
                assert_eq!((now.facts.phone.as_deref(), now.facts.blocked), (Some("+34600000001"), true));
                assert_eq!(now.opted_out_by.as_deref(), Some(BY_VENDOR), "the vendor's word stays");
                let owners = hold(tx, &[(tenant(1), identity(2)), (tenant(1), identity(9))]).await?;
                assert_eq!(owners, HashMap::from([(identity(2), contact(1))]));
                let found = by_phone(tx, tenant(1), "webchat", &["+34600000001"]).await?;
                assert_eq!(found.len(), 1);
                let card = card_by_phone(tx, tenant(1), "webchat", "+34600000001").await?.unwrap();
                assert_eq!((card.facts.id, card.opted_out_by.as_deref()), (contact(1), Some(BY_VENDOR)));
                let sql = "update contacts set erased_ms = 1 where tenant_id = $1 and id = $2";
                tx.execute("erase", sql, args![tenant(1), contact(1)]).await?;
                assert!(matches!(survivor(tx, tenant(1), contact(2)).await, Err(StoreError::Moved(_))));
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}
