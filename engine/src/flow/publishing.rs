//! Publishing rules: what the gate asks of a text, what becomes of the rule when
//! it passes, and drafts that publish themselves at a moment. Versions never
//! change; every publication adds one.

use pointsman_rules::header::Header;
use pointsman_rules::ids::{AuditId, NotificationId, RuleId, RuleVersionId, TenantId};
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};

use super::examine::{closed_loop, examine};
use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::clock::Clock;
use crate::store::audit::{self, Change, Origin};
use crate::store::rules::{self, Rule, Version};
use crate::store::{Durability, StoreError, Tx, notices, rule_health};

/// Planned rules published in one run; the rest follows in the next.
const RULES_PER_RUN: u32 = 20;
/// What of the gate's findings is kept; the rest is found by checking again.
const FINDINGS_MAX: usize = 5;

/// Why a rule was not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    /// Stable.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// The rule and its new version, when `source` is published now.
pub fn published(
    clock: &Clock,
    read: Rule,
    source: String,
    header: &Header,
    (author, message): (String, Option<String>),
) -> (Rule, Version) {
    let now_ms = clock.now_ms();
    let version = Version {
        id: RuleVersionId::new(now_ms, clock.random()),
        rule: read.id,
        number: read.published_number + 1,
        source,
        author,
        message,
        created_ms: now_ms,
    };
    let rule = Rule {
        name: header.name.clone(),
        position: header.position,
        published: Some(version.id),
        published_number: version.number,
        plan: None,
        plan_problem: None,
        parked: None,
        updated_ms: now_ms,
        ..read
    };
    (rule, version)
}

/// What a write of a rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is written.
    Yes,
    /// The rule is not there any more.
    Gone,
    /// Somebody changed it since it was read.
    Stale,
    /// Another rule has its name.
    NameTaken,
}

/// Writes a publication, if the rule is still the one that was read. A rule that was parked runs again.
///
/// # Errors
/// The database's own.
pub async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    rule: &Rule,
    version: &Version,
) -> Result<Kept, StoreError> {
    let Some(now) = rules::get(tx, tenant, rule.id).await? else { return Ok(Kept::Gone) };
    if now.version != rule.version {
        return Ok(Kept::Stale);
    }
    if rules::is_name_taken(tx, tenant, &rule.name, rule.id).await? {
        return Ok(Kept::NameTaken);
    }
    rules::insert_version(tx, tenant, version).await?;
    rules::update(tx, tenant, rule).await?;
    rule_health::clear(tx, tenant, rule.id).await?;
    Ok(Kept::Yes)
}

/// Semantics 12: compiles, knows all names, passes its cases, closes no loop.
async fn gate(
    flow: &Flow,
    tenant: TenantId,
    source: &str,
    cases: Option<&str>,
) -> Result<Result<Script, Barred>, FlowError> {
    let found = examine(flow, tenant, source, cases).await?;
    let barred = |code: &str, findings: Vec<String>| {
        let detail = findings.into_iter().take(FINDINGS_MAX).collect::<Vec<_>>().join("; ");
        Ok(Err(Barred { code: code.to_owned(), detail }))
    };
    if !found.is_sound() {
        let problems = found.errors.iter().chain(&found.case_errors);
        return barred("rule_invalid", problems.map(ToString::to_string).collect());
    }
    let failed: Vec<_> = found.failed().map(|it| format!("case `{}` failed", it.name)).collect();
    let Some(script) = found.script.filter(|_| failed.is_empty()) else {
        return barred("cases_failed", failed);
    };
    match closed_loop(flow, tenant, &script).await? {
        Some(closed) => barred("rule_loop", vec![closed.problem().to_string()]),
        None => Ok(Ok(script)),
    }
}

/// Publishes drafts whose moment has come.
///
/// # Errors
/// The store's; the draft is still planned then.
pub async fn publish_due(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let now_ms = flow.clock.now_ms();
    let due = rules::due(&mut flow.db.read().await?, tenant, now_ms, RULES_PER_RUN).await?;
    let is_last = due.len() < RULES_PER_RUN as usize;
    for rule in due {
        if round.stop.is_cancelled() {
            return Ok(Outcome::Snoozed);
        }
        publish_planned(flow, tenant, rule).await?;
    }
    Ok(if is_last { Outcome::Done } else { Outcome::Snoozed })
}

async fn publish_planned(flow: &Flow, tenant: TenantId, rule: Rule) -> Result<(), FlowError> {
    let (Some(plan), Some(draft)) = (rule.plan.clone(), rule.draft.clone()) else {
        let barred =
            Barred { code: "nothing_to_publish".to_owned(), detail: "there is no draft any more".to_owned() };
        return give_up(flow, tenant, rule.id, barred).await;
    };
    let judged = match gate(flow, tenant, &draft, rule.cases.as_deref()).await {
        // Trying again would break again, and the plans behind this one would wait for ever.
        Err(error @ FlowError::Broken(_)) => {
            Err(Barred { code: "internal".to_owned(), detail: error.to_string() })
        }
        judged => judged?,
    };
    let script = match judged {
        Ok(script) => script,
        Err(barred) => return give_up(flow, tenant, rule.id, barred).await,
    };
    let id = rule.id;
    let read = Rule { draft: None, ..rule };
    let by = (plan.author.clone(), plan.message);
    let (rule, version) = published(&flow.clock, read, draft, script.header(), by);
    let became = serde_json::json!({"version": version.number, "source": &version.source});
    let entry = entry(&flow.clock, plan.author, "rule.publish", id, Change::made(&became));
    let kept = flow
        .db
        .write(Durability::Hard, move |tx| {
            let (rule, version, entry) = (rule.clone(), version.clone(), entry.clone());
            Box::pin(async move {
                let kept = write(tx, tenant, &rule, &version).await?;
                if kept == Kept::Yes {
                    audit::append(tx, tenant, &entry).await?;
                }
                Ok(kept)
            })
        })
        .await?;
    match kept {
        Kept::Yes => flow.forget(tenant, None),
        // Whoever changed it either left it planned, for the next round, or did not.
        Kept::Gone | Kept::Stale => {}
        Kept::NameTaken => {
            let detail = "another rule has its name by now; change the first line of the header".to_owned();
            let barred = Barred { code: "name_taken".to_owned(), detail };
            return give_up(flow, tenant, id, barred).await;
        }
    }
    Ok(())
}

/// The draft stays a draft, says why, and admins are told.
async fn give_up(flow: &Flow, tenant: TenantId, id: RuleId, barred: Barred) -> Result<(), FlowError> {
    let clock = flow.clock.clone();
    flow.db
        .write(Durability::Hard, move |tx| {
            let (barred, clock) = (barred.clone(), clock.clone());
            Box::pin(async move {
                let now_ms = clock.now_ms();
                let Some(rule) = rules::get(tx, tenant, id).await? else { return Ok(()) };
                if rule.plan.as_ref().is_none_or(|plan| plan.at_ms > now_ms) {
                    return Ok(()); // somebody thought better of it meanwhile
                }
                let text =
                    format!("The rule `{}` was not published as planned: {}", rule.name, barred.detail);
                let problem = serde_json::to_string(&barred).ok();
                rules::update(tx, tenant, &Rule { plan: None, plan_problem: problem, ..rule }).await?;
                let change = Change::act(serde_json::json!(barred));
                let entry = entry(&clock, audit::SYSTEM.to_owned(), "rule.publish_failed", id, change);
                audit::append(tx, tenant, &entry).await?;
                for user in notices::admins(tx, tenant).await? {
                    let notice = NotificationId::new(now_ms, clock.random());
                    notices::insert_general(tx, tenant, notice, (user, "rule", &text), now_ms).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

fn entry(clock: &Clock, actor: String, action: &str, id: RuleId, change: Change) -> audit::Entry {
    let at_ms = clock.now_ms();
    audit::Entry {
        id: AuditId::new(at_ms, clock.random()),
        at_ms,
        actor,
        action: action.to_owned(),
        target: id.to_string(),
        change,
        origin: Origin::default(),
    }
}
