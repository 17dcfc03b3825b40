//! Who changed which configuration, when. Appended in the transaction of the
//! change itself; never holds a secret.

use pointsman_rules::ids::{AuditId, TenantId};
use serde::Serialize;
use serde_json::Value;

use super::filter::Filter;
use super::{Row, StoreError, Tx};
use crate::args;

/// Who acts when nobody asked: the engine itself, the first start, the command line.
pub const SYSTEM: &str = "system";

/// What was there before a change and after it. Made by one of the functions below, so that no change is written
/// without saying so.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    before: Option<Value>,
    after: Option<Value>,
    detail: Value,
}

impl Change {
    /// Something new.
    pub fn made<T: Serialize>(after: &T) -> Self {
        Self { after: Some(to_value(after)), ..Self::nothing() }
    }

    /// Something that is no more.
    pub fn removed<T: Serialize>(before: &T) -> Self {
        Self { before: Some(to_value(before)), ..Self::nothing() }
    }

    /// Something that is different now: of objects, only the fields that differ.
    pub fn edited<T: Serialize>(before: &T, after: &T) -> Self {
        let (mut before, mut after) = (to_value(before), to_value(after));
        if let (Value::Object(before), Value::Object(after)) = (&mut before, &mut after) {
            let differs = |name: &String| before.get(name) != after.get(name);
            let names: Vec<String> =
                before.keys().chain(after.keys()).filter(|it| differs(it)).cloned().collect();
            before.retain(|name, _| names.contains(name));
            after.retain(|name, _| names.contains(name));
        }
        Self { before: Some(before), after: Some(after), ..Self::nothing() }
    }

    /// Something was done that leaves the configuration as it is, e.g. a replay.
    pub fn act(detail: Value) -> Self {
        Self { detail, ..Self::nothing() }
    }

    /// With something that neither side shows, e.g. that a password is another one.
    #[must_use]
    pub fn with(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    fn nothing() -> Self {
        Self { before: None, after: None, detail: Value::Object(serde_json::Map::new()) }
    }

    /// What was there before.
    pub fn before(&self) -> Option<&Value> {
        self.before.as_ref()
    }

    /// What is there now.
    pub fn after(&self) -> Option<&Value> {
        self.after.as_ref()
    }

    /// What else was said.
    pub fn detail(&self) -> &Value {
        &self.detail
    }
}

/// What is shown to clients can be written as JSON.
fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// From where a change was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Address of the network.
    pub address: Option<String>,
    /// Which program.
    pub user_agent: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Id of the user or key; `system` for the first start and the command line.
    pub actor: String,
    /// `channel.create`, `rule.publish`, …
    pub action: String,
    /// Id of what was changed.
    pub target: String,
    /// What it was, without secrets.
    pub change: Change,
    /// From where.
    pub origin: Origin,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only by this user or key.
    pub actor: Option<String>,
    /// Only actions that begin so: `channel.`.
    pub action: Option<String>,
    /// Only changes of this.
    pub target: Option<String>,
    /// Only from this moment on, unix milliseconds.
    pub since_ms: Option<i64>,
    /// Only before this moment, unix milliseconds.
    pub until_ms: Option<i64>,
    /// Only older than this one.
    pub before: Option<AuditId>,
}

/// Appends an entry.
///
/// # Errors
/// The database's own.
pub async fn append(tx: &mut Tx, tenant: TenantId, e: &Entry) -> Result<(), StoreError> {
    let sql = "insert into audit (tenant_id, id, at_ms, actor, action, target, detail, was, became, address, \
        user_agent) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let Change { before, after, detail } = &e.change;
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    let values = args![
        tenant,
        e.id,
        e.at_ms,
        &e.actor,
        &e.action,
        &e.target,
        detail.to_string(),
        json(before),
        json(after),
        e.origin.address.clone(),
        e.origin.user_agent.clone()
    ];
    tx.execute("append to the audit log", sql, values).await.map(|_| ())
}

/// Entries, newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    wanted: &Wanted,
    rows_max: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut filter = Filter::new("a", tenant);
    filter.and_if("a.id < ?", wanted.before);
    filter.and_if("a.actor = ?", wanted.actor.clone());
    filter.and_if("a.target = ?", wanted.target.clone());
    // Ids begin with the time.
    filter.and_if("a.id >= ?", wanted.since_ms.map(|ms| AuditId::new(ms, 0)));
    filter.and_if("a.id < ?", wanted.until_ms.map(|ms| AuditId::new(ms, 0)));
    if let Some(prefix) = &wanted.action {
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        filter.and("substr(a.action, 1, cast(? as integer)) = ?", args![length, prefix]);
    }
    let head = "select a.id, a.at_ms, a.actor, a.action, a.target, a.detail, a.was, a.became, a.address, \
        a.user_agent from audit a";
    let (sql, args) = filter.finish(head, "order by a.id desc", rows_max);
    tx.all("list the audit log", &sql, args).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Entry, StoreError> {
    let mut c = row.columns("audit");
    Ok(Entry {
        id: c.id("id")?,
        at_ms: c.int("at_ms")?,
        actor: c.text("actor")?,
        action: c.text("action")?,
        target: c.text("target")?,
        change: Change {
            detail: c.json("detail")?,
            before: c.opt_json("was")?,
            after: c.opt_json("became")?,
        },
        origin: Origin { address: c.opt_text("address")?, user_agent: c.opt_text("user_agent")? },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    fn entry(n: i64, actor: &str, action: &str, change: Change) -> Entry {
        Entry {
            id: AuditId::new(n, 0),
            at_ms: n,
            actor: actor.into(),
            action: action.into(),
            target: "grp_x".into(),
            change,
            origin: Origin { address: Some("192.0.2.1".into()), user_agent: None },
        }
    }

    #[test]
    fn only_what_differs_is_kept_of_an_edit() {
        let (before, after) = (json!({"name": "A", "same": 1, "gone": 2}), json!({"name": "B", "same": 1}));
        let change = Change::edited(&before, &after).with(json!({"why": "x"}));
        assert_eq!(change.before(), Some(&json!({"name": "A", "gone": 2})));
        assert_eq!(change.after(), Some(&json!({"name": "B"})));
        assert_eq!(change.detail(), &json!({"why": "x"}));
        assert_eq!((Change::made(&after).before(), Change::removed(&after).after()), (None, None));
    }

    #[test]
    fn entries_are_found_by_who_what_and_when() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let all = [
                        entry(1, "usr_a", "group.create", Change::made(&json!({"name": "Support"}))),
                        entry(2, "key_b", "group.change", Change::edited(&json!({"n": 1}), &json!({"n": 2}))),
                        entry(3, "usr_a", "channel.check", Change::act(json!({"ok": true}))),
                    ];
                    for it in &all {
                        append(tx, tenant, it).await?;
                    }
                    let ids = |found: Vec<Entry>| found.iter().map(|it| it.at_ms).collect::<Vec<_>>();
                    let [one, two, three] = all;
                    assert_eq!(list(tx, tenant, &Wanted::default(), 2).await?, [three.clone(), two.clone()]);
                    let before = Wanted { before: Some(two.id), ..Wanted::default() };
                    assert_eq!(list(tx, tenant, &before, 9).await?, [one]);
                    let by = Wanted { actor: Some("usr_a".into()), ..Wanted::default() };
                    assert_eq!(ids(list(tx, tenant, &by, 9).await?), [3, 1]);
                    let groups = Wanted { action: Some("group.".into()), ..Wanted::default() };
                    assert_eq!(ids(list(tx, tenant, &groups, 9).await?), [2, 1]);
                    let times = Wanted { since_ms: Some(2), until_ms: Some(3), ..Wanted::default() };
                    assert_eq!(ids(list(tx, tenant, &times, 9).await?), [2]);
                    let other = Wanted { target: Some("grp_y".into()), ..Wanted::default() };
                    assert!(list(tx, tenant, &other, 9).await?.is_empty());
                    assert!(list(tx, TenantId::new(1, 2), &Wanted::default(), 9).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
