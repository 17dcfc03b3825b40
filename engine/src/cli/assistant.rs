//! `pointsman assistant`: AI assistants over the API, the channels that they may
//! read, and what they used.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::channel::CHANNELS;
use super::client::{ApiArgs, Client, encoded};
use super::error::CliError;
use super::named::{called, named, path_to};
use super::output::{Out, table, text};
use super::plugin_form::{PluginForm, pair};

const ASSISTANTS: &str = "/api/v1/assistants";

/// AI assistants, and the channels that they may read
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Assistant {
    /// List assistants
    List(List),
    /// Add an assistant; it reads nothing until a channel is given to it
    Create(Box<Create>),
    /// Change an assistant; what is left out stays
    Set(Box<Set>),
    /// Ask the vendor whether the credentials work, and which models there are
    Check(Named),
    /// Let an assistant read a channel: what is written there goes to its vendor
    Connect(Connect),
    /// Take the assistant off a channel
    Disconnect(Disconnect),
    /// What assistants used, by day and channel
    Usage(Usage),
    /// Remove an assistant and take it off its channels
    Delete(Named),
}

/// Only the server
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Add an assistant
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// Which plugin, e.g. openai; `pointsman plugin list` shows them
    plugin: String,
    /// Name for people
    #[arg(long)]
    name: String,
    #[command(flatten)]
    form: PluginForm,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    api: ApiArgs,
}

/// Change an assistant
#[derive(Debug, Clone, Args)]
pub(super) struct Set {
    /// Id or name
    assistant: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Ask it nothing, or ask it again: true or false
    #[arg(long)]
    active: Option<bool>,
    #[command(flatten)]
    form: PluginForm,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    api: ApiArgs,
}

/// What may be said of an assistant when it is made and later.
#[derive(Debug, Clone, Args)]
struct Terms {
    /// What it is told, whatever the channel
    #[arg(long)]
    instructions: Option<String>,
    /// A limit or a price as the API calls it, e.g. tokens_per_day_max=100000; `none` for no cap; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<(String, Value)>,
}

/// One assistant
#[derive(Debug, Clone, Args)]
pub(super) struct Named {
    /// Id or name
    assistant: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// What assistants used
#[derive(Debug, Clone, Args)]
pub(super) struct Usage {
    /// The first day, e.g. 2026-12-01; thirty days ago when absent
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<String>,
    /// The last day; today when absent
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Let an assistant read a channel
#[derive(Debug, Clone, Args)]
pub(super) struct Connect {
    /// Id or name of the assistant
    assistant: String,
    /// Id or name of the channel
    #[arg(long)]
    channel: String,
    /// Let it answer contacts, where the AI of their conversation is on
    #[arg(long)]
    replies: bool,
    /// Let it judge and sum up every chat that ends
    #[arg(long)]
    insights_at_end: bool,
    /// What it is told on this channel
    #[arg(long, default_value = "")]
    instructions: String,
    /// Tokens that it may use on this channel in a day
    #[arg(long, value_name = "COUNT")]
    tokens_per_day: Option<u32>,
    /// What it may cost on this channel in a day, millionths of the organisation's currency
    #[arg(long, value_name = "MICROS")]
    cost_per_day: Option<u64>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Take the assistant off a channel
#[derive(Debug, Clone, Args)]
pub(super) struct Disconnect {
    /// Id or name of the channel
    #[arg(long)]
    channel: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// `name=number`, or `name=none`.
fn limit(text: &str) -> Result<(String, Value), String> {
    let (name, value) = pair(text)?;
    if value == "none" {
        return Ok((name, Value::Null));
    }
    let number = value.parse::<i64>().map_err(|_| format!("{name} must be a whole number or `none`"))?;
    Ok((name, number.into()))
}

/// `YYYY-MM-DD`; what it may not be is the server's to say.
fn day(text: &str) -> Result<String, String> {
    let is_day = text.len() == "YYYY-MM-DD".len() && !text.contains('T');
    if is_day { Ok(text.to_owned()) } else { Err("write it as 2026-12-31".to_owned()) }
}

impl Assistant {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::List(it) => it.run(out).await,
            Self::Create(it) => it.run(out).await,
            Self::Set(it) => it.run(out).await,
            Self::Check(it) => it.check(out).await,
            Self::Connect(it) => it.run(out).await,
            Self::Disconnect(it) => it.run(out).await,
            Self::Usage(it) => it.run(out).await,
            Self::Delete(it) => it.delete(out).await,
        }
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let found = Client::new(&self.api)?.list(ASSISTANTS).await?;
        let row = |it: &Value| {
            let state = if it["active"] == true { "on" } else { "off" };
            vec![text(it, "/id"), text(it, "/name"), text(it, "/plugin"), state.to_owned()]
        };
        let shown = || {
            let rows: Vec<_> = found.iter().map(row).collect();
            table(&["ID", "NAME", "PLUGIN", "STATE"], &rows)
        };
        Ok(out.result(&json!({"items": &found}), shown)?)
    }
}

impl Usage {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let days = [("from", self.from), ("to", self.to)];
        let days: Vec<_> = days
            .into_iter()
            .filter_map(|(name, day)| Some(format!("{name}={}", encoded(&format!("{}T00:00:00Z", day?)))))
            .collect();
        let found = client.get(&format!("{ASSISTANTS}/usage?{}", days.join("&"))).await?;
        let (channels, assistants) = (client.list(CHANNELS).await?, client.list(ASSISTANTS).await?);
        let row = |it: &Value| {
            let mut row = vec![
                text(it, "/day"),
                called(&channels, "/name", &it["channel"]),
                called(&assistants, "/name", &it["assistant"]),
            ];
            row.extend(["/runs", "/input_tokens", "/output_tokens"].map(|at| text(it, at)));
            row.push(money(it));
            row
        };
        let shown = || {
            let rows: Vec<_> = found["items"].as_array().into_iter().flatten().map(row).collect();
            table(&["DAY", "CHANNEL", "ASSISTANT", "RUNS", "READ", "WRITTEN", "COST"], &rows)
        };
        Ok(out.result(&found, shown)?)
    }
}

/// A cost in whole units: `0.000902 EUR`.
fn money(it: &Value) -> String {
    let micros = it["cost_micros"].as_i64().unwrap_or_default().max(0);
    format!("{}.{:06} {}", micros / 1_000_000, micros % 1_000_000, text(it, "/currency"))
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let mut body = self.form.fields(&client, &self.plugin).await?;
        self.terms.put(&mut body, &Value::Null);
        body.insert("plugin".to_owned(), self.plugin.into());
        body.insert("name".to_owned(), self.name.into());
        let made = client.post(ASSISTANTS, &body.into()).await?;
        Ok(out.result(&made, || text(&made, "/id"))?)
    }
}

impl Set {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, ASSISTANTS, "assistant", &self.assistant).await?;
        let before = client.get(&path).await?;
        let mut body = self.form.fields(&client, &text(&before, "/plugin")).await?;
        self.terms.put(&mut body, &before["limits"]);
        body.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        body.extend(self.active.map(|active| ("active".to_owned(), active.into())));
        let changed = client.patch(&path, &body.into()).await?;
        Ok(out.result(&changed, || format!("{} is changed", text(&changed, "/name")))?)
    }
}

impl Terms {
    /// The API takes limits whole, so what is not said here is what the assistant has.
    fn put(self, body: &mut Map<String, Value>, before: &Value) {
        body.extend(self.instructions.map(|text| ("instructions".to_owned(), text.into())));
        if !self.limits.is_empty() {
            let mut limits = before.as_object().cloned().unwrap_or_default();
            limits.extend(self.limits);
            body.insert("limits".to_owned(), limits.into());
        }
    }
}

impl Named {
    async fn check(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, ASSISTANTS, "assistant", &self.assistant).await?;
        let found = client.post(&format!("{path}/check"), &json!({})).await?;
        let shown = || match found["problem"].as_str() {
            Some(problem) => problem.to_owned(),
            None => {
                let models = found["models"].as_array().into_iter().flatten().filter_map(Value::as_str);
                std::iter::once("ok").chain(models).collect::<Vec<_>>().join("\n")
            }
        };
        out.result(&found, shown)?;
        if found["ok"] == true { Ok(()) } else { Err(CliError::Said) }
    }

    async fn delete(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let path = path_to(&client, ASSISTANTS, "assistant", &self.assistant).await?;
        let done = client.delete(&path).await?;
        Ok(out.result(&done, || format!("{} is removed", self.assistant))?)
    }
}

impl Connect {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let assistant = named(&client, ASSISTANTS, "assistant", &self.assistant).await?;
        let channel = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let body = json!({
            "assistant": assistant, "replies": self.replies, "insights_at_end": self.insights_at_end,
            "instructions": self.instructions, "tokens_per_day_max": self.tokens_per_day,
            "cost_micros_per_day_max": self.cost_per_day,
        });
        let given = client.put(&format!("{channel}/assistant"), &body).await?;
        let what = if self.replies { "reads this channel and answers" } else { "reads this channel" };
        Ok(out.result(&given, || format!("{} {what}", self.assistant))?)
    }
}

impl Disconnect {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let client = Client::new(&self.api)?;
        let channel = path_to(&client, CHANNELS, "channel", &self.channel).await?;
        let done = client.delete(&format!("{channel}/assistant")).await?;
        Ok(out.result(&done, || "no assistant reads this channel any more".to_owned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_none_and_keep_what_is_there() {
        assert_eq!(limit("answers_max=3").unwrap(), ("answers_max".into(), json!(3)));
        assert_eq!(limit("tokens_per_day_max=none").unwrap().1, Value::Null);
        assert!(limit("answers_max").is_err() && limit("answers_max=few").is_err());
        let terms = Terms { instructions: None, limits: vec![limit("answers_max=3").unwrap()] };
        let mut body = Map::new();
        terms.put(&mut body, &json!({"answers_max": 10, "silence_seconds": 4}));
        assert_eq!(Value::from(body), json!({"limits": {"answers_max": 3, "silence_seconds": 4}}));
    }

    #[test]
    fn money_is_shown_in_whole_units_with_its_currency() {
        assert_eq!(money(&json!({"cost_micros": 902, "currency": "EUR"})), "0.000902 EUR");
        assert_eq!(money(&json!({"cost_micros": 12_500_000, "currency": "USD"})), "12.500000 USD");
    }
}
