//! Rules, their drafts and their published versions. Versions never change;
//! publishing adds one.

use pointsman_rules::ids::{RuleId, RuleVersionId, TenantId};

use super::filter::of_table;
use super::rule_health::Parked;
use super::{Arg, Columns, Row, StoreError, Tx};
use crate::args;

/// A rule as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// First line of its header.
    pub name: String,
    /// Lower runs earlier; from the header.
    pub position: i64,
    /// Does it run?
    pub enabled: bool,
    /// Source that was not published yet.
    pub draft: Option<String>,
    /// Cases, TOML.
    pub cases: Option<String>,
    /// The version that runs.
    pub published: Option<RuleVersionId>,
    /// Number of the last version; 0: never published.
    pub published_number: i64,
    /// The draft publishes itself.
    pub plan: Option<Plan>,
    /// Why the last plan came to nothing; JSON.
    pub plan_problem: Option<String>,
    /// Failures took it out of service. Not written with the rule; see [`super::rule_health`].
    pub parked: Option<Parked>,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
}

/// When a draft publishes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Not before this moment, unix milliseconds.
    pub at_ms: i64,
    /// Who planned it: id of the user or key.
    pub author: String,
    /// What for.
    pub message: Option<String>,
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: RuleVersionId,
    /// Its rule.
    pub rule: RuleId,
    /// From 1.
    pub number: i64,
    /// What it says.
    pub source: String,
    /// Id of the user or key; `system` for starter rules.
    pub author: String,
    /// Why.
    pub message: Option<String>,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, name, position, enabled, draft, cases, published_version_id, published_number, publish_ms, \
    publish_author, publish_message, publish_problem, version, created_ms, updated_ms";
const PARKED_COLUMNS: &str = "parked_ms, failures, event_id, problem";
const VERSION_COLUMNS: &str = "id, rule_id, number, source, author, message, created_ms";

fn rule(row: &Row) -> Result<Rule, StoreError> {
    let mut c = row.columns("rules");
    Ok(Rule {
        id: c.id("id")?,
        name: c.text("name")?,
        position: c.int("position")?,
        enabled: c.bool("enabled")?,
        draft: c.opt_text("draft")?,
        cases: c.opt_text("cases")?,
        published: c.opt_id("published_version_id")?,
        published_number: c.int("published_number")?,
        plan: plan(&mut c)?,
        plan_problem: c.opt_text("publish_problem")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
        updated_ms: c.int("updated_ms")?,
        parked: parked(&mut c)?,
    })
}

fn plan(c: &mut Columns<'_>) -> Result<Option<Plan>, StoreError> {
    let (at_ms, author) = (c.opt_int("publish_ms")?, c.opt_text("publish_author")?);
    let message = c.opt_text("publish_message")?;
    Ok(at_ms.zip(author).map(|(at_ms, author)| Plan { at_ms, author, message }))
}

fn parked(c: &mut Columns<'_>) -> Result<Option<Parked>, StoreError> {
    let (since_ms, failures) = (c.opt_int("parked_ms")?, c.opt_int("failures")?);
    let (event, problem) = (c.opt_id("event_id")?, c.opt_text("problem")?);
    let known = since_ms.zip(failures).zip(event.zip(problem));
    Ok(known.map(|((since_ms, failures), (event, problem))| Parked { since_ms, failures, event, problem }))
}

/// Rules with what parked them.
fn select(tail: &str) -> String {
    let (rule, parked) = (of_table("r", COLUMNS), of_table("h", PARKED_COLUMNS));
    format!(
        "select {rule}, {parked} from rules r left join rule_health h on h.tenant_id = r.tenant_id \
        and h.rule_id = r.id and h.parked_ms is not null where {tail}"
    )
}

fn version(row: &Row) -> Result<Version, StoreError> {
    let mut c = row.columns("rule_versions");
    Ok(Version {
        id: c.id("id")?,
        rule: c.id("rule_id")?,
        number: c.int("number")?,
        source: c.text("source")?,
        author: c.text("author")?,
        message: c.opt_text("message")?,
        created_ms: c.int("created_ms")?,
    })
}

/// Adds a rule.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, r: &Rule) -> Result<(), StoreError> {
    let mut values = until_planned(tenant, r);
    values.extend(args![r.version, r.created_ms, r.updated_ms]);
    let head = format!("insert into rules (tenant_id, {COLUMNS})");
    tx.insert_many("add a rule", &head, vec![values], "").await.map(|_| ())
}

/// Writes everything but id and creation time, and counts the version up; `false`: there is none.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, r: &Rule) -> Result<bool, StoreError> {
    let sql = "update rules set name = $3, position = $4, enabled = $5, draft = $6, cases = $7, \
        published_version_id = $8, published_number = $9, publish_ms = $10, publish_author = $11, \
        publish_message = $12, publish_problem = $13, updated_ms = $14, version = version + 1 \
        where tenant_id = $1 and id = $2";
    let mut values = until_planned(tenant, r);
    values.extend(args![r.updated_ms]);
    Ok(tx.execute("change a rule", sql, values).await? == 1)
}

/// The values of the tenant and of the columns up to `publish_problem`.
fn until_planned(tenant: TenantId, r: &Rule) -> Vec<Arg> {
    let (draft, cases, plan) = (r.draft.clone(), r.cases.clone(), r.plan.as_ref());
    args![
        tenant,
        r.id,
        &r.name,
        r.position,
        r.enabled,
        draft,
        cases,
        r.published,
        r.published_number,
        plan.map(|it| it.at_ms),
        plan.map(|it| it.author.clone()),
        plan.and_then(|it| it.message.clone()),
        r.plan_problem.clone()
    ]
}

/// Adds a published version.
///
/// # Errors
/// The database's own, also when the number is taken.
pub async fn insert_version(tx: &mut Tx, tenant: TenantId, v: &Version) -> Result<(), StoreError> {
    let values = args![tenant, v.id, v.rule, v.number, &v.source, &v.author, v.message.clone(), v.created_ms];
    let head = format!("insert into rule_versions (tenant_id, {VERSION_COLUMNS})");
    tx.insert_many("publish a rule", &head, vec![values], "").await.map(|_| ())
}

/// Removes a rule. Its versions stay, since run records name them.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: RuleId) -> Result<bool, StoreError> {
    let sql = "delete from rules where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a rule", sql, args![tenant, id]).await? == 1)
}

/// The rule with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: RuleId) -> Result<Option<Rule>, StoreError> {
    let sql = select("r.tenant_id = $1 and r.id = $2");
    tx.first("read a rule", &sql, args![tenant, id]).await?.as_ref().map(rule).transpose()
}

/// How many rules a tenant has.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, StoreError> {
    let row =
        tx.first("count rules", "select count(*) from rules where tenant_id = $1", args![tenant]).await?;
    row.map_or(Ok(0), |row| row.columns("rules").int("count"))
}

/// Is another rule called so? Rules are named in `run_rule`, whatever the case.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn is_name_taken(
    tx: &mut Tx,
    tenant: TenantId,
    name: &str,
    but: RuleId,
) -> Result<bool, StoreError> {
    let wanted = name.to_lowercase();
    // Compared here: the databases disagree about lower case beyond ASCII.
    let sql = "select name from rules where tenant_id = $1 and id <> $2";
    for row in tx.all("look for a rule", sql, args![tenant, but]).await? {
        if row.columns("rules").text("name")?.to_lowercase() == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All rules with the source that runs, in the order in which they run.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<(Rule, Option<Version>)>, StoreError> {
    let sql = select("r.tenant_id = $1 order by r.position, r.id");
    let rules = tx.all("list rules", &sql, args![tenant]).await?;
    let columns = of_table("v", VERSION_COLUMNS);
    let sql = format!(
        "select {columns} from rule_versions v join rules r on r.tenant_id = v.tenant_id \
        and r.published_version_id = v.id where v.tenant_id = $1"
    );
    let mut published = std::collections::HashMap::new();
    for row in tx.all("list published rules", &sql, args![tenant]).await? {
        let version = version(&row)?;
        published.insert(version.rule, version);
    }
    rules
        .iter()
        .map(|row| {
            let rule = rule(row)?;
            let version = published.remove(&rule.id);
            Ok((rule, version))
        })
        .collect()
}

/// Rules whose draft should have published itself by now, the first first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn due(tx: &mut Tx, tenant: TenantId, now_ms: i64, limit: u32) -> Result<Vec<Rule>, StoreError> {
    let sql = select("r.tenant_id = $1 and r.publish_ms <= $2 order by r.publish_ms, r.id limit $3");
    tx.all("look for planned rules", &sql, args![tenant, now_ms, limit]).await?.iter().map(rule).collect()
}

/// The version with this number.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn numbered(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    number: i64,
) -> Result<Option<Version>, StoreError> {
    let sql = format!(
        "select {VERSION_COLUMNS} from rule_versions where tenant_id = $1 and rule_id = $2 and number = $3"
    );
    let row = tx.first("read a rule version", &sql, args![tenant, rule, number]).await?;
    row.as_ref().map(version).transpose()
}

/// A published version.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get_version(
    tx: &mut Tx,
    tenant: TenantId,
    id: RuleVersionId,
) -> Result<Option<Version>, StoreError> {
    let sql = format!("select {VERSION_COLUMNS} from rule_versions where tenant_id = $1 and id = $2");
    tx.first("read a rule version", &sql, args![tenant, id]).await?.as_ref().map(version).transpose()
}

/// What was published of a rule at a moment.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn version_at(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    at_ms: i64,
) -> Result<Option<Version>, StoreError> {
    let sql = format!(
        "select {VERSION_COLUMNS} from rule_versions where tenant_id = $1 and rule_id = $2 and created_ms <= $3 \
        order by number desc limit 1"
    );
    tx.first("read a rule version", &sql, args![tenant, rule, at_ms]).await?.as_ref().map(version).transpose()
}

/// Versions of a rule below `below`, newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn versions(
    tx: &mut Tx,
    tenant: TenantId,
    rule: RuleId,
    below: Option<i64>,
    limit: i64,
) -> Result<Vec<Version>, StoreError> {
    let sql = format!(
        "select {VERSION_COLUMNS} from rule_versions where tenant_id = $1 and rule_id = $2 and number < $3 \
        order by number desc limit $4"
    );
    let values = args![tenant, rule, below.unwrap_or(i64::MAX), limit];
    tx.all("list rule versions", &sql, values).await?.iter().map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError, catalog};
    use super::*;

    #[test]
    fn the_published_version_runs_and_history_stays() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let rule = |n: u128, name: &str, position| Rule {
                        id: RuleId::new(1, n),
                        name: name.into(),
                        position,
                        enabled: true,
                        draft: Some("draft".into()),
                        cases: None,
                        published: None,
                        published_number: 0,
                        plan: None,
                        plan_problem: None,
                        parked: None,
                        version: 1,
                        created_ms: 1,
                        updated_ms: 1,
                    };
                    let (late, early) = (rule(1, "Late", 20), rule(2, "Early", 10));
                    insert(tx, tenant, &late).await?;
                    insert(tx, tenant, &early).await?;
                    assert!(catalog::published(tx, tenant).await?.is_empty(), "drafts do not run");
                    let version = |n: i64| Version {
                        id: RuleVersionId::new(n, 0),
                        rule: late.id,
                        number: n,
                        source: format!("source {n}"),
                        author: "usr_x".into(),
                        message: None,
                        created_ms: n,
                    };
                    for n in [1, 2] {
                        insert_version(tx, tenant, &version(n)).await?;
                    }
                    let published = Rule {
                        published: Some(version(2).id),
                        published_number: 2,
                        draft: None,
                        ..late.clone()
                    };
                    assert!(update(tx, tenant, &published).await?);
                    let runs = catalog::published(tx, tenant).await?;
                    assert_eq!((runs.len(), runs[0].source.as_str()), (1, "source 2"));
                    let listed = list(tx, tenant).await?;
                    assert_eq!(listed[0], (early.clone(), None));
                    assert_eq!(listed[1], (Rule { version: 2, ..published }, Some(version(2))));
                    assert_eq!(versions(tx, tenant, late.id, None, 9).await?, [version(2), version(1)]);
                    assert_eq!(versions(tx, tenant, late.id, Some(2), 9).await?, [version(1)]);
                    assert!(is_name_taken(tx, tenant, "LATE", early.id).await?);
                    assert!(!is_name_taken(tx, tenant, "late", late.id).await?);
                    assert!(delete(tx, tenant, late.id).await? && get(tx, tenant, late.id).await?.is_none());
                    assert_eq!(count(tx, tenant).await?, 1);
                    assert_eq!(get_version(tx, tenant, version(1).id).await?, Some(version(1)));
                    assert_eq!(numbered(tx, tenant, late.id, 2).await?, Some(version(2)));
                    let plan = Plan { at_ms: 50, author: "usr_x".into(), message: Some("later".into()) };
                    update(tx, tenant, &Rule { plan: Some(plan.clone()), ..early }).await?;
                    assert!(due(tx, tenant, 49, 9).await?.is_empty());
                    assert_eq!(due(tx, tenant, 50, 9).await?[0].plan, Some(plan));
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
