//! `pointsman webhook`: endpoints of other programs over the API, and what they
//! were told.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::named::path_to;
use super::output::{Out, table, text};

const WEBHOOKS: &str = "/api/v1/webhooks";

/// Endpoints of other programs that are told what happens
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Webhook {
    /// List endpoints
    List(List),
    /// Add an endpoint; its signing secret is printed and never again
    Create(Create),
    /// Send an endpoint a test and say what came back
    Test(One),
    /// What an endpoint was told, the newest first
    Deliveries(Deliveries),
    /// Tell an endpoint once more what failed
    Replay(Replay),
}

/// List endpoints
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Add an endpoint
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// What rules call it
    name: String,
    /// Where it listens
    #[arg(long = "to", value_name = "URL")]
    to: String,
    /// A type of event, e.g. message.received; may be repeated; all when absent
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// Let it be in a private network, and speak plain HTTP
    #[arg(long)]
    allow_private_egress: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// One endpoint
#[derive(Debug, Clone, Args)]
pub(super) struct One {
    /// Id or name
    webhook: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// What an endpoint was told
#[derive(Debug, Clone, Args)]
pub(super) struct Deliveries {
    /// Id or name
    webhook: String,
    /// waiting, delivered or failed
    #[arg(long)]
    state: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    #[command(flatten)]
    api: ApiArgs,
}

/// Tell an endpoint once more what failed
#[derive(Debug, Clone, Args)]
pub(super) struct Replay {
    /// Id or name of an endpoint, with --since; or the id of one delivery
    what: String,
    /// Everything that failed from this moment on, e.g. 2026-12-31T00:00:00Z
    #[arg(long)]
    since: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

impl Webhook {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => it.run(out).await,
            Self::Create(it) => it.run(out).await,
            Self::Test(it) => it.test(out).await,
            Self::Deliveries(it) => it.run(out).await,
            Self::Replay(it) => it.run(out).await,
        }
    }
}

async fn path_of(client: &Client, webhook: &str) -> Result<String, CliError> {
    path_to(client, WEBHOOKS, "webhook", webhook).await
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let found = Client::new(&self.api)?.list(WEBHOOKS).await?;
        let row = |it: &Value| {
            let events = it["events"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let state = match (it["active"] == true, it["failing_since"].is_string()) {
                (false, _) => "off",
                (true, true) => "failing",
                (true, false) => "ok",
            };
            let events = events.collect::<Vec<_>>().join(",");
            vec![text(it, "/id"), text(it, "/name"), state.to_owned(), events, text(it, "/url")]
        };
        let shown = || {
            let rows: Vec<_> = found.iter().map(row).collect();
            table(&["ID", "NAME", "STATE", "EVENTS", "URL"], &rows)
        };
        Ok(out.result(&json!({"items": &found}), shown)?)
    }
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let events = if self.events.is_empty() { vec!["*".to_owned()] } else { self.events };
        let body = json!({
            "name": self.name, "url": self.to, "events": events, "description": self.description,
            "allow_private_egress": self.allow_private_egress,
        });
        let made = Client::new(&self.api)?.post(WEBHOOKS, &body).await?;
        if !out.json {
            // Only the secret is the result: SECRET=$(pointsman webhook create …) has to work.
            out.remark(&format!("{}: keep the secret now, it is not shown again", text(&made, "/id")));
        }
        Ok(out.result(&made, || text(&made, "/signing_secret"))?)
    }
}

impl One {
    async fn test(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_of(&client, &self.webhook).await?;
        let call = client.post(&format!("{path}/test"), &json!({})).await?;
        let shown = || match call["problem"].as_str() {
            Some(problem) => format!("{problem}\n{}", text(&call, "/answer")),
            None => format!("answered {} in {} ms", text(&call, "/status"), text(&call, "/took_ms")),
        };
        out.result(&call, shown)?;
        if call["problem"].is_null() { Ok(()) } else { Err(CliError::Said) }
    }
}

impl Deliveries {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_of(&client, &self.webhook).await?;
        let state = self.state.map(|state| format!("&state={}", encoded(&state))).unwrap_or_default();
        let found = client.get(&format!("{path}/deliveries?limit={}{state}", self.limit)).await?;
        let columns = ["/id", "/created_at", "/type", "/state", "/attempts", "/problem"];
        let shown = || {
            let rows = found["items"].as_array().into_iter().flatten();
            let rows: Vec<Vec<_>> = rows.map(|it| columns.map(|at| text(it, at)).into()).collect();
            table(&["ID", "AT", "TYPE", "STATE", "CALLS", "PROBLEM"], &rows)
        };
        Ok(out.result(&found, shown)?)
    }
}

impl Replay {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let is_delivery = self.what.starts_with("dlv_");
        let replayed = match &self.since {
            None if is_delivery => {
                let path = format!("{WEBHOOKS}/deliveries/{}/replay", encoded(&self.what));
                client.post(&path, &json!({})).await?
            }
            Some(since) if !is_delivery => {
                let path = path_of(&client, &self.what).await?;
                client.post(&format!("{path}/replay"), &json!({"since": since})).await?
            }
            _ => {
                let say = "give an endpoint with --since, or the id of one delivery (dlv_…) without it";
                return Err(CliError::Usage(say.to_owned()));
            }
        };
        let more = if replayed["more"] == true { "; there are more, repeat the command" } else { "" };
        Ok(out.result(&replayed, || format!("{} told once more{more}", text(&replayed, "/queued")))?)
    }
}
