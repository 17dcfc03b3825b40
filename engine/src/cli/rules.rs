//! `pointsman rules`: check and test rule files without a server, push them to one, and
//! try and explain rules there.

mod backtest;
mod explain;
mod files;
mod run;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pointsman_rules::case::{CaseResult, Cases, run_cases};
use pointsman_rules::problem::Problem;
use pointsman_rules::script::Script;
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, text};
use files::RuleFile;

const RULES: &str = "/api/v1/rules";

/// Automation rules
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Rules {
    /// Look for mistakes in rule files (*.rhai) and their cases.toml
    Check(Paths),
    /// Run the cases beside rule files
    Test(Paths),
    /// Put rule files into a running server and publish them
    Push(Push),
    Run(run::Run),
    Backtest(backtest::Backtest),
    Explain(explain::Explain),
}

/// Rule files
#[derive(Debug, Clone, Args)]
pub(super) struct Paths {
    /// Rule files, or directories that are searched for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// Put rule files into a running server
#[derive(Debug, Clone, Args)]
pub(super) struct Push {
    /// Rule files, or directories that are searched for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Keep them as drafts
    #[arg(long)]
    draft: bool,
    /// What the new version is for
    #[arg(long)]
    message: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Rules {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::Check(paths) => check(&files::find(&paths.paths)?, out),
            Self::Test(paths) => test(&files::find(&paths.paths)?, out),
            Self::Push(push) => push.run(out).await,
            Self::Run(run) => run.run(out).await,
            Self::Backtest(backtest) => backtest.run(out).await,
            Self::Explain(explain) => explain.run(out).await,
        }
    }
}

/// The server's rule with this name or id.
async fn rule_named(client: &Client, name: &str) -> Result<Value, CliError> {
    let known = client.list(RULES).await?;
    let found = known.iter().find(|rule| rule["id"] == name || rule["name"] == name);
    found.cloned().ok_or_else(|| {
        CliError::Failed(format!("the server has no rule `{name}`; `pointsman rules push --draft` adds one"))
    })
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

fn check(files: &[RuleFile], out: Out) -> Result<(), CliError> {
    let wrong: Vec<_> = files.iter().filter_map(|file| read(file).err()).flatten().collect();
    let value = json!({
        "ok": wrong.is_empty(), "files": files.len(), "mistakes": wrong.iter().map(Mistakes::json).collect::<Vec<_>>(),
    });
    out.result(&value, || {
        let mut parts: Vec<_> = wrong.iter().map(Mistakes::text).collect();
        parts.push(match wrong.iter().map(|file| file.problems.len()).sum::<usize>() {
            0 => format!("{} without mistakes", count(files.len(), "rule")),
            problems => format!("{} in {}", count(problems, "mistake"), count(files.len(), "rule")),
        });
        parts.join("\n\n")
    })?;
    if wrong.is_empty() { Ok(()) } else { Err(CliError::Said) }
}

fn test(files: &[RuleFile], out: Out) -> Result<(), CliError> {
    let (mut lines, mut values, mut passed, mut failed) = (Vec::new(), Vec::new(), 0, 0);
    for file in files {
        match read(file) {
            Err(wrong) => {
                failed += 1;
                lines.extend(wrong.iter().map(Mistakes::text));
                values.push(json!({"path": file.shown(), "mistakes": wrong.iter().map(Mistakes::json).collect::<Vec<_>>()}));
            }
            Ok((_, None)) => {
                lines.push(format!("{}: no cases.toml beside it", file.shown()));
                values.push(json!({"path": file.shown(), "cases": []}));
            }
            Ok((script, Some(cases))) => {
                let results = run_cases(&script, &cases);
                let good = results.iter().filter(|result| result.passed).count();
                (passed, failed) = (passed + good, failed + results.len() - good);
                lines.push(case_lines(file, &results));
                values.push(json!({"path": file.shown(), "cases": results}));
            }
        }
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

impl Push {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let files = files::find(&self.paths)?;
        let wrong: Vec<_> = files.iter().filter_map(|file| read(file).err()).flatten().collect();
        if !wrong.is_empty() {
            check(&files, out)?; // says it all; nothing is pushed
        }
        let client = Client::new(&self.api)?;
        let known = client.list(RULES).await?;
        let mut pushed = Vec::new();
        for file in &files {
            let rule = self.push(&client, &known, file).await;
            pushed.push(rule.inspect_err(|_| out.remark(&format!("{}:", file.shown())))?);
        }
        Ok(out.result(&json!({"items": &pushed}), || {
            let line = |rule: &Value| {
                let version = text(rule, "/version/number");
                let state =
                    if version.is_empty() { "draft".to_owned() } else { format!("version {version}") };
                format!("{}  {}  {state}", text(rule, "/id"), text(rule, "/name"))
            };
            pushed.iter().map(line).collect::<Vec<_>>().join("\n")
        })?)
    }

    /// A rule of the same name gets a new version; otherwise it is new.
    async fn push(&self, client: &Client, known: &[Value], file: &RuleFile) -> Result<Value, CliError> {
        let name = Script::parse(&file.source).map(|script| script.header().name.clone()).unwrap_or_default();
        let mut body = json!({"source": file.source});
        if let Some(cases) = &file.cases {
            body["cases"] = cases.clone().into();
        }
        let Some(rule) = known.iter().find(|rule| rule["name"] == name) else {
            body["publish"] = (!self.draft).into();
            return client.post(RULES, &body).await;
        };
        let path = format!("{RULES}/{}", encoded(&text(rule, "/id")));
        let changed = client.patch(&path, &body).await?;
        if self.draft {
            return Ok(changed);
        }
        let message = self.message.as_ref().map_or_else(|| json!({}), |message| json!({"message": message}));
        client.post(&format!("{path}/publish"), &message).await
    }
}

#[cfg(test)]
mod tests;
