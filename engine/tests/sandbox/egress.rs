//! What plugins may call, and what they learn about it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, post};
use pointsman::plugins::{Certainty, ChannelContext, Failure, FailureKind, Plugin, Receipt, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{Everywhere, Names, TOKEN, channel, host, host_with, message};

/// A channel whose `base_url` points to `origin`, with an admin's consent or without.
pub(crate) fn pointing_to(origin: &str, allow_private_egress: bool) -> ChannelContext {
    let settings = serde_json::json!({ "base_url": format!("{origin}/api") }).to_string();
    ChannelContext { settings, allow_private_egress, ..channel() }
}

pub(crate) async fn outcome(
    plugin: &Plugin,
    channel: &ChannelContext,
    mode: &str,
    url: &str,
) -> Result<Receipt, Failure> {
    plugin.send(channel, &message(mode, url)).await
}

#[track_caller]
pub(crate) fn assert_refused(result: Result<Receipt, Failure>, what: &str) -> String {
    let failure = result.expect_err(what);
    assert!(failure.message.starts_with("refused: "), "{what}: {}", failure.message);
    assert!(!failure.message.contains(TOKEN), "{what}");
    failure.message
}

/// Counts connections; none may come.
pub(crate) async fn listener() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let seen = count.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            drop(socket);
        }
    });
    (port, count)
}

const SPELLINGS: &[&str] = &[
    "https://127.0.0.1:PORT/",
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://0x7f.1:PORT/",
    "https://0x7f000001:PORT/",
    "https://2130706433:PORT/",
    "https://017700000001:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://localhost:PORT/",
    "https://LOCALHOST:PORT/",
    "https://localhost.:PORT/",
    "https://[::1]:PORT/",
    "https://[::]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[64:ff9b::7f00:1]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://[2001:0:7f00:1::]:PORT/",
    "https://[fe80::1%25eth0]:PORT/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.43518/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://100.100.100.200/",
    "https://metadata.google.internal/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://api.example.com@127.0.0.1:PORT/",
    "https://api.example.com:443@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT\\@api.example.com/",
    "https://api.example.com\\@127.0.0.1:PORT/",
    "https://api.example.com%40127.0.0.1:PORT/",
    "https://api.example.com:PORT/",
    "https://api.example.com./",
    "https://api.example.com.evil.test/",
    "https://evil.test/api.example.com",
    "https://evil.test#@api.example.com/",
    "https://evil.test?@api.example.com/",
    "https://api.example.com/#fragment",
    "https://１２７.０.０.１:PORT/",
    "https://127。0。0。1:PORT/",
    "https://ⓛocalhost:PORT/",
    "https://127.0.0.1\t:PORT/",
    "\thttps://127.0.0.1:PORT/",
    " https://127.0.0.1:PORT/",
    "https:/\\127.0.0.1:PORT/",
    "https:127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/",
    "http://api.example.com/",
    "HTTPS://127.0.0.1:PORT/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "ftp://127.0.0.1:PORT/",
    "data:text/plain,x",
    "unix:/run/x.sock",
    "https://trap.example.com:PORT/",
    "https://{secret:auth_token}/",
    "https://api.{secret:auth_token}.com/",
    "",
    "https://",
    "https:///path",
];

#[tokio::test]
async fn no_spelling_reaches_a_private_address() {
    let (port, count) = listener().await;
    let (_host, plugin) = host_with(Everywhere([127, 0, 0, 1].into())).await;
    for spelling in SPELLINGS {
        let url = spelling.replace("PORT", &port.to_string());
        assert_refused(outcome(&plugin, &channel(), "x", &url).await, spelling);
        // The channel's own URL opens nothing private without an admin's consent.
        let own = url.trim_end_matches('/');
        assert_refused(outcome(&plugin, &pointing_to(own, false), "x", &url).await, spelling);
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "no packet left");
}

#[tokio::test]
async fn consent_opens_the_channels_own_origin_and_nothing_else() {
    let (port, count) = listener().await;
    let (_host, plugin) = host().await;
    let channel = pointing_to("http://10.9.8.7:1", true);
    for url in [format!("http://127.0.0.1:{port}/"), format!("https://127.0.0.1:{port}/")] {
        assert_refused(outcome(&plugin, &channel, "x", &url).await, &url);
    }
    for origin in
        ["http://169.254.169.254", "http://[::ffff:127.0.0.1]", "http://0.0.0.0", "http://100.100.100.200"]
    {
        let refusal = outcome(&plugin, &pointing_to(origin, true), "x", &format!("{origin}/")).await;
        assert!(assert_refused(refusal, origin).contains("reserved range"), "{origin}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "no packet left");
}

#[tokio::test]
async fn names_that_resolve_to_private_addresses_are_refused() {
    let (port, count) = listener().await;
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let names = Names(BTreeMap::from([
        ("api.example.com", vec![address("127.0.0.1")]),
        ("trap.example.com", vec![address("169.254.169.254"), address("::ffff:127.0.0.1")]),
    ]));
    let (_host, plugin) = host_with(names).await;
    for url in ["https://api.example.com/x", "https://trap.example.com/x"] {
        let message = assert_refused(outcome(&plugin, &channel(), "x", url).await, url);
        assert!(message.contains("private or reserved network"), "{message}");
    }
    let own = format!("https://api.example.com:{port}");
    let refused = outcome(&plugin, &pointing_to(&own, false), "x", &format!("{own}/x")).await;
    assert_refused(refused, "own name without consent");
    assert_eq!(count.load(Ordering::SeqCst), 0, "no packet left");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let (_host, plugin) = host().await;
    let unknown = outcome(&plugin, &channel(), "x", "https://api.x.test/v1").await;
    let message = assert_refused(unknown, "unknown host");
    assert!(message.contains("host api.x.test is not allowed for channel chn_test"), "{message}");
    assert!(message.contains("`https://api.x.test`"), "{message}");
    let plain = outcome(&plugin, &pointing_to("http://waha.test", false), "x", "http://waha.test/").await;
    assert!(assert_refused(plain, "http").contains("let an admin allow private egress"));
}

#[tokio::test]
async fn requests_out_of_line_are_refused() {
    let (_host, plugin) = host().await;
    let api = "https://api.example.com/v1";
    for mode in [
        "method=CONNECT",
        "method=TRACE",
        "method=get",
        "method=GET /x HTTP/1.1\r\nhost: y",
        "header=host: evil",
        "header=Host: evil",
        "header=content-length: 5",
        "header=transfer-encoding: chunked",
        "header=connection: close",
        "header=proxy-authorization: x",
        "header=upgrade: h2c",
        "header=te: x",
        "header=expect: 100-continue",
        "header=x-forwarded-for: 1.2.3.4",
        "header=forwarded: x",
        "header=bad name: x",
        "header=x-a: b\r\nx-injected: c",
        "header=x-a: b\nc",
        "header=x-a: \0",
        "header=x\r\ny: z",
        "bearer=undeclared",
        "bearer=dots",
        "user=a:b",
        "pointer=/missing",
        "pointer=/n",
        "pointer=",
        "pointer=a",
        "not-json={",
        "part=a\r\nb",
        "file=a\r\ncontent-type: x",
        "big-body=",
        "headers=65",
        "headers=50000",
        "long-header=1048576",
        "queries=1001",
        "queries=50000",
        "fields=1001",
        "parts=1001",
        "filled=Key {secret:undeclared}",
        "filled=Key {secret:auth_token",
        "filled=Key {secret:kept}",
        "hmac={secret:kept}",
        "bearer=kept",
    ] {
        assert_refused(outcome(&plugin, &channel(), mode, api).await, mode);
    }
    for url in [
        "https://api.example.com/{secret:undeclared}/x",
        "https://api.example.com/{secret:dots}/x",
        "https://api.example.com/{secret:auth_token",
        "https://api.example.com:{secret:auth_token}/x",
        "{secret:auth_token}://api.example.com/x",
        "https://{secret:auth_token}@api.example.com/x",
        "https://api.example.com/x#{secret:auth_token}",
        "https://api.example.com/{secret:kept}/x",
        "https://api.example.com/x?token={secret:auth_token}",
        "https://api.example.com/x\r\nhost: y",
        "https://api.example.com/x y",
    ] {
        let mut channel = channel();
        let secrets = [("auth_token", TOKEN), ("dots", "..")];
        channel.secrets = Arc::new(secrets.map(|(k, v)| (k.to_owned(), Secret::new(v))).into());
        assert_refused(outcome(&plugin, &channel, "x", url).await, url);
    }
}

/// An attacker's origin that the plugin may call gets no secret that was declared for another.
#[tokio::test]
async fn a_secret_goes_only_where_it_was_declared_for() {
    let echo = |headers: HeaderMap| async move {
        ["authorization", "x-key", "x-signature"]
            .map(|name| headers.contains_key(name))
            .contains(&true)
            .to_string()
    };
    let (mut own, origin) = vendor(Router::new().fallback(echo)).await;
    let secrets = ["auth_token", "bound", "kept"].map(|name| (name.to_owned(), Secret::new("s3cret")));
    own.secrets = Arc::new(secrets.into());
    let (_host, plugin) = host().await;
    let url = format!("{origin}/");
    for mode in ["bearer=bound", "filled=Key {secret:bound}", "hmac=signed {secret:bound}", "hmac=plain"] {
        let receipt = outcome(&plugin, &own, mode, &url).await.unwrap();
        assert_eq!(receipt.message_ids, ["true"], "{mode} to the setting that it names");
    }
    let foreign = ChannelContext { settings: "{}".into(), ..own.clone() };
    for (url, mode, says) in [
        ("https://trap.example.com/", "bearer=bound", "may not be sent to https://trap.example.com"),
        ("https://trap.example.com/", "filled=Key {secret:bound}", "may not be sent"),
        ("https://a.wide.example.com/", "bearer=bound", "may not be sent"),
        ("https://api.example.com/", "bearer=kept", "may not be sent"),
    ] {
        let message = assert_refused(outcome(&plugin, &foreign, mode, url).await, mode);
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn a_declared_suffix_covers_names_below_it_alone() {
    let (_host, plugin) = host().await;
    for (url, allowed) in [
        ("https://media.wide.example.com/", true),
        ("https://a.b.wide.example.com/", true),
        ("https://wide.example.com/", false),
        ("https://evilwide.example.com/", false),
        ("https://media.wide.example.com.evil.test/", false),
        ("https://media.wide.example.com:8443/", false),
    ] {
        let message = outcome(&plugin, &channel(), "x", url).await.unwrap_err().message;
        // Allowed names do not exist here.
        assert_eq!(message.starts_with("not-sent: "), allowed, "{url}: {message}");
    }
}

/// A vendor on loopback; the channel's own origin with consent.
pub(crate) async fn vendor(router: Router) -> (ChannelContext, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (pointing_to(&origin, true), origin)
}

#[tokio::test]
async fn secrets_reach_the_places_named() {
    let echo = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let header = |name: &str| headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
        let basic = header("authorization") == "Basic QUMxOnRvay00ZjljLWNhbmFyeQ==";
        let form = header("content-type") == "application/x-www-form-urlencoded"
            && body == "To=%2B34+600&f=tok-4f9c-canary";
        let url = uri == "/bottok-4f9c-canary/send?q=tok-4f9c-canary";
        format!("{basic} {form} {url} {}", header("x-token") == TOKEN)
    };
    let (channel, origin) = vendor(Router::new().fallback(echo)).await;
    let (_host, plugin) = host().await;
    let url = format!("{origin}/bot{{secret:auth_token}}/send");
    let receipt = outcome(&plugin, &channel, "everywhere", &url).await.unwrap();
    assert_eq!(receipt.message_ids, ["true true true true"]);
    let body =
        |body: Bytes| async move { (body == r#"{"a":{"token":"tok-4f9c-canary"},"n":1}"#).to_string() };
    let (channel, origin) = vendor(Router::new().fallback(body)).await;
    let receipt = outcome(&plugin, &channel, "pointer=/a/token", &format!("{origin}/")).await.unwrap();
    assert_eq!(receipt.message_ids, ["true"]);
}

#[tokio::test]
async fn answers_come_back_with_status_and_headers() {
    let router = Router::new()
        .route("/ok", post(|| async { "SM1" }))
        .route(
            "/429",
            post(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "slow down") }),
        )
        .route("/500", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/moved", post(|| async { (StatusCode::FOUND, [("location", "http://169.254.169.254/")]) }));
    let (channel, origin) = vendor(router).await;
    let (_host, plugin) = host().await;
    let receipt = outcome(&plugin, &channel, "x", &format!("{origin}/ok")).await.unwrap();
    assert_eq!((receipt.message_ids, receipt.accepted_at_ms), (vec!["SM1".to_owned()], Some(channel.now_ms)));
    for (path, status, retry_after) in [("429", 429, Some("7")), ("500", 500, None), ("moved", 302, None)] {
        let failure = outcome(&plugin, &channel, "x", &format!("{origin}/{path}")).await.unwrap_err();
        assert_eq!(
            (failure.http_status, failure.vendor_code.as_deref()),
            (Some(status), retry_after),
            "{path}"
        );
        assert_eq!(failure.kind, FailureKind::VendorUnavailable, "the plugin's own word");
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_unclear_and_what_surely_did_not_is_not_sent() {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(30)).await;
    };
    let large = || async { Body::from(vec![b'x'; (4 << 20) + 1]) };
    let (channel, origin) = vendor(Router::new().route("/slow", any(slow)).route("/large", any(large))).await;
    let (_host, plugin) = host().await;
    for (path, word) in [("slow", "within 500 ms"), ("large", "larger than")] {
        let failure = outcome(&plugin, &channel, "x", &format!("{origin}/{path}")).await.unwrap_err();
        assert!(
            failure.message.starts_with("unclear: ") && failure.message.contains(word),
            "{}",
            failure.message
        );
    }
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "nonsense\r\n\r\n"] {
        let cut = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", cut.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut socket, _) = cut.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(answer.as_bytes()).await;
            drop(socket);
            // A second try would come here.
            tokio::time::timeout(Duration::from_millis(200), cut.accept()).await.is_err()
        });
        let channel = pointing_to(&origin, true);
        let failure = outcome(&plugin, &channel, "x", &format!("{origin}/")).await.unwrap_err();
        assert!(failure.message.starts_with("unclear: "), "{answer:?}: {}", failure.message);
        assert!(served.await.unwrap(), "{answer:?} was not tried again");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let refused =
        outcome(&plugin, &pointing_to(&origin, true), "x", &format!("{origin}/")).await.unwrap_err();
    assert!(refused.message.starts_with("not-sent: cannot connect"), "{}", refused.message);
    let nowhere = outcome(&plugin, &channel, "x", "https://api.example.com/").await;
    let message = nowhere.unwrap_err().message;
    assert!(message.starts_with("not-sent: "), "an unknown name: {message}");
}

#[tokio::test]
async fn a_crash_after_a_call_leaves_the_effect_unknown() {
    let (mut channel, origin) = vendor(Router::new().fallback(|| async { "SM1" })).await;
    let (_host, plugin) = host().await;
    channel.address = "panic".into();
    let failure = outcome(&plugin, &channel, "misbehave-after", &format!("{origin}/")).await.unwrap_err();
    assert_eq!((failure.kind, failure.effect), (FailureKind::Internal, Certainty::Unknown));
}

#[tokio::test]
async fn an_operation_makes_eight_calls_and_no_more() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let answer = move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async { "ok" }
    };
    let (channel, origin) = vendor(Router::new().fallback(answer)).await;
    let (_host, plugin) = host().await;
    let url = format!("{origin}/");
    let failure = outcome(&plugin, &channel, "until-refused", &url).await.unwrap_err();
    assert_eq!(failure.message, "refused after 8 calls");
    assert_eq!(count.load(Ordering::SeqCst), 8);
    let failure = outcome(&plugin, &channel, "endless-calls", &url).await.unwrap_err();
    assert_eq!((failure.kind, failure.effect), (FailureKind::Internal, Certainty::Unknown));
    assert_eq!(count.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn media_go_into_the_blob_store() {
    let file = || async { ([("content-type", "image/png")], vec![7_u8; 300_000]) };
    let (channel, origin) = vendor(Router::new().fallback(file)).await;
    let (_host, plugin) = host().await;
    let failure = outcome(&plugin, &channel, "blob", &format!("{origin}/")).await.unwrap_err();
    assert_eq!(failure.message, "stored 300000 image/png");
}

#[tokio::test]
async fn an_account_task_without_a_call_ends_at_once() {
    let (_host, plugin) = host().await;
    let report = plugin.account(&channel(), pointsman::plugins::AccountTask::Check).await.unwrap();
    assert_eq!(report.display_name.as_deref(), Some("chn_test"));
    let failure = plugin.list_templates(&channel(), None).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
}
