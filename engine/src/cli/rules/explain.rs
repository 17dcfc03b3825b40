//! `pointsman rules explain`: what rules made of an event, and why one did not fire.

use clap::Args;
use serde_json::Value;

use super::run::shown;
use super::{RULES, rule_named};
use crate::cli::client::{ApiArgs, Client, encoded};
use crate::cli::error::CliError;
use crate::cli::output::{Out, text};

/// Say what rules made of an event, or why a rule did not fire
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Explain {
    /// Name or id of a rule; all of them when absent
    #[arg(required_unless_present = "event")]
    rule: Option<String>,
    /// An event (evt_…)
    #[arg(long, value_name = "ID", required_unless_present = "conversation")]
    event: Option<String>,
    /// The last events of a conversation (cnv_…)
    #[arg(long, value_name = "ID", conflicts_with = "event")]
    conversation: Option<String>,
    /// Also show which lines ran and what every condition read
    #[arg(long, requires = "event")]
    lines: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Explain {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let rule = match &self.rule {
            Some(name) => Some(rule_named(&client, name).await?),
            None => None,
        };
        if let (Some(conversation), Some(rule)) = (&self.conversation, &rule) {
            let path = format!("{RULES}/{}/why?conversation={}", text(rule, "/id"), encoded(conversation));
            let answer = client.get(&path).await?;
            out.result(&answer, || {
                let items = answer["events"].as_array().into_iter().flatten();
                items.map(in_one_line).collect::<Vec<_>>().join("\n")
            })?;
            return Ok(());
        }
        let Some(event) = &self.event else {
            return Err(CliError::Usage("say about what: --event or --conversation".to_owned()));
        };
        let mut path = format!("/api/v1/events/{}/explain?lines={}", encoded(event), self.lines);
        if let Some(rule) = &rule {
            path.push_str(&format!("&rule={}", text(rule, "/id")));
        }
        let answer = client.get(&path).await?;
        let mut sources = Vec::new();
        for run in answer["rules"].as_array().into_iter().flatten() {
            sources.push(if self.lines { source(&client, run).await? } else { String::new() });
        }
        out.result(&answer, || {
            let runs = answer["rules"].as_array().into_iter().flatten();
            runs.zip(&sources).map(|(run, source)| shown(run, source)).collect::<Vec<_>>().join("\n\n")
        })?;
        Ok(())
    }
}

/// The text of the version that ran.
async fn source(client: &Client, run: &Value) -> Result<String, CliError> {
    let versions = client.list(&format!("{RULES}/{}/versions", text(run, "/rule"))).await?;
    Ok(versions
        .iter()
        .find(|it| it["id"] == run["version"])
        .map_or(String::new(), |it| it["source"].as_str().unwrap_or_default().to_owned()))
}

fn in_one_line(it: &Value) -> String {
    format!(
        "{}  {}  {}: {}",
        text(it, "/event/at"),
        text(it, "/event/type"),
        text(it, "/run/outcome"),
        text(it, "/run/sentence")
    )
}
