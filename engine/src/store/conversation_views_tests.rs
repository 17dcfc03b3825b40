//! What the conversation views promise, on both databases where they read one.

use super::super::testing::each_db;
use super::super::views_fixture::*;
use super::super::{Db, Durability};
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

// S11
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

// S17
/// A million conversations must not make a list slower: every branch runs down its index, in the order of the list.
#[test]
fn every_list_runs_down_an_index() {
    each_db(|db| async move {
        let filters = [
            wanted(),
            ConversationFilter { live: Some(true), ..wanted() },
            ConversationFilter { live: Some(false), status: Some(Status::Closed), ..wanted() },
            ConversationFilter { status: Some(Status::Pending), ..wanted() },
            ConversationFilter { group: Some(group(1)), ..wanted() },
            ConversationFilter { assignee: Some(AssigneeFilter::User(user(1))), ..wanted() },
            ConversationFilter { contact: Some(contact(1)), ..wanted() },
            ConversationFilter { channel: Some(channel(1)), ..wanted() },
            ConversationFilter { channel: Some(channel(1)), live: Some(false), ..wanted() },
            ConversationFilter { label: Some("vip".into()), ..wanted() },
            ConversationFilter { label: Some("vip".into()), channel: Some(channel(1)), ..wanted() },
        ];
        insert(&db, "group_members", "tenant_id, group_id, user_id", args![tenant(1), group(1), user(1)])
            .await;
        for sight in [Sight::All, Sight::Agent(user(1)), Sight::Ungrouped] {
            for filter in &filters {
                for after in [None, Some((1_000, conversation(1)))] {
                    let mut tx = db.read().await.unwrap();
                    for branch in branches(&mut tx, tenant(1), sight, filter).await.unwrap() {
                        let (sql, args) = statement(tenant(1), sight, filter, &branch, after, 50);
                        let plan = plan(&db, &sql, args).await;
                        // A contact has few conversations; sorting them is nothing.
                        let sorts = matches!(branch, Branch::Contact(_));
                        let good = if db.is_postgres() {
                            let scan = (plan.contains("conversations_")
                                || plan.contains("conversation_labels_"))
                                && !plan.contains("Seq Scan on conversations");
                            scan && (sorts || !plan.contains("Sort"))
                        } else {
                            let search = plan.contains("SEARCH c USING INDEX conversations_")
                                || plan.contains("SEARCH l USING COVERING INDEX conversation_labels_");
                            search && (sorts || !plan.contains("TEMP B-TREE"))
                        };
                        assert!(good, "{branch:?} as {sight:?}:\n{plan}\n{sql}");
                    }
                }
            }
        }
    });
}

/// How the database would read it; on PostgreSQL as if its tables were large.
async fn plan(db: &Db, sql: &str, args: Vec<crate::store::Arg>) -> String {
    let is_postgres = db.is_postgres();
    let sql = format!("{} {sql}", if is_postgres { "explain" } else { "explain query plan" });
    let rows = db.write(Durability::Soft, move |tx| {
        let (sql, args) = (sql.clone(), args.clone());
        Box::pin(async move {
            if is_postgres {
                for setting in
                    ["enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort"]
                {
                    tx.execute("plan", &format!("set local {setting} = off"), vec![]).await?;
                }
            }
            let rows = tx.all("plan", &sql, args).await?;
            let text = |row: &Row| {
                let mut columns = row.columns("plan");
                if !is_postgres {
                    for name in ["id", "parent", "notused"] {
                        columns.opt_int(name)?;
                    }
                }
                columns.text("detail")
            };
            rows.iter().map(text).collect::<Result<Vec<_>, StoreError>>()
        })
    });
    rows.await.unwrap().join("\n")
}
