//! Cases: what a rule must do in given situations, as TOML next to the rule.
//!
//! ```toml
//! [[case]]
//! name = "a refund goes to Billing"
//! given.message.text = "I want a refund"
//! expect = ['route_to_group("Billing")', "set_priority"]
//! ```
//! `event` defaults to the first of the rule's `on`, `given` to a plain WhatsApp
//! conversation (see [`given`]); `expect` holds calls, or words for "any such
//! call"; `refused` holds codes, `fails` the code of a failure, `none = true`
//! expects nothing; `directory` adds groups, calendars, templates, webhooks and rules,
//! for the file or beside a case. Runs through `decide`, so header and cause count as well.

pub mod given;
pub mod record;

use rhai::AST;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::decide::{CompiledRule, RuleRun, RuleSet, RunOutcome, decide};
use crate::event::{CauseStep, Event};
use crate::facts::{Directory, Facts};
use crate::ids::{EventId, RuleId, RuleVersionId};
use crate::intent::Intent;
use crate::problem::Problem;
use crate::sandbox::{self, Stopwatch, run};
use crate::script::Script;
use crate::view::Snapshot;
use given::DirectoryExtra;

/// Longest file of cases, bytes.
pub const CASES_BYTES_MAX: usize = 256 * 1024;
/// Most cases in one file.
pub const CASES_MAX: usize = 200;

/// A file of cases.
#[derive(Debug, Clone)]
pub struct Cases {
    /// What rules may name in these cases.
    pub directory: Directory,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One situation and what is expected of the rule.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it begins in the file.
    pub line: u32,
    /// What it shows.
    pub name: String,
    body: Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    directory: DirectoryExtra,
    #[serde(default)]
    case: Vec<Spanned<Body>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    event: Option<toml::Table>,
    /// Names that this case is about; all cases of the file know them.
    #[serde(default)]
    directory: DirectoryExtra,
    #[serde(default)]
    given: toml::Table,
    /// Did another rule cause the event?
    #[serde(default)]
    caused_by_rule: bool,
    expect: Option<Vec<String>>,
    refused: Option<Vec<String>>,
    fails: Option<String>,
    #[serde(default)]
    none: bool,
}

/// How a case went.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Where it begins in the file.
    pub line: u32,
    /// Did the rule do what was expected?
    pub passed: bool,
    /// What was expected and what came, line by line (`-` missing, `+` unexpected); empty when passed.
    pub diff: String,
    /// The rule's run, unless the case could not be set up.
    pub run: Option<RuleRun>,
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// Everything that is wrong with it; the place is that of the case.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > CASES_BYTES_MAX {
            let message = format!("the file is longer than {CASES_BYTES_MAX} bytes");
            return Err(vec![Problem::new(1, 1, "too_large", message)]);
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let (line, column) = place(text, error.span().map_or(0, |s| s.start));
            vec![Problem::new(line, column, "bad_case", error.message().replace('\n', " "))]
        })?;
        let mut directory = given::default_directory();
        file.directory.add_to(&mut directory).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut cases = Vec::new();
        for spanned in file.case {
            let (line, _) = place(text, spanned.span().start);
            let mut body = spanned.into_inner();
            if let Err(problem) = std::mem::take(&mut body.directory).add_to(&mut directory) {
                problems.push(Problem { line, ..problem });
            }
            let says_something =
                body.expect.is_some() || body.refused.is_some() || body.fails.is_some() || body.none;
            let contradicts =
                body.none && (body.expect.is_some() || body.refused.is_some() || body.fails.is_some());
            if !says_something || contradicts {
                let message = format!("case `{}` does not say clearly what to expect", body.name);
                let hint =
                    "write `expect = [\"…\"]`, `refused = [\"code\"]`, `fails = \"code\"` or `none = true`";
                problems.push(Problem::new(line, 1, "bad_case", message).with_hint(hint));
            }
            cases.push(Case { line, name: body.name.clone(), body });
        }
        if cases.len() > CASES_MAX {
            problems.push(Problem::new(1, 1, "too_large", format!("there are more than {CASES_MAX} cases")));
        }
        if problems.is_empty() { Ok(Self { directory, cases }) } else { Err(problems) }
    }
}

/// Runs every case against the rule.
pub fn run_cases(script: &Script, cases: &Cases) -> Vec<CaseResult> {
    let id = RuleId::new(0, 1);
    let rule = CompiledRule { id, version: RuleVersionId::new(0, 1), script: script.clone() };
    let rules = RuleSet::new(vec![rule]);
    cases.cases.iter().map(|case| run_case(&rules, script, case, &cases.directory, id)).collect()
}

fn run_case(rules: &RuleSet, script: &Script, case: &Case, directory: &Directory, id: RuleId) -> CaseResult {
    let failed = |message: String, run| CaseResult {
        name: case.name.clone(),
        line: case.line,
        passed: false,
        diff: message,
        run,
    };
    let kind = script.header().on.first().copied();
    let situation = given::situation(kind, case.body.event.as_ref(), &case.body.given, directory, id);
    let (mut event, facts) = match situation {
        Ok(situation) => situation,
        Err(message) => return failed(format!("line {}: {message}", case.line), None),
    };
    if case.body.caused_by_rule {
        event.cause.chain.push(CauseStep { event: EventId::new(0, 2), rule: RuleId::new(0, 2) });
    }
    let expected = match expected(&case.body, &event, &facts) {
        Ok(expected) => expected,
        Err(message) => return failed(format!("line {}: {message}", case.line), None),
    };
    let decision = decide(rules, &event, &facts, &Stopwatch::stopped());
    let Some(run) = decision.runs.into_iter().next() else {
        return failed(format!("the rule is not for `{}`", event.body.kind().name()), None);
    };
    let diff = compare(&case.body, &expected, &run, directory);
    CaseResult { name: case.name.clone(), line: case.line, passed: diff.is_empty(), diff, run: Some(run) }
}

/// An expected intent: exactly this one, or any with this word.
enum Expected {
    Call(Intent),
    Word(String),
}

impl Expected {
    fn fits(&self, intent: &Intent) -> bool {
        match self {
            Self::Call(expected) => expected == intent,
            Self::Word(word) => intent.word() == word,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Call(intent) => intent.as_call(),
            Self::Word(word) => format!("{word}(…)"),
        }
    }
}

/// Reads the expected calls with the language itself, so that they are written as in rules.
fn expected(body: &Body, event: &Event, facts: &Facts) -> Result<Vec<Expected>, String> {
    let snapshot = Snapshot::new(event, facts);
    let mut scope = sandbox::scope(&snapshot);
    let mut out = Vec::new();
    for text in body.expect.iter().flatten() {
        if text.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            match crate::vocabulary::word(text) {
                Some(word) if word.family() == "intent" => out.push(Expected::Word(text.clone())),
                _ => return Err(format!("`{text}` is not an intent")),
            }
            continue;
        }
        let ast: AST = sandbox::engine()
            .compile_expression_with_scope(&sandbox::names_only(), text)
            .map_err(|error| format!("`{text}`: {}", sandbox::syntax(&error).message))?;
        let ran = run::execute(&ast, &mut scope, &snapshot, &Stopwatch::stopped());
        match (ran.failure, ran.intents.into_iter().next()) {
            (Some(problem), _) => return Err(format!("`{text}`: {}", problem.message)),
            (None, None) => return Err(format!("`{text}` is not an intent")),
            (None, Some((_, intent))) => out.push(Expected::Call(intent)),
        }
    }
    Ok(out)
}

fn compare(body: &Body, expected: &[Expected], run: &RuleRun, directory: &Directory) -> String {
    let mut diff = Vec::new();
    match (&run.outcome, &body.fails) {
        (RunOutcome::Failed { problem }, Some(code)) if problem.code == *code => return String::new(),
        (RunOutcome::Failed { problem }, _) => diff.push(format!("the rule failed: {problem}")),
        (_, Some(code)) => diff.push(format!("- failure `{code}`")),
        _ => {}
    }
    // A rule alone cannot know that the one it runs exists; the directory does.
    let runs_known =
        |i: &Intent| matches!(i, Intent::RunRule { name } if directory.rules.iter().any(|(n, _)| n == name));
    let refused: Vec<_> = run.refusals.iter().filter(|r| !runs_known(&r.intent)).collect();
    let gone = |line: u32, intent: &Intent| {
        refused.iter().any(|r| r.line == line && r.intent == *intent)
            || run.overridden.iter().any(|o| o.line == line && o.intent == *intent)
    };
    let mut came: Vec<&Intent> = run.intents.iter().filter(|(l, i)| !gone(*l, i)).map(|(_, i)| i).collect();
    for wanted in expected {
        match came.iter().position(|intent| wanted.fits(intent)) {
            Some(index) => drop(came.remove(index)),
            None => diff.push(format!("- {}", wanted.show())),
        }
    }
    diff.extend(came.iter().map(|intent| format!("+ {}", intent.as_call())));
    let mut wanted: Vec<&str> = body.refused.iter().flatten().map(String::as_str).collect();
    for refusal in refused {
        match wanted.iter().position(|code| *code == refusal.code) {
            Some(index) => drop(wanted.remove(index)),
            None => diff.push(format!("+ refused {}: {}", refusal.code, refusal.reason)),
        }
    }
    diff.extend(wanted.iter().map(|code| format!("- refused {code}")));
    if let (RunOutcome::Skipped { reason }, false) = (&run.outcome, diff.is_empty()) {
        diff.push(format!("the rule was skipped: {reason:?}"));
    }
    diff.join("\n")
}

/// Line and column of a byte offset.
fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
