//! Work that waits for an assistant: one row of a kind for a conversation at
//! most. A row is taken with a lease and fenced by the number of its attempt; it
//! says who is to be asked when, never what was said.

use pointsman_rules::ids::{ChannelId, ConversationId, JobId, LaneId, TenantId};

use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// An answer to the contact.
    Reply,
    /// Judging and summing up.
    Insights,
}

impl TaskKind {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Insights => "insights",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Reply, Self::Insights].into_iter().find(|it| it.word() == word)
    }
}

/// Something to ask an assistant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// This asking: a newer one of the same conversation and kind takes its place.
    pub id: JobId,
    /// What for.
    pub kind: TaskKind,
    /// About which conversation.
    pub conversation: ConversationId,
    /// Its lane, where the outcome goes.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// When, unix milliseconds.
    pub next_ms: i64,
    /// How often it was begun.
    pub attempts: i64,
}

const COLUMNS: &str = "conversation_id, kind, id, lane_id, channel_id, next_ms, attempts";

fn task(row: &Row) -> Result<(TenantId, Task), StoreError> {
    let mut c = row.columns("assistant_tasks");
    let tenant = c.id("tenant_id")?;
    let (conversation, kind) = (c.id("conversation_id")?, c.word("kind", TaskKind::from_word)?);
    let task = Task {
        id: c.id("id")?,
        kind,
        conversation,
        lane: c.id("lane_id")?,
        channel: c.id("channel_id")?,
        next_ms: c.int("next_ms")?,
        attempts: c.int("attempts")?,
    };
    Ok((tenant, task))
}

/// Asks for something, in place of what was asked for before.
///
/// # Errors
/// The database's own.
pub async fn ask(tx: &mut Tx, tenant: TenantId, it: &Task) -> Result<(), StoreError> {
    let sql = "insert into assistant_tasks (tenant_id, conversation_id, kind, id, lane_id, channel_id, next_ms, \
        attempts) values ($1, $2, $3, $4, $5, $6, $7, 0) on conflict (tenant_id, conversation_id, kind) \
        do update set id = excluded.id, next_ms = excluded.next_ms, owner = null, attempts = 0";
    let values = args![tenant, it.conversation, it.kind.word(), it.id, it.lane, it.channel, it.next_ms];
    tx.execute("ask an assistant", sql, values).await.map(|_| ())
}

/// Does not want it any more.
///
/// # Errors
/// The database's own.
pub async fn drop(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    kind: TaskKind,
) -> Result<(), StoreError> {
    let sql = "delete from assistant_tasks where tenant_id = $1 and conversation_id = $2 and kind = $3";
    tx.execute("stop asking an assistant", sql, args![tenant, conversation, kind.word()]).await.map(|_| ())
}

/// Is any work due?
///
/// # Errors
/// The database's own.
pub async fn is_due(tx: &mut Tx, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "select 1 from assistant_tasks where next_ms <= $1 limit 1";
    Ok(tx.first("look for work of assistants", sql, args![now_ms]).await?.is_some())
}

/// Takes what is due, for all tenants; each counts as an attempt, and is due again at `until_ms` if nobody ends it.
///
/// # Errors
/// The database's own.
pub async fn claim(
    tx: &mut Tx,
    owner: &str,
    (now_ms, until_ms): (i64, i64),
    rows_max: u32,
) -> Result<Vec<(TenantId, Task)>, StoreError> {
    let skip = if tx.is_postgres() { "for update skip locked" } else { "" };
    let sql = format!(
        "update assistant_tasks set attempts = attempts + 1, next_ms = $3, owner = $1 \
         where (tenant_id, conversation_id, kind) in (select tenant_id, conversation_id, kind \
         from assistant_tasks where next_ms <= $2 order by next_ms limit $4 {skip}) returning tenant_id, {COLUMNS}"
    );
    let rows = tx.all("take work of assistants", &sql, args![owner, now_ms, until_ms, rows_max]).await?;
    rows.iter().map(task).collect()
}

/// It is done; `false`: something newer is asked for, or somebody else does it.
///
/// # Errors
/// The database's own.
pub async fn end(tx: &mut Tx, tenant: TenantId, it: &Task) -> Result<bool, StoreError> {
    let sql = "delete from assistant_tasks where tenant_id = $1 and conversation_id = $2 and kind = $3 \
        and id = $4 and attempts = $5";
    let values = args![tenant, it.conversation, it.kind.word(), it.id, it.attempts];
    Ok(tx.execute("end work of an assistant", sql, values).await? == 1)
}

/// Lengthens the leases of a process that lives.
///
/// # Errors
/// The database's own.
pub async fn renew(tx: &mut Tx, owner: &str, until_ms: i64) -> Result<u64, StoreError> {
    let sql = "update assistant_tasks set next_ms = $2 where owner = $1";
    tx.execute("renew leases of assistants' work", sql, args![owner, until_ms]).await
}

/// Makes work due now that somebody was at: all of it where one process has just started, or that of one owner that
/// stops.
///
/// # Errors
/// The database's own.
pub async fn free(tx: &mut Tx, owner: Option<&str>, now_ms: i64) -> Result<u64, StoreError> {
    let (of, mut args) = ("and owner = $2", args![now_ms]);
    args.extend(owner.map(Arg::from));
    let sql = format!(
        "update assistant_tasks set next_ms = $1, owner = null where owner is not null {}",
        owner.map_or("", |_| of)
    );
    tx.execute("give work of assistants back", &sql, args).await
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    const TENANT: fn() -> TenantId = || TenantId::new(1, 1);

    fn reply(id: u128, next_ms: i64) -> Task {
        Task {
            id: JobId::new(1, id),
            kind: TaskKind::Reply,
            conversation: ConversationId::new(1, 1),
            lane: LaneId::new(1, 1),
            channel: ChannelId::new(1, 1),
            next_ms,
            attempts: 0,
        }
    }

    #[test]
    fn a_newer_asking_takes_the_place_of_the_older_and_fences_it_off() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    ask(tx, TENANT(), &reply(1, 100)).await?;
                    assert!(!is_due(tx, 99).await? && is_due(tx, 100).await?);
                    let (_, first) = claim(tx, "one", (100, 500), 9).await?.remove(0);
                    assert_eq!((first.id, first.attempts), (JobId::new(1, 1), 1));
                    assert!(claim(tx, "two", (100, 500), 9).await?.is_empty(), "it is leased");
                    ask(tx, TENANT(), &reply(2, 150)).await?;
                    assert!(!end(tx, TENANT(), &first).await?, "something newer is asked for");
                    let (_, second) = claim(tx, "two", (150, 500), 9).await?.remove(0);
                    assert_eq!((second.id, second.attempts), (JobId::new(1, 2), 1));
                    assert!(end(tx, TENANT(), &second).await? && !is_due(tx, 9_999).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn work_of_a_process_that_died_is_taken_up_again() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    ask(tx, TENANT(), &reply(1, 100)).await?;
                    let (_, lost) = claim(tx, "one", (100, 500), 9).await?.remove(0);
                    assert_eq!((renew(tx, "two", 900).await?, renew(tx, "one", 600).await?), (0, 1));
                    assert!(!is_due(tx, 599).await?, "its process lives");
                    assert_eq!(free(tx, Some("two"), 200).await?, 0);
                    assert_eq!(free(tx, Some("one"), 200).await?, 1);
                    let (_, again) = claim(tx, "two", (200, 500), 9).await?.remove(0);
                    assert_eq!(again.attempts, 2);
                    assert!(!end(tx, TENANT(), &lost).await?, "its attempt does not count any more");
                    drop(tx, TENANT(), again.conversation, TaskKind::Insights).await?;
                    assert!(is_due(tx, 500).await?, "another kind");
                    drop(tx, TENANT(), again.conversation, TaskKind::Reply).await?;
                    assert!(!is_due(tx, 500).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
