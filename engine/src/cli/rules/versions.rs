//! `pointsman rules versions`, `diff` and `rollback`: what a rule said when, and
//! going back to it.

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::CliError;
use super::super::output::{Out, table, text};
use super::path_of;

/// What was published of a rule, the newest first
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Versions {
    /// Its name or id
    rule: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// What differs between two texts of a rule
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Diff {
    /// Its name or id
    rule: String,
    /// `draft`, `published` or the number of a version
    #[arg(long, default_value = "published")]
    from: String,
    /// The same; the draft, or what is published when there is none
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Publish an older version of a rule once more
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Rollback {
    /// Its name or id
    rule: String,
    /// The number of the version, as `rules versions` shows it
    version: u32,
    /// Why
    #[arg(long)]
    message: Option<String>,
    /// Do it although it closes a loop with other rules
    #[arg(long)]
    override_loop: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl Versions {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let found = client.list(&format!("{}/versions", path_of(&client, &self.rule).await?)).await?;
        let row = |it: &Value| {
            let by = if it["author_name"].is_string() { "/author_name" } else { "/author" };
            ["/number", "/published_at", by, "/message"].map(|at| text(it, at)).into()
        };
        Ok(out.result(&json!({"items": &found}), || {
            let rows: Vec<Vec<_>> = found.iter().map(row).collect();
            table(&["VERSION", "PUBLISHED", "BY", "WHY"], &rows)
        })?)
    }
}

impl Diff {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let to = self.to.map(|to| format!("&to={}", encoded(&to))).unwrap_or_default();
        let path = format!("{}/diff?from={}{to}", path_of(&client, &self.rule).await?, encoded(&self.from));
        let found = client.get(&path).await?;
        Ok(out.result(&found, || match found["diff"].as_str() {
            Some("") | None => "no difference".to_owned(),
            Some(diff) => diff.trim_end().to_owned(),
        })?)
    }
}

impl Rollback {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = format!("{}/rollback", path_of(&client, &self.rule).await?);
        let body =
            json!({"version": self.version, "message": self.message, "override_loop": self.override_loop});
        let rule = client.post(&path, &body).await?;
        Ok(out.result(&rule, || {
            let (name, number) = (text(&rule, "/name"), text(&rule, "/version/number"));
            format!("{name} says what it said in version {}; this is version {number}", self.version)
        })?)
    }
}
