//! Rules that fail, in a row and until they are parked; and the conversations in
//! which the quota of starts held a rule back. Says nothing of what a failure is.

use pointsman_rules::ids::{ConversationId, EventId, RuleId, RuleVersionId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which version.
    pub version: RuleVersionId,
    /// On which event.
    pub event: EventId,
    /// Why, for those who write rules.
    pub problem: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// Why a rule is out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// How often it failed in a row.
    pub failures: i64,
    /// The last event on which it failed.
    pub event: EventId,
    /// Why it did.
    pub problem: String,
}

/// Counts one more failure of a rule; at `failures_max` it is parked. Answers whether it was parked by this one.
///
/// # Errors
/// The database's own.
pub async fn failed(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    it: &Failure,
    failures_max: i64,
) -> Result<bool, StoreError> {
    let sql = "insert into rule_health (tenant_id, rule_id, version_id, failures, event_id, problem, last_ms) \
               values ($1, $2, $3, 1, $4, $5, $6) on conflict (tenant_id, rule_id) do update set \
               failures = case when rule_health.version_id = excluded.version_id then rule_health.failures + 1 \
               else 1 end, version_id = excluded.version_id, event_id = excluded.event_id, \
               problem = excluded.problem, last_ms = excluded.last_ms returning failures, parked_ms";
    let args = args![tenant, rule, it.version, it.event, &it.problem, it.at_ms];
    let Some(row) = tx.first("count a rule's failure", sql, args).await? else { return Ok(false) };
    let c = &mut row.columns("rule_health");
    let (failures, parked_ms) = (c.int("failures")?, c.opt_int("parked_ms")?);
    if failures < failures_max || parked_ms.is_some() {
        return Ok(false);
    }
    let sql = "update rule_health set parked_ms = $3 where tenant_id = $1 and rule_id = $2";
    tx.execute("park a rule", sql, args![tenant, rule, it.at_ms]).await?;
    Ok(true)
}

/// A run of this version did not fail: what was counted before it does not count. A parked rule stays parked.
///
/// # Errors
/// The database's own.
pub async fn recovered(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    version: RuleVersionId,
) -> Result<(), StoreError> {
    let sql = "delete from rule_health where tenant_id = $1 and rule_id = $2 and version_id = $3 \
               and parked_ms is null";
    tx.execute("forget a rule's failures", sql, args![tenant, rule, version]).await.map(|_| ())
}

/// Forgets all failures of a rule, and that it is parked. Answers whether there were any.
///
/// # Errors
/// The database's own.
pub async fn clear(tx: &mut Tx, tenant: TenantId, rule: RuleId) -> Result<bool, StoreError> {
    let sql = "delete from rule_health where tenant_id = $1 and rule_id = $2";
    Ok(tx.execute("resume a rule", sql, args![tenant, rule]).await? > 0)
}

/// The quota holds a rule back in a conversation.
///
/// # Errors
/// The database's own.
pub async fn hold(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    conversation: ConversationId,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into rule_holds (tenant_id, rule_id, conversation_id, since_ms) values ($1, $2, $3, $4) \
               on conflict (tenant_id, rule_id, conversation_id) do update set since_ms = excluded.since_ms";
    tx.execute("hold a rule back", sql, args![tenant, rule, conversation, now_ms]).await.map(|_| ())
}

/// Forgets that rules were held back before `before_ms`.
///
/// # Errors
/// The database's own.
pub async fn forget_holds(tx: &mut Tx, tenant: TenantId, before_ms: i64) -> Result<u64, StoreError> {
    let sql = "delete from rule_holds where tenant_id = $1 and since_ms < $2";
    tx.execute("forget old holds", sql, args![tenant, before_ms]).await
}

/// A conversation in which the quota held a rule back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub conversation: ConversationId,
    /// Since when, unix milliseconds.
    pub since_ms: i64,
}

/// Where a rule was held back after `after_ms`, the latest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn held(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    after_ms: i64,
    limit: i64,
) -> Result<Vec<Held>, StoreError> {
    let sql = "select conversation_id, since_ms from rule_holds where tenant_id = $1 and rule_id = $2 \
               and since_ms > $3 order by since_ms desc, conversation_id limit $4";
    let rows = tx.all("list where a rule is held back", sql, args![tenant, rule, after_ms, limit]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("rule_holds");
            Ok(Held { conversation: c.id("conversation_id")?, since_ms: c.int("since_ms")? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    fn failure(version: u128, n: u128) -> Failure {
        Failure {
            version: RuleVersionId::new(1, version),
            event: EventId::new(1, n),
            problem: format!("problem {n}"),
            at_ms: 100 + n as i64,
        }
    }

    // Semantics 9.
    #[test]
    fn failures_count_in_a_row_and_of_one_version() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, rule) = (TenantId::new(1, 1), RuleId::new(1, 1));
                    let version = RuleVersionId::new(1, 1);
                    for n in [1, 2] {
                        assert!(!failed(tx, tenant, rule, &failure(1, n), 3).await?);
                    }
                    recovered(tx, tenant, rule, version).await?;
                    for n in [3, 4] {
                        assert!(!failed(tx, tenant, rule, &failure(1, n), 3).await?, "begins again");
                    }
                    assert!(!failed(tx, tenant, rule, &failure(2, 5), 3).await?, "another version");
                    assert!(!failed(tx, tenant, rule, &failure(2, 6), 3).await?);
                    assert!(failed(tx, tenant, rule, &failure(2, 7), 3).await?, "parked");
                    assert!(!failed(tx, tenant, rule, &failure(2, 8), 3).await?, "parked once");
                    recovered(tx, tenant, rule, RuleVersionId::new(1, 2)).await?;
                    assert!(clear(tx, tenant, rule).await?, "a late success resumes nothing");
                    assert!(!clear(tx, tenant, rule).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    // Semantics 5.
    #[test]
    fn holds_are_listed_until_no_quota_looks_back_so_far() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, rule) = (TenantId::new(1, 1), RuleId::new(1, 1));
                    let at = |n| ConversationId::new(1, n);
                    hold(tx, tenant, rule, at(1), 100).await?;
                    hold(tx, tenant, rule, at(2), 120).await?;
                    let held_at: Vec<_> = held(tx, tenant, rule, 0, 9).await?;
                    let listed: Vec<_> = held_at.iter().map(|it| (it.conversation, it.since_ms)).collect();
                    assert_eq!(listed, [(at(2), 120), (at(1), 100)]);
                    assert_eq!(held(tx, tenant, rule, 100, 9).await?.len(), 1);
                    hold(tx, tenant, rule, at(2), 160).await?;
                    assert_eq!(held(tx, tenant, rule, 0, 9).await?.len(), 2, "once per conversation");
                    assert_eq!(forget_holds(tx, tenant, 110).await?, 1);
                    assert_eq!(held(tx, tenant, rule, 0, 9).await?.len(), 1);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
