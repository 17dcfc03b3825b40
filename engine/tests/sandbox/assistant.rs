//! Assistants run in the same sandbox as providers: what they may not do, what is
//! made of outcomes that do not fit, and how long a model may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use pointsman::plugins::{
    ASSISTANT_KIND, AssistConversation, AssistFailure, AssistLimits, AssistOutcome, AssistRequest,
    AssistTask, Assisted, ChannelContext, FailureKind, Host, Plugin, Secret, Speaker, Turn,
};

use crate::stage::{Names, config, wasm};

const KEY: &str = "key-77ab-canary";

async fn assistant() -> Arc<Plugin> {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    host.install(&wasm("assistant_guest")).await.unwrap()
}

pub(crate) fn context(base_url: &str) -> ChannelContext {
    ChannelContext {
        channel_id: "ast_test".into(),
        kind: ASSISTANT_KIND.into(),
        address: String::new(),
        settings: serde_json::json!({ "base_url": base_url }).to_string(),
        secrets: Arc::new([("api_key".to_owned(), Secret::new(KEY))].into()),
        webhook_url: String::new(),
        now_ms: 1_700_000_000_000,
        locale: "en".into(),
        allow_private_egress: true,
        files_of: "tests".into(),
    }
}

pub(crate) fn request(task: AssistTask, instructions: &str) -> AssistRequest {
    let turn = Turn {
        speaker: Speaker::Contact,
        text: "Hello?".into(),
        at_ms: 1_700_000_000_000,
        attachments: vec![],
    };
    AssistRequest {
        task,
        conversation: AssistConversation {
            channel_kind: "sms".into(),
            language: None,
            instructions: instructions.into(),
            knowledge: vec![],
            turns: vec![turn],
        },
        limits: AssistLimits { output_tokens_max: 100, reply_chars_max: 1_000, time_ms: 20_000 },
    }
}

async fn asked(task: AssistTask, instructions: &str) -> Result<Assisted, AssistFailure> {
    assistant().await.assist(&context("http://127.0.0.1:9"), &request(task, instructions)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_is_described_without_webhooks_and_kinds() {
    let plugin = assistant().await;
    let able = plugin.manifest().assistant.clone().unwrap();
    assert_eq!(able.tasks, [AssistTask::Reply, AssistTask::Insights]);
    assert_eq!((able.languages, able.offline), (vec!["en".to_owned()], false));
    assert!(plugin.exports().assistant && !plugin.exports().account);
    assert!(plugin.manifest().kinds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_not_offered_is_refused_unasked() {
    let failed = asked(AssistTask::Suggest, "loop").await.unwrap_err();
    assert_eq!(failed.failure.kind, FailureKind::Unsupported);
    let (_host, provider) = crate::stage::host().await;
    let failed = provider.assist(&context(""), &request(AssistTask::Reply, "")).await.unwrap_err();
    assert_eq!(failed.failure.kind, FailureKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn loops_and_panics_end_as_failures() {
    for (mode, word) in [("loop", "P202"), ("panic", "P201")] {
        let failed = asked(AssistTask::Reply, mode).await.unwrap_err();
        assert_eq!(failed.failure.kind, FailureKind::Internal);
        assert!(failed.failure.message.contains(word), "{mode}: {}", failed.failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_do_not_fit_are_failures_that_still_cost() {
    for (task, mode, kind) in [
        (AssistTask::Reply, "empty", FailureKind::BadResponse),
        (AssistTask::Reply, "long", FailureKind::ContentTooLong),
        (AssistTask::Reply, "misfit", FailureKind::BadResponse),
        (AssistTask::Insights, "garbage", FailureKind::BadResponse),
        (AssistTask::Reply, "cost", FailureKind::BadResponse),
    ] {
        let failed = asked(task, mode).await.unwrap_err();
        assert_eq!(failed.failure.kind, kind, "{mode}");
        let usage = failed.usage.unwrap();
        let cost = usage.cost.unwrap();
        let costs = (usage.input_tokens, usage.output_tokens, cost.micros, cost.currency.as_str());
        assert_eq!(costs, (100, 7, 12, "EUR"), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_assistant_says_is_bounded_text() {
    let assisted = asked(AssistTask::Reply, "garbage").await.unwrap();
    let AssistOutcome::Handoff { reason, note } = assisted.outcome else { panic!("no hand-over") };
    assert_eq!((reason.as_str(), note.chars().count(), note.contains('\0')), ("other", 500, false));
    assert_eq!((assisted.confidence, assisted.model.as_deref()), (Some(1.0), Some("test-1")));
    let assisted = asked(AssistTask::Insights, "judge").await.unwrap();
    let AssistOutcome::Insights(found) = assisted.outcome else { panic!("no insights") };
    assert_eq!((found.mood, found.score, found.summary.as_deref()), (None, None, Some("All is well.")));
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_places_the_key_and_hands_over_the_answer() {
    let echo = post(|headers: HeaderMap| async move {
        headers["authorization"].to_str().unwrap().replace("key-", "")
    });
    let origin = serve(Router::new().route("/v1", echo)).await;
    let plugin = assistant().await;
    let request = request(AssistTask::Reply, "/v1");
    let assisted = plugin.assist(&context(&origin), &request).await.unwrap();
    assert_eq!(assisted.outcome, AssistOutcome::Reply { text: "Bearer 77ab-canary".into() });
    let elsewhere = plugin.assist(&context("https://other.example"), &request).await.unwrap_err();
    assert_eq!(elsewhere.failure.kind, FailureKind::VendorUnavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_answers_costs_the_time_of_the_task_and_no_more() {
    let origin = serve(Router::new().route("/v1", post(std::future::pending::<&'static str>))).await;
    let plugin = assistant().await;
    let mut request = request(AssistTask::Reply, "/v1");
    request.limits.time_ms = 700;
    let asked =
        tokio::time::timeout(Duration::from_secs(60), plugin.assist(&context(&origin), &request)).await;
    let failed = asked.unwrap().unwrap_err();
    // Told by the plugin, which heard of it within the task's time.
    assert_eq!(failed.failure.kind, FailureKind::VendorUnavailable);
}
