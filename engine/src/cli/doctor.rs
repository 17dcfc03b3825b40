//! `pointsman doctor`: looks at settings, files and database and says what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::database::DatabaseArgs;
use super::error::{CliError, with_causes};
use super::output::Out;
use crate::app::{AppError, data, master_key, plugin_folder};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Db, tenants};

/// The clock of a machine that lost its battery starts long before this: 2025-01-01.
const CLOCK_MS_MIN: i64 = 1_735_689_600_000;

/// Look for problems in settings, database and files
#[derive(Debug, Clone, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    what: &'static str,
    text: String,
}

fn ok(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, what, text: text.into() }
}

fn warn(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { level: Level::Warn, what, text: text.into() }
}

fn fail(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { level: Level::Fail, what, text: text.into() }
}

impl Doctor {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        // Wrong settings are told as everywhere: all of them, and exit code 64.
        let config = self.database.settings(Vec::new())?;
        let mut findings = vec![
            ok("settings", "all are readable"),
            public_url(&config),
            clock(Clock::system().now_ms()),
            data_dir(&config.store.data_dir),
            key(&config),
            plugins(&config.plugins.dir),
            server(&config),
        ];
        findings.extend(database(&config).await);
        let failed = findings.iter().any(|finding| finding.level == Level::Fail);
        out.result(&json!({"ok": !failed, "findings": &findings}), || report(&findings))?;
        if failed { Err(CliError::Said) } else { Ok(()) }
    }
}

fn report(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let level = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        format!("{level}  {:<10}  {}", finding.what, finding.text)
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn public_url(config: &Config) -> Finding {
    let what = "public URL";
    let Some(url) = &config.http.public_url else {
        return warn(
            what,
            "http.public_url is not set; vendors cannot reach this server, the chat page works from here",
        );
    };
    let parsed = url::Url::parse(url).ok();
    let local = parsed.as_ref().and_then(|url| url.host_str().map(is_local)).unwrap_or(false);
    match (url.starts_with("https://"), local) {
        (_, true) => warn(what, format!("{url} is known on this machine only; vendors cannot reach it")),
        (false, false) => warn(what, format!("{url} is not encrypted; most vendors want https://")),
        (true, false) => ok(what, url),
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

fn clock(now_ms: i64) -> Finding {
    let now = crate::clock::rfc3339(now_ms);
    if now_ms < CLOCK_MS_MIN {
        return fail("clock", format!("it is not {now}; set the clock, signatures and windows depend on it"));
    }
    ok("clock", now)
}

fn data_dir(path: &Path) -> Finding {
    let (what, shown) = ("data", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            warn(what, format!("{shown} does not exist yet; the first `pointsman serve` makes it"))
        }
        Err(error) => {
            fail(what, format!("{shown} cannot be used ({error}); check its owner and permissions"))
        }
        Ok(found) if !found.is_dir() => {
            fail(what, format!("{shown} is not a directory; choose another with --data"))
        }
        Ok(found) if found.permissions().readonly() => {
            fail(what, format!("{shown} cannot be written; check its owner and permissions"))
        }
        Ok(_) => ok(what, shown.to_string()),
    }
}

fn key(config: &Config) -> Finding {
    let what = "master key";
    if config.keys.master_key.is_some() {
        return ok(what, format!("from {}", crate::config::MASTER_KEY_VARIABLE));
    }
    let path = &config.keys.master_key_file;
    if !path.exists() {
        return warn(
            what,
            format!("{} does not exist yet; the first `pointsman serve` makes it", path.display()),
        );
    }
    // The file exists, so this reads it and makes nothing.
    if let Err(error) = master_key::keyring(&config.keys, &Clock::system()) {
        return fail(what, with_causes(&error));
    }
    match master_key::readable_by_others(path) {
        Some(advice) => fail(what, advice),
        None => ok(what, format!("{}; keep a copy apart from the database", path.display())),
    }
}

fn plugins(folder: &Path) -> Finding {
    let (what, shown) = ("plugins", folder.display());
    match plugin_folder::files(folder) {
        Ok(files) if files.is_empty() => {
            warn(what, format!("there is no .wasm file in {shown}; no channel can work without its plugin"))
        }
        Ok(files) => ok(what, format!("{} in {shown}; `pointsman plugin check FILE` tries one", files.len())),
        Err(error) => warn(what, format!("{shown} cannot be read ({error}); give the folder in plugins.dir")),
    }
}

/// Is the port ours to open, or does a server already run on these data?
fn server(config: &Config) -> Finding {
    let address = config.http.listen;
    let running = config.store.sqlite_file().is_some_and(|file| {
        // Only a file that exists is locked, so that looking leaves nothing behind.
        data::lock_path(file).exists() && matches!(data::lock(file), Err(AppError::Store(_)))
    });
    if running {
        return ok("server", "a server is running on these data");
    }
    match TcpListener::bind(address) {
        Ok(_) => ok("server", format!("none runs here; {address} is free")),
        Err(error) => warn(
            "server",
            format!(
                "{address} cannot be listened on ({error}); a server runs, or choose another with --listen"
            ),
        ),
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    let (what, shown) = ("database", config.store.shown());
    if config.store.sqlite_file().is_some_and(|file| !file.is_file()) {
        return vec![warn(what, format!("{shown} does not exist yet; the first `pointsman serve` makes it"))];
    }
    let db = match Db::connect(config.store.url.expose()).await {
        Ok(db) => db,
        Err(error) => {
            let say = format!("{shown}: {}; check address, name and password", with_causes(&error));
            return vec![fail(what, say)];
        }
    };
    let mut findings = vec![ok(what, format!("{shown} answers"))];
    findings.push(match schema(&db).await {
        Ok(0) => warn("schema", "there, but empty; the first `pointsman serve` fills it"),
        Ok(_) => ok("schema", "up to date enough to be read"),
        Err(error) => fail("schema", format!("{}; run `pointsman migrate`", with_causes(&error))),
    });
    findings
}

/// Number of tenants: reading them proves that the schema is there.
async fn schema(db: &Db) -> Result<usize, crate::store::StoreError> {
    let mut tx = db.read().await?;
    Ok(tenants::list(&mut tx).await?.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let env: BTreeMap<_, _> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Config::from_sources(None, &env, &[]).unwrap()
    }

    #[test]
    fn addresses_that_vendors_cannot_reach_are_told() {
        let level = |url| public_url(&config(&[("POINTSMAN_HTTP__PUBLIC_URL", url)])).level;
        assert_eq!(level(""), Level::Warn);
        assert_eq!(level("https://localhost:8080"), Level::Warn);
        assert_eq!(level("http://[::1]:8080"), Level::Warn);
        assert_eq!(level("http://chat.example.com"), Level::Warn);
        assert_eq!(level("https://chat.example.com"), Level::Ok);
    }

    #[test]
    fn a_clock_in_the_past_is_a_failure() {
        assert_eq!(clock(0).level, Level::Fail);
        assert_eq!(clock(CLOCK_MS_MIN + 1).level, Level::Ok);
    }

    #[test]
    fn looking_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = config(&[("POINTSMAN_STORE__DATA_DIR", data.to_str().unwrap())]);
        assert_eq!(data_dir(&data).level, Level::Warn);
        assert_eq!(key(&config).level, Level::Warn);
        server(&config);
        assert!(!data.exists());
    }

    #[test]
    fn an_open_key_file_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&[("POINTSMAN_STORE__DATA_DIR", folder.path().to_str().unwrap())]);
        let path = folder.path().join("master.key");
        fs::write(&path, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let finding = key(&config);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.text.contains("chmod 600"), "{}", finding.text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&config).level, Level::Ok);
        fs::write(&path, "short").unwrap();
        assert_eq!(key(&config).level, Level::Fail);
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_is_a_failure() {
        let config = config(&[("DATABASE_URL", "postgres://nobody:hidden@127.0.0.1:1/none")]);
        let findings = database(&config).await;
        assert_eq!(findings[0].level, Level::Fail);
        assert!(!report(&findings).contains("hidden"), "{}", report(&findings));
    }

    #[test]
    fn findings_stand_in_columns() {
        let text = report(&[ok("clock", "now"), fail("database", "gone")]);
        assert_eq!(text, "ok    clock       now\nFAIL  database    gone");
    }
}
