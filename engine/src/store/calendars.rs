//! Working hours. Names are unique in the tenant whatever their case.

use pointsman_rules::calendar::Calendar;
use pointsman_rules::ids::{CalendarId, GroupId, TenantId};

use super::conversations::json;
use super::{Row, StoreError, Tx};
use crate::args;

/// A calendar as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarRow {
    /// Its id.
    pub id: CalendarId,
    /// For people and rules.
    pub name: String,
    /// When it is open.
    pub calendar: Calendar,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, name, body, version, created_ms";

fn calendar(row: &Row) -> Result<CalendarRow, StoreError> {
    let mut c = row.columns("calendars");
    Ok(CalendarRow {
        id: c.id("id")?,
        name: c.text("name")?,
        calendar: c.json("body")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
    })
}

/// Adds a calendar; `false`: the name is taken.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, it: &CalendarRow) -> Result<bool, StoreError> {
    let sql = "insert into calendars (tenant_id, id, name, name_key, body, version, created_ms) \
        values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";
    let body = json("body", &it.calendar)?;
    let key = it.name.to_lowercase();
    let values = args![tenant, it.id, &it.name, key, body, it.version, it.created_ms];
    Ok(tx.execute("add a calendar", sql, values).await? == 1)
}

/// Writes name and hours, and counts the version up; `false`: there is none, or the name is taken.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, it: &CalendarRow) -> Result<bool, StoreError> {
    let key = it.name.to_lowercase();
    let sql = "select id from calendars where tenant_id = $1 and name_key = $2 and id <> $3";
    if tx.first("look for a calendar", sql, args![tenant, &key, it.id]).await?.is_some() {
        return Ok(false);
    }
    let sql = "update calendars set name = $3, name_key = $4, body = $5, version = version + 1 \
        where tenant_id = $1 and id = $2";
    let values = args![tenant, it.id, &it.name, key, json("body", &it.calendar)?];
    Ok(tx.execute("change a calendar", sql, values).await? == 1)
}

/// Removes a calendar.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: CalendarId) -> Result<bool, StoreError> {
    let sql = "delete from calendars where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a calendar", sql, args![tenant, id]).await? == 1)
}

/// The groups that work by this calendar.
///
/// # Errors
/// The database's own.
pub async fn groups_of(tx: &mut Tx, tenant: TenantId, id: CalendarId) -> Result<Vec<GroupId>, StoreError> {
    let sql = "select id from groups where tenant_id = $1 and calendar_id = $2 order by id";
    let rows = tx.all("find groups of a calendar", sql, args![tenant, id]).await?;
    rows.iter().map(|row| row.columns("groups").id("id")).collect()
}

/// One calendar.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: CalendarId) -> Result<Option<CalendarRow>, StoreError> {
    let sql = format!("select {COLUMNS} from calendars where tenant_id = $1 and id = $2");
    tx.first("read a calendar", &sql, args![tenant, id]).await?.as_ref().map(calendar).transpose()
}

/// Calendars after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<CalendarId>,
    limit: i64,
) -> Result<Vec<CalendarRow>, StoreError> {
    let sql =
        format!("select {COLUMNS} from calendars where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list calendars", &sql, args![tenant, after, limit]).await?.iter().map(calendar).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn names_are_unique_and_hours_come_back() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let make = |n: u128, name: &str| CalendarRow {
                        id: CalendarId::new(1, n),
                        name: name.into(),
                        calendar: Calendar {
                            timezone: "Europe/Madrid".into(),
                            intervals: vec![],
                            holidays: vec!["2026-12-25".into()],
                        },
                        version: 1,
                        created_ms: 5,
                    };
                    let (office, night) = (make(1, "Office"), make(2, "Night"));
                    assert!(insert(tx, tenant, &office).await? && insert(tx, tenant, &night).await?);
                    assert!(!insert(tx, tenant, &make(3, "OFFICE")).await?);
                    assert!(
                        !update(tx, tenant, &CalendarRow { name: "night".into(), ..office.clone() }).await?
                    );
                    let renamed = CalendarRow { name: "Day".into(), ..office.clone() };
                    assert!(update(tx, tenant, &renamed).await?);
                    let kept = CalendarRow { version: 2, ..renamed };
                    assert_eq!(list(tx, tenant, None, 9).await?, [kept.clone(), night.clone()]);
                    assert_eq!(list(tx, tenant, Some(office.id), 9).await?, std::slice::from_ref(&night));
                    assert_eq!(get(tx, TenantId::new(1, 2), office.id).await?, None);
                    assert_eq!(groups_of(tx, tenant, office.id).await?, []);
                    assert!(delete(tx, tenant, office.id).await? && !delete(tx, tenant, office.id).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
