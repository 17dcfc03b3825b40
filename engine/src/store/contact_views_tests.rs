//! Searching, narrowing and paging contacts, and telling duplicates.

use super::super::Durability;
use super::super::testing::each_db;
use super::super::views_fixture::{Thread, contact, group, tenant, user};
use super::*;

async fn set(db: &crate::store::Db, n: u128, fields: &'static str) {
    db.write(Durability::Soft, move |tx| {
        Box::pin(async move {
            let sql = format!("update contacts set {fields} where tenant_id = $1 and id = $2");
            tx.execute("set a test row", &sql, args![tenant(1), contact(n)]).await
        })
    })
    .await
    .unwrap();
}

#[test]
fn contacts_are_found_by_name_number_and_state_and_paged() {
    each_db(|db| async move {
        for n in 1..=5 {
            Thread { group: (n == 5).then(|| group(1)), ..Thread::new(n) }.add(&db).await;
        }
        Thread { tenant: tenant(2), ..Thread::new(9) }.add(&db).await;
        set(&db, 1, "name = 'Ana 100%', name_key = 'ana 100%'").await;
        set(&db, 2, "phone = '+5511987654321', phone_key = '+551187654321'").await;
        set(&db, 3, "blocked_ms = 5").await;
        set(&db, 4, "erased_ms = 5").await;
        let mut tx = db.read().await.unwrap();
        let mut found = async |sight, filter: ContactFilter| {
            let rows = list(&mut tx, tenant(1), sight, &filter, None, 50).await.unwrap();
            rows.into_iter().map(|it| it.id).collect::<Vec<_>>()
        };
        let any = ContactFilter::default;
        assert_eq!(found(Sight::All, any()).await, [5, 3, 2, 1].map(contact));
        assert_eq!(found(Sight::Ungrouped, any()).await, [3, 2, 1].map(contact));
        assert_eq!(found(Sight::Agent(user(7)), any()).await, [3, 2, 1].map(contact));
        let text = |text: &str| ContactFilter { text: Some(text.into()), ..any() };
        assert_eq!(found(Sight::All, text("100%")).await, [contact(1)]);
        assert_eq!(found(Sight::All, text("1_0")).await, [], "no wildcard");
        assert_eq!(found(Sight::All, text("V_2")).await, [contact(2)], "by address");
        assert_eq!(found(Sight::Ungrouped, text("V_2")).await, []);
        let key = ContactFilter { phone_key: Some("+551187654321".into()), ..any() };
        assert_eq!(found(Sight::Ungrouped, key).await, [contact(2)]);
        let digits = ContactFilter { digits: Some("98765".into()), ..any() };
        assert_eq!(found(Sight::All, digits.clone()).await, [contact(2)]);
        assert_eq!(found(Sight::Ungrouped, digits).await, [3, 2, 1].map(contact), "not asked");
        assert_eq!(found(Sight::All, ContactFilter { blocked: Some(true), ..any() }).await, [contact(3)]);
        let kind = ContactFilter { channel_kind: Some("sms".into()), ..any() };
        assert_eq!(found(Sight::All, kind).await, []);
        let page = list(&mut tx, tenant(1), Sight::All, &any(), Some(contact(3)), 1).await.unwrap();
        assert_eq!(page[0].id, contact(2));
        assert_eq!(page[0].identities[0].address, "v_2");
        assert!(get(&mut tx, tenant(2), Sight::All, contact(1)).await.unwrap().is_none());
    });
}

#[test]
fn duplicates_have_a_sign_in_common() {
    each_db(|db| async move {
        for n in 1..=4 {
            Thread::new(n).add(&db).await;
        }
        set(&db, 1, "phone_key = '+1', email_key = 'a@x'").await;
        set(&db, 2, "phone_key = '+1'").await;
        set(&db, 3, "email_key = 'a@x'").await;
        set(&db, 4, "phone_key = '+1', erased_ms = 1").await;
        let mut tx = db.read().await.unwrap();
        let pair = |one, two, evidence: &str| Pair {
            one: contact(one),
            two: contact(two),
            evidence: evidence.into(),
        };
        let all = duplicates(&mut tx, tenant(1), None, 9).await.unwrap();
        assert_eq!(all, [pair(1, 2, "phone"), pair(1, 3, "email")]);
        let after = duplicates(&mut tx, tenant(1), Some((contact(1), contact(2))), 9).await.unwrap();
        assert_eq!(after, [pair(1, 3, "email")]);
        assert_eq!(duplicates_of(&mut tx, tenant(1), contact(3)).await.unwrap(), [pair(3, 1, "email")]);
        assert_eq!(duplicates(&mut tx, tenant(2), None, 9).await.unwrap(), []);
    });
}
