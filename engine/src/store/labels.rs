//! The labels of conversations, one row each, so that lists by label run down an
//! index. What counts are the conversations' own; these rows follow them.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ConversationId, TenantId};

use super::conversations::Conversation;
use super::{StoreError, Tx};
use crate::args;

/// Keeps the labels that conversations have, with the time of their last activity.
///
/// # Errors
/// The database's own.
pub async fn keep(tx: &mut Tx, rows: &[(TenantId, Conversation)]) -> Result<(), StoreError> {
    // One statement may not write a row twice.
    let mut kept = BTreeMap::new();
    for (tenant, it) in rows {
        for label in &it.facts.labels {
            kept.insert((*tenant, it.facts.id, label.as_str()), it.last_activity_ms);
        }
    }
    let row = |((tenant, id, label), activity_ms)| args![tenant, id, label, activity_ms];
    let head = "insert into conversation_labels (tenant_id, conversation_id, label, last_activity_ms)";
    let tail = "on conflict (tenant_id, conversation_id, label) do update \
                set last_activity_ms = excluded.last_activity_ms";
    tx.insert_many("keep labels", head, kept.into_iter().map(row).collect(), tail).await.map(|_| ())
}

/// Forgets labels that were taken away.
///
/// # Errors
/// The database's own.
pub async fn forget(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    labels: &[String],
) -> Result<(), StoreError> {
    let sql = "delete from conversation_labels where tenant_id = $1 and conversation_id = $2 and label = $3";
    for label in labels {
        tx.execute("forget a label", sql, args![tenant, conversation, label]).await?;
    }
    Ok(())
}

/// Forgets all labels of a conversation.
///
/// # Errors
/// The database's own.
pub async fn forget_all(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
) -> Result<(), StoreError> {
    let sql = "delete from conversation_labels where tenant_id = $1 and conversation_id = $2";
    tx.execute("forget labels", sql, args![tenant, conversation]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::conversation_views::{ConversationFilter, list};
    use super::super::filter::Sight;
    use super::super::testing::each_db;
    use super::super::views_fixture::{Thread, conversation, tenant};
    use super::super::{Db, Durability, conversations};
    use super::*;

    async fn labelled(db: &Db, label: &str) -> Vec<ConversationId> {
        let filter = ConversationFilter { label: Some(label.into()), ..ConversationFilter::default() };
        let tx = &mut db.read().await.unwrap();
        let found = list(tx, tenant(1), Sight::All, &filter, None, 9).await.unwrap();
        found.into_iter().map(|it| it.conversation.facts.id).collect()
    }

    #[test]
    fn a_list_by_label_follows_the_conversations() {
        each_db(|db| async move {
            for n in [1, 2] {
                Thread { labels: r#"["vip"]"#, ..Thread::new(n) }.add(&db).await;
            }
            let (one, two) = (conversation(1), conversation(2));
            assert_eq!(labelled(&db, "vip").await, [two, one]);
            let write = |change: fn(&mut Conversation)| {
                let db = db.clone();
                async move {
                    db.write(Durability::Hard, move |tx| {
                        Box::pin(async move {
                            let mut all = conversations::load(tx, &[(tenant(1), one)]).await?;
                            let mut it = all.remove(0);
                            let had = it.facts.labels.clone();
                            change(&mut it);
                            let gone: Vec<_> =
                                had.into_iter().filter(|label| !it.facts.labels.contains(label)).collect();
                            conversations::upsert(tx, &[(tenant(1), it)]).await?;
                            forget(tx, tenant(1), one, &gone).await
                        })
                    })
                    .await
                    .unwrap();
                }
            };
            write(|it| it.last_activity_ms += 1_000_000).await;
            assert_eq!(labelled(&db, "vip").await, [one, two], "the latest activity leads");
            write(|it| it.facts.labels = vec!["late".into()]).await;
            assert_eq!((labelled(&db, "vip").await, labelled(&db, "late").await), (vec![two], vec![one]));
            db.write(Durability::Hard, move |tx| Box::pin(forget_all(tx, tenant(1), one))).await.unwrap();
            assert!(labelled(&db, "late").await.is_empty());
        });
    }
}
