//! Settings: what is accepted, and the exact line for everything that is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: &str, env: &[(&str, &str)], flags: &[Flag]) -> Result<Config, String> {
    Config::from_sources(Some((FILE_NAME, file)), &variables(env), flags).map_err(|e| e.to_string())
}

#[test]
fn nothing_is_needed_to_start() {
    let config = Config::from_sources(None, &variables(&[]), &[]).unwrap();
    assert_eq!(config.role, Role::All);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.public_url, None);
    assert_eq!(config.store.sqlite_file(), Some(Path::new("data/pointsman.db")));
    assert_eq!(config.keys.master_key_file, Path::new("data/master.key"));
    assert_eq!(config.plugins.cache_dir, Path::new("data/plugin-cache"));
    assert_eq!(config.http.drain, Duration::from_secs(20));
}

#[test]
fn a_bucket_is_described_wholly_or_not_at_all() {
    let all = "[files]\nstore = \"s3\"\nbucket = \"b\"\naccess_key_id = \"me\"\nendpoint = \"https://s3.x.test/\"\n";
    let secret = [("POINTSMAN_FILES__SECRET_ACCESS_KEY", "hidden")];
    let bucket = load(all, &secret, &[]).unwrap().files.unwrap();
    assert_eq!((bucket.name.as_str(), bucket.endpoint.as_deref()), ("b", Some("https://s3.x.test")));
    assert!(!format!("{bucket:?}").contains("hidden"), "{bucket:?}");
    let missing = load("[files]\nstore = \"s3\"\n", &[], &[]).unwrap_err();
    for key in ["files.bucket", "files.access_key_id", "files.secret_access_key"] {
        assert!(missing.contains(&format!("{key} must be set when files.store is \"s3\"")), "{missing}");
    }
    assert_eq!(load("[files]\nbucket = \"b\"\n", &[], &[]).unwrap().files, None, "it is the disk");
    assert!(load("[files]\nstore = \"tape\"\n", &[], &[]).unwrap_err().contains("one of \"disk\", \"s3\""));
}

#[test]
fn every_default_is_documented_in_the_line_above_it() {
    let mut comment = false;
    for line in DEFAULTS.lines() {
        assert!(!line.contains(" = ") || line.starts_with('#') || comment, "no comment above `{line}`");
        comment = line.starts_with('#');
    }
}

#[test]
fn every_default_is_read_by_somebody() {
    // A setting of the wrong type is a mistake only if it is read.
    for line in DEFAULTS.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")) {
        let (name, _) = line.split_once(" = ").unwrap();
        let before = DEFAULTS.split(&format!("\n{line}")).next().unwrap();
        let section = before.rsplit("\n[").next().unwrap().split(']').next().unwrap();
        let error = load(&format!("[{section}]\n{name} = []"), &[], &[]).unwrap_err();
        assert!(error.contains(&format!("{section}.{name} must be")), "{section}.{name}: {error}");
    }
}

#[test]
fn a_later_source_wins() {
    let file = "[http]\nlisten = \"127.0.0.1:1\"\n[worker]\nconcurrency = 2\n[store]\ndata_dir = \"one\"";
    let env = [("POINTSMAN_HTTP__LISTEN", "127.0.0.1:2"), ("POINTSMAN_WORKER__CONCURRENCY", "3")];
    let flag = Flag { flag: "--listen", key: "http.listen", value: "127.0.0.1:3".into() };
    let config = load(file, &env, &[flag]).unwrap();
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!(config.worker.concurrency, 3);
    assert_eq!(config.store.data_dir, Path::new("one"));
}

#[test]
fn database_url_is_another_name_of_store_url() {
    let config = load("", &[("DATABASE_URL", "postgres://ann:hidden@db/x?sslmode=require")], &[]).unwrap();
    assert_eq!(config.store.sqlite_file(), None);
    assert_eq!(config.store.shown(), "postgres://ann:***@db/x");
    let url = "postgres://db/x";
    assert!(load("", &[("DATABASE_URL", url), ("POINTSMAN_STORE__URL", url)], &[]).is_ok());
}

#[test]
fn secrets_do_not_print() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let env = [("POINTSMAN_MASTER_KEY", key), ("DATABASE_URL", "postgres://ann:hidden@db/x")];
    let config = load("", &env, &[]).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("AAAA") && !shown.contains("hidden") && shown.contains("***"), "{shown}");
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let env = [("POINTSMAN_PORT", "tcp://10.0.0.1:80"), ("POINTSMAN_KEY", "pm_x"), ("PATH", "/bin")];
    assert!(load("", &env, &[]).is_ok());
}

#[test]
fn a_public_url_loses_its_last_slash() {
    let config = load("[http]\npublic_url = \"https://chat.example.com/help/\"", &[], &[]).unwrap();
    assert_eq!(config.http.public_url.as_deref(), Some("https://chat.example.com/help"));
}

/// (settings file, the line it gives).
const MISTAKES: &[(&str, &str)] = &[
    (
        "[http]\nlisten = \"localhost\"",
        "line 2: http.listen must be an IP address and a port, e.g. 127.0.0.1:8080 or [::]:8080, not \"localhost\"",
    ),
    ("[http]\nlisten = 8080", "line 2: http.listen must be a text in quotes, not a number"),
    ("[http]\nlisten = true", "line 2: http.listen must be a text in quotes, not boolean"),
    ("\n[http]\nlisen = \"127.0.0.1:1\"", "line 3: http.lisen is not a setting; did you mean http.listen?"),
    ("listen = \"127.0.0.1:1\"", "line 1: listen is not a setting; did you mean http.listen?"),
    ("[htpp]\nlisten = \"127.0.0.1:1\"", "line 2: htpp.listen is not a setting; did you mean http.listen?"),
    ("[x]\ny = 1", "line 2: x.y is not a setting; `pointsman serve --show-defaults` lists all"),
    (
        "[http]\npublic_url = \"chat.example.com\"",
        "line 2: http.public_url must be a whole URL, e.g. https://chat.example.com",
    ),
    (
        "[http]\npublic_url = \"ftp://x\"",
        "line 2: http.public_url must begin with http:// or https://, e.g. https://chat.example.com",
    ),
    (
        "[http]\npublic_url = \"https://x/?a=1\"",
        "line 2: http.public_url must be scheme, host and perhaps port and path only, e.g. https://chat.example.com",
    ),
    ("[http]\ndrain_seconds = -1", "line 2: http.drain_seconds must be a whole number from 0 to 600, not -1"),
    (
        "[http]\ndrain_seconds = 1.5",
        "line 2: http.drain_seconds must be a whole number from 0 to 600, not float",
    ),
    (
        "[worker]\nconcurrency = \"4\"",
        "line 2: worker.concurrency must be a whole number from 1 to 256, not \"4\"",
    ),
    (
        "[worker]\nlease_ms = 99999999999999999999",
        "line 2: worker.lease_ms must be a whole number from 1000 to 600000, not integer that is too large",
    ),
    (
        "[process]\nrole = \"web\"",
        "line 2: process.role must be one of \"all\", \"http\", \"worker\", not \"web\"",
    ),
    (
        "[process]\nrole = \"http\"\n[http]\npublic_url = \"https://x\"",
        "line 2: process.role needs PostgreSQL to be other than \"all\", since a SQLite database is for one process; set store.url",
    ),
    (
        "[store]\nurl = \"postgres://h/d\"\n[process]\nrole = \"worker\"\n[http]\npublic_url = \"\"",
        "line 6: http.public_url must be set when several processes share the work, since each builds URLs with it",
    ),
    (
        "[store]\nurl = \"mysql://u:hidden@h/d\"",
        "line 2: store.url must look like postgres://user:password@host/name or sqlite://path",
    ),
    (
        "[store]\nurl = \"sqlite://\"",
        "line 2: store.url must look like postgres://user:password@host/name or sqlite://path",
    ),
    ("[store]\ndata_dir = \" \"", "line 2: store.data_dir must not be empty"),
    (
        "[retention]\nrule_runs_days = 0",
        "line 2: retention.rule_runs_days must be a whole number from 1 to 3650, not 0",
    ),
    (
        "[retention]\nwebhooks_days = 30\nredelivery_days = 29",
        "line 3: retention.redelivery_days must not be less than retention.webhooks_days",
    ),
    (
        "[retention]\nquarantine_days = 13",
        "line 2: retention.quarantine_days must not be less than retention.webhooks_days",
    ),
    (
        "[log]\nformat = \"xml\"",
        "line 2: log.format must be one of \"auto\", \"human\", \"json\", not \"xml\"",
    ),
    (
        "[log]\nlevel = \"loud\"",
        "line 2: log.level `loud` is not a log level; use error, warn, info, debug or trace, also per module: info,pointsman::flow=debug",
    ),
];

#[test]
fn every_mistake_has_its_line() {
    for (file, line) in MISTAKES {
        assert_eq!(load(file, &[], &[]).unwrap_err(), format!("{FILE_NAME} {line}"), "{file}");
    }
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let error = load("[http]\nlisten = \n", &[], &[]).unwrap_err();
    assert!(error.starts_with("pointsman.toml line 2: this is not TOML: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn variables_and_flags_are_named_in_mistakes() {
    let env = [
        ("POINTSMAN_HTTP__LISEN", "x"),
        ("POINTSMAN_WORKER__CONCURRENCY", "many"),
        ("POINTSMAN_MASTER_KEY", "c2hvcnQ="),
        ("POINTSMAN_STORE__URL", "postgres://a/b"),
        ("DATABASE_URL", "postgres://a/c"),
    ];
    let flag = Flag { flag: "--public-url", key: "http.public_url", value: "x".into() };
    let error = load("", &env, &[flag]).unwrap_err();
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "DATABASE_URL: names another database than POINTSMAN_STORE__URL; unset one of them",
            "POINTSMAN_HTTP__LISEN: http.lisen is not a setting; did you mean http.listen?",
            "--public-url: http.public_url must be a whole URL, e.g. https://chat.example.com",
            "POINTSMAN_MASTER_KEY: must be 32 bytes in base64; make one with `openssl rand -base64 32`",
            "POINTSMAN_WORKER__CONCURRENCY: worker.concurrency must be a whole number from 1 to 256, not \"many\"",
        ]
    );
}

#[test]
fn a_missing_file_matters_only_when_it_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.toml");
    let error = Config::load(Some(&missing), &variables(&[]), &[]).unwrap_err().to_string();
    assert!(error.contains("the settings file cannot be read"), "{error}");
}
