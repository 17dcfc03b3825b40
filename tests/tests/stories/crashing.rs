//! A plugin that crashes again and again: it is stopped for the channel, nothing is
//! lost, and a person sets it going again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use axum::Router;
use pointsman_tests::api::{Answer, text_at};
use pointsman_tests::built::guest;
use pointsman_tests::server::to_local;
use pointsman_tests::{Api, Backend, Server, Setup, each_backend, eventually, http_client};
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{SOON, id};

each_backend!(a_plugin_that_crashes_all_the_time_is_stopped_and_nothing_is_lost);

const TOKEN: &str = "c4na7y-guest-token-0123456789";
/// So many crashes within a minute stop a plugin.
const CRASHES: usize = 5;

struct Desk {
    server: Server,
    api: Api,
    channel: String,
    hook: String,
    vendor: String,
    taken: Arc<AtomicUsize>,
    vendors: tokio::task::JoinHandle<()>,
    _plugins: tempfile::TempDir,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.vendors.abort();
    }
}

impl Desk {
    /// A server whose only plugin misbehaves on demand, and a vendor that takes everything.
    async fn open(backend: Backend) -> Result<Self> {
        let plugins = tempfile::tempdir()?;
        std::fs::write(plugins.path().join("sandbox-guest.wasm"), guest("sandbox_guest")?)?;
        // A proxy that nobody serves: whoever heeded it would not reach the vendor.
        let proxied = |setup: Setup, name: &str| setup.env(name, "http://127.0.0.1:9");
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"];
        let setup = names.into_iter().fold(Setup::new(backend)?.plugins(plugins.path()), proxied);
        let server = setup.start().await?;
        let taken = Arc::new(AtomicUsize::new(0));
        let seen = taken.clone();
        let take = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            async { "MSG1" }
        };
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let vendor = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(take);
        let vendors = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let body = json!({
            "provider": "sandbox-guest", "kind": "sms", "name": "Shaky", "address": "+34600000000",
            "settings": {"base_url": vendor}, "secrets": {"auth_token": TOKEN},
            "default_group": text_at(&group, "/id")?, "active": true, "allow_private_egress": true,
        });
        let channel = api.post("/api/v1/channels", body).await?.expect(201)?;
        let hook = to_local(text_at(&channel, "/webhook_url")?, server.url());
        let channel = text_at(&channel, "/id")?.to_owned();
        Ok(Self { server, api, channel, hook, vendor, taken, vendors, _plugins: plugins })
    }

    /// A webhook; `query` tells the guest how to behave.
    async fn hook(&self, query: &str, body: &str, key: &str) -> Result<Answer> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body.as_bytes());
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = http_client()?.post(format!("{}?{query}", self.hook)).header("x-signature", tag);
        Answer::read("POST webhook".to_owned(), request.body(body.to_owned()).send().await?).await
    }

    async fn channel(&self) -> Result<Value> {
        self.api.get(&format!("/api/v1/channels/{}", self.channel)).await?.expect(200)
    }

    async fn kept(&self, outcome: &str) -> Result<usize> {
        let kept = self.api.list(&format!("/api/v1/raw-webhooks?outcome={outcome}")).await?;
        Ok(kept.len())
    }
}

async fn a_plugin_that_crashes_all_the_time_is_stopped_and_nothing_is_lost(backend: Backend) -> Result<()> {
    let desk = Desk::open(backend).await?;
    for number in 0..CRASHES {
        ensure!(desk.channel().await?["state"] != "paused", "{number} crashes are not enough");
        let answer = desk.hook("parse=panic", &format!("{{\"n\":{number}}}"), TOKEN).await?;
        ensure!(answer.status == 200, "an authentic webhook is kept: {} {}", answer.status, answer.text);
    }
    let stopped = desk.channel().await?;
    ensure!(stopped["state"] == "paused" && stopped["active"] == true, "{stopped}");
    ensure!(text_at(&stopped, "/state_reason")?.contains("crashed 5 times"), "{stopped}");
    let told = desk.api.list("/api/v1/events?type=channel.state_changed").await?;
    ensure!(told.iter().any(|it| it["to"] == "paused"), "{told:?}");
    ensure!(desk.kept("quarantined").await? == CRASHES, "what crashed it is there for its author");

    // Everything waits: good webhooks, forged ones, which nobody can tell apart now, and what is to be sent.
    ensure!(desk.hook("", "{\"good\":1}", TOKEN).await?.status == 200, "the vendor need not come back");
    ensure!(desk.hook("", "{\"forged\":1}", "another key").await?.status == 200, "nobody can tell yet");
    ensure!(desk.kept("waiting").await? == 2, "both are kept");
    let text = format!("{}/send", desk.vendor);
    let first = json!({"channel": desk.channel, "to": "+34600000077", "text": text});
    let sent = desk.api.post("/api/v1/messages", first).await?.expect(201)?;
    let message = format!("/api/v1/messages/{}", id(&sent)?);
    eventually("the message waits", SOON, || async {
        let row = desk.api.get(&message).await?.expect(200)?;
        ensure!(row["status"] == "queued", "{row}");
        Ok(Some(()))
    })
    .await?;
    ensure!(desk.taken.load(Ordering::SeqCst) == 0, "nothing left");
    // Neither time nor the hourly check sets it going.
    desk.server.advance(std::time::Duration::from_secs(7_200))?;
    ensure!(desk.channel().await?["state"] == "paused", "only a person resumes it");

    let resumed = desk.api.post(&format!("/api/v1/channels/{}/resume", desk.channel), json!({})).await?;
    let resumed = resumed.expect(200)?;
    ensure!(resumed["state"] != "paused", "{resumed}");
    eventually("the message is sent", SOON, || async {
        let row = desk.api.get(&message).await?.expect(200)?;
        ensure!(row["status"] == "sent", "{row}");
        Ok(Some(()))
    })
    .await?;
    eventually("what waited is read, and what was forged is gone", SOON, || async {
        let (waiting, read) = (desk.kept("waiting").await?, desk.kept("replayed").await?);
        ensure!((waiting, read) == (0, 1), "{waiting} wait, {read} are read");
        Ok(Some(()))
    })
    .await
    .context("webhooks")
}
