//! Plugins that come after the installation: made from nothing with the binary
//! alone, installed on a running server, upgraded with consent, kept over a
//! restart and by every process, removed.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::text_at;
use pointsman_tests::server::{succeeded, to_local};
use pointsman_tests::{Backend, Server, Setup, each_backend, eventually, http_client};
use ring::hmac;
use serde_json::{Value, json};

use crate::SOON;

each_backend!(a_plugin_is_installed_upgraded_and_removed, what_is_made_from_nothing_is_whole,);

const CUSTOMER: &str = "+34600123456";
const SIGNING_KEY: &str = "k3y-of-acme";
const ORIGIN: &str = "https://api.acme.example";
/// As long as the other one, so that it can take its place in the file.
const OTHER_ORIGIN: &str = "https://new.acme.example";
const THIRD_ORIGIN: &str = "https://two.acme.example";

/// The example plugin, as it was built.
fn acme() -> Result<Vec<u8>> {
    let folder = std::env::var_os("POINTSMAN_TEST_PLUGINS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-unknown-unknown/guest"),
        PathBuf::from,
    );
    let file = folder.join("pointsman_acme.wasm");
    std::fs::read(&file).with_context(|| format!("{}: build it with `make guests`", file.display()))
}

/// The same file with other bytes of the same length in one place.
fn changed(wasm: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "the file keeps its form only with the same length");
    let mut changed = wasm.to_vec();
    let mut places = 0;
    for at in 0..wasm.len().saturating_sub(from.len()) {
        if wasm[at..].starts_with(from.as_bytes()) {
            changed[at..at + from.len()].copy_from_slice(to.as_bytes());
            places += 1;
        }
    }
    ensure!(places > 0, "{from} is not in the file");
    Ok(changed)
}

fn written(server: &Server, name: &str, bytes: &[u8]) -> Result<String> {
    let file = server.dir().join(name);
    std::fs::write(&file, bytes)?;
    Ok(file.display().to_string())
}

fn refused(output: &Output) -> Result<String> {
    ensure!(!output.status.success(), "it was not refused");
    Ok(String::from_utf8(output.stderr.clone())?)
}

async fn a_plugin_is_installed_upgraded_and_removed(backend: Backend) -> Result<()> {
    let mut server = Server::start(backend).await?;
    let (first, broken) = (acme()?, b"\0asm\x01\0\0\0".to_vec());
    let upgrade = changed(&first, ORIGIN, OTHER_ORIGIN)?;
    let files = [
        written(&server, "acme.wasm", &first)?,
        written(&server, "upgrade.wasm", &upgrade)?,
        written(&server, "broken.wasm", &broken)?,
    ];
    let installed = succeeded(&server.cli(&["plugin", "install", &files[0]]).await?)?;
    ensure!(installed.contains("acme 0.1.0 is installed"), "{installed}");
    let api = server.api()?;
    let plugin = api.get("/api/v1/plugins/acme").await?.expect(200)?;
    ensure!(plugin["source"] == "installed" && plugin["manifest"]["origins"] == json!([ORIGIN]), "{plugin}");

    let said = refused(&server.cli(&["plugin", "install", &files[2]]).await?)?;
    ensure!(said.contains("P110") && said.contains("plugin_refused"), "{said}");
    let said = refused(&server.cli(&["plugin", "install", &files[1]]).await?)?;
    ensure!(said.contains(OTHER_ORIGIN) && said.contains("--consent"), "{said}");
    let candidate = inspected(&server, upgrade).await?;
    ensure!(candidate["needs_consent"] == json!([OTHER_ORIGIN]), "{candidate}");
    ensure!(candidate["replaces"]["digest"] == plugin["digest"], "{candidate}");
    ensure!(candidate["manifest"]["origins"] == json!([OTHER_ORIGIN]), "{candidate}");
    let there = api.get("/api/v1/plugins/acme").await?.expect(200)?;
    ensure!(there["digest"] == plugin["digest"], "what was refused is in use: {there}");
    let compared = succeeded(&server.cli(&["plugin", "inspect", &files[1], "--compare"]).await?)?;
    ensure!(compared.contains(&format!("+ may call {OTHER_ORIGIN}")), "{compared}");
    succeeded(&server.cli(&["plugin", "install", &files[1], "--consent"]).await?)?;

    let group = api.find("/api/v1/groups", "name", "Support").await?;
    let channel = json!({
        "provider": "acme", "kind": "sms", "name": "Acme", "active": true, "default_group": group["id"],
        "settings": {"address": "+34600000000"}, "secrets": {"token": "t0ken-of-acme", "signing_key": SIGNING_KEY},
    });
    let channel = api.post("/api/v1/channels", channel).await?.expect(201)?;
    what_came_becomes_a_case_of_nobody(&server, &channel, &files[1]).await?;
    let said = refused(&server.cli(&["plugin", "remove", "acme"]).await?)?;
    ensure!(said.contains("plugin_in_use"), "{said}");

    server.restart().await?;
    let api = server.api()?;
    let there = api.get("/api/v1/plugins/acme").await?.expect(200)?;
    ensure!(there["manifest"]["origins"] == json!([OTHER_ORIGIN]), "not kept over a restart: {there}");
    let second = match backend {
        Backend::Postgres => Some(Setup::new(backend)?.start_beside(&server).await?),
        Backend::Sqlite => None,
    };
    if let Some(second) = &second {
        let third = written(&server, "third.wasm", &changed(&first, ORIGIN, THIRD_ORIGIN)?)?;
        succeeded(&server.cli(&["plugin", "install", &third, "--consent"]).await?)?;
        eventually("the other process has the new file", SOON, || async {
            let there = second.api()?.get("/api/v1/plugins/acme").await?.expect(200)?;
            Ok((there["manifest"]["origins"] == json!([THIRD_ORIGIN])).then_some(()))
        })
        .await?;
    }
    succeeded(&server.cli(&["channel", "delete", "Acme", "--confirm", "Acme"]).await?)?;
    eventually("nothing uses the plugin any more", SOON, || async {
        let removed = server.cli(&["plugin", "remove", "acme"]).await?;
        Ok(removed.status.success().then_some(()))
    })
    .await?;
    for process in std::iter::once(&server).chain(&second) {
        eventually("the plugin is gone", SOON, || async {
            let status = process.api()?.get("/api/v1/plugins/acme").await?.status;
            Ok((status == 404).then_some(()))
        })
        .await?;
    }
    let said = refused(&server.cli(&["plugin", "remove", "webchat"]).await?)?;
    ensure!(said.contains("plugin_of_folder") || said.contains("plugin_in_use"), "{said}");
    Ok(())
}

/// What the server says of a file before it is installed.
async fn inspected(server: &Server, wasm: Vec<u8>) -> Result<Value> {
    let url = format!("{}/api/v1/plugins/inspect", server.url());
    let request =
        http_client()?.post(url).bearer_auth(server.key()).header("content-type", "application/wasm");
    Ok(request.body(wasm).send().await?.error_for_status()?.json().await?)
}

/// A webhook that arrived is recorded without number, name, words and secret, and the case passes.
async fn what_came_becomes_a_case_of_nobody(server: &Server, channel: &Value, plugin: &str) -> Result<()> {
    let message = json!({"type": "message", "id": "m-1", "from": CUSTOMER, "to": "+34600000000", "name": "Ana Real",
        "text": "my address is 5 High Street", "sent_at_ms": 1_767_225_600_123_u64});
    let body = json!({"events": [message]}).to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY.as_bytes()), body.as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let url = to_local(text_at(channel, "/webhook_url")?, server.url());
    let request = http_client()?.post(&url).header("x-acme-signature", &tag).body(body);
    let status = request.send().await?.status();
    ensure!(status == 204, "the webhook is answered with {status}");
    let dir = server.dir().join("recorded");
    let (id, at) = (text_at(channel, "/id")?, dir.display().to_string());
    let recorded =
        server.cli(&["--json", "plugin", "record", plugin, "--channel", id, "--cases", &at]).await?;
    let recorded = succeeded(&recorded)?;
    ensure!(recorded.contains("recorded-01") && recorded.contains("\"left_out\": 0"), "{recorded}");
    let mut kept = String::new();
    for file in ["case.toml", "request.body", "expect.json"] {
        kept.push_str(&std::fs::read_to_string(dir.join("recorded-01").join(file))?);
    }
    for hidden in [&CUSTOMER[1..], "Ana Real", "High Street", SIGNING_KEY, &tag] {
        ensure!(!kept.contains(hidden), "{hidden} was recorded: {kept}");
    }
    ensure!(kept.contains("\"verdict\": \"accept\""), "{kept}");
    succeeded(&server.cli(&["plugin", "test", plugin, "--cases", &at]).await?)?;
    Ok(())
}

/// `plugin new` needs nothing but the binary; building it is tried by `make kit`.
async fn what_is_made_from_nothing_is_whole(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    for (lang, main) in [("rust", "src/lib.rs"), ("js", "plugin.js")] {
        let dir = server.dir().join(lang);
        let at = dir.display().to_string();
        succeeded(&server.cli(&["plugin", "new", "my-vendor", "--lang", lang, "--dir", &at]).await?)?;
        for file in [main, "cases/receive-text/case.toml", "cases/receive-text/expect.json", "README.md"] {
            ensure!(dir.join(file).is_file(), "{lang}: {file} is missing");
        }
        let again = server.cli(&["plugin", "new", "my-vendor", "--dir", &at]).await?;
        ensure!(refused(&again)?.contains("is not empty"), "{lang}: it was written over");
    }
    let explained = succeeded(&server.cli(&["plugin", "explain", "P101"]).await?)?;
    ensure!(explained.contains("--stub-wasi") && explained.contains("cargo tree"), "{explained}");
    let checked = server
        .cli(&["plugin", "check", &written(&server, "acme.wasm", &acme()?)?, "--cases", &cases()])
        .await?;
    ensure!(succeeded(&checked)?.contains("0 of "), "the example does not keep what every plugin must");
    Ok(())
}

fn cases() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugin/cases").display().to_string()
}
