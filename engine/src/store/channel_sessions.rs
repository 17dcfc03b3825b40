//! The phones that channels are linked to: how the session is and whose it is,
//! one row per channel.

use pointsman_rules::ids::{ChannelId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A session as known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `stopped`, `starting`, `needs_qr`, `needs_code`, `working`, `degraded`, `failed`, or the vendor's word.
    pub state: String,
    /// Why, one sentence.
    pub reason: Option<String>,
    /// Name of the linked account.
    pub account_name: Option<String>,
    /// Its number.
    pub address: Option<String>,
    /// Its picture.
    pub picture_url: Option<String>,
    /// In this state since, unix milliseconds.
    pub since_ms: i64,
    /// The vendor's time of its last webhook about it, unix milliseconds.
    pub told_ms: Option<i64>,
    /// When the vendor was asked last, unix milliseconds.
    pub asked_ms: Option<i64>,
}

const COLUMNS: &str = "state, reason, account_name, address, picture_url, since_ms, told_ms, asked_ms";

fn session(row: &Row) -> Result<Session, StoreError> {
    let mut c = row.columns("channel_sessions");
    Ok(Session {
        state: c.text("state")?,
        reason: c.opt_text("reason")?,
        account_name: c.opt_text("account_name")?,
        address: c.opt_text("address")?,
        picture_url: c.opt_text("picture_url")?,
        since_ms: c.int("since_ms")?,
        told_ms: c.opt_int("told_ms")?,
        asked_ms: c.opt_int("asked_ms")?,
    })
}

/// What is known; `None`: nothing yet.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<Option<Session>, StoreError> {
    let sql = format!("select {COLUMNS} from channel_sessions where tenant_id = $1 and channel_id = $2");
    tx.first("read a session", &sql, args![tenant, channel]).await?.as_ref().map(session).transpose()
}

/// Keeps what is known now.
///
/// # Errors
/// The database's own.
pub async fn put(tx: &mut Tx, tenant: TenantId, channel: ChannelId, it: &Session) -> Result<(), StoreError> {
    let head = format!("insert into channel_sessions (tenant_id, channel_id, {COLUMNS})");
    let row = args![
        tenant,
        channel,
        it.state.as_str(),
        it.reason.clone(),
        it.account_name.clone(),
        it.address.clone(),
        it.picture_url.clone(),
        it.since_ms,
        it.told_ms,
        it.asked_ms
    ];
    let tail = "on conflict (tenant_id, channel_id) do update set state = excluded.state, \
                reason = excluded.reason, account_name = excluded.account_name, address = excluded.address, \
                picture_url = excluded.picture_url, since_ms = excluded.since_ms, told_ms = excluded.told_ms, \
                asked_ms = excluded.asked_ms";
    tx.insert_many("keep a session", &head, vec![row], tail).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_session_is_kept_once_per_channel() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 1));
                    assert_eq!(get(tx, tenant, channel).await?, None);
                    let first = Session {
                        state: "needs_qr".into(),
                        reason: Some("scan it".into()),
                        account_name: None,
                        address: None,
                        picture_url: None,
                        since_ms: 1,
                        told_ms: None,
                        asked_ms: Some(2),
                    };
                    put(tx, tenant, channel, &first).await?;
                    assert_eq!(get(tx, tenant, channel).await?, Some(first.clone()));
                    let second = Session {
                        state: "working".into(),
                        reason: None,
                        account_name: Some("Desk".into()),
                        address: Some("+79222222222".into()),
                        picture_url: Some("https://pictures.test/1".into()),
                        since_ms: 3,
                        told_ms: Some(4),
                        asked_ms: None,
                    };
                    put(tx, tenant, channel, &second).await?;
                    assert_eq!(get(tx, tenant, channel).await?, Some(second));
                    assert_eq!(get(tx, TenantId::new(1, 2), channel).await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
