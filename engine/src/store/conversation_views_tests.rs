//! What the conversation views promise, on both databases where they read one.

use super::super::Db;
use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::*;

async fn ids(db: &Db, sight: Sight, filter: ConversationFilter) -> Vec<ConversationId> {
    let mut tx = db.read().await.unwrap();
    let found = list(&mut tx, tenant(1), sight, &filter, None, 50).await.unwrap();
    found.into_iter().map(|it| it.conversation.facts.id).collect()
}

fn wanted() -> ConversationFilter {
    ConversationFilter::default()
}

#[test]
fn agents_see_their_groups_their_own_and_what_nobody_has() {
    each_db(|db| async move {
        Thread { group: Some(group(1)), ..Thread::new(1) }.add(&db).await;
        Thread { group: Some(group(2)), ..Thread::new(2) }.add(&db).await;
        Thread { group: Some(group(2)), assignee: Some(user(1)), ..Thread::new(3) }.add(&db).await;
        Thread::new(4).add(&db).await;
        insert(&db, "group_members", "tenant_id, group_id, user_id", args![tenant(1), group(1), user(1)])
            .await;
        // The same group and user in another tenant must open nothing here.
        insert(&db, "group_members", "tenant_id, group_id, user_id", args![tenant(2), group(2), user(1)])
            .await;

        let of = |ns: &[u128]| ns.iter().map(|n| conversation(*n)).collect::<Vec<_>>();
        assert_eq!(ids(&db, Sight::All, wanted()).await, of(&[4, 3, 2, 1]));
        assert_eq!(ids(&db, Sight::Agent(user(1)), wanted()).await, of(&[4, 3, 1]));
        assert_eq!(ids(&db, Sight::Agent(user(2)), wanted()).await, of(&[4]));
        assert_eq!(ids(&db, Sight::Ungrouped, wanted()).await, of(&[4]));

        let mut tx = db.read().await.unwrap();
        let hidden = get(&mut tx, tenant(1), Sight::Agent(user(1)), conversation(2)).await.unwrap();
        assert_eq!(hidden, None);
        let seen = get(&mut tx, tenant(1), Sight::Agent(user(1)), conversation(3)).await.unwrap().unwrap();
        assert_eq!((seen.contact_name.as_deref(), seen.contact_address.as_str()), (Some("visitor 3"), "v_3"));
        let facts = seen.conversation.facts;
        assert_eq!((facts.assignee, facts.attributes["size"].as_i64()), (Some(user(1)), Some(2)));
        let elsewhere = get(&mut tx, tenant(2), Sight::All, conversation(3)).await.unwrap();
        assert_eq!(elsewhere, None, "another tenant's id is nobody's");
    });
}

#[test]
fn every_filter_narrows() {
    each_db(|db| async move {
        Thread { status: "closed", live: false, ..Thread::new(1) }.add(&db).await;
        Thread { labels: r#"["50%_off","vip"]"#, ..Thread::new(2) }.add(&db).await;
        Thread { labels: r#"["50x_off"]"#, assignee: Some(user(1)), group: Some(group(1)), ..Thread::new(3) }
            .add(&db)
            .await;
        let check = |filter: ConversationFilter, ns: &'static [u128]| {
            let db = db.clone();
            async move {
                let expected: Vec<_> = ns.iter().map(|n| conversation(*n)).collect();
                assert_eq!(ids(&db, Sight::All, filter.clone()).await, expected, "{filter:?}");
            }
        };
        check(ConversationFilter { live: Some(false), ..wanted() }, &[1]).await;
        check(ConversationFilter { live: Some(true), ..wanted() }, &[3, 2]).await;
        check(ConversationFilter { status: Some(Status::Closed), ..wanted() }, &[1]).await;
        check(ConversationFilter { group: Some(group(1)), ..wanted() }, &[3]).await;
        check(ConversationFilter { assignee: Some(AssigneeFilter::User(user(1))), ..wanted() }, &[3]).await;
        check(ConversationFilter { assignee: Some(AssigneeFilter::Nobody), ..wanted() }, &[2, 1]).await;
        check(ConversationFilter { channel: Some(channel(2)), ..wanted() }, &[]).await;
        check(ConversationFilter { contact: Some(contact(2)), ..wanted() }, &[2]).await;
        check(ConversationFilter { label: Some("50%_off".into()), ..wanted() }, &[2]).await;
        check(ConversationFilter { label: Some("vi".into()), ..wanted() }, &[]).await;
        check(ConversationFilter { archived: Some(true), ..wanted() }, &[]).await;
        check(ConversationFilter { archived: Some(false), ..wanted() }, &[3, 2, 1]).await;
    });
}

#[test]
fn pages_join_without_gap_or_overlap_even_at_the_same_moment() {
    each_db(|db| async move {
        for n in 1..=7 {
            Thread { activity_ms: NOW_MS + i64::try_from(n / 3).unwrap(), ..Thread::new(n) }.add(&db).await;
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let mut tx = db.read().await.unwrap();
            let page = list(&mut tx, tenant(1), Sight::All, &wanted(), after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            seen.extend(page.iter().map(ConversationView::place));
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
    });
}
