//! The format of a case: one folder, named after what it shows.
//!
//! ```text
//! cases/
//!   context.toml           optional: what all cases share, the keys of [context]
//!   <name>/
//!     case.toml            what is done
//!     request.form         (any name) the raw body, when `body_file` names it
//!     http/01.toml …       the calls the plugin must make, in order, and their answers
//!     expect.json          what must come of it
//! ```
//!
//! `case.toml`:
//!
//! ```toml
//! about = "One sentence for the reader."
//! run = "webhook"            # webhook | send | account | media | templates | validate
//! mutations = ["body", "url", "header", "cut-tag", "secret"]   # webhook only, optional
//! signature = "x-acme-signature"      # the header that "header" and "cut-tag" change
//!
//! [context]                  # laid over context.toml, key by key
//! channel_id = "chn_1"       # default chn_case
//! kind = "whatsapp"
//! address = "whatsapp:+34…"
//! webhook_url = "https://…"
//! now_ms = 1795237200000
//! locale = "en"              # default en
//! settings = { … }           # as JSON to the plugin
//! secrets = { token = "…" }  # only names reach the plugin; the runner checks proofs with the values
//!
//! [request]                  # run = "webhook"; `query` is read from the URL
//! method = "POST"            # default POST
//! url = "https://…"
//! headers = [["content-type", "application/json"]]
//! body = "text"              # or body_file = "request.form"
//!
//! [message]                  # run = "send": the engine's JSON of an outbound message
//! task = "check"             # run = "account": check | connect | disconnect | list_addresses
//! vendor_ref = "…"           # run = "media"
//! cursor = "…"               # run = "templates", optional
//! ```
//!
//! `http/01.toml`: what is absent in `[call]` must be absent in the call.
//!
//! ```toml
//! [call]
//! method = "POST"
//! url = "https://api.acme.test/send"
//! auth = ["basic", "user", "{secret:token}"]    # or ["bearer", "{secret:token}"]
//! query = [["a", "b"]]
//! headers = [["x-a", "b"]]
//! form = [["To", "+1…"]]     # or json = '{"…"}' (compared as JSON), or body = "text"
//! sink = "blob"              # only when it is not the plugin
//! idempotent = true          # only when set
//! timeout_ms = 5000          # only when set
//!
//! [answer]                   # one of these forms
//! status = 201
//! headers = [["retry-after", "3"]]
//! body = '{"…"}'             # or body_file
//! stored = { blob = "blb_1", content_type = "image/png", size = 12 }   # with status and headers
//! not_sent = "why"           # alone
//! unclear = "why"            # alone
//! refused = "why"            # alone
//! ```
//!
//! `expect.json` has the engine's JSON of the outcome; `null` and `[]` are the
//! same as absent. By `run`:
//!
//! | run | expected |
//! |---|---|
//! | webhook | `{"verdict":"accept","reply":{"status","headers","body"},"events":[…]}`, or `"failure"` instead of `"events"`; `{"verdict":"answer","reply":…}`; `{"verdict":"refused"}` when the plugin refuses or no proof holds |
//! | send | `{"receipt":…}` or `{"failure":…}` |
//! | account | `{"report":…}` or `{"failure":…}` |
//! | media | `{"blob":"…"}` or `{"failure":…}` |
//! | templates | `{"page":…}` or `{"failure":…}` |
//! | validate | `{"errors":[{"setting","message"}]}` |
//!
//! Every mutation must end in `refused`: `body` changes a byte of the body, `url`
//! one of the URL's query or path, `header` leaves the signature out, `cut-tag`
//! shortens it, `secret` puts another value in every secret. With the variable
//! `POINTSMAN_UPDATE` set, `expect.json` is written instead of compared; read the
//! difference before you commit it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::webhook::Request;
use crate::{Context, Form, Pair, account};

use super::mutate::Mutation;
use super::shape;

/// One case, read.
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// Values of the secrets, by name.
    pub secrets: BTreeMap<String, String>,
    pub(super) run: Run,
    pub(super) mutations: Vec<Mutation>,
    pub(super) signature: String,
    pub(super) calls: Vec<Exchange>,
    context: ContextToml,
    folder: PathBuf,
}

pub(super) enum Run {
    Webhook(Request),
    Send(Value),
    Account(account::Task),
    Media(String),
    Templates(Option<String>),
    Validate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseToml {
    about: String,
    run: String,
    #[serde(default)]
    mutations: Vec<Mutation>,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    context: toml::Table,
    request: Option<RequestToml>,
    message: Option<Value>,
    task: Option<String>,
    vendor_ref: Option<String>,
    cursor: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct ContextToml {
    #[serde(default = "case_channel")]
    channel_id: String,
    kind: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    webhook_url: String,
    #[serde(default)]
    now_ms: u64,
    #[serde(default = "english")]
    locale: String,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

fn case_channel() -> String {
    "chn_case".into()
}

fn english() -> String {
    "en".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestToml {
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_file: Option<String>,
}

/// One expected call and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) call: Value,
    pub(super) answer: AnswerToml,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerToml {
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) body_file: Option<String>,
    pub(super) stored: Option<StoredToml>,
    pub(super) not_sent: Option<String>,
    pub(super) unclear: Option<String>,
    pub(super) refused: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredToml {
    pub(super) blob: String,
    pub(super) content_type: String,
    pub(super) size: u64,
}

impl Case {
    /// All cases in a folder, by name.
    ///
    /// # Errors
    /// A file is missing or not of the format; names it.
    pub fn all(folder: &Path) -> Result<Vec<Self>, String> {
        let shared = folder.join("context.toml");
        let shared = if shared.exists() { parse(&shared)? } else { toml::Table::new() };
        let mut folders: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(|e| format!("{}: {e}", folder.display()))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders.iter().map(|folder| Self::read(folder, &shared)).collect()
    }

    fn read(folder: &Path, shared: &toml::Table) -> Result<Self, String> {
        let at = |problem: String| format!("{}: {problem}", folder.display());
        let case: CaseToml = parse(&folder.join("case.toml"))?;
        if case.about.trim().is_empty() {
            return Err(at("say in `about` what the case shows".into()));
        }
        let mut context = shared.clone();
        lay_over(&mut context, case.context.clone());
        let context: ContextToml = context.try_into().map_err(|e| at(format!("context: {e}")))?;
        Ok(Self {
            name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            secrets: context.secrets.clone(),
            calls: calls(folder)?,
            mutations: case.mutations.clone(),
            signature: case.signature.clone(),
            run: run(folder, case).map_err(at)?,
            context,
            folder: folder.to_owned(),
        })
    }

    /// The context that the plugin gets.
    pub fn context(&self) -> Context {
        let context = &self.context;
        Context {
            channel_id: context.channel_id.clone(),
            kind: context.kind.clone(),
            address: context.address.clone(),
            settings: Value::from_iter(context.settings.clone()).to_string(),
            secrets_set: context.secrets.keys().cloned().collect(),
            webhook_url: context.webhook_url.clone(),
            now: context.now_ms,
            locale: context.locale.clone(),
            extras: vec![],
        }
    }

    /// The webhook of the case, if it is one.
    pub fn request(&self) -> Option<&Request> {
        match &self.run {
            Run::Webhook(request) => Some(request),
            _ => None,
        }
    }

    /// Texts that a contact or an agent wrote: they may not reach logs.
    pub(super) fn private_texts(&self) -> Vec<String> {
        match &self.run {
            Run::Send(message) => texts(&message["content"]),
            Run::Webhook(request) => Form::parse(&request.body)
                .pairs()
                .filter(|(name, _)| *name == "Body")
                .map(|(_, v)| v.to_owned())
                .collect(),
            _ => vec![],
        }
    }

    /// Compares with `expect.json`, or writes it.
    pub(super) fn compare(&self, outcome: &Value) -> Result<(), String> {
        let path = self.folder.join("expect.json");
        let outcome = shape::pruned(outcome.clone());
        if std::env::var_os("POINTSMAN_UPDATE").is_some() {
            let text = serde_json::to_string_pretty(&outcome).map_err(|e| e.to_string())?;
            return fs::write(&path, text + "\n").map_err(|e| format!("{}: {e}", path.display()));
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let expected: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let expected = shape::pruned(expected);
        if expected == outcome {
            return Ok(());
        }
        Err(format!("expected {expected:#}\nbut it was {outcome:#}"))
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => ["value", "text", "caption"]
            .iter()
            .filter_map(|name| members.get(*name))
            .flat_map(|member| member.as_str().map_or_else(|| texts(member), |text| vec![text.to_owned()]))
            .collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => vec![],
    }
}

fn run(folder: &Path, case: CaseToml) -> Result<Run, String> {
    let missing = |what: &str| format!("`run = \"{}\"` needs `{what}`", case.run);
    Ok(match case.run.as_str() {
        "webhook" => Run::Webhook(request(folder, case.request.ok_or_else(|| missing("[request]"))?)?),
        "send" => Run::Send(case.message.ok_or_else(|| missing("[message]"))?),
        "account" => Run::Account(match case.task.as_deref() {
            Some("check") => account::Task::Check,
            Some("connect") => account::Task::Connect,
            Some("disconnect") => account::Task::Disconnect,
            Some("list_addresses") => account::Task::ListAddresses,
            _ => return Err(missing("task")),
        }),
        "media" => Run::Media(case.vendor_ref.ok_or_else(|| missing("vendor_ref"))?),
        "templates" => Run::Templates(case.cursor),
        "validate" => Run::Validate,
        other => return Err(format!("there is no `run = \"{other}\"`")),
    })
}

fn request(folder: &Path, request: RequestToml) -> Result<Request, String> {
    let body = match (request.body, request.body_file) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(file)) => fs::read(folder.join(&file)).map_err(|e| format!("{file}: {e}"))?,
        (None, None) => vec![],
        (Some(_), Some(_)) => return Err("[request] has both `body` and `body_file`".into()),
    };
    Ok(Request {
        method: request.method.unwrap_or_else(|| "POST".into()),
        query: query(&request.url),
        headers: request.headers.into_iter().map(|(name, value)| Pair { name, value }).collect(),
        url: request.url,
        body,
        remote_address: None,
    })
}

/// The decoded query of a URL, as the host hands it in.
pub(super) fn query(url: &str) -> Vec<Pair> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or("");
    let pair = |(name, value): (&str, &str)| Pair { name: name.into(), value: value.into() };
    Form::parse(query.as_bytes()).pairs().map(pair).collect()
}

fn calls(folder: &Path) -> Result<Vec<Exchange>, String> {
    let folder = folder.join("http");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(vec![]) };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let mut exchange: Exchange = parse(file)?;
            if let Some(name) = exchange.answer.body_file.take() {
                let text = fs::read_to_string(folder.join(&name)).map_err(|e| format!("{name}: {e}"))?;
                exchange.answer.body = Some(text);
            }
            Ok(exchange)
        })
        .collect()
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))
}

fn lay_over(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => lay_over(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
