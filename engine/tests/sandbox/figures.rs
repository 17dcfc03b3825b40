//! The figures of `docs/sandbox.md`, one line for a row. Measured by hand, because a busy machine would make a test of
//! them: `cargo nextest run -E 'test(figures)' --run-ignored only --no-capture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use pointsman::plugins::{ChannelContext, Host, Verdict};

use crate::bombs::{growing_handles, growing_table, guest_and};
use crate::egress::{outcome, vendor};
use crate::hostile::{looping, loops_at_once};
use crate::stage::{Names, channel, config, host, message, resident_kib, webhook};

/// Calls of a figure where nothing else is said.
const ROUNDS: usize = 20;

/// The least, which is what a quiet machine would take, the median, and what the process holds more than after the first
/// round.
async fn measured(row: &str, rounds: usize, mut call: impl AsyncFnMut()) {
    let (mut times, mut before) = (Vec::new(), 0);
    for round in 0..rounds {
        let started = Instant::now();
        call().await;
        times.push(started.elapsed());
        if round == 0 {
            before = resident_kib();
        }
    }
    let kept = resident_kib().saturating_sub(before);
    times.sort();
    println!("{row}: least {:.1?}, median {:.1?} of {rounds}; {kept} KiB kept", times[0], times[rounds / 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_of_calls() {
    let (_host, plugin) = host().await;
    for (row, mode) in [
        ("1 an endless loop, 100 ms", "loop"),
        ("3 a memory bomb", "memory"),
        ("5 recursion", "recursion"),
        ("5 recursion around a host call", "recursion-log"),
        ("6 12 MiB of output", "output"),
        ("6 8 MiB that the guest keeps to itself", "big"),
        ("6 two texts of 8 MiB for the log", "log-big"),
        ("7 10,001 host calls", "log-10001"),
    ] {
        measured(row, ROUNDS, async || {
            let _ = plugin.authenticate(&channel(), &webhook(&[("authenticate", mode)])).await;
        })
        .await;
    }
    measured("29 6,000 events", ROUNDS, async || {
        let (_, events) = plugin.receive(&channel(), &webhook(&[("parse", "flood")])).await.unwrap();
        assert!(events.unwrap().is_err());
    })
    .await;
    // The first is the guest alone: it makes them and throws them away, and what it sends is refused for its origin.
    for mode in ["own-headers=50000", "headers=50000", "queries=50000", "long-header=1048576"] {
        measured(&format!("8 {mode}"), ROUNDS, async || {
            let refused = plugin.send(&channel(), &message(mode, "https://elsewhere.example.com/")).await;
            assert!(refused.is_err());
        })
        .await;
    }
    let silent = || async { std::future::pending::<&str>().await };
    let (slow, origin) = vendor(Router::new().fallback(silent)).await;
    measured("9 a vendor without an answer, 500 ms", 5, async || {
        let failure = outcome(&plugin, &slow, "x", &format!("{origin}/")).await.unwrap_err();
        assert!(failure.message.starts_with("unclear: "), "{}", failure.message);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_of_installing() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    for (row, bomb) in [("4 a growing table", growing_table()), ("4 growing handles", growing_handles())] {
        let bomb = guest_and(&bomb);
        measured(row, ROUNDS, async || assert!(host.install(&bomb).await.is_err())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_beside_loops() {
    let (_host, hostile) = host().await;
    let (_other, honest) = host().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let loops: Vec<_> = (0..loops_at_once()).map(|_| looping(&hostile, &ended)).collect();
    let mut times = Vec::new();
    while ended.load(Ordering::SeqCst) < loops.len() {
        let started = Instant::now();
        honest.receive(&channel(), &webhook(&[])).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    let (count, all) = (times.len(), loops.len());
    println!(
        "2 {count} honest calls beside {all} loops: median {:.1?}, p99 {:.1?}",
        times[count / 2],
        times[count * 99 / 100]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_of_many_calls() {
    const QUEUED: usize = 10_000;
    const CALLS: usize = 100_000;
    const ALTERNATIONS: usize = 10_000;
    let (_host, plugin) = host().await;
    let failed = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..QUEUED)
        .map(|_| {
            let (plugin, failed) = (plugin.clone(), failed.clone());
            tokio::spawn(async move {
                let served = plugin.authenticate(&channel(), &webhook(&[])).await;
                failed.fetch_add(usize::from(!matches!(served, Ok(Verdict::Accept(_)))), Ordering::SeqCst);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    println!("10 {QUEUED} calls at once: {} failed", failed.load(Ordering::SeqCst));

    let (before, started) = (resident_kib(), Instant::now());
    for _ in 0..CALLS {
        plugin.receive(&channel(), &webhook(&[])).await.unwrap();
    }
    let each = started.elapsed() / u32::try_from(CALLS).unwrap();
    let kept = resident_kib().saturating_sub(before);
    println!("11 {CALLS} webhooks, one at a time: {each:.0?} each; {kept} KiB kept");

    let other = ChannelContext { channel_id: "chn_other".into(), files_of: "others".into(), ..channel() };
    let mut found = 0;
    for _ in 0..ALTERNATIONS {
        plugin.authenticate(&channel(), &webhook(&[("authenticate", "remember")])).await.unwrap();
        let verdict = plugin.authenticate(&other, &webhook(&[("authenticate", "recall")])).await.unwrap();
        found += usize::from(!matches!(verdict, Verdict::Accept(reply) if reply.body == b"0"));
    }
    println!("12 {ALTERNATIONS} alternations: {found} times something was found");
    let throughput = Duration::from_secs(1).as_nanos() / each.as_nanos().max(1);
    println!("11 that is {throughput} webhooks a second");
}
