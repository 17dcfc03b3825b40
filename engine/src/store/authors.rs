//! What those are called who did something: people and API keys, also those who
//! were switched off since.

use std::collections::{BTreeSet, HashMap};

use pointsman_rules::ids::TenantId;

use super::text::places;
use super::{Arg, StoreError, Tx};
use crate::args;

/// The names of users and keys by their ids; who is gone, or the engine itself, has none.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn names<'i>(
    tx: &mut Tx,
    tenant: TenantId,
    ids: impl IntoIterator<Item = &'i str>,
) -> Result<HashMap<String, String>, StoreError> {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let those = places(2, ids.len());
    let sql = format!(
        "select id, name from users where tenant_id = $1 and id in ({those}) \
         union all select id, name from api_keys where tenant_id = $1 and id in ({those})"
    );
    let mut values = args![tenant];
    values.extend(ids.into_iter().map(Arg::from));
    let rows = tx.all("read names of authors", &sql, values).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("users");
            Ok((c.text("id")?, c.text("name")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{KeyId, UserId};

    use super::super::Durability;
    use super::super::api_keys::{self, ApiKey};
    use super::super::testing::each_db;
    use super::super::users::{self, Presence, Role, User};
    use super::*;

    #[test]
    fn people_and_keys_of_a_tenant_are_called_by_name() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (ours, theirs) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let user = User {
                        id: UserId::new(1, 1),
                        email: "ana@x.test".into(),
                        name: "Ana".into(),
                        role: Role::Admin,
                        password_hash: None,
                        presence: Presence::Offline,
                        chats_max: None,
                        created_ms: 1,
                        disabled_ms: Some(2),
                    };
                    users::insert(tx, ours, &user).await?;
                    let key = ApiKey {
                        id: KeyId::new(1, 1),
                        name: "ci".into(),
                        role: Role::Admin,
                        created_ms: 1,
                        expires_ms: None,
                        revoked_ms: Some(2),
                    };
                    api_keys::insert(tx, ours, &key, "hash").await?;
                    let (ana, ci) = (user.id.to_string(), key.id.to_string());
                    let ids = [ana.as_str(), ci.as_str(), ci.as_str(), "system"];
                    let found = names(tx, ours, ids).await?;
                    assert_eq!(found, HashMap::from([(ana.clone(), user.name), (ci.clone(), "ci".into())]));
                    assert!(names(tx, theirs, ids).await?.is_empty());
                    assert!(names(tx, ours, []).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
