//! `pointsman plugin record`: makes cases of the webhooks that a running server
//! keeps, with fakes in place of people and signatures of nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use toml::Table;

use super::super::client::{ApiArgs, Client, encoded};
use super::super::error::{CliError, with_causes};
use super::super::output::{Out, text};
use super::{build, loaded};
use crate::plugins::{ChannelContext, Plugin, Secret, WebhookRequest, cases, record};

/// Most webhooks that are taken at once.
const COUNT_MAX: usize = 200;
/// Where the vendor of a case calls.
const WEBHOOK_URL: &str = "https://crm.example.com/hooks/hk_recorded";
/// The moment of all cases, unix milliseconds: after everything that they tell of.
const NOW_MS: i64 = 2_000_000_000_000;

/// Make cases of webhooks that a running server keeps
#[derive(Debug, Clone, Args)]
pub(in super::super) struct Record {
    /// Folder of the plugin, which is built first, or a .wasm file
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Id of the channel whose webhooks are taken
    #[arg(long)]
    channel: String,
    /// Folder to write the cases to, one for each webhook
    #[arg(long, default_value = "recorded")]
    cases: PathBuf,
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    count: usize,
    #[command(flatten)]
    api: ApiArgs,
}

impl Record {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let wasm = build::wasm(&self.plugin).await?;
        let (plugin, _scratch) = loaded(&wasm).await?;
        let client = Client::new(&self.api)?;
        let channel = client.get(&format!("/api/v1/channels/{}", encoded(&self.channel))).await?;
        let context = context(&plugin, &text(&channel, "/kind"));
        let limit = self.count.min(COUNT_MAX);
        let path = format!("/api/v1/raw-webhooks?channel={}&limit={limit}", encoded(&self.channel));
        let page = client.get(&path).await?;
        std::fs::create_dir_all(&self.cases)
            .map_err(|error| CliError::Failed(format!("{}: {error}", self.cases.display())))?;
        build::write(&self.cases.join("context.toml"), context_toml(&context)?.as_bytes())?;
        let (mut written, mut left_out) = (Vec::new(), 0);
        for kept in page["items"].as_array().into_iter().flatten() {
            let kept = client.get(&format!("/api/v1/raw-webhooks/{}", encoded(&text(kept, "/id")))).await?;
            let made = record::anonymous(&plugin, &context, &request(&kept)).await;
            match made.map_err(|error| CliError::Failed(with_causes(&error)))? {
                Some(made) => {
                    let name = format!("recorded-{:02}", written.len() + 1);
                    write(&self.cases.join(&name), &made)?;
                    written.push(name);
                }
                None => left_out += 1,
            }
        }
        cases::record(&plugin, &self.cases).await.map_err(|error| CliError::Failed(error.to_string()))?;
        let result = json!({"ok": true, "cases": written, "left_out": left_out});
        Ok(out.result(&result, || {
            let shown = self.cases.display();
            format!(
                "{} cases in {shown}, {left_out} webhooks left out because the plugin takes no signature of ours\n\
                 read them before you give them away, then `pointsman plugin test --cases {shown}`",
                written.len()
            )
        })?)
    }
}

/// A channel of nobody: every secret is an invented one.
fn context(plugin: &Plugin, kind: &str) -> ChannelContext {
    let manifest = plugin.manifest();
    let secret = |name: &str| (name.to_owned(), Secret::new(format!("{name}-of-nobody")));
    let examples = manifest.settings.iter().filter(|it| !it.kind.is_secret());
    let examples: serde_json::Map<_, _> =
        examples.filter_map(|it| Some((it.name.clone(), it.example.clone()?.into()))).collect();
    ChannelContext {
        channel_id: "chn_recorded".into(),
        kind: kind.to_owned(),
        address: String::new(),
        settings: Value::Object(examples).to_string(),
        secrets: Arc::new(manifest.secret_names().map(secret).collect::<BTreeMap<_, _>>()),
        webhook_url: WEBHOOK_URL.into(),
        now_ms: NOW_MS,
        locale: "en".into(),
        allow_private_egress: false,
        files_of: String::new(),
    }
}

fn context_toml(context: &ChannelContext) -> Result<String, CliError> {
    let secrets: Table =
        context.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().into())).collect();
    let settings: Value = serde_json::from_str(&context.settings).unwrap_or_default();
    let mut table = Table::new();
    table.insert("channel_id".into(), context.channel_id.clone().into());
    table.insert("kind".into(), context.kind.clone().into());
    table.insert("webhook_url".into(), context.webhook_url.clone().into());
    table.insert("now_ms".into(), context.now_ms.into());
    let settings = toml::Value::try_from(settings).map_err(|error| CliError::Failed(error.to_string()))?;
    table.insert("settings".into(), settings);
    table.insert("secrets".into(), secrets.into());
    toml::to_string(&table).map_err(|error| CliError::Failed(error.to_string()))
}

/// What the server kept, as it would arrive.
fn request(kept: &Value) -> WebhookRequest {
    let headers = kept["headers"].as_array().into_iter().flatten();
    WebhookRequest {
        method: text(kept, "/method"),
        url: WEBHOOK_URL.into(),
        query: Vec::new(),
        headers: headers.map(|pair| (text(pair, "/0"), text(pair, "/1"))).filter(is_the_vendors).collect(),
        body: kept["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
        remote_address: None,
    }
}

/// Headers of proxies and connections say where somebody is.
fn is_the_vendors((name, _): &(String, String)) -> bool {
    let is_ours = ["host", "connection", "content-length", "accept", "accept-encoding", "forwarded", "via"];
    !is_ours.contains(&name.as_str()) && !name.starts_with("x-forwarded") && !name.starts_with("x-real")
}

fn write(folder: &Path, request: &WebhookRequest) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let headers = request.headers.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    let mut about = Table::new();
    about.insert("method".into(), request.method.clone().into());
    about.insert("url".into(), request.url.clone().into());
    about.insert("headers".into(), toml::Value::from(headers.collect::<Vec<_>>()));
    about.insert("body_file".into(), "request.body".into());
    let mut case = Table::new();
    case.insert("about".into(), "Recorded; say here what it shows.".into());
    case.insert("run".into(), "webhook".into());
    case.insert("request".into(), about.into());
    let case = toml::to_string(&case).map_err(|error| CliError::Failed(error.to_string()))?;
    build::write(&folder.join("case.toml"), case.as_bytes())?;
    build::write(&folder.join("request.body"), &request.body)
}
