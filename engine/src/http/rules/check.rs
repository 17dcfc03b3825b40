//! Checks a rule's source and cases before it is kept, off the reactor, since
//! compiling and running cases takes a while.

use std::sync::Arc;

use pointsman_rules::case::{CaseResult, Cases, run_cases};
use pointsman_rules::ids::{RuleId, TenantId};
use pointsman_rules::loops;
use pointsman_rules::problem::Problem as RuleProblem;
use pointsman_rules::script::Script;

use super::view::{CaseView, CheckView};
use crate::http::Api;
use crate::http::problem::{FieldProblem, Problem};
use crate::store::{catalog, rules};

struct Outcome {
    script: Option<Script>,
    problems: Vec<FieldProblem>,
    /// What is hardly meant, though the rule can run.
    warnings: Vec<FieldProblem>,
    cases: Vec<CaseResult>,
}

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
    let outcome = examine(api, tenant, source, cases).await?;
    if let (Some(script), true) = (outcome.script, outcome.problems.is_empty()) {
        let failed: Vec<FieldProblem> =
            outcome.cases.iter().filter(|case| !case.passed).map(case_problem).collect();
        if failed.is_empty() {
            return Ok(script);
        }
        let detail = format!("{} of {} cases failed; see `errors`", failed.len(), outcome.cases.len());
        return Err(Problem::refused("cases_failed", detail).with_errors(failed));
    }
    let detail = match outcome.problems.as_slice() {
        [first, rest @ ..] => {
            let place = first.line.map_or_else(String::new, |line| format!("line {line}: "));
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            format!("{place}{}{more}", first.message)
        }
        [] => "the rule is not valid".to_owned(),
    };
    Err(Problem::refused("rule_invalid", detail).with_errors(outcome.problems))
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
    let mut outcome = examine(api, tenant, source, cases).await?;
    if let Some(script) = &outcome.script {
        let view = api.flow.catalog.view(&api.flow, tenant).await?;
        let others = view.rules.rules().iter().map(|rule| &rule.script);
        let round = loops::through(script, others).map(|found| field("/source", &found.problem(), source));
        outcome.warnings.extend(round);
    }
    let ok = outcome.problems.is_empty() && outcome.cases.iter().all(|case| case.passed);
    Ok(CheckView {
        ok,
        problems: outcome.problems.into_iter().chain(outcome.warnings).collect(),
        cases: outcome.cases.into_iter().map(Into::into).collect(),
    })
}

/// Semantics 12: a rule that closes a loop with those that run is published only by somebody who accepts the loop.
/// Answers the message for the history, which then names it.
///
/// # Errors
/// 422 `rule_loop` with the loop drawn.
pub(super) async fn accept_loop(
    api: &Api,
    tenant: TenantId,
    script: &Script,
    message: Option<String>,
    is_accepted: bool,
) -> Result<Option<String>, Problem> {
    let view = api.flow.catalog.view(&api.flow, tenant).await?;
    let Some(found) = loops::between(script, view.rules.rules().iter().map(|rule| &rule.script)) else {
        return Ok(message);
    };
    if !is_accepted {
        let problem = found.problem();
        let detail = format!("{problem}, or publish it now with `override_loop: true`");
        return Err(Problem::refused("rule_loop", detail));
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

async fn examine(api: &Api, tenant: TenantId, source: &str, cases: Option<&str>) -> Result<Outcome, Problem> {
    let directory = Arc::new(catalog::directory(&mut api.read().await?, tenant).await?);
    let (source, cases) = (source.to_owned(), cases.map(str::to_owned));
    tokio::task::spawn_blocking(move || {
        let script = match Script::parse(&source) {
            Ok(script) => script,
            Err(found) => {
                let (errors, warnings): (Vec<_>, Vec<_>) =
                    found.iter().partition(|problem| problem.is_error());
                let fields = |list: Vec<&RuleProblem>| {
                    list.into_iter().map(|p| field("/source", p, &source)).collect()
                };
                let (problems, warnings) = (fields(errors), fields(warnings));
                return Outcome { script: None, problems, warnings, cases: Vec::new() };
            }
        };
        let unknown = script.check(&directory);
        let mut problems: Vec<_> = unknown.iter().map(|problem| field("/source", problem, &source)).collect();
        let warnings = script.warnings().iter().map(|problem| field("/source", problem, &source)).collect();
        let mut results = Vec::new();
        match cases.as_deref().map(|text| (text, Cases::parse(text))) {
            Some((_, Ok(parsed))) => results = run_cases(&script, &parsed),
            Some((text, Err(found))) => {
                problems.extend(found.iter().map(|problem| field("/cases", problem, text)));
            }
            None => {}
        }
        Outcome { script: Some(script), problems, warnings, cases: results }
    })
    .await
    .map_err(|error| Problem::internal("checking a rule failed", &error))
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
