//! `pointsman channel`: list, connect and check channels over the API.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::output::{Out, table, text};
use crate::config::{Environment, Strings};
use crate::crypto::Secret;

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
    /// Switch a channel off; what is to be sent waits
    Pause(Pause),
    /// Switch a channel on again
    Resume(Named),
    /// Link a phone: start the session and show its QR code
    #[command(subcommand)]
    Session(super::channel_session::Session),
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
    /// A setting of the plugin
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A secret; better with --secret-env, since others can read command lines
    #[arg(long = "secret", value_name = "NAME=VALUE", value_parser = secret_pair)]
    secret: Vec<(String, Secret)>,
    /// A secret that a variable holds
    #[arg(long = "secret-env", value_name = "NAME=VARIABLE", value_parser = pair)]
    secret_env: Vec<(String, String)>,
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
    /// Let the plugin call addresses of private networks that its settings name
    #[arg(long)]
    allow_private_egress: bool,
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

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

fn secret_pair(text: &str) -> Result<(String, Secret), String> {
    pair(text).map(|(name, value)| (name, Secret::new(value)))
}

impl Channel {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.run(out).await,
            Self::Connect(connect) => connect.run(out).await,
            Self::Check(check) => check.run(out).await,
            Self::Health(named) => named.health(out).await,
            Self::Pause(pause) => pause.run(out).await,
            Self::Resume(named) => named.resume(out).await,
            Self::Session(session) => session.run(out).await,
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
        let fields = plugin_fields(&client, &self.provider).await?;
        let group = match &self.group {
            Some(name) => Some(named(&client, "/api/v1/groups", "group", name).await?),
            None => None,
        };
        let body = self.body(&fields, group, &Environment)?;
        let channel = client.post(CHANNELS, &body).await?;
        Ok(out.result(&channel, || connected(&channel))?)
    }

    fn body(
        &self,
        fields: &[Value],
        group: Option<String>,
        strings: &dyn Strings,
    ) -> Result<Value, CliError> {
        let mut settings = Map::new();
        for (name, value) in &self.set {
            let kind = kind_of(fields, name);
            if kind == Some("secret") {
                let say = format!(
                    "{name} is a secret; give it with --secret-env {name}=VARIABLE or --secret {name}=…"
                );
                return Err(CliError::Usage(say));
            }
            settings.insert(name.clone(), typed(kind, name, value)?);
        }
        let mut secrets = Map::new();
        for (name, value) in &self.secret {
            secrets.insert(name.clone(), value.expose().into());
        }
        for (name, variable) in &self.secret_env {
            let value = strings.get(variable).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                CliError::Usage(format!("{variable}, which should hold {name}, is not set"))
            })?;
            secrets.insert(name.clone(), value.into());
        }
        let mut body = json!({
            "provider": self.provider, "kind": self.kind, "name": self.name,
            "settings": settings, "secrets": secrets, "active": self.active,
        });
        let optional = [
            ("default_group", group.map(Value::from)),
            ("language", self.language.clone().map(Value::from)),
            ("receive_only", self.receive_only.then_some(Value::from(true))),
            ("allow_private_egress", self.allow_private_egress.then_some(Value::from(true))),
            ("idle_end_minutes", self.idle_end_minutes.map(Value::from)),
            ("messages_per_second", self.messages_per_second.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        Ok(body)
    }
}

/// The form of a plugin; tells which plugins there are when there is no such one.
async fn plugin_fields(client: &Client, provider: &str) -> Result<Vec<Value>, CliError> {
    let plugins = client.list("/api/v1/plugins").await?;
    let Some(plugin) = plugins.iter().find(|plugin| plugin["id"] == provider) else {
        let known: Vec<_> = plugins.iter().map(|plugin| text(plugin, "/id")).collect();
        return Err(CliError::Failed(match known.as_slice() {
            [] => "no plugin is installed; put its .wasm into the plugin folder and restart the server"
                .to_owned(),
            known => format!("there is no plugin `{provider}`; there are: {}", known.join(", ")),
        }));
    };
    Ok(plugin["manifest"]["settings"].as_array().cloned().unwrap_or_default())
}

fn kind_of<'f>(fields: &'f [Value], name: &str) -> Option<&'f str> {
    let field = fields.iter().find(|field| field["name"] == name)?;
    field["kind"]["type"].as_str().or_else(|| field["kind"].as_str())
}

/// A setting as its plugin wants it. What is no field of the plugin goes as text: the server knows best.
fn typed(kind: Option<&str>, name: &str, value: &str) -> Result<Value, CliError> {
    let wrong = |what| CliError::Usage(format!("{name} must be {what}, not `{value}`"));
    match kind {
        Some("integer") => value.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
        Some("toggle") => value.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        _ => Ok(value.into()),
    }
}

/// The id of something by its id or its name.
pub(super) async fn named(client: &Client, path: &str, what: &str, name: &str) -> Result<String, CliError> {
    let items = client.list(path).await?;
    let wanted = name.to_lowercase();
    let matching: Vec<_> = items
        .iter()
        .filter(|item| item["id"] == name || text(item, "/name").to_lowercase() == wanted)
        .map(|item| text(item, "/id"))
        .collect();
    match matching.as_slice() {
        [id] => Ok(id.clone()),
        [] => {
            let known: Vec<_> = items.iter().map(|item| text(item, "/name")).collect();
            Err(CliError::Failed(format!("there is no {what} `{name}`; there are: {}", known.join(", "))))
        }
        several => Err(CliError::Failed(format!(
            "several have the name `{name}`; give an id: {}",
            several.join(", ")
        ))),
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
        let id = named(&client, CHANNELS, "channel", &self.channel).await?;
        let report = client.post(&format!("{CHANNELS}/{}/check", encoded(&id)), &json!({})).await?;
        let ok = report["ok"] != false;
        out.result(&report, || report_text(&report))?;
        if ok { Ok(()) } else { Err(CliError::Said) }
    }
}

impl Named {
    async fn health(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let id = named(&client, CHANNELS, "channel", &self.channel).await?;
        let health = client.get(&format!("{CHANNELS}/{}/health", encoded(&id))).await?;
        Ok(out.result(&health, || health_text(&health))?)
    }

    async fn resume(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let id = named(&client, CHANNELS, "channel", &self.channel).await?;
        let channel = client.post(&format!("{CHANNELS}/{}/resume", encoded(&id)), &json!({})).await?;
        Ok(out.result(&channel, || format!("{} is {}", text(&channel, "/name"), text(&channel, "/state")))?)
    }
}

impl Pause {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let id = named(&client, CHANNELS, "channel", &self.channel).await?;
        let asked = self.reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
        let channel = client.post(&format!("{CHANNELS}/{}/pause", encoded(&id)), &asked).await?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connect: Connect,
    }

    fn body(line: &str, env: &[(&str, &str)]) -> Result<Value, String> {
        let connect =
            Line::try_parse_from(format!("x twilio --name N --kind sms {line}").split(' ')).unwrap().connect;
        let fields = json!([
            {"name": "account_sid", "kind": {"type": "text"}}, {"name": "port", "kind": {"type": "integer"}},
            {"name": "test", "kind": {"type": "toggle"}}, {"name": "auth_token", "kind": {"type": "secret"}},
        ]);
        let env: BTreeMap<_, _> = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        connect.body(fields.as_array().unwrap(), Some("grp_1".into()), &env).map_err(|e| e.to_string())
    }

    #[test]
    fn settings_get_the_type_of_their_field() {
        let line = "--set account_sid=0123 --set port=8 --set test=true --set other=1 --secret-env auth_token=T --active";
        assert_eq!(
            body(line, &[("T", "hidden")]).unwrap(),
            json!({
                "provider": "twilio", "kind": "sms", "name": "N", "active": true, "default_group": "grp_1",
                "settings": {"account_sid": "0123", "port": 8, "test": true, "other": "1"},
                "secrets": {"auth_token": "hidden"},
            })
        );
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let secret = body("--set auth_token=x", &[]).unwrap_err();
        assert!(secret.contains("--secret-env auth_token=VARIABLE"), "{secret}");
        assert_eq!(body("--set port=x", &[]).unwrap_err(), "port must be a whole number, not `x`");
        assert_eq!(
            body("--secret-env auth_token=T", &[]).unwrap_err(),
            "T, which should hold auth_token, is not set"
        );
        assert!(pair("=x").is_err() && pair("x").is_err());
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
    }
}
