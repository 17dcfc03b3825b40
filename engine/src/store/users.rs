//! People who sign in. Passwords arrive hashed; this file never sees one.

use pointsman_rules::ids::{TenantId, UserId};

use super::{Columns, Row, StoreError, Tx};
use crate::args;

/// What a person or a key may do. Ordered: who may more is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Conversations of own groups.
    Agent,
    /// All configuration.
    Admin,
    /// Everything, including granting roles.
    Owner,
}

impl Role {
    /// Every word, for messages.
    pub const WORDS: &'static [&'static str] = &["owner", "admin", "agent"];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "agent" => Some(Self::Agent),
            "admin" => Some(Self::Admin),
            "owner" => Some(Self::Owner),
            _ => None,
        }
    }
}

/// Is a person there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Ready for conversations.
    Online,
    /// Back soon.
    Away,
    /// Not there.
    Offline,
}

impl Presence {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }

    /// The presence with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "online" => Some(Self::Online),
            "away" => Some(Self::Away),
            "offline" => Some(Self::Offline),
            _ => None,
        }
    }
}

/// A person as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Lower case; unique in the tenant.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Argon2id in PHC form; `None`: signs in by link only.
    pub password_hash: Option<String>,
    /// Are they there?
    pub presence: Presence,
    /// Live chats they may have at once; `None`: as their group says.
    pub chats_max: Option<u32>,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// May not sign in since then, unix milliseconds.
    pub disabled_ms: Option<i64>,
}

const COLUMNS: &str = "id, email, name, role, password_hash, presence, created_ms, disabled_ms, chats_max";

pub(super) fn read(c: &mut Columns<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: c.id("id")?,
        email: c.text("email")?,
        name: c.text("name")?,
        role: c.word("role", Role::from_word)?,
        password_hash: c.opt_text("password_hash")?,
        presence: c.word("presence", Presence::from_word)?,
        created_ms: c.int("created_ms")?,
        disabled_ms: c.opt_int("disabled_ms")?,
        chats_max: c.opt_int("chats_max")?.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
    })
}

fn user(row: &Row) -> Result<User, StoreError> {
    read(&mut row.columns("users"))
}

/// Adds a person; `false`: the e-mail address is taken.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, u: &User) -> Result<bool, StoreError> {
    let sql = format!(
        "insert into users (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing"
    );
    let values = args![
        tenant,
        u.id,
        &u.email,
        &u.name,
        u.role.word(),
        u.password_hash.clone(),
        u.presence.word(),
        u.created_ms,
        u.disabled_ms,
        u.chats_max,
    ];
    Ok(tx.execute("add a user", &sql, values).await? == 1)
}

/// Writes everything but id, creation time and presence; `false`: there is none, or the e-mail address is taken.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, u: &User) -> Result<bool, StoreError> {
    let taken = tx
        .first(
            "look for an e-mail address",
            "select id from users where tenant_id = $1 and email = $2 and id <> $3",
            args![tenant, &u.email, u.id],
        )
        .await?;
    if taken.is_some() {
        return Ok(false);
    }
    let sql = "update users set email = $3, name = $4, role = $5, password_hash = $6, disabled_ms = $7, \
        chats_max = $8 where tenant_id = $1 and id = $2";
    let values = args![
        tenant,
        u.id,
        &u.email,
        &u.name,
        u.role.word(),
        u.password_hash.clone(),
        u.disabled_ms,
        u.chats_max,
    ];
    Ok(tx.execute("change a user", sql, values).await? == 1)
}

/// The person with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = format!("select {COLUMNS} from users where tenant_id = $1 and id = $2");
    tx.first("read a user", &sql, args![tenant, id]).await?.as_ref().map(user).transpose()
}

/// People after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>, StoreError> {
    let sql = format!("select {COLUMNS} from users where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list users", &sql, args![tenant, after, limit]).await?.iter().map(user).collect()
}

/// Everybody with this e-mail address, whatever their tenant: signing in comes before knowing the tenant.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_email(tx: &mut Tx, email: &str, limit: i64) -> Result<Vec<(TenantId, User)>, StoreError> {
    let sql = format!("select tenant_id, {COLUMNS} from users where email = $1 order by tenant_id limit $2");
    let rows = tx.all("look for a user", &sql, args![email, limit]).await?;
    rows.iter()
        .map(|row| {
            let mut columns = row.columns("users");
            Ok((columns.id("tenant_id")?, read(&mut columns)?))
        })
        .collect()
}

/// Says whether somebody is there. `seen_ms`: their connection is watched, and was seen then (unix milliseconds);
/// `None`: it stays so until somebody says otherwise. `false`: there is no such person.
///
/// # Errors
/// The database's own.
pub async fn set_presence(
    tx: &mut Tx,
    tenant: TenantId,
    id: UserId,
    presence: Presence,
    seen_ms: Option<i64>,
) -> Result<bool, StoreError> {
    let sql = "update users set presence = $3, seen_ms = $4 where tenant_id = $1 and id = $2";
    Ok(tx.execute("set a presence", sql, args![tenant, id, presence.word(), seen_ms]).await? == 1)
}

/// A connection of theirs is there.
///
/// # Errors
/// The database's own.
pub async fn seen(tx: &mut Tx, tenant: TenantId, id: UserId, now_ms: i64) -> Result<(), StoreError> {
    let sql = "update users set seen_ms = $3 where tenant_id = $1 and id = $2 and seen_ms is not null";
    tx.execute("see a person", sql, args![tenant, id, now_ms]).await.map(|_| ())
}

const LOST: &str = "seen_ms is not null and presence <> 'offline' and seen_ms <";

/// Is there anybody whose connection was last seen before then?
///
/// # Errors
/// The database's own.
pub async fn any_lost(tx: &mut Tx, before_ms: i64) -> Result<bool, StoreError> {
    let sql = format!("select 1 from users where {LOST} $1 limit 1");
    Ok(tx.first("look for lost connections", &sql, args![before_ms]).await?.is_some())
}

/// Sets those offline whose connection was last seen before then; answers their tenants, each once.
///
/// # Errors
/// The database's own.
pub async fn set_lost(tx: &mut Tx, before_ms: i64) -> Result<Vec<TenantId>, StoreError> {
    let sql = format!("update users set presence = 'offline' where {LOST} $1 returning tenant_id");
    let rows = tx.all("set lost people offline", &sql, args![before_ms]).await?;
    let mut tenants: Vec<TenantId> =
        rows.iter().map(|row| row.columns("users").id("tenant_id")).collect::<Result<_, _>>()?;
    tenants.sort_unstable();
    tenants.dedup();
    Ok(tenants)
}

/// How many owners may sign in.
///
/// # Errors
/// The database's own.
pub async fn count_owners(tx: &mut Tx, tenant: TenantId) -> Result<i64, StoreError> {
    let sql = "select count(*) from users where tenant_id = $1 and role = 'owner' and disabled_ms is null";
    let row = tx.first("count owners", sql, args![tenant]).await?;
    row.map_or(Ok(0), |row| row.columns("users").int("count"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    fn someone(n: u128, email: &str, role: Role) -> User {
        User {
            id: UserId::new(1_000, n),
            email: email.into(),
            name: "Ana".into(),
            role,
            password_hash: None,
            presence: Presence::Online,
            chats_max: None,
            created_ms: 1_000,
            disabled_ms: None,
        }
    }

    #[test]
    fn only_a_watched_connection_can_be_lost() {
        each_db(|db| async move {
            let tenant = TenantId::new(1, 1);
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (a, b) = (someone(1, "a@x.test", Role::Agent), someone(2, "b@x.test", Role::Agent));
                    assert!(insert(tx, tenant, &a).await? && insert(tx, tenant, &b).await?);
                    assert!(set_presence(tx, tenant, a.id, Presence::Online, Some(100)).await?);
                    assert!(set_presence(tx, tenant, b.id, Presence::Online, None).await?);
                    assert!(!set_presence(tx, TenantId::new(1, 2), b.id, Presence::Away, None).await?);
                    seen(tx, tenant, a.id, 200).await?;
                    seen(tx, tenant, b.id, 200).await?;
                    assert!(!any_lost(tx, 200).await? && any_lost(tx, 201).await?);
                    assert_eq!(set_lost(tx, 201).await?, [tenant]);
                    let presence =
                        async |tx: &mut Tx, id| get(tx, tenant, id).await.map(|it| it.unwrap().presence);
                    assert_eq!(presence(tx, a.id).await?, Presence::Offline);
                    assert_eq!(presence(tx, b.id).await?, Presence::Online, "an admin said so");
                    assert!(!any_lost(tx, 999).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn users_come_back_and_addresses_are_unique() {
        each_db(|db| async move {
            let tenant = TenantId::new(1, 1);
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (a, b) = (someone(1, "a@x.test", Role::Owner), someone(2, "b@x.test", Role::Agent));
                    assert!(insert(tx, tenant, &a).await? && insert(tx, tenant, &b).await?);
                    assert!(!insert(tx, tenant, &someone(3, "a@x.test", Role::Agent)).await?);
                    assert!(insert(tx, TenantId::new(1, 2), &someone(4, "a@x.test", Role::Agent)).await?);
                    assert!(!update(tx, tenant, &User { email: "a@x.test".into(), ..b.clone() }).await?);
                    let changed = User { chats_max: Some(3), role: Role::Admin, ..b };
                    assert!(update(tx, tenant, &changed).await?);
                    assert_eq!(get(tx, tenant, changed.id).await?, Some(changed.clone()));
                    assert_eq!(get(tx, TenantId::new(1, 9), changed.id).await?, None);
                    assert_eq!(list(tx, tenant, Some(a.id), 10).await?, [changed]);
                    assert_eq!(by_email(tx, "a@x.test", 5).await?.len(), 2);
                    assert_eq!(count_owners(tx, tenant).await?, 1);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
