//! `pointsman channel backfill`: reading a channel's past from a terminal.

use clap::Args;
use serde_json::{Value, json};

use super::channel::CHANNELS;
use super::client::{ApiArgs, Client};
use super::error::CliError;
use super::named::path_to;
use super::output::{Out, text};

/// Read messages that no webhook told, as after an outage; without --since, show how far it is
#[derive(Debug, Clone, Args)]
pub(super) struct Backfill {
    /// Id or name
    channel: String,
    /// Older messages are left out: 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Backfill {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await? + "/backfill";
        let state = match &self.since {
            Some(since) => client.post(&path, &json!({ "since": since })).await?,
            None => client.get(&path).await?,
        };
        Ok(out.result(&state, || shown(&state))?)
    }
}

fn shown(state: &Value) -> String {
    let mut line = format!(
        "{}: {} messages since {}, {} of them new",
        text(state, "/state"),
        text(state, "/found"),
        text(state, "/since"),
        text(state, "/added")
    );
    let problem = text(state, "/problem");
    if !problem.is_empty() {
        line += &format!("\n{problem}");
    }
    line
}
