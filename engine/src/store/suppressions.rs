//! Who was erased but must not be written to, by a keyed hash. What is hashed is
//! not known here.

use std::collections::HashMap;

use pointsman_rules::ids::TenantId;

use super::text::places;
use super::{Arg, StoreError, Tx};
use crate::args;

/// What is remembered of somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suppressed {
    /// We refused to talk to them since then, unix milliseconds.
    pub blocked_ms: Option<i64>,
    /// They want no messages on this kind of channel: since when, who said so.
    pub opted_out: Option<(i64, String)>,
}

/// What is remembered under these hashes, by hash.
///
/// # Errors
/// The database's own.
pub async fn find(
    tx: &mut Tx,
    tenant: TenantId,
    hashes: &[String],
) -> Result<HashMap<String, Suppressed>, StoreError> {
    let mut out = HashMap::new();
    for hashes in hashes.chunks(HASHES_MAX) {
        let sql = format!(
            "select hash, blocked_ms, opted_out_ms, source from suppressions where tenant_id = $1 and hash in ({})",
            places(2, hashes.len())
        );
        let mut args = args![tenant];
        args.extend(hashes.iter().map(Arg::from));
        for row in tx.all("look for suppressions", &sql, args).await? {
            let mut c = row.columns("suppressions");
            let (hash, blocked_ms) = (c.text("hash")?, c.opt_int("blocked_ms")?);
            let opted_out = c.opt_int("opted_out_ms")?.zip(c.opt_text("source")?);
            out.insert(hash, Suppressed { blocked_ms, opted_out });
        }
    }
    Ok(out)
}

/// Hashes in one query at most.
const HASHES_MAX: usize = 64;

/// Remembers this, or forgets what was remembered when there is nothing to remember any more.
///
/// # Errors
/// The database's own.
pub async fn set(
    tx: &mut Tx,
    tenant: TenantId,
    hash: &str,
    channel_kind: &str,
    it: &Suppressed,
) -> Result<(), StoreError> {
    let sql = "delete from suppressions where tenant_id = $1 and hash = $2";
    tx.execute("forget a suppression", sql, args![tenant, hash]).await?;
    if *it == Suppressed::default() {
        return Ok(());
    }
    let sql = "insert into suppressions (tenant_id, hash, channel_kind, blocked_ms, opted_out_ms, source) \
               values ($1, $2, $3, $4, $5, $6)";
    let (since_ms, source) = it.opted_out.clone().unzip();
    let args = args![tenant, hash, channel_kind, it.blocked_ms, since_ms, source];
    tx.execute("remember a suppression", sql, args).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn what_is_remembered_is_found_by_any_hash_and_forgotten_when_it_is_nothing() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, other) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let out = Suppressed { blocked_ms: None, opted_out: Some((5, "vendor".into())) };
                    set(tx, tenant, "a", "sms", &out).await?;
                    let hashes = ["x".to_owned(), "a".to_owned()];
                    assert_eq!(find(tx, tenant, &hashes).await?, HashMap::from([("a".to_owned(), out)]));
                    assert_eq!(find(tx, other, &hashes).await?, HashMap::new());
                    set(tx, tenant, "a", "sms", &Suppressed::default()).await?;
                    assert_eq!(find(tx, tenant, &hashes).await?, HashMap::new());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
