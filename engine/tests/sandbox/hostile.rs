//! Guests that misbehave while they run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pointsman::plugins::{
    CallError, Certainty, ChannelContext, FailureKind, LOG_LINE_BYTES_MAX, LOG_LINES_MAX, Plugin, Secret,
    Verdict,
};

use crate::stage::{TOKEN, channel, host, message, webhook};

/// Above the CPU limit of 100 ms; the rest is the noise of a loaded machine.
const STOPPED_WITHIN: Duration = Duration::from_millis(1_000);

/// Loops for each core, of which one plugin may run one: the others wait.
const LOOPS_PER_CORE: usize = 32;
/// Few enough that half of the loops cannot end meanwhile unless the calls wait for them.
const HONEST_CALLS: usize = 10;

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
async fn more_host_calls_than_allowed_are_stopped() {
    let error = misbehave("log-10001").await.to_string();
    assert!(error.contains("host call limit: more than 10000"), "{error}");
}

#[tokio::test]
async fn large_texts_for_the_host_are_cut() {
    let (_host, plugin) = host().await;
    plugin.authenticate(&channel(), &webhook(&[("authenticate", "log-big")])).await.unwrap();
    let lines = plugin.recent_log();
    assert_eq!(lines.len(), 2, "8 MiB each");
    assert!(lines.iter().all(|line| line.text.len() <= LOG_LINE_BYTES_MAX));
}

#[tokio::test]
async fn recursion_around_a_host_call_is_stopped() {
    let error = misbehave("recursion-log").await;
    assert!(matches!(error, CallError::Stack { .. }), "{error}");
}

/// What one channel's call leaves in statics, on the heap and on the stack is not there for the next.
#[tokio::test]
async fn nothing_of_one_call_is_left_for_the_next() {
    let (_host, plugin) = host().await;
    let other = ChannelContext { channel_id: "chn_other".into(), files_of: "others".into(), ..channel() };
    let body = async |context: &ChannelContext, mode: &str| match plugin
        .authenticate(context, &webhook(&[("authenticate", mode)]))
        .await
        .unwrap()
    {
        Verdict::Accept(reply) => String::from_utf8(reply.body).unwrap(),
        verdict => panic!("{verdict:?}"),
    };
    for round in 0..200 {
        assert!(body(&channel(), "remember").await.starts_with('k'));
        assert_eq!(body(&other, "recall").await, "0", "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_instances_wait_and_none_is_lost() {
    let (_host, plugin) = host().await;
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { plugin.authenticate(&channel(), &webhook(&[])).await })
        })
        .collect();
    for call in calls {
        assert!(matches!(call.await.unwrap(), Ok(Verdict::Accept(_))));
    }
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

/// The canary in every spelling that vendors echo, in everything that a plugin can say.
#[tokio::test]
async fn no_spelling_of_a_secret_leaves_with_logs_or_failures() {
    let (_host, plugin) = host().await;
    let secret = "canary/7 \"q\"+é";
    let mut context = channel();
    context.secrets = Arc::new(BTreeMap::from([("auth_token".to_owned(), Secret::new(secret))]));
    let encoded = spellings(secret);
    for spelling in &encoded {
        let mut leaking = webhook(&[("parse", "leak")]);
        leaking.body = format!("before {spelling} after").into_bytes();
        let failure = plugin.parse(&context, &leaking).await.unwrap().unwrap_err();
        assert_eq!(failure.message, "before *** after", "{spelling}");
    }
    let log = format!("{:?}", plugin.recent_log());
    assert!(encoded.iter().all(|spelling| !log.contains(spelling.as_str())), "{log}");
}

/// Plain, percent-encoded in both ways, base64 in both alphabets, and as JSON writes it.
fn spellings(secret: &str) -> Vec<String> {
    let percent: String = secret
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let json = serde_json::Value::from(secret).to_string();
    vec![
        secret.to_owned(),
        percent.clone(),
        percent.replace("%20", "+").replace("%2D", "-"),
        "Y2FuYXJ5LzcgInEiK8Op".to_owned(),
        json[1..json.len() - 1].to_owned(),
    ]
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

/// Looping guests hold only their plugin's share of the machine: an honest plugin beside them does not stand in their
/// queue. Judged by who is served before whom and not by a clock, which a busy machine would stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_calls_are_served_while_others_loop() {
    let (_host, hostile) = host().await;
    let (_other, honest) = host().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let loops: Vec<_> = (0..loops_at_once()).map(|_| looping(&hostile, &ended)).collect();
    while ended.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..HONEST_CALLS {
        let (verdict, _) = honest.receive(&channel(), &webhook(&[])).await.unwrap();
        assert!(matches!(verdict, Verdict::Accept(_)));
    }
    let (before, all) = (ended.load(Ordering::SeqCst), loops.len());
    assert!(before < all / 2, "{HONEST_CALLS} honest calls waited for {before} of {all} loops");
    for guest in loops {
        // On a busy machine the last ones have waited for longer than anybody may.
        assert!(matches!(guest.await.unwrap(), Err(CallError::CpuLimit { .. } | CallError::Busy { .. })));
    }
    assert_eq!(ended.load(Ordering::SeqCst), all);
}

pub(crate) fn loops_at_once() -> usize {
    LOOPS_PER_CORE * std::thread::available_parallelism().map_or(2, usize::from)
}

/// A call that loops until it is stopped, and is counted then.
pub(crate) fn looping(
    plugin: &Arc<Plugin>,
    ended: &Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<Result<Verdict, CallError>> {
    let (plugin, ended) = (plugin.clone(), ended.clone());
    tokio::spawn(async move {
        let outcome = plugin.authenticate(&channel(), &webhook(&[("authenticate", "loop")])).await;
        ended.fetch_add(1, Ordering::SeqCst);
        outcome
    })
}
