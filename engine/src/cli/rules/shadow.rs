//! `pointsman rules shadow`: a draft beside what is published, on live events and
//! without effects.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::{Out, text};
use super::backtest::differences_of;
use super::{files, path_of};

/// Let a draft run beside the published version without effects, and see what differs
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Shadow {
    /// The rule's name or id
    rule: String,
    /// Switch it on or off; without this it is shown
    switch: Option<Switch>,
    /// A rule file to try instead of the draft
    #[arg(long, requires = "switch")]
    file: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Shadow {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = format!("{}/shadow", path_of(&client, &self.rule).await?);
        let shadow = match self.switch {
            None => client.get(&path).await?,
            Some(switch) => {
                let mut body = json!({"on": switch == Switch::On});
                if let Some(file) = &self.file {
                    body["source"] = files::one(file)?.source.into();
                }
                client.post(&path, &body).await?
            }
        };
        Ok(out.result(&shadow, || shown(&shadow))?)
    }
}

fn shown(shadow: &Value) -> String {
    let mut lines = vec![match (shadow["on"] == true, shadow["id"].is_null()) {
        (true, _) => format!("running since {}", text(shadow, "/since")),
        (false, true) => "there never was a shadow of this rule".to_owned(),
        (false, false) => format!("off since {}", text(shadow, "/ended_at")),
    }];
    if let Some(problem) = shadow["problem"].as_str() {
        lines.push(format!("stopped: {problem}"));
    }
    let counts = shadow["counts"].as_object().into_iter().flatten();
    lines
        .extend(counts.filter(|(_, count)| count.is_i64()).map(|(what, count)| format!("  {what}: {count}")));
    lines.extend(differences_of(shadow));
    lines.join("\n")
}
