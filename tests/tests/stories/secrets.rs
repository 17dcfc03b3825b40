//! Canaries: a secret goes through every path, and is then found nowhere in clear.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use pointsman_tests::twilio::AUTH_TOKEN;
use pointsman_tests::{Backend, Fault, Setup, each_backend};
use serde_json::json;

use crate::{Scene, id};

each_backend!(secrets_are_found_nowhere, messages_and_numbers_are_not_logged);

const CUSTOMER: &str = "+34699887766";
const TEXT: &str = "canary-text-7f3a";

/// Takes the secret through connecting, sending, failing, checking and a wrong update.
async fn busy_scene(backend: Backend) -> Result<Scene> {
    let setup = Setup::new(backend)?.env("POINTSMAN_LOG__LEVEL", "trace");
    let scene = Scene::with_echo(setup.start().await?).await?;
    scene.hear(CUSTOMER, 1, TEXT).await?;
    scene.accepted(1).await?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    scene.api.post(&format!("{path}/check"), json!({})).await?;
    scene.vendor.fail_next([Fault::CutAfter, Fault::Refused(21211)]);
    scene.hear(CUSTOMER, 2, TEXT).await?;
    scene.hear(CUSTOMER, 3, TEXT).await?;
    scene.accepted(2).await?;
    scene.api.patch(&path, json!({"secrets": {"auth_tokn": AUTH_TOKEN}})).await?;
    scene.api.patch(&path, json!({"secrets": AUTH_TOKEN})).await?;
    Ok(scene)
}

async fn secrets_are_found_nowhere(backend: Backend) -> Result<()> {
    let scene = busy_scene(backend).await?;
    let (server, key) = (&scene.server, scene.server.key());
    let mut places = vec![("the log", server.log()), ("/metrics", scene.api.get("/metrics").await?.text)];
    let channel = format!("/api/v1/channels/{}", scene.twilio.channel);
    let conversation = scene.conversation(CUSTOMER).await?;
    let timeline = format!("/api/v1/conversations/{}/timeline", id(&conversation)?);
    let lists = ["api-keys", "channels", "plugins", "events", "jobs", "jobs/dead", "raw-webhooks", "users"];
    for list in lists.map(|list| format!("/api/v1/{list}")).iter().chain([&channel, &timeline]) {
        places.push(("the API", scene.api.get(list).await?.text));
    }
    // The token itself, its base64 as in a basic-auth header, and the key.
    let pair = format!("{}:{AUTH_TOKEN}", pointsman_tests::twilio::ACCOUNT_SID);
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    let canaries = [AUTH_TOKEN, encoded.as_str(), key];
    for (place, text) in &places {
        for canary in canaries {
            ensure!(!text.contains(canary), "{place} shows a secret");
        }
    }
    let row = scene.api.get(&channel).await?.expect(200)?;
    ensure!(row["secrets"]["auth_token"]["set"] == true, "{row}");
    let files = files_below(server.dir())?;
    ensure!(!files.is_empty(), "no files to look into");
    for file in files {
        let bytes = std::fs::read(&file)?;
        for canary in canaries {
            let is_there = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            ensure!(!is_there, "{} holds a secret in clear", file.display());
        }
    }
    #[cfg(unix)]
    for file in files_below(&server.data())?.iter().filter(|file| file.to_string_lossy().contains("key")) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file)?.permissions());
        ensure!(mode & 0o077 == 0, "{} is readable by others: {mode:o}", file.display());
    }
    Ok(())
}

async fn messages_and_numbers_are_not_logged(backend: Backend) -> Result<()> {
    let scene = busy_scene(backend).await?;
    let log = scene.server.log();
    ensure!(!log.is_empty(), "a trace log is empty");
    for canary in [TEXT, CUSTOMER, CUSTOMER.trim_start_matches('+')] {
        let line = log.lines().find(|line| line.contains(canary));
        ensure!(line.is_none(), "logged: {}", line.context("found")?);
    }
    Ok(())
}

fn files_below(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
