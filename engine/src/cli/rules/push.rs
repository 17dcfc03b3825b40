//! `pointsman rules push`: what files would change on a server, and with `--yes`
//! the change itself. Rules are known by their names.

use std::path::PathBuf;

use clap::Args;
use pointsman_rules::loops;
use pointsman_rules::script::Script;
use serde_json::{Value, json};
use similar::TextDiff;

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::CliError;
use super::super::output::{Out, text};
use super::files::{self, RuleFile};
use super::junit::{Case, Suite};
use super::{RULES, count, is_called};

/// Lines around a difference.
const DIFF_CONTEXT_LINES: usize = 3;

/// Put rule files into a running server
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Push {
    /// Rule files, or directories that are searched for them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Do it; without this only the plan is shown, and the exit code is 3 when there is something to do
    #[arg(long)]
    yes: bool,
    /// Also remove rules that the server has and the files do not
    #[arg(long)]
    prune: bool,
    /// Keep them as drafts
    #[arg(long, conflicts_with = "prune")]
    draft: bool,
    /// What the new version is for
    #[arg(long)]
    message: Option<String>,
    /// Publish rules although they start each other; the history names the loop
    #[arg(long)]
    override_loop: bool,
    /// Also write what was found as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

/// What is to be done.
enum Step<'f> {
    Add(&'f RuleFile),
    Change { file: &'f RuleFile, rule: &'f Value, diff: String },
    Remove(&'f Value),
}

/// A step and what is to be said of it.
struct Planned<'f> {
    step: Step<'f>,
    name: String,
    /// What the server found.
    check: Value,
    /// The loop that it would close with the other files and what runs on the server, drawn.
    round: Option<String>,
    /// Does the loop keep it from being published?
    is_barred: bool,
}

impl Push {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let files = files::find(&self.paths)?;
        let wrong: Vec<_> = files.iter().filter_map(|file| super::read(file).err()).flatten().collect();
        if !wrong.is_empty() {
            return super::check(&files, self.junit.as_deref(), out); // says it all; nothing is pushed
        }
        let client = Client::new(&self.api)?;
        let known = client.list(RULES).await?;
        let (plan, same) = self.plan(&client, &files, &known).await?;
        let bad = plan.iter().filter(|it| !it.is_good()).count();
        if let Some(path) = &self.junit {
            let cases = plan.iter().map(Planned::junit).collect();
            super::junit::write(path, &[Suite { name: "push".to_owned(), cases }])?;
        }
        let applies = self.yes && bad == 0;
        let done = if applies { self.apply(&client, &plan, out).await? } else { Vec::new() };
        let value = json!({
            "applied": applies,
            "unchanged": same,
            "plan": plan.iter().map(Planned::json).collect::<Vec<_>>(),
            "items": done,
        });
        out.result(&value, || {
            let mut lines: Vec<String> = plan.iter().map(Planned::text).collect();
            lines.push(format!("{} to change, {same} unchanged", count(plan.len(), "rule")));
            lines.extend(match (plan.is_empty(), bad, applies) {
                (true, ..) => None,
                (_, 0, true) => Some("done".to_owned()),
                (_, 0, false) => Some("nothing was changed; add --yes to do it".to_owned()),
                (_, bad, _) => Some(format!("nothing was changed: {} cannot be pushed", count(bad, "rule"))),
            });
            lines.join("\n")
        })?;
        match (plan.is_empty() || applies, bad) {
            (true, _) => Ok(()),
            (false, 0) => Err(CliError::Pending),
            _ => Err(CliError::Said),
        }
    }

    async fn plan<'f>(
        &self,
        client: &Client,
        files: &'f [RuleFile],
        known: &'f [Value],
    ) -> Result<(Vec<Planned<'f>>, usize), CliError> {
        let (mut plan, mut same, mut names) = (Vec::new(), 0, Vec::new());
        for file in files {
            let name = name_of(file);
            let key = name.to_lowercase();
            if names.contains(&key) {
                let message = format!("{}: another file holds a rule called `{name}`", file.shown());
                return Err(CliError::Failed(message));
            }
            let rule = known.iter().find(|rule| text(rule, "/name").to_lowercase() == key);
            names.push(key);
            let step = match rule {
                None => Step::Add(file),
                Some(rule) if self.is_same(file, rule) => {
                    same += 1;
                    continue;
                }
                Some(rule) => Step::Change { file, rule, diff: difference(file, rule) },
            };
            let mut body = json!({"source": file.source});
            if let Some(cases) = &file.cases {
                body["cases"] = cases.clone().into();
            }
            let check = client.post(&format!("{RULES}/check"), &body).await?;
            let round = round(file, files, known, self.prune);
            let is_barred = round.is_some() && !self.draft && !self.override_loop;
            plan.push(Planned { step, name, check, round, is_barred });
        }
        if self.prune {
            for rule in known {
                let name = rule["name"].as_str().unwrap_or_default().to_owned();
                if !names.contains(&name.to_lowercase()) {
                    let (step, check) = (Step::Remove(rule), json!({"ok": true}));
                    plan.push(Planned { step, name, check, round: None, is_barred: false });
                }
            }
        }
        Ok((plan, same))
    }

    /// As a draft, what was published does not matter.
    fn is_same(&self, file: &RuleFile, rule: &Value) -> bool {
        let there = if self.draft && rule["draft"].is_string() { &rule["draft"] } else { &rule["source"] };
        let is_out = self.draft || !rule["version"].is_null();
        *there == file.source.as_str() && rule["cases"].as_str() == file.cases.as_deref() && is_out
    }

    async fn apply(&self, client: &Client, plan: &[Planned<'_>], out: Out) -> Result<Vec<Value>, CliError> {
        let mut done = Vec::new();
        for it in plan {
            let applied = self.step(client, &it.step).await;
            done.push(applied.inspect_err(|_| out.remark(&format!("{}:", it.name)))?);
        }
        Ok(done)
    }

    async fn step(&self, client: &Client, step: &Step<'_>) -> Result<Value, CliError> {
        let path = |rule: &Value| format!("{RULES}/{}", encoded(&text(rule, "/id")));
        match step {
            Step::Remove(rule) => client.delete(&path(rule)).await,
            Step::Add(file) => {
                let body = json!({
                    "source": file.source, "cases": file.cases, "publish": !self.draft,
                    "override_loop": self.override_loop && !self.draft,
                });
                client.post(RULES, &body).await
            }
            Step::Change { file, rule, .. } => {
                let is_text_same = rule["source"] == file.source.as_str() && !rule["version"].is_null();
                let mut body = json!({"cases": file.cases});
                if !is_text_same || self.draft {
                    body["source"] = file.source.clone().into();
                }
                let changed = client.patch(&path(rule), &body).await?;
                if self.draft || is_text_same {
                    return Ok(changed); // cases have no versions
                }
                let publication = json!({"message": self.message, "override_loop": self.override_loop});
                client.post(&format!("{}/publish", path(rule)), &publication).await
            }
        }
    }
}

impl Planned<'_> {
    fn is_good(&self) -> bool {
        self.check["ok"] == true && !self.is_barred
    }

    fn word(&self) -> &'static str {
        match self.step {
            Step::Add(_) => "add",
            Step::Change { .. } => "change",
            Step::Remove(_) => "remove",
        }
    }

    /// What was found, one line each.
    fn findings(&self) -> Vec<String> {
        let of = |name: &str| self.check[name].as_array().cloned().unwrap_or_default();
        // The server knows the loop only once the other files are there.
        let problems = of("problems")
            .into_iter()
            .filter(|it| self.round.is_none() || it["code"] != "rule_loop")
            .map(|it| format!("{}:{}: {}", text(&it, "/line"), text(&it, "/column"), text(&it, "/message")));
        let failed = of("cases").into_iter().filter(|it| it["passed"] != true);
        let round = self.round.iter().map(|drawing| {
            let advice = if self.is_barred { "; mend it, or push with --override-loop" } else { "" };
            format!("rules start each other: {drawing}{advice}")
        });
        problems.chain(failed.map(|it| format!("case `{}` fails", text(&it, "/name")))).chain(round).collect()
    }

    fn text(&self) -> String {
        let sign = match self.step {
            Step::Add(_) => '+',
            Step::Change { .. } => '~',
            Step::Remove(_) => '-',
        };
        let cases = self.check["cases"].as_array().map_or(0, Vec::len);
        let tested = if cases > 0 && self.is_good() {
            format!(", {} pass", count(cases, "case"))
        } else {
            String::new()
        };
        let mut lines = vec![format!("{sign} {} ({}{tested})", self.name, self.word())];
        lines.extend(self.findings().iter().map(|line| format!("    {line}")));
        if let Step::Change { diff, .. } = &self.step {
            lines.extend(diff.lines().map(|line| format!("    {line}")));
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let diff = match &self.step {
            Step::Change { diff, .. } => Some(diff),
            _ => None,
        };
        json!({"name": self.name, "step": self.word(), "diff": diff, "check": self.check, "loop": self.round})
    }

    fn junit(&self) -> Case {
        let findings = self.findings();
        Case { name: self.name.clone(), failure: (!self.is_good()).then(|| findings.join("\n")) }
    }
}

/// The loop that a file closes with the other files and what the server goes on running.
fn round(file: &RuleFile, files: &[RuleFile], known: &[Value], prunes: bool) -> Option<String> {
    let script = Script::parse(&file.source).ok()?;
    let mut others: Vec<Script> = files
        .iter()
        .filter(|it| it.path != file.path)
        .filter_map(|it| Script::parse(&it.source).ok())
        .filter(|it| match known.iter().find(|rule| is_called(rule, &it.header().name)) {
            Some(rule) => rule["enabled"] == true,
            None => it.header().enabled,
        })
        .collect();
    let stays = |rule: &&Value| !prunes && rule["enabled"] == true && !rule["version"].is_null();
    for rule in known.iter().filter(stays) {
        let Ok(there) = Script::parse(rule["source"].as_str().unwrap_or_default()) else { continue };
        if others.iter().all(|it| it.header().name.to_lowercase() != there.header().name.to_lowercase()) {
            others.push(there);
        }
    }
    loops::between(&script, &others).map(|found| found.drawing)
}

fn name_of(file: &RuleFile) -> String {
    Script::parse(&file.source).map(|script| script.header().name.clone()).unwrap_or_default()
}

/// What differs, rule and cases.
fn difference(file: &RuleFile, rule: &Value) -> String {
    let side = |old: &str, new: &str, what: &str| {
        let diff = TextDiff::from_lines(old, new);
        diff.unified_diff()
            .context_radius(DIFF_CONTEXT_LINES)
            .header(&format!("server/{what}"), what)
            .to_string()
    };
    let rule_diff = side(rule["source"].as_str().unwrap_or_default(), &file.source, "rule.rhai");
    let cases = file.cases.as_deref().unwrap_or_default();
    format!("{rule_diff}{}", side(rule["cases"].as_str().unwrap_or_default(), cases, "cases.toml"))
}
