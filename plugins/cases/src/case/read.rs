//! Reads case folders. Unknown keys are refused, so that a misspelt one cannot
//! make a case weaker without anybody noticing.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Case, CaseError, Context, Request, Run, SessionTask, Task};
use crate::mutation::Mutation;
use crate::script::{Exchange, ExchangeToml};

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
    task: Option<Task>,
    vendor_ref: Option<String>,
    session: Option<SessionTask>,
    cursor: Option<String>,
    since_ms: Option<u64>,
    assist: Option<Value>,
}

#[derive(Deserialize)]
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
    #[serde(default)]
    allow_private_egress: bool,
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

pub(super) fn error(path: &Path, problem: impl Display) -> CaseError {
    CaseError { path: path.to_owned(), problem: problem.to_string() }
}

pub(super) fn all(folder: &Path) -> Result<Vec<Case>, CaseError> {
    let shared = folder.join("context.toml");
    let shared = if shared.exists() { parse(&shared)? } else { toml::Table::new() };
    let mut folders = entries(folder)?;
    folders.retain(|path| path.is_dir());
    folders.iter().map(|folder| case(folder, &shared)).collect()
}

fn case(folder: &Path, shared: &toml::Table) -> Result<Case, CaseError> {
    let path = folder.join("case.toml");
    let case: CaseToml = parse(&path)?;
    if case.about.trim().is_empty() {
        return Err(error(&path, "say in `about` what the case shows"));
    }
    let mut laid = shared.clone();
    lay_over(&mut laid, case.context.clone());
    let from: ContextToml = laid.try_into().map_err(|e| error(&path, format_args!("context: {e}")))?;
    Ok(Case {
        name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        context: context(from),
        exchanges: exchanges(&folder.join("http"))?,
        mutations: case.mutations.clone(),
        signature: case.signature.clone(),
        run: run(folder, case).map_err(|problem| error(&path, problem))?,
        folder: folder.to_owned(),
    })
}

fn context(from: ContextToml) -> Context {
    Context {
        channel_id: from.channel_id,
        kind: from.kind,
        address: from.address,
        webhook_url: from.webhook_url,
        now_ms: from.now_ms,
        locale: from.locale,
        settings: Value::from_iter(from.settings).to_string(),
        secrets: from.secrets,
        allow_private_egress: from.allow_private_egress,
    }
}

fn run(folder: &Path, case: CaseToml) -> Result<Run, String> {
    let missing = |what: &str| format!("`run = \"{}\"` needs `{what}`", case.run);
    Ok(match case.run.as_str() {
        "webhook" => Run::Webhook(request(folder, case.request.ok_or_else(|| missing("[request]"))?)?),
        "send" => Run::Send(message(case.message.ok_or_else(|| missing("[message]"))?)),
        "account" => Run::Account(case.task.ok_or_else(|| missing("task"))?),
        "media" => Run::Media(case.vendor_ref.ok_or_else(|| missing("vendor_ref"))?),
        "session" => Run::Session(case.session.ok_or_else(|| missing("session"))?),
        "templates" => Run::Templates(case.cursor),
        "backfill" => {
            Run::Backfill { since_ms: case.since_ms.ok_or_else(|| missing("since_ms"))?, cursor: case.cursor }
        }
        "assist" => Run::Assist(assist(case.assist.ok_or_else(|| missing("[assist]"))?)),
        "validate" => Run::Validate,
        other => return Err(format!("there is no `run = \"{other}\"`")),
    })
}

fn message(mut message: Value) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.entry("attempt").or_insert_with(|| json!(1));
        members.entry("status_url").or_insert_with(|| json!(""));
    }
    message
}

fn assist(mut task: Value) -> Value {
    if let Some(members) = task.as_object_mut() {
        let limits = json!({ "output_tokens_max": 500, "reply_chars_max": 1_000, "time_ms": 30_000 });
        members.entry("limits").or_insert(limits);
    }
    task
}

fn request(folder: &Path, from: RequestToml) -> Result<Request, String> {
    let body = match (from.body, from.body_file) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(file)) => fs::read(folder.join(&file)).map_err(|e| format!("{file}: {e}"))?,
        (None, None) => vec![],
        (Some(_), Some(_)) => return Err("[request] has both `body` and `body_file`".into()),
    };
    Ok(Request {
        method: from.method.unwrap_or_else(|| "POST".into()),
        query: query(&from.url),
        headers: from.headers,
        url: from.url,
        body,
    })
}

/// The decoded query of a URL, as the host hands it in.
pub(crate) fn query(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or("");
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn exchanges(folder: &Path) -> Result<Vec<Exchange>, CaseError> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut files = entries(folder)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files
        .iter()
        .map(|file| {
            let mut exchange: ExchangeToml = parse(file)?;
            if let Some(name) = exchange.answer.body_file.take() {
                let body = folder.join(&name);
                exchange.answer.body = Some(fs::read_to_string(&body).map_err(|e| error(&body, e))?);
            }
            let cases = folder.parent().and_then(Path::parent).unwrap_or(folder);
            let text = |name: &str| shared_text(cases, name);
            exchange.read(&text).map_err(|problem| error(file, problem))
        })
        .collect()
}

/// A file beside the cases, without its last line break.
fn shared_text(cases: &Path, name: &str) -> Result<String, String> {
    let text = fs::read_to_string(cases.join(name)).map_err(|e| format!("{name}: {e}"))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let entries = fs::read_dir(folder).map_err(|e| error(folder, e))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| error(folder, e))?;
    paths.sort();
    Ok(paths)
}

fn parse<T: DeserializeOwned>(file: &Path) -> Result<T, CaseError> {
    let text = fs::read_to_string(file).map_err(|e| error(file, e))?;
    toml::from_str(&text).map_err(|e| error(file, e))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(case: &str, exchange: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let http = folder.path().join("one/http");
        fs::create_dir_all(&http).unwrap();
        fs::write(folder.path().join("context.toml"), "kind = \"sms\"\n[secrets]\na = \"1\"\nb = \"2\"\n")
            .unwrap();
        fs::write(folder.path().join("one/case.toml"), case).unwrap();
        fs::write(http.join("01.toml"), exchange).unwrap();
        folder
    }

    const CALL: &str = "[call]\nmethod = \"GET\"\n[answer]\nstatus = 200\n";

    #[test]
    fn a_case_lays_its_context_over_the_shared_one() {
        let case = "about = \"x\"\nrun = \"validate\"\n[context.secrets]\nb = \"3\"\n";
        let cases = all(folder(case, CALL).path()).unwrap();
        assert_eq!((cases.len(), cases[0].name.as_str()), (1, "one"));
        assert_eq!(
            cases[0].context.secrets,
            BTreeMap::from([("a".into(), "1".into()), ("b".into(), "3".into())])
        );
    }

    #[test]
    fn a_mistake_is_refused_with_its_file() {
        for (case, exchange, file, words) in [
            ("about = \"x\"\nrun = \"validate\"\nmutation = []\n", CALL, "case.toml", "unknown field"),
            ("about = \" \"\nrun = \"validate\"\n", CALL, "case.toml", "say in `about`"),
            ("about = \"x\"\nrun = \"media\"\n", CALL, "case.toml", "needs `vendor_ref`"),
            ("about = \"x\"\nrun = \"dance\"\n", CALL, "case.toml", "there is no `run = \"dance\"`"),
            ("about = \"x\"\nrun = \"validate\"\n", "[call]\n[answer]\n", "01.toml", "[answer] needs"),
        ] {
            let error = all(folder(case, exchange).path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(words), "{error}");
        }
    }
}
