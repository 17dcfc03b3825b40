//! `pointsman channel`: list, connect and check channels over the API.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::group::GROUPS;
use super::named::{named, path_to};
use super::output::{Out, table, text};
use super::plugin_form::PluginForm;

pub(super) const CHANNELS: &str = "/api/v1/channels";

/// Connected numbers and accounts
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Channel {
    /// List channels
    List(List),
    /// Connect a number or account
    Connect(Box<Connect>),
    /// Ask the vendor whether the credentials work and whom it calls
    Check(Check),
    /// How a channel is doing: counts, lag, the last problem and what to do about it
    Health(Named),
    /// Which assistant reads a channel, what for and within what
    Assistant(Named),
    /// Switch a channel off; what is to be sent waits
    Pause(Pause),
    /// Switch a channel on again
    Resume(Named),
    /// Link a phone: start the session and show its QR code
    #[command(subcommand)]
    Session(super::channel_session::Session),
    /// Read messages that no webhook told, as after an outage
    Backfill(super::channel_backfill::Backfill),
    /// Remove a channel; its conversations are closed and stay readable
    Delete(Delete),
}

/// List channels
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Connect a number or account
#[derive(Debug, Clone, Args)]
pub(super) struct Connect {
    /// Which plugin, e.g. twilio; `pointsman plugin list` shows them
    provider: String,
    /// Name for people
    #[arg(long)]
    name: String,
    /// whatsapp, sms, webchat, …
    #[arg(long)]
    kind: String,
    #[command(flatten)]
    form: PluginForm,
    /// Group that new conversations go to
    #[arg(long)]
    group: Option<String>,
    /// Language of new conversations, e.g. es
    #[arg(long)]
    language: Option<String>,
    /// Take and send messages at once
    #[arg(long)]
    active: bool,
    /// Only take messages, never send any
    #[arg(long)]
    receive_only: bool,
    /// Minutes after which an idle chat ends; 0: never
    #[arg(long, value_name = "MINUTES")]
    idle_end_minutes: Option<u32>,
    /// Messages that may leave per second; 0: any number [default: as many as the provider says]
    #[arg(long, value_name = "COUNT")]
    messages_per_second: Option<u32>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Ask the vendor whether the credentials work
#[derive(Debug, Clone, Args)]
pub(super) struct Check {
    /// Id or name
    channel: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// One channel
#[derive(Debug, Clone, Args)]
pub(super) struct Named {
    /// Id or name
    pub(super) channel: String,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Switch a channel off
#[derive(Debug, Clone, Args)]
pub(super) struct Pause {
    /// Id or name
    channel: String,
    /// Why, for colleagues
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Remove a channel
#[derive(Debug, Clone, Args)]
pub(super) struct Delete {
    /// Id or name
    channel: String,
    /// The channel's name, as a proof that it is the one that is meant
    #[arg(long, value_name = "NAME")]
    confirm: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl Channel {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run(out).await,
            Self::Connect(connect) => connect.run(out).await,
            Self::Check(check) => check.run(out).await,
            Self::Health(named) => named.health(out).await,
            Self::Assistant(named) => named.assistant(out).await,
            Self::Pause(pause) => pause.run(out).await,
            Self::Resume(named) => named.resume(out).await,
            Self::Session(session) => session.run(out).await,
            Self::Backfill(backfill) => backfill.run(out).await,
            Self::Delete(delete) => delete.run(out).await,
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let channels = Client::new(&self.api)?.list(CHANNELS).await?;
        let row = |channel: &Value| {
            let state =
                if channel["active"] == true { text(channel, "/state") } else { "inactive".to_owned() };
            let mut row: Vec<_> =
                ["/id", "/name", "/provider", "/kind", "/address"].map(|at| text(channel, at)).into();
            row.push(state);
            row
        };
        let shown = || {
            let rows: Vec<_> = channels.iter().map(row).collect();
            table(&["ID", "NAME", "PROVIDER", "KIND", "ADDRESS", "STATE"], &rows)
        };
        Ok(out.result(&json!({"items": &channels}), shown)?)
    }
}

impl Connect {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut body = self.form.fields(&client, &self.provider).await?;
        let group = match &self.group {
            Some(name) => Some(named(&client, GROUPS, "group", name).await?),
            None => None,
        };
        let said = [
            ("provider", Some(Value::from(self.provider))),
            ("kind", Some(self.kind.into())),
            ("name", Some(self.name.into())),
            ("active", Some(self.active.into())),
            ("default_group", group.map(Value::from)),
            ("language", self.language.map(Value::from)),
            ("receive_only", self.receive_only.then_some(Value::from(true))),
            ("idle_end_minutes", self.idle_end_minutes.map(Value::from)),
            ("messages_per_second", self.messages_per_second.map(Value::from)),
        ];
        body.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let channel = client.post(CHANNELS, &body.into()).await?;
        Ok(out.result(&channel, || connected(&channel))?)
    }
}

fn connected(channel: &Value) -> String {
    let state = if channel["active"] == true { "active" } else { "not active yet" };
    let mut lines =
        vec![format!("{}  {} is connected and {state}", text(channel, "/id"), text(channel, "/name"))];
    for (name, label) in [("/webhook_url", "webhook"), ("/chat_url", "chat page")] {
        let url = text(channel, name);
        if !url.is_empty() {
            lines.push(format!("{label}: {url}"));
        }
    }
    lines.push(format!("check it with `pointsman channel check {}`", text(channel, "/id")));
    lines.join("\n")
}

impl Check {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let report = client.post(&format!("{path}/check"), &json!({})).await?;
        let ok = report["ok"] != false;
        out.result(&report, || report_text(&report))?;
        if ok { Ok(()) } else { Err(CliError::Said) }
    }
}

impl Named {
    async fn health(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let health = client.get(&format!("{path}/health")).await?;
        Ok(out.result(&health, || health_text(&health))?)
    }

    async fn assistant(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let given = client.get(&format!("{path}/assistant")).await?;
        Ok(out.result(&given, || report_text(&given))?)
    }

    async fn resume(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let channel = client.post(&format!("{path}/resume"), &json!({})).await?;
        Ok(out.result(&channel, || format!("{} is {}", text(&channel, "/name"), text(&channel, "/state")))?)
    }
}

impl Pause {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let asked = self.reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
        let channel = client.post(&format!("{path}/pause"), &asked).await?;
        Ok(out.result(&channel, || format!("{} is {}", text(&channel, "/name"), text(&channel, "/state")))?)
    }
}

impl Delete {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let id = named(&client, CHANNELS, "channel", &self.channel).await?;
        let path = format!("{CHANNELS}/{}?confirm={}", encoded(&id), encoded(&self.confirm));
        client.delete(&path).await?;
        Ok(out.result(&json!({"removed": id}), || format!("{id} is removed"))?)
    }
}

/// The state in one line, what is wrong and what to do, then the counts.
fn health_text(health: &Value) -> String {
    let mut lines = vec![format!("{} since {}", text(health, "/state"), text(health, "/since"))];
    for (at, label) in [
        ("/reason", "why"),
        ("/last_problem/message", "last problem"),
        ("/last_problem/advice", "what to do"),
        ("/last_check/webhook/advice", "webhook"),
    ] {
        let said = text(health, at);
        if !said.is_empty() {
            lines.push(format!("{label}: {said}"));
        }
    }
    lines.push(report_text(&health["counters"]));
    lines.join("\n")
}

/// A report of unknown shape, one line per field.
fn report_text(report: &Value) -> String {
    let Some(fields) = report.as_object() else { return report.to_string() };
    let shown = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => super::output::printable(text),
        other => other.to_string(),
    };
    let rows: Vec<_> = fields.iter().map(|(name, value)| vec![name.clone(), shown(value)]).collect();
    table(&["FIELD", "VALUE"], &rows)
}
