//! Files wait, are taken once, and end; on both databases.

use super::super::testing::each_db;
use super::super::views_fixture::{NOW_MS, channel, conversation, message, tenant};
use super::super::{Db, Durability};
use super::*;

fn pending(n: u128) -> Attachment {
    Attachment {
        id: AttachmentId::new(NOW_MS, n),
        place: Some(Place {
            channel: channel(1),
            conversation: conversation(1),
            message: message(1),
            position: i64::try_from(n).unwrap(),
        }),
        family: "image".into(),
        content_type: Some("image/jpeg".into()),
        file_name: None,
        size_bytes: None,
        source: Some("{}".into()),
        state: FileState::Pending,
        problem: None,
        blob: None,
        attempts: 0,
        uploader: None,
        created_ms: NOW_MS,
    }
}

async fn add(db: &Db, files: Vec<(TenantId, Attachment)>) {
    db.write(Durability::Soft, move |tx| {
        let files = files.clone();
        Box::pin(async move { insert(tx, &files).await })
    })
    .await
    .unwrap();
}

async fn take(db: &Db, now_ms: i64) -> Vec<(TenantId, Attachment)> {
    db.write(Durability::Soft, move |tx| {
        Box::pin(async move { claim(tx, "me", now_ms, now_ms + 1_000, 10).await })
    })
    .await
    .unwrap()
}

async fn end(db: &Db, it: &(TenantId, Attachment), how: Fetched) -> bool {
    let (tenant, at) = (it.0, (it.1.id, it.1.attempts));
    db.write(Durability::Soft, move |tx| {
        let how = how.clone();
        Box::pin(async move { record(tx, tenant, at, &how).await })
    })
    .await
    .unwrap()
}

async fn found(db: &Db, n: u128) -> Attachment {
    let id = AttachmentId::new(NOW_MS, n);
    get(&mut db.read().await.unwrap(), tenant(1), id).await.unwrap().unwrap()
}

#[test]
fn a_file_is_taken_once_and_again_when_its_lease_ran_out() {
    each_db(|db| async move {
        add(&db, vec![(tenant(1), pending(1))]).await;
        let first = take(&db, NOW_MS).await;
        assert_eq!((first.len(), first[0].1.attempts), (1, 1));
        assert_eq!(take(&db, NOW_MS + 999).await, []);
        let second = take(&db, NOW_MS + 1_000).await;
        assert_eq!(second[0].1.attempts, 2);
        let stored =
            Fetched::Stored { blob: "blb_1".into(), content_type: "image/png".into(), size_bytes: 3 };
        assert!(!end(&db, &first[0], stored.clone()).await, "whoever lost the lease changes nothing");
        assert!(end(&db, &second[0], stored).await);
        let now = found(&db, 1).await;
        assert_eq!((now.state, now.blob.as_deref(), now.source), (FileState::Stored, Some("blb_1"), None));
        assert_eq!(now.content_type.as_deref(), Some("image/png"));
        let tx = &mut db.read().await.unwrap();
        assert_eq!(blobs_of(tx, tenant(1), conversation(1)).await.unwrap(), ["blb_1"]);
        assert!(is_used(tx, tenant(1), "blb_1").await.unwrap());
        assert!(!is_used(tx, tenant(2), "blb_1").await.unwrap());
        assert_eq!(take(&db, NOW_MS + 9_999).await, []);
    });
}

#[test]
fn who_lives_keeps_a_file_longer_than_one_lease() {
    each_db(|db| async move {
        add(&db, vec![(tenant(1), pending(1)), (tenant(1), pending(2))]).await;
        let taken = take(&db, NOW_MS).await;
        assert!(
            end(&db, &taken[1], Fetched::Later { next_ms: NOW_MS + 1_500, problem: "busy".into() }).await
        );
        for (owner, renewed) in [("other", 0), ("me", 1)] {
            let count = db.write(Durability::Soft, move |tx| {
                Box::pin(async move { renew(tx, owner, NOW_MS + 2_000).await })
            });
            assert_eq!(count.await.unwrap(), renewed);
        }
        let again = take(&db, NOW_MS + 1_999).await;
        assert_eq!(
            again.iter().map(|it| it.1.id).collect::<Vec<_>>(),
            [taken[1].1.id],
            "nobody is at this one"
        );
        assert_eq!(take(&db, NOW_MS + 2_000).await.len(), 1);
    });
}

#[test]
fn a_failed_attempt_waits_and_a_failed_file_stays() {
    each_db(|db| async move {
        add(&db, vec![(tenant(1), pending(1)), (tenant(2), pending(2))]).await;
        let taken = take(&db, NOW_MS).await;
        let (mine, other): (Vec<_>, Vec<_>) = taken.into_iter().partition(|it| it.0 == tenant(1));
        let later = Fetched::Later { next_ms: NOW_MS + 50, problem: "busy".into() };
        assert!(end(&db, &mine[0], later).await);
        assert!(end(&db, &other[0], Fetched::Failed { problem: "gone".into() }).await);
        assert!(!is_due(&mut db.read().await.unwrap(), NOW_MS + 49).await.unwrap());
        assert!(is_due(&mut db.read().await.unwrap(), NOW_MS + 50).await.unwrap());
        assert_eq!(found(&db, 1).await.problem.as_deref(), Some("busy"));
        assert_eq!(take(&db, NOW_MS + 9_999).await.len(), 1, "the failed one is not tried again");
    });
}

#[test]
fn what_a_stopped_process_was_at_is_due_at_once() {
    each_db(|db| async move {
        add(&db, vec![(tenant(1), pending(1))]).await;
        take(&db, NOW_MS).await;
        for (owner, freed) in [(Some("other"), 0), (Some("me"), 1), (None, 0)] {
            let owner = owner.map(str::to_owned);
            let count = db.write(Durability::Soft, move |tx| {
                let owner = owner.clone();
                Box::pin(async move { free(tx, owner.as_deref(), NOW_MS + 5).await })
            });
            assert_eq!(count.await.unwrap(), freed);
        }
        assert_eq!(take(&db, NOW_MS + 5).await.len(), 1);
    });
}

#[test]
fn files_are_found_by_their_messages_and_tenant() {
    each_db(|db| async move {
        add(&db, vec![(tenant(1), pending(1)), (tenant(1), pending(2)), (tenant(2), pending(3))]).await;
        let tx = &mut db.read().await.unwrap();
        let found = of_messages(tx, tenant(1), &[message(1), message(2)]).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].place.unwrap().message, message(1));
        assert_eq!(of_messages(tx, tenant(1), &[]).await.unwrap(), []);
    });
}

#[test]
fn uploads_go_when_nobody_sent_them_in_time() {
    each_db(|db| async move {
        let upload = |n: u128, created_ms: i64| Attachment {
            place: None,
            state: FileState::Stored,
            source: None,
            blob: Some(format!("blb_{n}")),
            created_ms,
            ..pending(n)
        };
        let files = vec![upload(1, NOW_MS), upload(2, NOW_MS + 1), upload(3, NOW_MS + 2), pending(4)];
        add(&db, files.into_iter().map(|file| (tenant(1), file)).collect()).await;
        let gone = async |before_ms: i64| {
            let gone = db.write(Durability::Hard, move |tx| {
                Box::pin(async move { delete_unsent(tx, tenant(1), before_ms, 1).await })
            });
            gone.await.unwrap()
        };
        assert_eq!(gone(NOW_MS).await, Vec::<String>::new());
        assert_eq!(gone(NOW_MS + 2).await, ["blb_1"]);
        assert_eq!(gone(NOW_MS + 2).await, ["blb_2"]);
        assert_eq!(gone(NOW_MS + 2).await, Vec::<String>::new());
        assert_eq!(found(&db, 4).await.state, FileState::Pending, "a message's file stays");
    });
}
