//! What an examination of a rule says to clients: refusals, reports, and the loop
//! that somebody has to accept.

use pointsman_rules::case::{CaseResult, Cases};
use pointsman_rules::ids::{RuleId, TenantId};
use pointsman_rules::loops;
use pointsman_rules::problem::Problem as RuleProblem;
use pointsman_rules::script::Script;

use super::view::{CaseView, CheckView};
use crate::flow::examine::{Examined, closed_loop, examine};
use crate::http::Api;
use crate::http::problem::{FieldProblem, Problem};
use crate::store::rules;

/// The compiled rule, if it is sound, its names are known and its cases pass.
///
/// # Errors
/// 422 `rule_invalid` with every problem, or `cases_failed`.
pub(super) async fn checked(
    api: &Api,
    tenant: TenantId,
    source: &str,
    cases: Option<&str>,
) -> Result<Script, Problem> {
    let found = examine(&api.flow, tenant, source, cases).await?;
    if !found.is_sound() {
        let detail = match found.errors.iter().chain(&found.case_errors).collect::<Vec<_>>().as_slice() {
            [first, rest @ ..] => {
                let place = if first.line > 0 { format!("line {}: ", first.line) } else { String::new() };
                let more =
                    if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                format!("{place}{}{more}", first.message)
            }
            [] => "the rule is not valid".to_owned(),
        };
        return Err(Problem::refused("rule_invalid", detail).with_errors(errors(&found, source, cases)));
    }
    let failed: Vec<FieldProblem> = found.failed().map(case_problem).collect();
    let detail = format!("{} of {} cases failed; see `errors`", failed.len(), found.cases.len());
    let script = found.script.filter(|_| failed.is_empty());
    script.ok_or_else(|| Problem::refused("cases_failed", detail).with_errors(failed))
}

/// The same as an answer, with warnings and the loop that the rule would close.
///
/// # Errors
/// The database's own.
pub(super) async fn report(
    api: &Api,
    tenant: TenantId,
    source: &str,
    cases: Option<&str>,
) -> Result<CheckView, Problem> {
    let found = examine(&api.flow, tenant, source, cases).await?;
    let warnings = found.warnings.iter().map(|it| field("/source", it, source));
    let mut problems: Vec<_> = errors(&found, source, cases).into_iter().chain(warnings).collect();
    if let Some(script) = &found.script {
        let view = api.flow.catalog.view(&api.flow, tenant).await?;
        let others = view.rules.rules().iter().map(|rule| &rule.script);
        problems
            .extend(loops::through(script, others).map(|round| field("/source", &round.problem(), source)));
    }
    let ok = found.is_sound() && found.failed().next().is_none();
    Ok(CheckView { ok, problems, cases: found.cases.into_iter().map(Into::into).collect() })
}

/// What keeps the rule from being published, each with its place.
fn errors(found: &Examined, source: &str, cases: Option<&str>) -> Vec<FieldProblem> {
    let of_cases = found.case_errors.iter().map(|it| field("/cases", it, cases.unwrap_or_default()));
    found.errors.iter().map(|it| field("/source", it, source)).chain(of_cases).collect()
}

/// Semantics 12: a rule that closes a loop with those that run is published only by somebody who accepts the loop.
/// Answers the message for the history, which then names it.
///
/// # Errors
/// 422 `rule_loop` with the loop drawn, also alone as `loop`.
pub(super) async fn accept_loop(
    api: &Api,
    tenant: TenantId,
    script: &Script,
    message: Option<String>,
    is_accepted: bool,
) -> Result<Option<String>, Problem> {
    let Some(found) = closed_loop(&api.flow, tenant, script).await? else { return Ok(message) };
    if !is_accepted {
        let problem = found.problem();
        let detail = format!("{problem}, or publish it now with `override_loop: true`");
        return Err(Problem::refused("rule_loop", detail).with("loop", found.drawing));
    }
    let accepted = format!("accepted the loop {}", found.drawing);
    Ok(Some(message.map_or_else(|| accepted.clone(), |message| format!("{message} ({accepted})"))))
}

/// How the cases go, if there are any. They refuse nothing.
///
/// # Errors
/// The database's own.
pub(super) async fn results(
    api: &Api,
    tenant: TenantId,
    source: Option<&str>,
    cases: Option<&str>,
) -> Result<Option<Vec<CaseView>>, Problem> {
    let (Some(source), Some(cases)) = (source, cases) else { return Ok(None) };
    Ok(Some(report(api, tenant, source, Some(cases)).await?.cases))
}

/// May the published version be switched on? It may name what is not there (any more).
///
/// # Errors
/// 422 `rule_invalid` with every problem.
pub(super) async fn runnable(api: &Api, tenant: TenantId, id: RuleId) -> Result<(), Problem> {
    let mut tx = api.read().await?;
    let published = rules::get(&mut tx, tenant, id).await?.and_then(|rule| rule.published);
    let Some(version) = published else { return Ok(()) };
    let version = rules::get_version(&mut tx, tenant, version).await?;
    drop(tx);
    match version {
        Some(version) => checked(api, tenant, &version.source, None).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Can the cases be read?
///
/// # Errors
/// 422 with every problem.
pub(super) fn readable_cases(cases: &str) -> Result<(), Problem> {
    Cases::parse(cases).map(|_| ()).map_err(|problems| {
        let errors = problems.iter().map(|problem| field("/cases", problem, cases)).collect();
        Problem::refused("rule_invalid", "the cases cannot be read; see `errors`").with_errors(errors)
    })
}

fn field(pointer: &str, problem: &RuleProblem, source: &str) -> FieldProblem {
    FieldProblem {
        pointer: pointer.to_owned(),
        message: problem.message.clone(),
        code: Some(problem.code.to_string()),
        line: Some(problem.line).filter(|line| *line > 0),
        column: Some(problem.column).filter(|column| *column > 0),
        hint: problem.hint.clone(),
        severity: Some(problem.severity.word().to_owned()),
        excerpt: Some(problem.render(source)),
    }
}

fn case_problem(case: &CaseResult) -> FieldProblem {
    FieldProblem {
        code: Some("case_failed".to_owned()),
        line: Some(case.line),
        excerpt: Some(case.diff.clone()),
        ..FieldProblem::new("/cases", format!("case `{}` failed", case.name))
    }
}
