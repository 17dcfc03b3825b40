//! The console's files: the same page everywhere, safe headers, packed on demand.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{FILES, POLICY, file, kind, takes_gzip};
use crate::http::testing::Stage;

// S07, S08, S09
#[tokio::test]
async fn the_console_answers_under_every_tenant_and_lets_nothing_in() {
    let stage = Stage::new().await;
    for path in ["/signin", "/app", "/app/tnt_1/chats", "/app/tnt_1/chats/cnv_1", "/app/tnt_1/notifications"]
    {
        let answer = stage.send("GET", path, &[], None).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(answer.header("content-security-policy"), POLICY);
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    assert!(!POLICY.contains("unsafe"));
    stage.send("GET", "/app/assets/nothing.js", &[], None).await.problem(404, "not_found");
}

#[tokio::test]
async fn files_with_a_hash_are_kept_for_ever() {
    let stage = Stage::new().await;
    for (name, _) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
        let path = format!("/app/{name}");
        let answer = stage.send("GET", &path, &[], None).await;
        assert_eq!(answer.header("cache-control"), super::FOR_EVER, "{path}");
        assert_eq!(answer.header("content-type"), kind(name));
        assert!(file(&format!("{name}.gz")).is_some(), "{name}");
    }
}

#[test]
fn packed_files_are_for_those_who_ask() {
    let with = |text: &'static str| {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))])
    };
    assert!(takes_gzip(&with("deflate, gzip")));
    assert!(!takes_gzip(&with("br")) && !takes_gzip(&HeaderMap::new()));
}
