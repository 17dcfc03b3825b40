//! A local stand-in for a model server that speaks OpenAI's chat completions: it
//! says what a story scripted, in order, can be made to wait, and remembers what
//! it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The key that it takes; a canary, so it must be unmistakable.
pub const KEY: &str = "sk-c4na7y-model-0123456789";
/// The one model that it has.
pub const MODEL: &str = "stand-in-1";
/// Waiting requests that may be let go ahead at most.
const PERMITS: usize = 1_000;

/// What it says next.
#[derive(Debug, Clone)]
enum Next {
    /// The content of the answer's message.
    Content(String),
    /// This status and body, as they are.
    Raw(u16, String),
}

struct Inner {
    next: VecDeque<Next>,
    asked: Vec<Value>,
    open: Arc<Semaphore>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; ends when dropped.
pub struct Model {
    shared: Shared,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Model {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let open = Arc::new(Semaphore::new(PERMITS));
        let inner = Inner { next: VecDeque::new(), asked: Vec::new(), open };
        let shared = Shared(Arc::new(Mutex::new(inner)));
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/models", get(models))
            .with_state(shared.clone());
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { shared, url, server })
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its next answer to a question is this text. Without a script it says `answer 1`, `answer 2`, …
    pub fn says(&self, text: &str) {
        let content =
            json!({"action": "reply", "text": text, "reason": "none", "note": "", "confidence": 0.9});
        self.says_raw(&content.to_string());
    }

    /// Its next answer is that a person should take over.
    pub fn hands_over(&self, reason: &str, note: &str) {
        let content =
            json!({"action": "handoff", "text": "", "reason": reason, "note": note, "confidence": 0.9});
        self.says_raw(&content.to_string());
    }

    /// The content of its next answer, as it is.
    pub fn says_raw(&self, content: &str) {
        self.shared.lock().next.push_back(Next::Content(content.to_owned()));
    }

    /// Its next answer has this status and body, and nothing of a model.
    pub fn answers(&self, status: u16, body: &str) {
        self.shared.lock().next.push_back(Next::Raw(status, body.to_owned()));
    }

    /// From now on it thinks until [`Model::go_on`].
    pub fn hold(&self) {
        self.shared.lock().open = Arc::new(Semaphore::new(0));
    }

    /// Everything that waits is answered.
    pub fn go_on(&self) {
        self.shared.lock().open.add_permits(PERMITS);
    }

    /// The bodies of all requests, in order.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.lock().asked.clone()
    }
}

async fn models(headers: HeaderMap) -> Response {
    if !is_ours(&headers) {
        return refusal();
    }
    let model = json!({"id": MODEL, "object": "model", "created": 1_754_425_000, "owned_by": "system"});
    Json(json!({"object": "list", "data": [model]})).into_response()
}

async fn complete(State(shared): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if !is_ours(&headers) {
        return refusal();
    }
    if body["stream"] == true {
        return refused(StatusCode::BAD_REQUEST, "unsupported_value", "This stand-in does not stream.");
    }
    let (number, next, open) = {
        let mut inner = shared.lock();
        inner.asked.push(body.clone());
        (inner.asked.len(), inner.next.pop_front(), inner.open.clone())
    };
    let Ok(permit) = open.acquire().await else { return StatusCode::BAD_GATEWAY.into_response() };
    permit.forget();
    match next {
        Some(Next::Raw(status, body)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Some(Next::Content(content)) => Json(completion(&content)).into_response(),
        None => Json(completion(&usual(&body, number))).into_response(),
    }
}

/// What it says without a script.
fn usual(body: &Value, number: usize) -> String {
    let wants_insights = body.pointer("/response_format/json_schema/schema/properties/sentiment").is_some();
    if wants_insights {
        let summary = "The customer waits for a refund.";
        return json!({"sentiment": "negative", "score": -0.7, "summary": summary, "language": "es"})
            .to_string();
    }
    let text = format!("answer {number}");
    json!({"action": "reply", "text": text, "reason": "none", "note": "", "confidence": 0.9}).to_string()
}

fn completion(content: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_700, "model": MODEL,
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": content, "refusal": null},
        }],
        "usage": {"prompt_tokens": 420, "completion_tokens": 31, "total_tokens": 451},
    })
}

fn is_ours(headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given == Some(format!("Bearer {KEY}").as_str())
}

fn refusal() -> Response {
    refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.")
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
    (status, Json(json!({"error": error}))).into_response()
}
