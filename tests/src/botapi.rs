//! A local stand-in for Telegram's Bot API, and Telegram's side of a channel: it
//! takes messages and files as Telegram does, refuses on demand, and delivers
//! updates with the secret that it was given.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Server;
use crate::api::{Answer, text_at};
use crate::server::to_local;

/// The only token that is taken.
pub const TOKEN: &str = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456";
/// What comes with every update.
pub const SECRET: &str = "stories_say_that_this_is_telegram";

/// One call of a method.
#[derive(Debug, Clone)]
pub struct Called {
    /// `sendMessage`, …
    pub method: String,
    /// Its JSON; null for a multipart body.
    pub json: Value,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
struct Inner {
    called: Vec<Called>,
    refusals: VecDeque<Value>,
    files: BTreeMap<String, Vec<u8>>,
    webhook: Value,
}

/// A running stand-in with the channel that is connected to it; ends when dropped.
pub struct BotApi {
    inner: Arc<Mutex<Inner>>,
    http: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
    /// Our id of the channel.
    pub channel: String,
    /// The public URL that Telegram is told.
    pub webhook_url: String,
    base: String,
}

impl Drop for BotApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BotApi {
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
            "provider": "telegram", "kind": "telegram", "name": "Telegram", "active": true,
            "settings": {"address": "@desk_bot", "base_url": url},
            "secrets": {"bot_token": TOKEN, "webhook_secret": SECRET},
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

    /// Calls of methods with this beginning, in order.
    pub fn called(&self, method: &str) -> Vec<Called> {
        lock(&self.inner).called.iter().filter(|it| it.method.starts_with(method)).cloned().collect()
    }

    /// What was given with `setWebhook`.
    pub fn webhook(&self) -> Value {
        lock(&self.inner).webhook.clone()
    }

    /// The next message is refused.
    pub fn refuse_next(&self, code: u16, description: &str, parameters: Value) {
        let refusal =
            json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
        lock(&self.inner).refusals.push_back(refusal);
    }

    /// A contact's file.
    pub fn serve_file(&self, id: &str, bytes: &[u8]) {
        lock(&self.inner).files.insert(id.to_owned(), bytes.to_vec());
    }

    /// An update with a message of a person. `what`: its content.
    pub fn message(update: i64, person: i64, what: Value) -> Value {
        let mut message = json!({"message_id": update, "date": 1_767_225_600, "from": {"id": person, "is_bot": false,
            "first_name": format!("Person {person}")}, "chat": {"id": person, "type": "private", "first_name": "Person"}});
        if let (Some(message), Value::Object(what)) = (message.as_object_mut(), what) {
            message.extend(what);
        }
        json!({"update_id": update, "message": message})
    }

    /// Delivers an update with a secret.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver(&self, update: &Value, secret: &str) -> Result<Answer> {
        let url = to_local(&self.webhook_url, &self.base);
        let request = self.http.post(&url).header("x-telegram-bot-api-secret-token", secret);
        let request = request.header("content-type", "application/json").body(update.to_string());
        Answer::read(format!("POST {url}"), request.send().await?).await
    }
}

fn refusal(code: u16, description: &str) -> Value {
    json!({"ok": false, "error_code": code, "description": description})
}

async fn serve(
    State(inner): State<Arc<Mutex<Inner>>>,
    OriginalUri(uri): OriginalUri,
    body: Bytes,
) -> Response {
    let mut inner = lock(&inner);
    if let Some(id) = uri.path().strip_prefix(&format!("/file/bot{TOKEN}/documents/")) {
        return match inner.files.get(id).cloned() {
            Some(bytes) => bytes.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let Some(method) = uri.path().strip_prefix(&format!("/bot{TOKEN}/")) else {
        return answer(refusal(401, "Unauthorized"));
    };
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    inner.called.push(Called { method: method.to_owned(), json: json.clone(), bytes: body.to_vec() });
    if method.starts_with("send")
        && let Some(refused) = inner.refusals.pop_front()
    {
        return answer(refused);
    }
    let count = inner.called.len();
    let chat = json["chat_id"].as_i64().unwrap_or(1);
    let sent =
        json!({"message_id": 1_000 + count, "date": 1_767_225_700, "chat": {"id": chat, "type": "private"}});
    let result = match method {
        "getMe" => json!({"id": 123_456_789, "is_bot": true, "first_name": "Desk", "username": "desk_bot"}),
        "setWebhook" => {
            inner.webhook = json;
            json!(true)
        }
        "getWebhookInfo" => {
            json!({"url": inner.webhook["url"].as_str().unwrap_or(""), "pending_update_count": 0,
            "has_custom_certificate": false, "allowed_updates": inner.webhook["allowed_updates"]})
        }
        "getFile" => match json["file_id"].as_str().filter(|id| inner.files.contains_key(*id)) {
            Some(id) => json!({"file_id": id, "file_unique_id": id, "file_path": format!("documents/{id}")}),
            None => {
                return answer(refusal(
                    400,
                    "Bad Request: wrong file_id or the file is temporarily unavailable",
                ));
            }
        },
        "sendMessage" if json["text"].as_str().is_none_or(str::is_empty) => {
            return answer(refusal(400, "Bad Request: message text is empty"));
        }
        "sendMessage" | "sendPhoto" | "sendDocument" | "sendVoice" => sent,
        "sendChatAction" | "setMessageReaction" | "deleteWebhook" => json!(true),
        _ => return answer(refusal(404, "Not Found")),
    };
    answer(json!({"ok": true, "result": result}))
}

fn answer(body: Value) -> Response {
    let code = body["error_code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
    (StatusCode::from_u16(code).unwrap_or(StatusCode::OK), Json(body)).into_response()
}
