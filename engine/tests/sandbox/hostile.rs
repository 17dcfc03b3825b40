//! Guests that misbehave while they run.

use std::time::{Duration, Instant};

use pointsman::plugins::{
    CallError, Certainty, ChannelContext, FailureKind, LOG_LINE_BYTES_MAX, LOG_LINES_MAX, Verdict,
};

use crate::stage::{TOKEN, channel, host, message, webhook};

/// Above the CPU limit of 100 ms; the rest is the noise of a loaded machine.
const STOPPED_WITHIN: Duration = Duration::from_millis(1_000);

async fn misbehave(mode: &str) -> CallError {
    let (_host, plugin) = host().await;
    let started = Instant::now();
    let error = plugin.authenticate(&channel(), &webhook(&[("authenticate", mode)])).await.unwrap_err();
    assert!(started.elapsed() < STOPPED_WITHIN, "{mode} took {:?}", started.elapsed());
    let verdict = plugin.authenticate(&channel(), &webhook(&[])).await.unwrap();
    assert!(matches!(verdict, Verdict::Accept(_)), "the next call is served after {mode}");
    error
}

#[tokio::test]
async fn an_honest_webhook_is_accepted_and_parsed_in_one_call() {
    let (_host, plugin) = host().await;
    let (verdict, events) = plugin.receive(&channel(), &webhook(&[])).await.unwrap();
    let Verdict::Accept(reply) = verdict else { panic!("{verdict:?}") };
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.headers,
        [("content-type".to_owned(), "text/plain".to_owned())],
        "no other header passes"
    );
    assert_eq!(events.unwrap().unwrap()[0].dedupe_key, "k2");
}

#[tokio::test]
async fn a_forged_webhook_is_rejected_and_not_parsed() {
    let (_host, plugin) = host().await;
    let mut forged = webhook(&[]);
    forged.body = b"{ }".to_vec();
    let (verdict, events) = plugin.receive(&channel(), &forged).await.unwrap();
    assert!(matches!(verdict, Verdict::Reject(_)) && events.is_none());
    let mut keyless = channel();
    keyless.secrets = Default::default();
    let (verdict, _) = plugin.receive(&keyless, &webhook(&[])).await.unwrap();
    assert!(matches!(verdict, Verdict::Reject(_)), "an unset secret proves nothing");
}

#[tokio::test]
async fn the_secret_url_is_proof_enough_only_where_the_vendor_does_not_sign() {
    let (_host, plugin) = host().await;
    let unsigned = ChannelContext { kind: "unsigned".into(), ..channel() };
    let mut forged = webhook(&[]);
    forged.body = b"forged".to_vec();
    for (context, request, accepted) in [
        (&unsigned, webhook(&[("authenticate", "no-proof")]), true),
        (&channel(), webhook(&[("authenticate", "no-proof")]), false),
        (&unsigned, forged, false),
    ] {
        let verdict = plugin.authenticate(context, &request).await.unwrap();
        assert_eq!(matches!(verdict, Verdict::Accept(_)), accepted, "{} {:?}", context.kind, request.query);
    }
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    let error = misbehave("loop").await;
    assert!(matches!(error, CallError::CpuLimit { cpu_ms: 100, .. }), "{error}");
}

#[tokio::test]
async fn a_memory_bomb_is_stopped() {
    let error = misbehave("memory").await;
    assert!(matches!(error, CallError::MemoryLimit { limit_mib: 32, .. }), "{error}");
}

#[tokio::test]
async fn a_panic_names_file_and_line() {
    let error = misbehave("panic").await.to_string();
    assert!(
        error.starts_with("P201") && error.contains("lib.rs:") && error.contains("index out of bounds"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bare_trap_is_reported() {
    let error = misbehave("trap").await;
    assert!(matches!(error, CallError::Crashed { .. }), "{error}");
}

#[tokio::test]
async fn recursion_without_end_is_stopped() {
    let error = misbehave("recursion").await;
    assert!(matches!(error, CallError::Stack { .. }), "{error}");
}

#[tokio::test]
async fn too_much_output_is_stopped() {
    let error = misbehave("output").await;
    assert!(matches!(error, CallError::OutputLimit { .. }), "{error}");
}

#[tokio::test]
async fn endless_logging_is_stopped() {
    let error = misbehave("log-endless").await.to_string();
    assert!(error.contains("P202") || error.contains("host call limit"), "{error}");
}

#[tokio::test]
async fn a_log_flood_is_cut_and_counted() {
    let (_host, plugin) = host().await;
    plugin.authenticate(&channel(), &webhook(&[("authenticate", "log")])).await.unwrap();
    let lines = plugin.recent_log();
    assert_eq!(lines.len(), LOG_LINES_MAX + 1);
    assert!(lines.iter().all(|line| line.text.len() <= LOG_LINE_BYTES_MAX));
    assert!(lines.last().unwrap().text.starts_with("4900 more lines"), "{:?}", lines.last());
}

#[tokio::test]
async fn a_crash_while_parsing_keeps_the_accepted_webhook() {
    let (_host, plugin) = host().await;
    for (mode, code) in [("panic", "P201"), ("loop", "P202"), ("flood", "6000 events")] {
        let (verdict, events) = plugin.receive(&channel(), &webhook(&[("parse", mode)])).await.unwrap();
        assert!(matches!(verdict, Verdict::Accept(_)), "{mode}");
        let failure = events.unwrap().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Internal);
        assert!(failure.message.contains(code), "{mode}: {}", failure.message);
    }
}

#[tokio::test]
async fn secrets_are_redacted_from_logs_and_failures() {
    let (_host, plugin) = host().await;
    let mut leaking = webhook(&[("parse", "leak")]);
    leaking.body = format!("the vendor echoed {TOKEN} here").into_bytes();
    let failure = plugin.parse(&channel(), &leaking).await.unwrap().unwrap_err();
    assert_eq!(failure.message, "the vendor echoed *** here");
    let log = format!("{:?}", plugin.recent_log());
    assert!(log.contains("***") && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn a_crash_before_the_first_call_had_no_effect() {
    let (_host, plugin) = host().await;
    let mut crashing = channel();
    crashing.address = "panic".into();
    let failure =
        plugin.send(&crashing, &message("misbehave-first", "https://api.example.com/x")).await.unwrap_err();
    assert_eq!((failure.kind, failure.effect), (FailureKind::Internal, Certainty::NotPerformed));
    assert!(failure.message.contains("index out of bounds"), "{}", failure.message);
}

/// Looping guests hold only their plugin's threads: an honest plugin beside them is served at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_calls_are_served_while_others_loop() {
    let (_host, hostile) = host().await;
    let (_other, honest) = host().await;
    let loops: Vec<_> = (0..64)
        .map(|_| {
            let plugin = hostile.clone();
            tokio::spawn(async move {
                plugin.authenticate(&channel(), &webhook(&[("authenticate", "loop")])).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let (verdict, _) = honest.receive(&channel(), &webhook(&[])).await.unwrap();
        assert!(matches!(verdict, Verdict::Accept(_)));
        times.push(started.elapsed());
    }
    assert!(loops.iter().any(|l| !l.is_finished()), "the loops were still going");
    times.sort();
    assert!(times[10] < Duration::from_millis(100), "median {:?}", times[10]);
    for guest in loops {
        assert!(matches!(guest.await.unwrap(), Err(CallError::CpuLimit { .. })));
    }
}

/// Prints figures; for people: `cargo test --release --test sandbox -- --ignored --nocapture figures`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures() {
    let (_host, plugin) = host().await;
    let (channel, mut request) = (channel(), webhook(&[]));
    request.body = vec![b'x'; 800];
    let tag =
        ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, TOKEN.as_bytes()), &request.body);
    request.headers[0].1 = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    for round in ["warm-up", "one at a time"] {
        let (count, started) = (5_000, Instant::now());
        for _ in 0..count {
            let (verdict, events) = plugin.receive(&channel, &request).await.unwrap();
            assert!(matches!(verdict, Verdict::Accept(_)) && events.is_some());
        }
        println!("receive, {round}: {:?} a webhook", started.elapsed() / count);
    }
    let (count, started) = (20_000_u32, Instant::now());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (plugin, channel, request) = (plugin.clone(), channel.clone(), request.clone());
            tokio::spawn(async move {
                for _ in 0..count / 16 {
                    plugin.receive(&channel, &request).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let each = started.elapsed() / count;
    println!("receive, 16 at a time: {each:?} a webhook, {:.0}/s", 1.0 / each.as_secs_f64());
}
