//! `pointsman rules backtest`: a rule's text on the stored events of a server.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use pointsman_rules::script::Script;
use serde_json::{Value, json};

use super::{RULES, files, rule_named};
use crate::cli::client::{ApiArgs, Client};
use crate::cli::error::CliError;
use crate::cli::output::{Out, printable, text};

/// How often the server is asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Width of the bar, characters.
const BAR_CHARS: usize = 30;

/// Try a rule on the events of the last days, without doing anything
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Backtest {
    /// A rule file or its folder, or the name or id of a rule whose draft is tried
    rule: String,
    /// Days to look back
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=90))]
    days: i64,
    #[command(flatten)]
    api: ApiArgs,
}

impl Backtest {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut body = json!({"days": self.days});
        let name = match Path::new(&self.rule).exists() {
            false => self.rule.clone(),
            true => {
                let source = files::one(Path::new(&self.rule))?.source;
                let name = Script::parse(&source).map(|script| script.header().name.clone());
                body["source"] = source.into();
                name.map_err(|_| {
                    CliError::Failed(format!("{0} has mistakes; see `pointsman rules check {0}`", self.rule))
                })?
            }
        };
        let rule = rule_named(&client, &name).await?;
        let begun = client.post(&format!("{RULES}/{}/backtest", text(&rule, "/id")), &body).await?;
        let path = format!("/api/v1/backtests/{}", text(&begun, "/id"));
        let bar = !out.json && io::stderr().is_terminal();
        let ended = loop {
            let now = client.get(&path).await?;
            if bar {
                progress(&now);
            }
            if now["state"] != "running" {
                break now;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        if bar {
            out.remark("");
        }
        out.result(&ended, || report(&ended))?;
        if ended["state"] == "done" { Ok(()) } else { Err(CliError::Said) }
    }
}

fn progress(now: &Value) {
    let (done, total) =
        (now["counts"]["events"].as_u64().unwrap_or(0), now["events_total"].as_u64().unwrap_or(0));
    // Nobody can be told that standard error is gone.
    let _ = write!(io::stderr().lock(), "\r{} {done} of {total} events", bar(done, total));
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done.min(total) * BAR_CHARS as u64).checked_div(total);
    let filled = filled.and_then(|filled| usize::try_from(filled).ok()).unwrap_or(BAR_CHARS);
    format!("[{}{}]", "#".repeat(filled), " ".repeat(BAR_CHARS - filled))
}

fn report(it: &Value) -> String {
    let count = |name: &str| it["counts"][name].as_u64().unwrap_or(0);
    let mut lines =
        vec![format!("{}: {} events since {}", text(it, "/state"), count("events"), text(it, "/from"))];
    if it["problem"].is_string() {
        lines.push(text(it, "/problem"));
    }
    lines.push(format!("would fire {} times in {} conversations", count("fires"), count("conversations")));
    lines.push(format!("what is published fires {} times", count("running_fires")));
    if count("failures") > 0 {
        lines.push(format!("fails {} times", count("failures")));
    }
    if count("left_out") > 0 {
        lines.push(format!("{} conversations could not be looked at", count("left_out")));
    }
    for (kind, number) in it["counts"]["messages"].as_object().into_iter().flatten() {
        lines.push(format!("messages that would go out, {kind}: {number}"));
    }
    let differences = ["would_fire", "no_longer_fires", "other_intents"];
    lines.push(format!(
        "differences: {} new, {} gone, {} other",
        count(differences[0]),
        count(differences[1]),
        count(differences[2])
    ));
    lines.extend(differences_of(it));
    lines.join("\n")
}

/// Where a text does something else than what is published, a line each.
pub(super) fn differences_of(it: &Value) -> impl Iterator<Item = String> {
    it["differences"].as_array().into_iter().flatten().map(|found| {
        let calls = |side: &str| {
            let calls = found["doing"][side]["intents"].as_array().into_iter().flatten();
            let calls: Vec<_> = calls.filter_map(Value::as_str).collect();
            if calls.is_empty() { "nothing".to_owned() } else { printable(&calls.join("; ")) }
        };
        format!(
            "  {}  {}  {}: {} instead of {}",
            text(found, "/at"),
            text(found, "/event"),
            text(found, "/kind"),
            calls("tried"),
            calls("running")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_never_overflows() {
        assert_eq!(bar(0, 10), format!("[{}]", " ".repeat(30)));
        assert_eq!(bar(5, 10), format!("[{}{}]", "#".repeat(15), " ".repeat(15)));
        assert_eq!(bar(99, 10), bar(0, 0));
    }

    #[test]
    fn differences_are_told_in_calls() {
        let it = json!({"state": "done", "from": "2025-11-14T00:00:00Z", "problem": null,
            "counts": {"events": 9, "fires": 2, "messages": {"text": 1}, "would_fire": 1},
            "differences": [{"kind": "would_fire", "event": "evt_1", "at": "t",
                "doing": {"tried": {"intents": ["archive()"]}, "running": {"intents": []}}}]});
        let text = report(&it);
        assert!(text.contains("archive() instead of nothing") && text.contains("text: 1"), "{text}");
    }
}
