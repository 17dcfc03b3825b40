//! Teams of agents. Names are unique in the tenant whatever their case.

use std::collections::BTreeMap;

use pointsman_rules::assign::Assignment;
use pointsman_rules::ids::{CalendarId, GroupId, TenantId, UserId};
use pointsman_rules::sla::Targets;

use super::conversations::json;
use super::text::places;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// A team as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// For people and rules.
    pub name: String,
    /// BCP 47.
    pub language: Option<String>,
    /// When it works.
    pub calendar: Option<CalendarId>,
    /// How it hands out conversations.
    pub assignment: Assignment,
    /// How long contacts may wait.
    pub targets: Targets,
    /// Its members, by id.
    pub members: Vec<UserId>,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, name, language, calendar_id, assignment, targets, version, created_ms";

fn group(row: &Row) -> Result<Group, StoreError> {
    let mut c = row.columns("groups");
    Ok(Group {
        id: c.id("id")?,
        name: c.text("name")?,
        language: c.opt_text("language")?,
        calendar: c.opt_id("calendar_id")?,
        assignment: c.json("assignment")?,
        targets: c.json("targets")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
        members: Vec::new(),
    })
}

/// Adds a team with its members; `false`: the name is taken.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, g: &Group) -> Result<bool, StoreError> {
    let sql = "insert into groups (tenant_id, id, name, name_key, language, calendar_id, assignment, targets, \
        version, created_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing";
    let values = args![
        tenant,
        g.id,
        &g.name,
        g.name.to_lowercase(),
        g.language.clone(),
        g.calendar,
        json("assignment", &g.assignment)?,
        json("targets", &g.targets)?,
        g.version,
        g.created_ms,
    ];
    if tx.execute("add a group", sql, values).await? == 0 {
        return Ok(false);
    }
    set_members(tx, tenant, g.id, &g.members).await?;
    Ok(true)
}

/// Writes everything but id and creation time, and counts the version up; `false`: there is none, or the name is taken.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, g: &Group) -> Result<bool, StoreError> {
    let name_key = g.name.to_lowercase();
    let sql = "select id from groups where tenant_id = $1 and name_key = $2 and id <> $3";
    if tx.first("look for a group", sql, args![tenant, &name_key, g.id]).await?.is_some() {
        return Ok(false);
    }
    let sql = "update groups set name = $3, name_key = $4, language = $5, calendar_id = $6, assignment = $7, \
        targets = $8, version = version + 1 where tenant_id = $1 and id = $2";
    let values = args![
        tenant,
        g.id,
        &g.name,
        name_key,
        g.language.clone(),
        g.calendar,
        json("assignment", &g.assignment)?,
        json("targets", &g.targets)?,
    ];
    if tx.execute("change a group", sql, values).await? == 0 {
        return Ok(false);
    }
    set_members(tx, tenant, g.id, &g.members).await?;
    Ok(true)
}

async fn set_members(
    tx: &mut Tx,
    tenant: TenantId,
    group: GroupId,
    members: &[UserId],
) -> Result<(), StoreError> {
    let sql = "delete from group_members where tenant_id = $1 and group_id = $2";
    tx.execute("change a group's members", sql, args![tenant, group]).await?;
    let rows = members.iter().map(|user| args![tenant, group, *user]).collect();
    let head = "insert into group_members (tenant_id, group_id, user_id)";
    tx.insert_many("add members to a group", head, rows, "on conflict do nothing").await.map(|_| ())
}

/// Removes a team.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: GroupId) -> Result<bool, StoreError> {
    set_members(tx, tenant, id, &[]).await?;
    let sql = "delete from groups where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a group", sql, args![tenant, id]).await? == 1)
}

/// Does a channel or a conversation that is not closed name this team?
///
/// # Errors
/// The database's own.
pub async fn is_used(tx: &mut Tx, tenant: TenantId, id: GroupId) -> Result<bool, StoreError> {
    let sql = "select 1 from channels where tenant_id = $1 and default_group_id = $2 and deleted_ms is null \
        union all select 1 from conversations where tenant_id = $1 and group_id = $2 and status <> 'closed' limit 1";
    Ok(tx.first("look who uses a group", sql, args![tenant, id]).await?.is_some())
}

/// The team with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
    let sql = format!("select {COLUMNS} from groups where tenant_id = $1 and id = $2");
    let Some(row) = tx.first("read a group", &sql, args![tenant, id]).await? else { return Ok(None) };
    let mut found = vec![group(&row)?];
    add_members(tx, tenant, &mut found).await?;
    Ok(found.pop())
}

/// Teams after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<GroupId>,
    limit: i64,
) -> Result<Vec<Group>, StoreError> {
    let sql = format!("select {COLUMNS} from groups where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    let rows = tx.all("list groups", &sql, args![tenant, after, limit]).await?;
    let mut found = rows.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    add_members(tx, tenant, &mut found).await?;
    Ok(found)
}

async fn add_members(tx: &mut Tx, tenant: TenantId, groups: &mut [Group]) -> Result<(), StoreError> {
    if groups.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "select group_id, user_id from group_members where tenant_id = $1 and group_id in ({}) order by user_id",
        places(2, groups.len())
    );
    let mut values = args![tenant];
    values.extend(groups.iter().map(|g| Arg::from(g.id)));
    let mut members: BTreeMap<GroupId, Vec<UserId>> = BTreeMap::new();
    for row in tx.all("list members", &sql, values).await? {
        let mut c = row.columns("group_members");
        members.entry(c.id("group_id")?).or_default().push(c.id("user_id")?);
    }
    for group in groups {
        group.members = members.remove(&group.id).unwrap_or_default();
    }
    Ok(())
}

/// Teams that a person belongs to.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn of_user(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Vec<GroupId>, StoreError> {
    let sql = "select group_id from group_members where tenant_id = $1 and user_id = $2 order by group_id";
    let rows = tx.all("list a user's groups", sql, args![tenant, user]).await?;
    rows.iter().map(|row| row.columns("group_members").id("group_id")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    /// A team without anybody.
    pub(crate) fn example(n: u128, name: &str) -> Group {
        Group {
            id: GroupId::new(1, n),
            name: name.into(),
            language: None,
            calendar: None,
            assignment: Assignment::default(),
            targets: Targets::default(),
            members: vec![],
            version: 1,
            created_ms: 1,
        }
    }

    #[test]
    fn names_are_unique_whatever_their_case_and_members_come_back() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let (ana, ben) = (UserId::new(1, 1), UserId::new(1, 2));
                    let make = |n: u128, name: &str| Group { members: vec![ana, ben], ..example(n, name) };
                    let (support, billing) = (make(1, "Support"), make(2, "Billing"));
                    assert!(insert(tx, tenant, &support).await? && insert(tx, tenant, &billing).await?);
                    assert!(!insert(tx, tenant, &make(3, "SUPPORT")).await?);
                    assert_eq!(list(tx, tenant, None, 9).await?, [support.clone(), billing.clone()]);
                    assert!(!update(tx, tenant, &Group { name: "billing".into(), ..support.clone() }).await?);
                    assert!(update(tx, tenant, &Group { members: vec![ben], ..support.clone() }).await?);
                    let now = get(tx, tenant, support.id).await?.unwrap();
                    assert_eq!((now.version, now.members), (2, vec![ben]));
                    assert_eq!(of_user(tx, tenant, ana).await?, [billing.id]);
                    assert!(!is_used(tx, tenant, support.id).await?);
                    assert!(delete(tx, tenant, support.id).await? && !delete(tx, tenant, support.id).await?);
                    assert_eq!(get(tx, tenant, support.id).await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
