//! Files both ways: a customer's is fetched and kept whatever happens on the
//! way, and an agent's leaves by a link that nobody can forge.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::{header, text_at};
use pointsman_tests::server::{PUBLIC_URL, Setup};
use pointsman_tests::{Backend, Server, each_backend, eventually, http_client};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::{SOON, Scene, id, messages, sid};

each_backend!(
    a_customers_file_is_fetched_and_read_by_those_who_may,
    a_file_survives_an_outage_and_a_kill,
    a_file_that_is_gone_says_why,
    an_agents_file_leaves_by_a_signed_link,
    a_file_that_the_channel_does_not_take_is_refused_with_its_limits,
);

const CUSTOMER: &str = "+34600000011";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some pixels";

/// A customer sends a file; the vendor claims that it is a JPEG.
async fn send_file(scene: &Scene, number: u64, url: &str) -> Result<()> {
    let mut form = scene.twilio.inbound(CUSTOMER, &sid(number), "look");
    form.retain(|(name, _)| name != "NumMedia" && name != "MessageType");
    let fields = [
        ("NumMedia", "1"),
        ("MessageType", "image"),
        ("MediaUrl0", url),
        ("MediaContentType0", "image/jpeg"),
    ];
    form.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let answer = scene.twilio.deliver(&form).await?;
    ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    Ok(())
}

/// The file of the customer's message, once it is in this state.
async fn file_in(scene: &Scene, state: &str) -> Result<Value> {
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    eventually(&format!("a file that is {state}"), SOON, || async {
        let rows = messages(&scene.api, conversation).await?;
        let file = rows.iter().find_map(|row| row.pointer("/content/items/0")).cloned();
        let file = file.context("no file")?;
        ensure!(file["state"] == state, "it is {file}");
        Ok(Some(file))
    })
    .await
}

/// Reads bytes; `key`: whose.
async fn bytes(url: &str, key: Option<&str>) -> Result<(u16, HeaderMap, Vec<u8>)> {
    let mut request = http_client()?.get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.headers().clone(), answer.bytes().await?.to_vec()))
}

fn ensure_harmless(headers: &HeaderMap, content_type: &str, disposition: &str) -> Result<()> {
    let of = |name: &str| header(headers, name).unwrap_or_default();
    ensure!(of("content-type") == content_type, "{headers:?}");
    ensure!(of("content-disposition").starts_with(disposition), "{headers:?}");
    ensure!(of("x-content-type-options") == "nosniff", "{headers:?}");
    ensure!(of("content-security-policy").contains("sandbox"), "{headers:?}");
    Ok(())
}

// S57, S64
async fn a_customers_file_is_fetched_and_read_by_those_who_may(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let url = scene.vendor.serve_file("ME1", "binary/octet-stream", PNG);
    send_file(&scene, 1, &url).await?;
    let file = file_in(&scene, "stored").await?;
    ensure!(file["content_type"] == "image/png", "found by its bytes: {file}");
    ensure!(file["size"] == PNG.len() && file["caption"] == "look", "{file}");
    ensure!(holds(&scene.server.data().join("blobs"), PNG)?, "it lies in the data directory");
    ensure!(!file.to_string().contains("/Media/"), "where the vendor keeps it is not shown: {file}");
    let path = format!("{}{}", scene.server.url(), text_at(&file, "/url")?);
    let (status, headers, content) = bytes(&path, Some(scene.server.key())).await?;
    ensure!(status == 200 && content == PNG, "{status}");
    ensure_harmless(&headers, "image/png", "inline")?;
    ensure!(bytes(&path, None).await?.0 == 401, "files are not public");
    // An agent's key sees conversations without a group only; this one has a group.
    let agent = scene.server.create_key("looker", "agent").await?;
    ensure!(bytes(&path, Some(&agent)).await?.0 == 404, "a file is seen like its conversation");
    let conversation = scene.conversation(CUSTOMER).await?;
    scene.api.delete(&format!("/api/v1/conversations/{}", id(&conversation)?)).await?.expect(204)?;
    ensure!(bytes(&path, Some(scene.server.key())).await?.0 == 404, "it goes with its conversation");
    ensure!(!holds(&scene.server.data().join("blobs"), PNG)?, "its bytes are gone from the disk");
    ensure!(scene.vendor.complaints().is_empty(), "{:?}", scene.vendor.complaints());
    Ok(())
}

/// Waits until the vendor was asked for files so often.
async fn asked(scene: &Scene, times: usize) -> Result<()> {
    eventually(&format!("attempt {times}"), SOON, || async {
        Ok((scene.vendor.files_asked() >= times).then_some(()))
    })
    .await
}

async fn a_file_survives_an_outage_and_a_kill(backend: Backend) -> Result<()> {
    // On PostgreSQL other processes may live: the file of the dead one is free when its lease has run out.
    let server = Setup::new(backend)?.env("POINTSMAN_WORKER__LEASE_MS", "2000").start().await?;
    let mut scene = Scene::quiet(server).await?;
    scene.vendor.fail_files(Some(503));
    let url = scene.vendor.serve_file("ME1", "image/png", PNG);
    send_file(&scene, 1, &url).await?;
    let file = file_in(&scene, "pending").await?;
    let path = format!("/api/v1/attachments/{}", id(&file)?);
    scene.api.get(&path).await?.problem(409, "attachment_pending")?;
    asked(&scene, 1).await?;
    // The outage ends; the next attempt gets no answer before the process dies.
    scene.vendor.hold_files();
    scene.vendor.fail_files(None);
    asked(&scene, 2).await?;
    scene.server.kill().await?;
    scene.vendor.let_files_go();
    scene.server.restart().await?;
    scene.api = scene.server.api()?;
    let file = file_in(&scene, "stored").await?;
    ensure!(file["size"] == PNG.len(), "{file}");
    Ok(())
}

async fn a_file_that_is_gone_says_why(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.vendor.fail_files(Some(410));
    let url = scene.vendor.serve_file("ME1", "image/png", PNG);
    send_file(&scene, 1, &url).await?;
    let file = file_in(&scene, "failed").await?;
    ensure!(file["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{file}");
    ensure!(file["url"].is_null(), "{file}");
    let path = format!("/api/v1/attachments/{}", id(&file)?);
    scene.api.get(&path).await?.problem(410, "attachment_failed")?;
    ensure!(scene.vendor.files_asked() == 1, "it is not asked for again");
    Ok(())
}

/// Is there a file with these bytes anywhere in a folder?
fn holds(folder: &Path, content: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() { holds(&path, content)? } else { std::fs::read(&path)? == content };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Uploads a file and gives its row.
async fn upload(scene: &Scene, name: &str, content: &'static [u8]) -> Result<Value> {
    let url = format!("{}/api/v1/attachments?file_name={name}", scene.server.url());
    let request = http_client()?.post(url).bearer_auth(scene.server.key()).body(content);
    let answer = request.header("content-type", "application/octet-stream").send().await?;
    ensure!(answer.status().as_u16() == 201, "{}", answer.status());
    Ok(answer.json().await?)
}

async fn an_agents_file_leaves_by_a_signed_link(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "send me the plan").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let uploaded = upload(&scene, "..%2Fplan.png", PNG).await?;
    ensure!(uploaded["content_type"] == "image/png" && uploaded["file_name"] == "plan.png", "{uploaded}");
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let wanted = json!({"attachments": [{"id": id(&uploaded)?, "caption": "Here it is"}]});
    let message = scene.api.post(&path, wanted).await?.expect(201)?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    ensure!(sent.field("Body") == "Here it is", "{sent:?}");
    let link = sent.field("MediaUrl").to_owned();
    ensure!(link.starts_with(&format!("{PUBLIC_URL}/media/")), "{link}");
    let local = scene.server.local(&link);
    let (status, headers, content) = bytes(&local, None).await?;
    ensure!(status == 200 && content == PNG, "{status}");
    ensure_harmless(&headers, "image/png", "inline; filename*=UTF-8''plan.png")?;
    let forged = format!("{}0", &local[..local.len() - 1]);
    let other = format!("{}1", &local[..local.len() - 1]);
    let refused = [bytes(&forged, None).await?.0, bytes(&other, None).await?.0];
    ensure!(refused.contains(&404), "a link with another signature is refused: {refused:?}");
    let own = message.pointer("/content/items/0").context("no file")?;
    ensure!(own["state"] == "stored" && own["id"] != uploaded["id"], "{own}");
    let path = format!("{}{}", scene.server.url(), text_at(own, "/url")?);
    ensure!(bytes(&path, Some(scene.server.key())).await?.2 == PNG, "it can be read back");
    ensure!(scene.vendor.complaints().is_empty(), "{:?}", scene.vendor.complaints());
    Ok(())
}

// S60, S61, S101
async fn a_file_that_the_channel_does_not_take_is_refused_with_its_limits(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let uploaded = upload(&scene, "page.html", b"<html><script>alert(1)</script>").await?;
    ensure!(uploaded["content_type"] == "application/octet-stream", "{uploaded}");
    let wanted = json!({"attachments": [{"id": id(&uploaded)?}]});
    let problem = scene.api.post(&path, wanted).await?.problem(422, "media_type")?;
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("image/png")), "{problem}");
    let both = json!({"text": "hi", "attachments": [{"id": id(&uploaded)?}]});
    scene.api.post(&path, both).await?.expect(422)?;
    let unknown = json!({"attachments": [{"id": "att_00000000000000000000000000"}]});
    scene.api.post(&path, unknown).await?.expect(422)?;
    ensure!(scene.vendor.sent().is_empty(), "nothing left");
    Ok(())
}
