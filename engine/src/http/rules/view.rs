//! Rules as the API shows them.

use std::collections::HashMap;

use pointsman_rules::case::CaseResult;
use pointsman_rules::event::EventKind;
use pointsman_rules::header::Header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::flow::publishing::Barred;
use crate::http::problem::FieldProblem;
use crate::store::rule_health::Parked;
use crate::store::rules::{Rule, Version};

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// `rul_…`.
    id: String,
    /// First line of its header.
    name: String,
    /// Lower runs earlier.
    position: i64,
    /// `reply` or `background`.
    stage: &'static str,
    /// The events it runs on.
    on: Vec<&'static str>,
    /// Does it run?
    enabled: bool,
    /// The version that runs; `null`: it was never published.
    version: Option<VersionRef>,
    /// What runs; the draft while it was never published.
    source: String,
    /// A source that was not published yet.
    draft: Option<String>,
    /// When the draft publishes itself; `null`: not by itself.
    #[schema(format = DateTime)]
    publish_at: Option<String>,
    /// Why it did not, the last time that it should have.
    publish_problem: Option<BarredView>,
    /// It failed again and again and does not run until it is resumed or mended; `null`: it is not parked.
    parked: Option<ParkedView>,
    /// Cases, TOML.
    cases: Option<String>,
    /// How the cases went with the draft, else with what runs; only when draft or cases were saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    cases_result: Option<Vec<CaseView>>,
    /// Also the `ETag`.
    revision: i64,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl RuleView {
    /// Does it run on this event?
    pub(super) fn runs_on(&self, kind: EventKind) -> bool {
        self.on.contains(&kind.name())
    }

    /// With how its cases went.
    #[must_use]
    pub(super) fn with_cases(self, cases_result: Option<Vec<CaseView>>) -> Self {
        Self { cases_result, ..self }
    }
}

/// Why a draft did not publish itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BarredView {
    /// Stable, as the API says it: `rule_invalid`, `cases_failed`…
    code: String,
    /// For people.
    detail: String,
}

/// Why a rule does not run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParkedView {
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// How many events in a row it failed on.
    failures: i64,
    /// The last of them.
    event: String,
    /// How it failed there.
    problem: String,
}

/// The version that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionRef {
    /// `rvs_…`.
    id: String,
    /// From 1.
    number: i64,
    /// When it was published.
    #[schema(format = DateTime)]
    published_at: String,
}

/// A published version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// `rvs_…`.
    id: String,
    /// From 1.
    number: i64,
    /// When it was published.
    #[schema(format = DateTime)]
    published_at: String,
    /// Id of the user or key; `system` for starter rules.
    author: String,
    /// What they are called; `null` for the engine itself, and for who is gone.
    author_name: Option<String>,
    /// Why.
    message: Option<String>,
    /// What it says.
    source: String,
}

impl VersionView {
    /// `names`: of authors by their ids.
    pub(super) fn show(version: Version, names: &HashMap<String, String>) -> Self {
        Self {
            author_name: names.get(&version.author).cloned(),
            id: version.id.to_string(),
            number: version.number,
            published_at: rfc3339(version.created_ms),
            author: version.author,
            message: version.message,
            source: version.source,
        }
    }
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// No error, and every case passed.
    pub(super) ok: bool,
    /// Errors and warnings, with line, column and advice.
    pub(super) problems: Vec<FieldProblem>,
    /// How the cases went.
    pub(super) cases: Vec<CaseView>,
}

/// How a case went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CaseView {
    /// Its name.
    name: String,
    /// Where it begins in the file.
    line: u32,
    /// Did the rule do what was expected?
    passed: bool,
    /// What was expected and what came.
    diff: String,
}

impl From<CaseResult> for CaseView {
    fn from(result: CaseResult) -> Self {
        Self { name: result.name, line: result.line, passed: result.passed, diff: result.diff }
    }
}

pub(super) fn rule(rule: Rule, version: Option<Version>) -> RuleView {
    let source =
        version.as_ref().map(|v| v.source.clone()).or_else(|| rule.draft.clone()).unwrap_or_default();
    // Sources were checked when they were kept.
    let header = Header::parse(&source).unwrap_or_default();
    RuleView {
        id: rule.id.to_string(),
        name: rule.name,
        position: rule.position,
        stage: header.stage.word(),
        on: header.on.iter().map(|kind| kind.name()).collect(),
        enabled: rule.enabled,
        version: version.map(|v| VersionRef {
            id: v.id.to_string(),
            number: v.number,
            published_at: rfc3339(v.created_ms),
        }),
        source,
        draft: rule.draft,
        publish_at: rule.plan.map(|plan| rfc3339(plan.at_ms)),
        publish_problem: rule.plan_problem.as_deref().and_then(barred),
        parked: rule.parked.map(parked),
        cases: rule.cases,
        cases_result: None,
        revision: rule.version,
        created_at: rfc3339(rule.created_ms),
        updated_at: rfc3339(rule.updated_ms),
    }
}

fn barred(json: &str) -> Option<BarredView> {
    let Barred { code, detail } = serde_json::from_str(json).ok()?;
    Some(BarredView { code, detail })
}

pub(super) fn parked(it: Parked) -> ParkedView {
    ParkedView {
        since: rfc3339(it.since_ms),
        failures: it.failures,
        event: it.event.to_string(),
        problem: it.problem,
    }
}
