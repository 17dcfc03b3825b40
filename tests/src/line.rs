//! A local stand-in for LINE's Messaging API, and LINE's side of a channel: it
//! takes pushes with a retry key once, as LINE does, refuses on demand, serves
//! received files, and delivers webhooks signed with the channel's secret.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Server;
use crate::api::{Answer, text_at};
use crate::server::to_local;

/// The only token that is taken.
const TOKEN: &str = "line-access-token-for-stories";
/// It signs webhooks.
const SECRET: &str = "8c570fa6dd201bb328f1c1eac23a96d8";
/// Messages of one push at most.
const MESSAGES_MAX: usize = 5;

#[derive(Default)]
struct Inner {
    pushed: Vec<Value>,
    /// What was answered to a push with this retry key.
    keys: BTreeMap<String, Value>,
    /// The next push is taken and its connection answers this.
    refusals: VecDeque<(u16, &'static str)>,
    files: BTreeMap<String, Vec<u8>>,
    webhook: Option<String>,
}

/// A running stand-in with the channel that is connected to it; ends when dropped.
pub struct LineApi {
    inner: Arc<Mutex<Inner>>,
    http: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
    /// Our id of the channel.
    pub channel: String,
    /// The public URL that LINE is told.
    pub webhook_url: String,
    base: String,
}

impl Drop for LineApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LineApi {
    /// Starts one and connects a channel, with the default group Support, to it.
    ///
    /// # Errors
    /// No port can be opened, or the API refuses the channel.
    pub async fn connect(server: &Server) -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Arc::new(Mutex::new(Inner::default()));
        let routes = Router::new().fallback(serve).with_state(inner.clone());
        let task = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let channel = json!({
            "provider": "line", "kind": "line", "name": "LINE", "active": true,
            "settings": {"address": "@desk", "base_url": url},
            "secrets": {"access_token": TOKEN, "channel_secret": SECRET},
            "default_group": text_at(&group, "/id")?, "allow_private_egress": true,
        });
        let channel = api.post("/api/v1/channels", channel).await?.expect(201)?;
        Ok(Self {
            inner,
            http: crate::http_client()?,
            server: task,
            channel: text_at(&channel, "/id")?.to_owned(),
            webhook_url: text_at(&channel, "/webhook_url")?.to_owned(),
            base: server.url().to_owned(),
        })
    }

    /// The bodies of all pushes that LINE took, in order.
    pub fn pushed(&self) -> Vec<Value> {
        lock(&self.inner).pushed.clone()
    }

    /// Where LINE delivers webhooks now.
    pub fn webhook(&self) -> Option<String> {
        lock(&self.inner).webhook.clone()
    }

    /// The next push is answered so; with 500 LINE has taken it all the same.
    pub fn refuse_next(&self, status: u16, message: &'static str) {
        lock(&self.inner).refusals.push_back((status, message));
    }

    /// A contact's file.
    pub fn serve_file(&self, message: &str, bytes: &[u8]) {
        lock(&self.inner).files.insert(message.to_owned(), bytes.to_vec());
    }

    /// An event of a person.
    pub fn event(number: u32, person: &str, what: Value) -> Value {
        let mut event = json!({"mode": "active", "timestamp": 1_767_225_600_123_u64, "deliveryContext": {"isRedelivery": false},
            "webhookEventId": format!("01K{number:023}"), "source": {"type": "user", "userId": person}});
        if let (Some(event), Value::Object(what)) = (event.as_object_mut(), what) {
            event.extend(what);
        }
        event
    }

    /// Delivers events in one webhook, signed.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver(&self, events: &[Value]) -> Result<Answer> {
        self.deliver_signed_with(events, SECRET).await
    }

    /// Delivers events signed with this secret.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver_signed_with(&self, events: &[Value], secret: &str) -> Result<Answer> {
        let body = json!({"destination": "U00000000000000000000000000000000", "events": events}).to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
        let url = to_local(&self.webhook_url, &self.base);
        let request = self.http.post(&url).header("content-type", "application/json");
        let request = request.header("x-line-signature", STANDARD.encode(tag)).body(body);
        Answer::read(format!("POST {url}"), request.send().await?).await
    }
}

async fn serve(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("authorization") != format!("Bearer {TOKEN}") {
        return refusal(
            401,
            "Authentication failed. Confirm that the access token in the authorization header is valid.",
        );
    }
    let mut inner = lock(&inner);
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (method.as_str(), uri.path()) {
        ("GET", "/v2/bot/info") => Json(
            json!({"userId": "U00000000000000000000000000000000", "basicId": "@desk", "displayName": "Desk",
                "chatMode": "bot", "markAsReadMode": "manual"}),
        )
        .into_response(),
        ("PUT", "/v2/bot/channel/webhook/endpoint") => {
            inner.webhook = json["endpoint"].as_str().map(str::to_owned);
            Json(json!({})).into_response()
        }
        ("GET", "/v2/bot/channel/webhook/endpoint") => match &inner.webhook {
            Some(endpoint) => Json(json!({"endpoint": endpoint, "active": true})).into_response(),
            None => refusal(404, "Webhook endpoint not found"),
        },
        ("POST", "/v2/bot/message/push") => push(&mut inner, header("x-line-retry-key"), json),
        ("GET", path) => {
            let id = path.strip_prefix("/v2/bot/message/").and_then(|it| it.strip_suffix("/content"));
            match id.and_then(|id| inner.files.get(id).cloned()) {
                Some(bytes) => ([("content-type", "image/png")], bytes).into_response(),
                None => refusal(404, "Not found"),
            }
        }
        _ => refusal(404, "Not found"),
    }
}

/// Takes a push once per retry key.
fn push(inner: &mut Inner, key: &str, json: Value) -> Response {
    if let Some(sent) = inner.keys.get(key) {
        let body =
            json!({"message": "The retry key is already accepted", "sentMessages": sent["sentMessages"]});
        return (StatusCode::CONFLICT, Json(body)).into_response();
    }
    let refused = inner.refusals.pop_front();
    if let Some((status, message)) = refused
        && status != 500
    {
        return refusal(status, message);
    }
    let messages = json["messages"].as_array().map_or(0, Vec::len);
    if !(1..=MESSAGES_MAX).contains(&messages) || json["to"].as_str().is_none_or(str::is_empty) {
        return refusal(400, "The request body has 1 error(s)");
    }
    inner.pushed.push(json);
    let sent = json!({"sentMessages": [{"id": (461_230_966_842_064_000_u64 + inner.pushed.len() as u64).to_string(), "quoteToken": "q"}]});
    inner.keys.insert(key.to_owned(), sent.clone());
    match refused {
        Some((status, message)) => refusal(status, message),
        None => Json(sent).into_response(),
    }
}

fn refusal(status: u16, message: &str) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(json!({"message": message})))
        .into_response()
}
