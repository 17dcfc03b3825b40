//! Settings: one annotated file of defaults, overridden by `pointsman.toml`,
//! `POINTSMAN_*` variables and flags. Everything is checked before anything is
//! opened, and all mistakes are reported at once. Opens nothing itself but the
//! settings file; must not know any other room but `crypto`.

mod layers;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::crypto::Secret;
use read::Reader;

/// The defaults and the documentation of every setting.
pub const DEFAULTS: &str = include_str!("config.default.toml");
/// The settings file that is read when it exists.
pub const FILE_NAME: &str = "pointsman.toml";
/// Holds the master key itself instead of a file.
pub const MASTER_KEY_VARIABLE: &str = "POINTSMAN_MASTER_KEY";
/// Another name of `store.url`.
const DATABASE_URL_VARIABLE: &str = "DATABASE_URL";
const MASTER_KEY_BYTES: usize = 32;
/// How long things may be kept, days: ten years are as good as for ever.
pub const DAYS: RangeInclusive<i64> = 1..=3_650;

/// Where variables come from; a map in tests.
pub trait Strings {
    /// Names of all variables.
    fn names(&self) -> Vec<String>;
    /// The value of one, if it is set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
pub struct Environment;

impl Strings for Environment {
    fn names(&self) -> Vec<String> {
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }

    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

impl Strings for BTreeMap<String, String> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, e.g. `--listen`; for messages.
    pub flag: &'static str,
    /// The setting, e.g. `http.listen`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// What is wrong with one setting, and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `pointsman.toml line 3`, `POINTSMAN_HTTP__LISTEN`, `--listen`.
    pub place: String,
    /// One line: what is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All mistakes, one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Mistake>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Mistake::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// What this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Webhooks, API, console.
    Http,
    /// Rules and deliveries.
    Worker,
}

impl Role {
    /// Does it answer requests?
    pub fn serves_http(self) -> bool {
        self != Self::Worker
    }

    /// Does it run rules and deliveries?
    pub fn works(self) -> bool {
        self != Self::Http
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// Checked settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What this process does.
    pub role: Role,
    /// `[http]`.
    pub http: Http,
    /// `[store]`.
    pub store: Store,
    /// `[files]`: the bucket; `None`: this disk.
    pub files: Option<Bucket>,
    /// `[keys]`.
    pub keys: Keys,
    /// `[plugins]`.
    pub plugins: Plugins,
    /// `[worker]`.
    pub worker: Worker,
    /// `[retention]`.
    pub retention: Retention,
    /// `[log]`.
    pub log: Log,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Without a slash at its end; `None`: the address that is listened on.
    pub public_url: Option<String>,
    /// How long running work may go on after a stop signal.
    pub drain: Duration,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// `sqlite://…` or `postgres://…`; may hold a password.
    pub url: Secret,
}

impl Store {
    /// The SQLite file, unless the store is PostgreSQL.
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.url.expose().strip_prefix("sqlite://").map(Path::new)
    }

    /// The address for people: no password, no parameters.
    pub fn shown(&self) -> String {
        match url::Url::parse(self.url.expose()) {
            Ok(mut url) if self.sqlite_file().is_none() => {
                url.set_query(None);
                if url.password().is_some() {
                    let _ = url.set_password(Some("***")); // cannot fail where a password is
                }
                url.into()
            }
            _ => self.url.expose().to_owned(),
        }
    }
}

/// `[files]`: a bucket of anything that speaks S3.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// A folder in it; may be empty.
    pub prefix: String,
    /// `https://host`; `None`: that of AWS.
    pub endpoint: Option<String>,
    /// Part of every signature.
    pub region: String,
    /// Who we are.
    pub access_key_id: String,
    /// Signs our requests.
    pub secret_access_key: Secret,
}

/// `[keys]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// Where the master key lies.
    pub master_key_file: PathBuf,
    /// The key itself, base64 of 32 bytes, from the variable; wins over the file.
    pub master_key: Option<Secret>,
}

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// Every `*.wasm` in it is installed at start.
    pub dir: PathBuf,
    /// Compiled plugins.
    pub cache_dir: PathBuf,
}

/// `[worker]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Batches of lanes whose rules run at the same time.
    pub concurrency: usize,
    /// Lanes in one batch.
    pub lanes_per_claim: u32,
    /// Lanes that are delivered at the same time.
    pub deliveries_max: usize,
    /// How long a lane stays with a worker that no longer answers.
    pub lease_ms: i64,
    /// How often work is searched that no signal announced.
    pub sweep: Duration,
}

/// `[retention]`: after how many days what is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw webhooks that were read.
    pub webhooks_days: i64,
    /// Raw webhooks that could not be read; not shorter than `webhooks_days`.
    pub quarantine_days: i64,
    /// What is known of worked-off webhooks, to recognise them when they come again; not shorter than `webhooks_days`,
    /// since a webhook that is replayed must be recognised, too.
    pub redelivery_days: i64,
    /// What rules saw and did.
    pub rule_runs_days: i64,
    /// What webhooks were told and what they answered.
    pub deliveries_days: i64,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Filter directives of tracing-subscriber.
    pub level: String,
}

impl Config {
    /// Reads `file` (or `pointsman.toml`, if there is one), the variables and the flags.
    ///
    /// # Errors
    /// All mistakes, in the order of the sources.
    pub fn load(file: Option<&Path>, strings: &dyn Strings, flags: &[Flag]) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(FILE_NAME));
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_sources(Some((&name, &text)), strings, flags),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Self::from_sources(None, strings, flags)
            }
            Err(error) => Err(ConfigError(vec![Mistake {
                place: name,
                message: format!(
                    "the settings file cannot be read ({error}); check the path and its permissions"
                ),
            }])),
        }
    }

    /// The same with the file's name and text at hand.
    ///
    /// # Errors
    /// All mistakes, in the order of the sources.
    pub fn from_sources(
        file: Option<(&str, &str)>,
        strings: &dyn Strings,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut read = Reader::new(layers::collect(file, strings, flags));
        let config = Self::read(&mut read, strings.get(MASTER_KEY_VARIABLE));
        if config.role != Role::All && config.store.sqlite_file().is_some() {
            let say = "needs PostgreSQL to be other than \"all\", since a SQLite database is for one process; set store.url";
            read.mistake("process.role", say);
        }
        if config.role != Role::All && config.http.public_url.is_none() {
            read.mistake(
                "http.public_url",
                "must be set when several processes share the work, since each builds URLs with it",
            );
        }
        let kept = &config.retention;
        for (key, days) in [
            ("retention.quarantine_days", kept.quarantine_days),
            ("retention.redelivery_days", kept.redelivery_days),
        ] {
            if (1..kept.webhooks_days).contains(&days) {
                read.mistake(key, "must not be less than retention.webhooks_days");
            }
        }
        read.finish(config)
    }

    fn read(read: &mut Reader, master_key: Option<String>) -> Self {
        let data_dir = PathBuf::from(read.filled("store.data_dir"));
        let below = |text: String, name: &str| match text.as_str() {
            "" => data_dir.join(name),
            given => PathBuf::from(given),
        };
        let role = &[("all", Role::All), ("http", Role::Http), ("worker", Role::Worker)];
        let format = &[("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        let url = read.parsed("store.url", String::new(), store_url);
        let url =
            if url.is_empty() { format!("sqlite://{}", below(url, "pointsman.db").display()) } else { url };
        Self {
            role: read.word("process.role", role),
            http: Http {
                listen: read.parsed("http.listen", SocketAddr::from(([127, 0, 0, 1], 0)), listen),
                public_url: read.parsed("http.public_url", None, public_url),
                drain: Duration::from_secs(read.integer("http.drain_seconds", 0..=600)),
            },
            files: bucket(read),
            keys: Keys {
                master_key_file: below(read.text("keys.master_key_file"), "master.key"),
                master_key: master_key
                    .and_then(|key| read.checked(MASTER_KEY_VARIABLE, key, master_key_text)),
            },
            plugins: Plugins {
                dir: PathBuf::from(read.filled("plugins.dir")),
                cache_dir: below(read.text("plugins.cache_dir"), "plugin-cache"),
            },
            worker: Worker {
                concurrency: read.integer("worker.concurrency", 1..=256),
                lanes_per_claim: read.integer("worker.lanes_per_claim", 1..=512),
                deliveries_max: read.integer("worker.deliveries_max", 1..=4_096),
                lease_ms: read.integer("worker.lease_ms", 1_000..=600_000),
                sweep: Duration::from_millis(read.integer("worker.sweep_ms", 50..=60_000)),
            },
            retention: Retention {
                webhooks_days: read.integer("retention.webhooks_days", DAYS),
                quarantine_days: read.integer("retention.quarantine_days", DAYS),
                redelivery_days: read.integer("retention.redelivery_days", DAYS),
                rule_runs_days: read.integer("retention.rule_runs_days", DAYS),
                deliveries_days: read.integer("retention.deliveries_days", DAYS),
            },
            log: Log {
                format: read.word("log.format", format),
                level: read.parsed("log.level", String::new(), level),
            },
            store: Store { url: Secret::new(url), data_dir },
        }
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let example = "an IP address and a port, e.g. 127.0.0.1:8080 or [::]:8080";
    text.parse().map_err(|_| format!("must be {example}, not \"{text}\""))
}

fn public_url(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let example = "e.g. https://chat.example.com";
    let url = url::Url::parse(text).map_err(|_| format!("must be a whole URL, {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("must begin with http:// or https://, {example}"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(format!("must be scheme, host and perhaps port and path only, {example}"));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// The bucket, when files go there; then everything about it must be said.
fn bucket(read: &mut Reader) -> Option<Bucket> {
    let is_bucket = read.word("files.store", &[("disk", false), ("s3", true)]);
    let bucket = Bucket {
        name: read.text("files.bucket"),
        prefix: read.text("files.prefix"),
        endpoint: read.parsed("files.endpoint", None, public_url),
        region: read.filled("files.region"),
        access_key_id: read.text("files.access_key_id"),
        secret_access_key: Secret::new(read.text("files.secret_access_key")),
    };
    if !is_bucket {
        return None;
    }
    for (key, value) in [
        ("files.bucket", bucket.name.as_str()),
        ("files.access_key_id", &bucket.access_key_id),
        ("files.secret_access_key", bucket.secret_access_key.expose()),
    ] {
        if value.is_empty() {
            read.mistake(key, "must be set when files.store is \"s3\"");
        }
    }
    Some(bucket)
}

/// The text itself stays out of the message: it may hold a password.
fn store_url(text: &str) -> Result<String, String> {
    if text.is_empty() || text.strip_prefix("sqlite://").is_some_and(|path| !path.is_empty()) {
        return Ok(text.to_owned());
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") && url.host_str().is_some() => {
            Ok(text.to_owned())
        }
        _ => Err("must look like postgres://user:password@host/name or sqlite://path".to_owned()),
    }
}

fn level(text: &str) -> Result<String, String> {
    let known = "use error, warn, info, debug or trace, also per module: info,pointsman::flow=debug";
    // An empty or misspelt level would parse as the name of a module and silence everything.
    let is_level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let parses = tracing_subscriber::EnvFilter::builder().parse(text).is_ok();
    let named = text.split(',').all(|part| {
        let last = part.trim().rsplit('=').next().unwrap_or_default();
        is_level(&last.to_ascii_lowercase())
    });
    if parses && named { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a log level; {known}")) }
}

fn master_key_text(text: &str) -> Result<Secret, String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
    match bytes {
        Ok(bytes) if bytes.len() == MASTER_KEY_BYTES => Ok(Secret::new(text.trim())),
        _ => Err("must be 32 bytes in base64; make one with `openssl rand -base64 32`".to_owned()),
    }
}

#[cfg(test)]
mod tests;
