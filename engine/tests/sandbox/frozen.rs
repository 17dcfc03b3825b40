//! The promise of contract 1.0.0: what was built for it runs on every 1.x. The
//! components are kept in `tests/fixtures/contract-1.0.0`, which says how they
//! were made.

use std::path::PathBuf;

use axum::Router;
use pointsman::plugins::{AccountTask, AssistOutcome, AssistTask, Host, Verdict};

use crate::assistant::{context, request};
use crate::egress::vendor;
use crate::stage::{Names, channel, config, message, wasm, webhook};

/// The kept component and the guest that it was made of.
const KEPT: [(&str, &str); 2] = [("provider.wasm", "sandbox_guest"), ("assistant.wasm", "assistant_guest")];

fn place(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/contract-1.0.0")).join(name)
}

#[tokio::test]
async fn built_for_1_0_0_runs_for_ever() {
    let host = Host::new(config(Names(Default::default()))).unwrap();
    let [provider, assistant] = KEPT.map(|(name, _)| std::fs::read(place(name)).unwrap());
    let provider = host.install(&provider).await.unwrap();
    let (verdict, events) = provider.receive(&channel(), &webhook(&[])).await.unwrap();
    assert!(matches!(verdict, Verdict::Accept(_)), "{verdict:?}");
    assert_eq!(events.unwrap().unwrap()[0].dedupe_key, "k2");
    let (own, origin) = vendor(Router::new().fallback(|| async { "SM1" })).await;
    let receipt = provider.send(&own, &message("x", &format!("{origin}/"))).await.unwrap();
    assert_eq!(receipt.message_ids, ["SM1"]);
    let report = provider.account(&channel(), AccountTask::Check).await.unwrap();
    assert_eq!(report.display_name.as_deref(), Some("chn_test"));
    assert!(provider.validate(r#"{"base_url":"bad"}"#, "sms").await.unwrap()[0].setting == "base_url");

    let assistant = host.install(&assistant).await.unwrap();
    let (_, origin) = vendor(Router::new().fallback(|| async { "Hello!" })).await;
    let said = assistant.assist(&context(&origin), &request(AssistTask::Reply, "/chat")).await.unwrap();
    assert_eq!(said.outcome, AssistOutcome::Reply { text: "Hello!".into() });
}

/// Run once for each version that is frozen; see the folder of the fixtures.
#[test]
#[ignore = "writes the fixtures"]
fn keep_what_was_built() {
    for (name, guest) in KEPT {
        let encoder = wit_component::ComponentEncoder::default().module(&wasm(guest)).unwrap();
        std::fs::write(place(name), encoder.validate(true).encode().unwrap()).unwrap();
    }
}
