//! Looks a rule's text and its cases over, off the reactor, since compiling and
//! running cases takes a while. Everything that judges rules (checks, saves,
//! publications now or planned) judges by this. Decides nothing itself.

use pointsman_rules::case::{CaseResult, Cases, run_cases};
use pointsman_rules::ids::TenantId;
use pointsman_rules::loops::{self, Loop};
use pointsman_rules::problem::Problem;
use pointsman_rules::script::Script;

use super::{Flow, FlowError};
use crate::store::catalog;

/// What there is to say of a text.
#[derive(Debug, Default)]
pub struct Examined {
    /// The rule, if it compiles; it may still name what is not there.
    pub script: Option<Script>,
    /// What keeps the text from running.
    pub errors: Vec<Problem>,
    /// What is hardly meant, though the rule can run.
    pub warnings: Vec<Problem>,
    /// What keeps the cases from being read.
    pub case_errors: Vec<Problem>,
    /// How the cases went.
    pub cases: Vec<CaseResult>,
}

impl Examined {
    /// May it run? Whether its cases pass is another question.
    pub fn is_sound(&self) -> bool {
        self.script.is_some() && self.errors.is_empty() && self.case_errors.is_empty()
    }

    /// The cases that did not go as they should.
    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| !case.passed)
    }
}

/// Compiles a text, looks its names up and runs its cases.
///
/// # Errors
/// The store's, or the examination broke.
pub async fn examine(
    flow: &Flow,
    tenant: TenantId,
    source: &str,
    cases: Option<&str>,
) -> Result<Examined, FlowError> {
    let directory = catalog::directory(&mut flow.db.read().await?, tenant).await?;
    let (source, cases) = (source.to_owned(), cases.map(str::to_owned));
    let examined = tokio::task::spawn_blocking(move || {
        let script = match Script::parse(&source) {
            Ok(script) => script,
            Err(found) => {
                let (errors, warnings) = found.into_iter().partition(Problem::is_error);
                return Examined { errors, warnings, ..Examined::default() };
            }
        };
        let (errors, warnings) = (script.check(&directory), script.warnings().to_vec());
        let (case_errors, cases) = match cases.as_deref().map(Cases::parse).transpose() {
            Ok(cases) => (Vec::new(), cases.map_or_else(Vec::new, |cases| run_cases(&script, &cases))),
            Err(found) => (found, Vec::new()),
        };
        Examined { script: Some(script), errors, warnings, case_errors, cases }
    });
    examined.await.map_err(|_| FlowError::Broken("checking a rule"))
}

/// Semantics 12: the loop that a rule would close with those that run now.
///
/// # Errors
/// The store's.
pub async fn closed_loop(flow: &Flow, tenant: TenantId, script: &Script) -> Result<Option<Loop>, FlowError> {
    let view = flow.catalog.view(flow, tenant).await?;
    Ok(loops::between(script, view.rules.rules().iter().map(|rule| &rule.script)))
}
