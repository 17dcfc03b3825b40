//! Versions, opt-outs and addresses, as people change them.

use super::super::Durability;
use super::super::testing::each_db;
use super::super::views_fixture::{NOW_MS, Thread, contact, identity, tenant};
use super::*;

#[test]
fn a_contact_is_written_by_whom_has_its_latest_version() {
    each_db(|db| async move {
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let card = Card { name: Some("Ana".into()), ..Card::default() };
                insert(tx, tenant(1), contact(1), &card, NOW_MS).await?;
                update(tx, tenant(1), (contact(1), 1), &Card::default()).await?;
                for (of, id) in [(tenant(1), (contact(1), 1)), (tenant(2), (contact(1), 2))] {
                    assert!(matches!(update(tx, of, id, &card).await, Err(StoreError::Moved(_))));
                    assert!(matches!(set_blocked(tx, of, id, Some(1)).await, Err(StoreError::Moved(_))));
                }
                set_blocked(tx, tenant(1), (contact(1), 2), Some(NOW_MS)).await
            })
        })
        .await
        .unwrap();
    });
}

#[test]
fn only_what_the_vendor_does_not_have_is_lifted() {
    each_db(|db| async move {
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let sms = (contact(1), "sms");
                assert_eq!(opt_in(tx, tenant(1), sms).await?, OptIn::NotOut);
                assert!(opt_out(tx, tenant(1), sms, NOW_MS, "agent").await?);
                assert!(!opt_out(tx, tenant(1), sms, NOW_MS, "api").await?, "twice is once");
                assert_eq!(opt_in(tx, tenant(2), sms).await?, OptIn::NotOut);
                assert_eq!(opt_in(tx, tenant(1), sms).await?, OptIn::Done);
                opt_out(tx, tenant(1), sms, NOW_MS, BY_VENDOR).await?;
                assert_eq!(opt_in(tx, tenant(1), sms).await?, OptIn::AtVendor);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}

#[test]
fn an_address_belongs_to_one_contact_and_stays_while_somebody_talks_there() {
    each_db(|db| async move {
        for n in 1..=2 {
            Thread::new(n).add(&db).await;
        }
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let new = |n: u128, address: &str, key: Option<&str>| NewIdentity {
                    id: identity(n),
                    channel_kind: "webchat".into(),
                    address: address.into(),
                    phone: None,
                    phone_key: key.map(str::to_owned),
                    evidence: "api",
                };
                let taken = add_identity(tx, tenant(1), contact(2), &new(9, "v_1", None), NOW_MS).await?;
                assert_eq!(taken, Some(contact(1)));
                let mine = new(9, "+5511987654321", Some("+551187654321"));
                assert_eq!(add_identity(tx, tenant(1), contact(2), &mine, NOW_MS).await?, None);
                let same = new(8, "+551187654321", Some("+551187654321"));
                assert_eq!(add_identity(tx, tenant(1), contact(1), &same, NOW_MS).await?, Some(contact(2)));
                let mut remove =
                    async |of, id| remove_identity(tx, tenant(1), contact(of), identity(id)).await;
                assert_eq!(remove(1, 1).await?, Removed::InUse);
                assert_eq!(remove(1, 9).await?, Removed::NotFound);
                assert_eq!(remove(2, 9).await?, Removed::Done);
                assert_eq!(remove(2, 9).await?, Removed::NotFound);
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
    });
}
