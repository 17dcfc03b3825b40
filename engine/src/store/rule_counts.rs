//! How often what became of each rule, by day. Only ever added to; what is
//! counted is the flow room's business.

use pointsman_rules::ids::{RuleId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// A count of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Days since 1970, UTC.
    pub day: i64,
    /// What was counted.
    pub what: String,
    /// How often.
    pub count: i64,
    /// When last, unix milliseconds.
    pub last_ms: i64,
}

/// Adds up. The rows must be in the order of their keys, which is the same in every process.
///
/// # Errors
/// The database's own.
pub async fn add(tx: &mut Tx, counts: &[(TenantId, RuleId, Count)]) -> Result<(), StoreError> {
    let row = |(tenant, rule, it): &(TenantId, RuleId, Count)| {
        args![*tenant, *rule, it.day, &it.what, it.count, it.last_ms]
    };
    let head = "insert into rule_counts (tenant_id, rule_id, day, what, count, last_ms)";
    let tail = "on conflict (tenant_id, rule_id, day, what) do update set \
                count = rule_counts.count + excluded.count, last_ms = case when excluded.last_ms > \
                rule_counts.last_ms then excluded.last_ms else rule_counts.last_ms end";
    tx.insert_many("count what became of rules", head, counts.iter().map(row).collect(), tail)
        .await
        .map(|_| ())
}

/// The counts of a rule from a day on, by day.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn of(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    from_day: i64,
) -> Result<Vec<Count>, StoreError> {
    let sql = "select day, what, count, last_ms from rule_counts where tenant_id = $1 and rule_id = $2 \
               and day >= $3 order by day, what";
    let rows = tx.all("read a rule's counts", sql, args![tenant, rule, from_day]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("rule_counts");
            let (day, what) = (c.int("day")?, c.text("what")?);
            Ok(Count { day, what, count: c.int("count")?, last_ms: c.int("last_ms")? })
        })
        .collect()
}

/// The counts of every rule from a day on, its days together; how long runs took is left out.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_rule(
    tx: &mut Tx,
    tenant: TenantId,
    from_day: i64,
) -> Result<Vec<(RuleId, Count)>, StoreError> {
    let sql = "select rule_id, what, cast(sum(count) as bigint) as count, max(day) as day, max(last_ms) as last_ms \
               from rule_counts where tenant_id = $1 and day >= $2 and what not like 'micros:%' \
               group by rule_id, what order by rule_id, what";
    let rows = tx.all("read the counts of rules", sql, args![tenant, from_day]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("rule_counts");
            let (rule, what, count) = (c.id("rule_id")?, c.text("what")?, c.int("count")?);
            Ok((rule, Count { day: c.int("day")?, what, count, last_ms: c.int("last_ms")? }))
        })
        .collect()
}

/// Removes the counts of days before `day`, at most `rows_max`; answers how many.
///
/// # Errors
/// The database's own.
pub async fn forget(tx: &mut Tx, tenant: TenantId, day: i64, rows_max: u32) -> Result<u64, StoreError> {
    let sql = "delete from rule_counts where tenant_id = $1 and (rule_id, day, what) in (select rule_id, day, \
               what from rule_counts where tenant_id = $1 and day < $2 limit $3)";
    tx.execute("forget old counts of rules", sql, args![tenant, day, rows_max]).await
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn counts_add_up_and_old_ones_go() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, rule) = (TenantId::new(1, 1), RuleId::new(1, 1));
                    let count = |day, count, last_ms| Count { day, what: "fired".into(), count, last_ms };
                    add(tx, &[(tenant, rule, count(7, 2, 50)), (tenant, rule, count(8, 1, 90))]).await?;
                    add(tx, &[(tenant, rule, count(7, 3, 40))]).await?;
                    assert_eq!(of(tx, tenant, rule, 0).await?, [count(7, 5, 50), count(8, 1, 90)]);
                    assert!(of(tx, TenantId::new(1, 2), rule, 0).await?.is_empty());
                    let (other, slow) = (RuleId::new(1, 2), "micros:15".to_owned());
                    let took = Count { what: slow, ..count(8, 4, 95) };
                    add(tx, &[(tenant, rule, took), (tenant, other, count(8, 7, 91))]).await?;
                    assert_eq!(
                        by_rule(tx, tenant, 7).await?,
                        [(rule, count(8, 6, 90)), (other, count(8, 7, 91))]
                    );
                    assert_eq!(by_rule(tx, tenant, 9).await?, []);
                    assert_eq!(forget(tx, tenant, 8, 9).await?, 1);
                    assert_eq!(of(tx, tenant, rule, 8).await?.first(), Some(&count(8, 1, 90)));
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
