//! Answers that were given to requests with an idempotency key, for a day.

use pointsman_rules::ids::TenantId;

use super::{StoreError, Tx};
use crate::args;

/// What became of a request's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is new: go on, then `finish` or `release`.
    Fresh,
    /// The same request is being answered.
    InProgress,
    /// The key was used for another request.
    OtherRequest,
    /// The same request was answered.
    Answered {
        /// HTTP status.
        status: i64,
        /// The rest of the answer, sealed.
        response: String,
    },
}

/// Claims a key for a request. Keys older than `keep_ms`, and claims without an answer older than `busy_ms`, are
/// taken over.
///
/// # Errors
/// The database's own.
pub async fn claim(
    tx: &mut Tx,
    tenant: TenantId,
    key: &str,
    request_hash: &str,
    now_ms: i64,
    (keep_ms, busy_ms): (i64, i64),
) -> Result<Claim, StoreError> {
    let stale = "delete from idempotency where tenant_id = $1 and key = $2 \
        and (at_ms <= $3 or (status is null and at_ms <= $4))";
    tx.execute("forget an old answer", stale, args![tenant, key, now_ms - keep_ms, now_ms - busy_ms]).await?;
    let sql = "insert into idempotency (tenant_id, key, request_hash, at_ms) values ($1, $2, $3, $4) \
        on conflict do nothing";
    if tx.execute("claim an idempotency key", sql, args![tenant, key, request_hash, now_ms]).await? == 1 {
        return Ok(Claim::Fresh);
    }
    let sql = "select request_hash, status, response from idempotency where tenant_id = $1 and key = $2";
    let Some(row) = tx.first("read an idempotency key", sql, args![tenant, key]).await? else {
        return Ok(Claim::InProgress); // its owner has just let it go
    };
    let mut c = row.columns("idempotency");
    if c.text("request_hash")? != request_hash {
        return Ok(Claim::OtherRequest);
    }
    Ok(match (c.opt_int("status")?, c.opt_text("response")?) {
        (Some(status), Some(response)) => Claim::Answered { status, response },
        _ => Claim::InProgress,
    })
}

/// Keeps the answer.
///
/// # Errors
/// The database's own.
pub async fn finish(
    tx: &mut Tx,
    tenant: TenantId,
    key: &str,
    status: i64,
    response: &str,
) -> Result<(), StoreError> {
    let sql = "update idempotency set status = $3, response = $4 where tenant_id = $1 and key = $2";
    tx.execute("keep an answer", sql, args![tenant, key, status, response]).await.map(|_| ())
}

/// Lets the key go, so that the request may be tried again.
///
/// # Errors
/// The database's own.
pub async fn release(tx: &mut Tx, tenant: TenantId, key: &str) -> Result<(), StoreError> {
    let sql = "delete from idempotency where tenant_id = $1 and key = $2 and status is null";
    tx.execute("let an idempotency key go", sql, args![tenant, key]).await.map(|_| ())
}

/// Kept answers after this key, in order: key and sealed answer.
///
/// # Errors
/// The database's own.
pub async fn answers(
    tx: &mut Tx,
    tenant: TenantId,
    after: &str,
    rows_max: u32,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "select key, response from idempotency where tenant_id = $1 and key > $2 and response is not null \
               order by key limit $3";
    let rows = tx.all("list kept answers", sql, args![tenant, after, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("idempotency");
            Ok((c.text("key")?, c.text("response")?))
        })
        .collect()
}

/// Replaces a kept answer.
///
/// # Errors
/// The database's own.
pub async fn replace(tx: &mut Tx, tenant: TenantId, key: &str, response: &str) -> Result<(), StoreError> {
    let sql =
        "update idempotency set response = $3 where tenant_id = $1 and key = $2 and response is not null";
    tx.execute("replace a kept answer", sql, args![tenant, key, response]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_key_is_answered_once_and_taken_over_in_time() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, limits) = (TenantId::new(1, 1), (1_000, 100));
                    assert_eq!(claim(tx, tenant, "k", "a", 0, limits).await?, Claim::Fresh);
                    assert_eq!(claim(tx, tenant, "k", "a", 1, limits).await?, Claim::InProgress);
                    assert_eq!(claim(tx, tenant, "k", "b", 1, limits).await?, Claim::OtherRequest);
                    release(tx, tenant, "k").await?;
                    assert_eq!(claim(tx, tenant, "k", "a", 2, limits).await?, Claim::Fresh);
                    finish(tx, tenant, "k", 201, "{}").await?;
                    release(tx, tenant, "k").await?;
                    let answered = Claim::Answered { status: 201, response: "{}".into() };
                    assert_eq!(claim(tx, tenant, "k", "a", 500, limits).await?, answered);
                    assert_eq!(claim(tx, tenant, "k", "b", 1_002, limits).await?, Claim::Fresh);
                    assert_eq!(
                        claim(tx, tenant, "k", "b", 1_102, limits).await?,
                        Claim::Fresh,
                        "its owner died"
                    );
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
