//! `pointsman rules`: check and test rule files without a server, push them to one, and
//! try and explain rules there.

mod backtest;
mod case;
mod explain;
mod files;
mod junit;
mod order;
mod pull;
mod push;
mod resume;
mod run;
mod shadow;
mod stats;
mod versions;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pointsman_rules::case::{CaseResult, Cases, run_cases};
use pointsman_rules::loops;
use pointsman_rules::problem::Problem;
use pointsman_rules::script::Script;
use serde_json::{Value, json};

use super::client::{Client, encoded};
use super::error::CliError;
use super::output::{Out, text};
use files::RuleFile;
use junit::{Case, Suite};

const RULES: &str = "/api/v1/rules";

/// Automation rules
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Rules {
    /// Look for mistakes in rule files (*.rhai) and their cases.toml
    Check(Paths),
    /// Run the cases beside rule files
    Test(Paths),
    /// Show what rule files would change on a running server, and with --yes change it
    Push(push::Push),
    /// Write a server's rules into files
    Pull(pull::Pull),
    /// How often rules fired, were skipped or failed
    Stats(stats::Stats),
    Run(run::Run),
    Backtest(backtest::Backtest),
    Explain(explain::Explain),
    Versions(versions::Versions),
    Diff(versions::Diff),
    Rollback(versions::Rollback),
    Order(order::Order),
    Resume(resume::Resume),
    Shadow(shadow::Shadow),
    Case(case::Case),
}

/// Rule files
#[derive(Debug, Clone, Args)]
pub(super) struct Paths {
    /// Rule files, or directories that are searched for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Also write what was found as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Rules {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::Check(paths) => check(&files::find(&paths.paths)?, paths.junit.as_deref(), out),
            Self::Test(paths) => test(&files::find(&paths.paths)?, paths.junit.as_deref(), out),
            Self::Push(push) => push.run(out).await,
            Self::Pull(pull) => pull.run(out).await,
            Self::Stats(stats) => stats.run(out).await,
            Self::Run(run) => run.run(out).await,
            Self::Backtest(backtest) => backtest.run(out).await,
            Self::Explain(explain) => explain.run(out).await,
            Self::Versions(versions) => versions.run(out).await,
            Self::Diff(diff) => diff.run(out).await,
            Self::Rollback(rollback) => rollback.run(out).await,
            Self::Order(order) => order.run(out).await,
            Self::Resume(resume) => resume.run(out).await,
            Self::Shadow(shadow) => shadow.run(out).await,
            Self::Case(case) => case.run(out).await,
        }
    }
}

/// The server's rule with this name or id.
async fn rule_named(client: &Client, name: &str) -> Result<Value, CliError> {
    let known = client.list(RULES).await?;
    known.into_iter().find(|rule| is_called(rule, name)).ok_or_else(|| unknown(name))
}

/// Its path in the API.
async fn path_of(client: &Client, name: &str) -> Result<String, CliError> {
    Ok(format!("{RULES}/{}", encoded(&text(&rule_named(client, name).await?, "/id"))))
}

/// Rules are known by their names, whatever their case, and by their ids.
fn is_called(rule: &Value, name: &str) -> bool {
    rule["id"] == name || text(rule, "/name").to_lowercase() == name.to_lowercase()
}

fn unknown(name: &str) -> CliError {
    let say = "`pointsman rules order` lists all, `pointsman rules push --draft` adds one";
    CliError::Failed(format!("the server has no rule `{name}`; {say}"))
}

/// A file whose reading found mistakes.
struct Mistakes<'f> {
    path: String,
    source: &'f str,
    problems: Vec<Problem>,
}

impl Mistakes<'_> {
    /// `path:line:column` first, as editors and build logs know it, then the excerpt.
    fn text(&self) -> String {
        let each = self.problems.iter().map(|problem| {
            let place = match problem.line {
                0 => self.path.clone(),
                line => format!("{}:{line}:{}", self.path, problem.column),
            };
            format!("{place}\n{}", problem.render(self.source))
        });
        each.collect::<Vec<_>>().join("\n\n")
    }

    fn json(&self) -> Value {
        json!({"path": self.path, "problems": self.problems})
    }
}

/// The rule and its cases, or everything that is wrong with them.
fn read(file: &RuleFile) -> Result<(Script, Option<Cases>), Vec<Mistakes<'_>>> {
    let mut wrong = Vec::new();
    let script = Script::parse(&file.source)
        .map_err(|problems| wrong.push(Mistakes { path: file.shown(), source: &file.source, problems }));
    let cases = file.cases.as_deref().map(|cases| {
        Cases::parse(cases)
            .map_err(|problems| wrong.push(Mistakes { path: file.cases_shown(), source: cases, problems }))
    });
    match (script, cases.transpose()) {
        (Ok(script), Ok(cases)) => {
            // Without cases nothing tells which groups and templates there will be; the server checks them.
            let problems = cases.as_ref().map_or_else(Vec::new, |cases| script.check(&cases.directory));
            if problems.is_empty() {
                return Ok((script, cases));
            }
            Err(vec![Mistakes { path: file.shown(), source: &file.source, problems }])
        }
        _ => Err(wrong),
    }
}

fn check(files: &[RuleFile], junit: Option<&Path>, out: Out) -> Result<(), CliError> {
    if let Some(path) = junit {
        let case = |file: &RuleFile| Case { name: "check".to_owned(), failure: mistakes(file) };
        let suites: Vec<_> =
            files.iter().map(|file| Suite { name: file.shown(), cases: vec![case(file)] }).collect();
        junit::write(path, &suites)?;
    }
    let (mut found, mut scripts) = (Vec::new(), Vec::new());
    for file in files {
        match read(file) {
            Ok((script, _)) => {
                let problems = script.warnings().to_vec();
                found.push(Mistakes { path: file.shown(), source: &file.source, problems });
                scripts.push(script);
            }
            Err(wrong) => found.extend(wrong),
        }
    }
    found.retain(|file| !file.problems.is_empty());
    let rounds: Vec<_> = loops::find(&scripts).into_iter().map(|found| found.drawing).collect();
    let all = || found.iter().flat_map(|file| &file.problems);
    let mistakes = all().filter(|problem| problem.is_error()).count();
    let warnings = all().count() - mistakes + rounds.len();
    let value = json!({
        "ok": mistakes == 0, "files": files.len(), "mistakes": found.iter().map(Mistakes::json).collect::<Vec<_>>(),
        "loops": rounds,
    });
    out.result(&value, || {
        let mut parts: Vec<_> = found.iter().map(Mistakes::text).collect();
        parts.extend(
            rounds.iter().map(|round| format!("warning[rule_loop]: these rules start each other: {round}")),
        );
        let warnings =
            if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning")) };
        parts.push(match mistakes {
            0 => format!("{} without mistakes{warnings}", count(files.len(), "rule")),
            mistakes => format!("{} in {}{warnings}", count(mistakes, "mistake"), count(files.len(), "rule")),
        });
        parts.join("\n\n")
    })?;
    if mistakes == 0 { Ok(()) } else { Err(CliError::Said) }
}

/// What is wrong with a file, if anything is.
fn mistakes(file: &RuleFile) -> Option<String> {
    let wrong = read(file).err()?;
    Some(wrong.iter().map(Mistakes::text).collect::<Vec<_>>().join("\n\n"))
}

fn test(files: &[RuleFile], junit: Option<&Path>, out: Out) -> Result<(), CliError> {
    let mut suites = Vec::new();
    let (mut lines, mut values, mut passed, mut failed) = (Vec::new(), Vec::new(), 0, 0);
    for file in files {
        match read(file) {
            Err(wrong) => {
                failed += 1;
                let case = Case { name: "check".to_owned(), failure: mistakes(file) };
                suites.push(Suite { name: file.shown(), cases: vec![case] });
                lines.extend(wrong.iter().map(Mistakes::text));
                values.push(json!({"path": file.shown(), "mistakes": wrong.iter().map(Mistakes::json).collect::<Vec<_>>()}));
            }
            Ok((_, None)) => {
                lines.push(format!("{}: no cases.toml beside it", file.shown()));
                values.push(json!({"path": file.shown(), "cases": []}));
            }
            Ok((script, Some(cases))) => {
                let results = run_cases(&script, &cases);
                let cases = results
                    .iter()
                    .map(|it| Case { name: it.name.clone(), failure: (!it.passed).then(|| it.diff.clone()) });
                suites.push(Suite { name: file.shown(), cases: cases.collect() });
                let good = results.iter().filter(|result| result.passed).count();
                (passed, failed) = (passed + good, failed + results.len() - good);
                lines.push(case_lines(file, &results));
                values.push(json!({"path": file.shown(), "cases": results}));
            }
        }
    }
    if let Some(path) = junit {
        junit::write(path, &suites)?;
    }
    out.result(&json!({"ok": failed == 0, "passed": passed, "failed": failed, "files": values}), || {
        lines.push(format!("{} passed, {failed} failed", count(passed, "case")));
        lines.join("\n")
    })?;
    if failed == 0 { Ok(()) } else { Err(CliError::Said) }
}

fn case_lines(file: &RuleFile, results: &[CaseResult]) -> String {
    let mut lines = vec![file.shown()];
    for result in results {
        if result.passed {
            lines.push(format!("  ok    {}", result.name));
        } else {
            lines.push(format!("  FAIL  {} ({}:{})", result.name, file.cases_shown(), result.line));
            lines.extend(result.diff.lines().map(|line| format!("        {line}")));
        }
    }
    lines.join("\n")
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
