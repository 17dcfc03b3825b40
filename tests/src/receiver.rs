//! A program that listens to our webhooks: checks every signature as the
//! Standard Webhooks specification says, remembers what came in which order, and
//! answers as a story wants.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, unix seconds.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body as it came.
    pub text: String,
    /// The body.
    pub body: Value,
    /// The status it was answered with.
    pub status: u16,
}

impl Call {
    /// The conversation it is about; empty for none.
    pub fn conversation(&self) -> &str {
        self.body.pointer("/data/conversation").and_then(Value::as_str).unwrap_or_default()
    }

    /// Is one of its signatures made with this secret?
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key =
            secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.text);
        self.signature
            .split(' ')
            .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
            .any(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
    }
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<Call>,
    statuses: VecDeque<u16>,
    pause: Duration,
}

/// The receiver; ends with the story's runtime.
#[derive(Debug, Clone)]
pub struct Receiver {
    inner: Arc<Mutex<Inner>>,
    address: SocketAddr,
}

impl Receiver {
    /// Starts one that answers 204 at once.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { inner: Arc::default(), address: listener.local_addr()? };
        let router = Router::new().route("/in", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// The next calls get these answers.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.lock().statuses.extend(statuses);
    }

    /// Every answer takes so long from now on.
    pub fn slow_down(&self, pause: Duration) {
        self.lock().pause = pause;
    }

    /// Everything that came, in the order in which it was answered.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// What it took, in order.
    pub fn accepted(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| (200..300).contains(&call.status)).collect()
    }

    /// The ids of what it took about a conversation, each once, in order.
    pub fn heard_of(&self, conversation: &str) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for call in self.accepted().into_iter().filter(|call| call.conversation() == conversation) {
            if !ids.contains(&call.id) {
                ids.push(call.id);
            }
        }
        ids
    }

    /// # Errors
    /// A call was not signed with this secret.
    pub fn check_signatures(&self, secret: &str) -> Result<()> {
        for call in self.calls() {
            ensure!(call.is_signed_with(secret), "{} has a wrong signature: {}", call.id, call.signature);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, text: String) -> StatusCode {
    let (status, pause) = {
        let mut inner = receiver.lock();
        (inner.statuses.pop_front().unwrap_or(204), inner.pause)
    };
    tokio::time::sleep(pause).await;
    match read(&headers, text, status) {
        Ok(call) => receiver.lock().calls.push(call),
        Err(_) => return StatusCode::BAD_REQUEST,
    }
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn read(headers: &HeaderMap, text: String, status: u16) -> Result<Call> {
    let header = |name: &str| crate::api::header(headers, name).with_context(|| format!("no {name}"));
    let body = serde_json::from_str(&text)?;
    let (id, timestamp, signature) =
        (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    Ok(Call { id, timestamp, signature, text, body, status })
}
