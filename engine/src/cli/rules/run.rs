//! `pointsman rules run`: a rule file on one event, on a server, without doing anything.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::files;
use crate::cli::client::{ApiArgs, Client};
use crate::cli::error::CliError;
use crate::cli::output::{Out, printable, text};

/// Run a rule file on one event without doing anything
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Run {
    /// The rule file, or its folder
    file: PathBuf,
    /// An event that happened (evt_…)
    #[arg(long, value_name = "ID", required_unless_present = "given")]
    event: Option<String>,
    /// A situation in the words of cases, TOML: a file of cases, or one with `event` and `given`
    #[arg(long, value_name = "TOML")]
    given: Option<PathBuf>,
    /// Which case of the file, by name; the first when absent
    #[arg(long, value_name = "NAME", requires = "given")]
    case: Option<String>,
    /// Also show which lines ran and what every condition read
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Run {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let file = files::one(&self.file)?;
        let mut body = json!({"source": file.source, "event_id": self.event, "lines": self.lines});
        if let Some(path) = &self.given {
            let said = situation(path, self.case.as_deref())?;
            for name in ["event", "given", "caused_by_rule"] {
                if let Some(value) = said.get(name) {
                    body[name] = value.clone();
                }
            }
        }
        let answer = Client::new(&self.api)?.post("/api/v1/rules/dry-run", &body).await?;
        out.result(&answer, || {
            let runs = answer["rules"].as_array().into_iter().flatten();
            runs.map(|run| shown(run, &file.source)).collect::<Vec<_>>().join("\n\n")
        })?;
        let failed =
            answer["rules"].as_array().is_some_and(|runs| runs.iter().any(|run| run["outcome"] == "failed"));
        if failed { Err(CliError::Said) } else { Ok(()) }
    }
}

/// The situation that a file describes.
fn situation(path: &Path, case: Option<&str>) -> Result<Value, CliError> {
    let failed = |why: String| CliError::Failed(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))?;
    let file = serde_json::to_value(table).map_err(|error| failed(error.to_string()))?;
    let Some(cases) = file["case"].as_array() else { return Ok(file) };
    let found = match case {
        Some(name) => cases.iter().find(|it| it["name"] == name),
        None => cases.first(),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<_> = cases.iter().filter_map(|it| it["name"].as_str()).collect();
        failed(format!("there is no such case; it has: {}", names.join(", ")))
    })
}

/// A run for people: what came of it, and with a line trace the text with marks.
pub(super) fn shown(run: &Value, source: &str) -> String {
    let mut lines = vec![format!("{}: {}", text(run, "/name"), text(run, "/outcome"))];
    lines.push(format!("  {}", text(run, "/sentence")));
    for intent in run["intents"].as_array().into_iter().flatten() {
        let mut line = format!("  line {}: {}", text(intent, "/line"), text(intent, "/call"));
        if intent["refused"].is_object() {
            line.push_str(&format!("  refused: {}", text(intent, "/refused/reason")));
        }
        if intent["replaced"].is_object() {
            line.push_str(&format!("  replaced by line {}", text(intent, "/replaced/line")));
        }
        let state = text(intent, "/effect/state");
        if !state.is_empty() {
            line.push_str(&format!("  {state} {}", text(intent, "/effect/status")));
        }
        lines.push(line.trim_end().to_owned());
    }
    if run["lines"].is_object() {
        lines.push(String::new());
        lines.extend(listing(&run["lines"], source));
    }
    lines.join("\n")
}

/// The text with the number of times each line ran, and below every condition what it read.
fn listing(trace: &Value, source: &str) -> Vec<String> {
    let of_line = |name: &str, line: usize| {
        let items = trace[name].as_array().into_iter().flatten();
        items.filter(|it| it["line"] == line).cloned().collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for (index, code) in source.lines().enumerate() {
        let number = index + 1;
        let times = of_line("lines", number).first().map_or(String::new(), |it| format!("{}x", it["times"]));
        lines.push(format!("{times:>5} {number:>4} | {}", printable(code)).trim_end().to_owned());
        for condition in of_line("conditions", number) {
            for look in condition["looks"].as_array().into_iter().flatten() {
                read(look, 0, &mut lines);
            }
        }
    }
    lines
}

fn read(look: &Value, depth: usize, lines: &mut Vec<String>) {
    let value = match look {
        _ if look["is_skipped"] == true => "not looked at".to_owned(),
        _ if look["problem"].is_string() => format!("failed: {}", text(look, "/problem")),
        _ => match look.get("value") {
            Some(value) => printable(&value.to_string()),
            None => "…".to_owned(),
        },
    };
    lines.push(format!("           | {:indent$}{} → {value}", "", text(look, "/text"), indent = depth * 2));
    for part in look["parts"].as_array().into_iter().flatten() {
        read(part, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_trace_is_shown_beside_the_text() {
        let trace = json!({"lines": [{"line": 2, "times": 1}], "conditions": [{"line": 2, "kind": "if", "looks": [
            {"text": "a && b", "value": false, "parts": [{"text": "a", "value": false}, {"text": "b", "is_skipped": true}]},
        ]}]});
        let lines = listing(&trace, "// x\nif a && b {\n}\n");
        assert_eq!(lines[0], "         1 | // x");
        assert_eq!(lines[1], "   1x    2 | if a && b {");
        assert_eq!(lines[2], "           | a && b → false");
        assert_eq!(lines[4], "           |   b → not looked at");
    }

    #[test]
    fn a_situation_is_one_of_the_files_cases_or_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.toml");
        std::fs::write(&path, "[[case]]\nname = \"a\"\ngiven.message.text = \"1\"\n[[case]]\nname = \"b\"\n")
            .unwrap();
        assert_eq!(situation(&path, None).unwrap()["given"]["message"]["text"], "1");
        assert_eq!(situation(&path, Some("b")).unwrap()["name"], "b");
        assert!(situation(&path, Some("c")).unwrap_err().to_string().contains("it has: a, b"));
        std::fs::write(&path, "given.message.text = \"2\"\n").unwrap();
        assert_eq!(situation(&path, None).unwrap()["given"]["message"]["text"], "2");
    }
}
