//! `pointsman rules resume`: lets a rule run again that was held back.

use clap::Args;
use serde_json::json;

use super::super::client::{ApiArgs, Client};
use super::super::error::CliError;
use super::super::output::Out;
use super::path_of;

/// Let a rule run again that was parked after failures, or is held back by its quota
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Resume {
    /// Its name or id
    rule: String,
    /// Only what the quota of starts holds back in this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Resume {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = format!("{}/resume", path_of(&client, &self.rule).await?);
        let body = match &self.conversation {
            Some(conversation) => json!({"conversation": conversation}),
            None => json!({}),
        };
        let answer = client.post(&path, &body).await?;
        Ok(out.result(&answer, || match self.conversation {
            Some(conversation) => format!("{} may start again in {conversation}", self.rule),
            None => format!("{} runs again", self.rule),
        })?)
    }
}
