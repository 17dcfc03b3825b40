//! `pointsman rules case`: a case from something that happened.

use clap::Args;
use serde_json::json;

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::Out;
use super::path_of;

/// Add a case to a rule from an event that happened; names and numbers of people are replaced
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Case {
    /// The rule's name or id
    rule: String,
    /// The event, as `pointsman tail` and timelines show it
    #[arg(long, value_name = "ID")]
    event: String,
    /// What the case shows
    #[arg(long)]
    name: Option<String>,
    /// Only print it and keep nothing
    #[arg(long)]
    no_save: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Case {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = format!("{}/cases", path_of(&client, &self.rule).await?);
        let body = json!({"event_id": self.event, "name": self.name, "save": !self.no_save});
        let made = client.post(&path, &body).await?;
        if made["saved"] == true && !out.json {
            out.remark("added to the rule's cases; `pointsman rules pull` writes them into your files");
        }
        Ok(out.result(&made, || made["case"].as_str().unwrap_or_default().trim_end().to_owned())?)
    }
}
