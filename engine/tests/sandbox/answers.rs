//! Names that lie and vendors that answer badly.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, Uri};
use pointsman::plugins::{ChannelContext, Lookup, LookupFuture};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::egress::{assert_refused, listener, outcome, pointing_to, vendor};
use crate::stage::{host, host_with};

/// The answers of a name server that changes its mind, or gives good and bad addresses at once.
struct Rebinding(AtomicUsize, Vec<Vec<IpAddr>>);

impl Lookup for Rebinding {
    fn addresses(&self, _: String) -> LookupFuture {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let found = self.1[asked.min(self.1.len() - 1)].clone();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn only_checked_addresses_are_dialled_whatever_the_names_say() {
    let served = || Router::new().fallback(|| async { ([("connection", "close")], "SM1") });
    let (_, origin) = vendor(served()).await;
    let port = origin.rsplit(':').next().unwrap().to_owned();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let own = format!("http://rebound.test:{port}");
    let answers = vec![
        vec![address("169.254.169.254"), address("127.0.0.1"), address("::ffff:10.0.0.1")],
        vec![address("169.254.169.254")],
    ];
    let (_host, plugin) = host_with(Rebinding(AtomicUsize::new(0), answers)).await;
    let channel = pointing_to(&own, true);
    let mixed = outcome(&plugin, &channel, "x", &format!("{own}/")).await.unwrap();
    assert_eq!(mixed.message_ids, ["SM1"], "the one good address was dialled");
    let rebound = outcome(&plugin, &channel, "x", &format!("{own}/")).await;
    assert!(assert_refused(rebound, "the second answer").contains("reserved range"));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (port, count) = listener().await;
    let moved = move |uri: Uri| async move {
        let status = uri.path().trim_start_matches('/').parse().unwrap_or(302);
        let there = format!("http://127.0.0.1:{port}/");
        (StatusCode::from_u16(status).unwrap(), [("location", there)])
    };
    let (channel, origin) = vendor(Router::new().fallback(moved)).await;
    let (_host, plugin) = host().await;
    for status in [301_u16, 302, 303, 307, 308] {
        for mode in ["bearer=auth_token", "blob"] {
            let failure = outcome(&plugin, &channel, mode, &format!("{origin}/{status}")).await.unwrap_err();
            assert_eq!(failure.http_status, Some(status), "{mode}");
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "no packet left");
}

/// A vendor that answers with these bytes, and then with one byte at a time.
async fn raw_vendor(first: Vec<u8>, then: u8) -> (ChannelContext, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let first = first.clone();
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let mut open = socket.write_all(&first).await.is_ok();
                while open {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    open = socket.write_all(&[then]).await.is_ok();
                }
            });
        }
    });
    (pointing_to(&origin, true), origin)
}

#[tokio::test]
async fn answers_without_end_are_cut_off() {
    let drip = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let mut headers = b"HTTP/1.1 200 OK\r\n".to_vec();
    headers.extend((0..10_000).flat_map(|i| format!("x-{i}: {}\r\n", "y".repeat(100)).into_bytes()));
    // A megabyte of zeros, packed: nobody unpacks it, so it stays as small as it came.
    let packed =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\0".to_vec();
    let (_host, plugin) = host().await;
    for (what, first) in [("a byte at a time", drip.clone()), ("endless headers", headers)] {
        let (channel, origin) = raw_vendor(first, b'z').await;
        let started = Instant::now();
        let failure = outcome(&plugin, &channel, "x", &format!("{origin}/")).await.unwrap_err();
        assert!(failure.message.starts_with("unclear: "), "{what}: {}", failure.message);
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
    }
    let (channel, origin) = raw_vendor(packed, b'z').await;
    let receipt = outcome(&plugin, &channel, "x", &format!("{origin}/")).await.unwrap();
    assert!(receipt.message_ids[0].len() <= 12, "{:?}", receipt.message_ids);
    let (channel, origin) = raw_vendor(drip, b'z').await;
    let failure = outcome(&plugin, &channel, "blob", &format!("{origin}/")).await.unwrap_err();
    assert!(failure.message.starts_with("unclear: "), "{}", failure.message);
}
