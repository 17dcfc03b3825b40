//! A local stand-in for WAHA: one session with its states, QR codes and webhooks,
//! and the sending endpoints. It judges requests as WAHA's OpenAPI document 2026.7.1
//! does, signs webhooks with the key that it was told (HMAC-SHA512 of the body), and
//! moves on only when the story says so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::api::{Answer, text_at};
use crate::server::{Server, to_local};

/// WAHA's key; a canary, so it must be unmistakable.
pub const API_KEY: &str = "c4na7y-waha-key-0123456789";
/// What its webhooks are signed with.
pub const HMAC_KEY: &str = "c4na7y-waha-hook-0123456789abcdef";
/// The session of the stories.
pub const SESSION: &str = "desk";
/// Where the picture of the linked account is, unless a story says otherwise.
const PICTURE: &str = "https://pictures.example/desk.jpg";
/// The linked number.
pub const OWN: &str = "79222222222@c.us";

#[derive(Default)]
struct Inner {
    /// As `GET /api/sessions/{s}` shows it; null before it is made.
    session: Value,
    codes: u32,
    sent: Vec<(String, Value)>,
    files: Vec<(String, Vec<u8>)>,
    /// Messages as `GET /api/{s}/chats/{chat}/messages` shows them, told by webhook or not.
    past: Vec<Value>,
    complaints: Vec<String>,
    /// The profile's picture and the address that WAHA gives for it.
    picture: Option<(String, Vec<u8>)>,
    clock_ms: u64,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; ends when dropped.
pub struct Waha {
    shared: Shared,
    http: reqwest::Client,
    /// Our id of the channel.
    pub channel: String,
    hook: String,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Waha {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Waha {
    /// Starts one and connects a channel to it, with the default group Support. `extra`: fields of the request.
    ///
    /// # Errors
    /// No port can be opened, or the API refuses the channel.
    pub async fn connect(server: &Server, extra: Value) -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Shared::default();
        shared.lock().clock_ms = 1_767_225_600_000;
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let running = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let mut body = json!({
            "provider": "waha", "kind": "whatsapp", "name": "My WhatsApp",
            "settings": {"base_url": &url, "session": SESSION},
            "secrets": {"api_key": API_KEY, "hmac_key": HMAC_KEY},
            "default_group": text_at(&group, "/id")?, "active": true, "allow_private_egress": true,
        });
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        let channel = api.post("/api/v1/channels", body).await?.expect(201)?;
        let hook = to_local(text_at(&channel, "/webhook_url")?, server.url());
        let channel = text_at(&channel, "/id")?.to_owned();
        Ok(Self { shared, http: crate::http_client()?, channel, hook, url, server: running })
    }

    /// Its clock stands here now; it goes on with what happens.
    pub fn set_clock(&self, at: jiff::Timestamp) {
        self.shared.lock().clock_ms = u64::try_from(at.as_millisecond()).unwrap_or_default();
    }

    /// The session as WAHA has it.
    pub fn session(&self) -> Value {
        self.shared.lock().session.clone()
    }

    /// What was sent: endpoint and body.
    pub fn sent(&self) -> Vec<(String, Value)> {
        self.shared.lock().sent.clone()
    }

    /// What WAHA would have refused.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.lock().complaints.clone()
    }

    /// Keeps a file; answers the URL that a webhook names, on a host that is WAHA's own idea of itself.
    pub fn serve_file(&self, name: &str, bytes: &[u8]) -> String {
        self.shared.lock().files.push((name.to_owned(), bytes.to_vec()));
        format!("http://localhost:3000/api/files/{SESSION}/{name}")
    }

    /// The linked account has this picture, at WAHA itself.
    pub fn has_picture(&self, bytes: &[u8]) {
        let url = format!("{}/pictures/desk", self.url);
        self.shared.lock().picture = Some((url, bytes.to_vec()));
    }

    /// The session moves, and nobody is told.
    pub fn becomes_silently(&self, status: &str) {
        let mut inner = self.shared.lock();
        inner.clock_ms += 1_000;
        inner.codes += u32::from(status == "SCAN_QR_CODE");
        inner.session["status"] = json!(status);
        inner.session["me"] =
            if status == "WORKING" { json!({"id": OWN, "pushName": "Desk"}) } else { Value::Null };
    }

    /// The session moves and the webhook says so.
    ///
    /// # Errors
    /// The webhook is not taken.
    pub async fn becomes(&self, status: &str) -> Result<()> {
        self.becomes_silently(status);
        let at = self.shared.lock().clock_ms;
        let payload =
            json!({"name": SESSION, "status": status, "statuses": [{"status": status, "timestamp": at}]});
        let answer = self.tell("session.status", payload).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
        Ok(())
    }

    /// Posts a signed webhook.
    ///
    /// # Errors
    /// No answer came.
    pub async fn tell(&self, event: &str, payload: Value) -> Result<Answer> {
        let (at, me, key) = {
            let inner = self.shared.lock();
            let key = inner.session.pointer("/config/webhooks/0/hmac/key").and_then(Value::as_str);
            (inner.clock_ms, inner.session["me"].clone(), key.unwrap_or_default().to_owned())
        };
        let id = format!("evt_{event}_{at}_{}", payload["id"].as_str().unwrap_or_default());
        let body = json!({"id": id, "timestamp": at, "event": event, "session": SESSION, "me": me,
            "payload": payload, "engine": "GOWS", "environment": {"version": "2026.7.1", "tier": "CORE"}});
        self.post(body.to_string(), &key, &id).await
    }

    /// Posts any body, signed with any key.
    ///
    /// # Errors
    /// No answer came.
    pub async fn post(&self, body: String, key: &str, request_id: &str) -> Result<Answer> {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, key.as_bytes());
        let tag = ring::hmac::sign(&key, body.as_bytes());
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = self.http.post(&self.hook).body(body);
        let request = request.header("content-type", "application/json").header("x-webhook-hmac", tag);
        let request = request.header("x-webhook-hmac-algorithm", "sha512");
        let response = request.header("x-webhook-request-id", request_id).send().await?;
        Answer::read("POST webhook".to_owned(), response).await
    }

    /// A text of a customer; `digits` of their number.
    ///
    /// # Errors
    /// The webhook is not taken.
    pub async fn hear(&self, digits: &str, number: u32, text: &str) -> Result<()> {
        self.message(
            &format!("false_{digits}@c.us_3A{number:018X}"),
            json!({"body": text, "hasMedia": false}),
        )
        .await
    }

    /// A message that no webhook tells: WAHA or we were down.
    pub fn hear_silently(&self, digits: &str, number: u32, text: &str) {
        let id = format!("false_{digits}@c.us_3A{number:018X}");
        self.written(&id, &json!({"body": text, "hasMedia": false}));
    }

    fn written(&self, id: &str, fields: &Value) -> Value {
        let mut inner = self.shared.lock();
        inner.clock_ms += 1_000;
        let chat = id.split('_').nth(1).unwrap_or_default();
        let at = inner.clock_ms / 1_000;
        let mut payload = json!({"id": id, "timestamp": at, "from": chat, "fromMe": id.starts_with("true"), "source": "app"});
        if let (Some(payload), Some(fields)) = (payload.as_object_mut(), fields.as_object()) {
            payload.extend(fields.clone());
        }
        inner.past.push(payload.clone());
        payload
    }

    /// A message with this whole id and these fields.
    ///
    /// # Errors
    /// The webhook is not taken.
    pub async fn message(&self, id: &str, fields: Value) -> Result<()> {
        let payload = self.written(id, &fields);
        let answer = self.tell("message.any", payload).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
        Ok(())
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() == "/pictures/desk" {
        let picture = shared.lock().picture.clone().map(|(_, bytes)| bytes).unwrap_or_default();
        return ([(header::CONTENT_TYPE, "image/png")], picture).into_response();
    }
    if headers.get("x-api-key").and_then(|key| key.to_str().ok()) != Some(API_KEY) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"message": "Unauthorized", "statusCode": 401})))
            .into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().trim_start_matches("/api/").to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let mut inner = shared.lock();
    match (method.as_str(), parts.as_slice()) {
        ("POST", ["sessions"]) => create(&mut inner, body),
        (_, ["sessions", SESSION, ..] | [SESSION, ..]) if inner.session.is_null() => missing(),
        ("GET", ["sessions", SESSION]) => Json(inner.session.clone()).into_response(),
        ("PUT", ["sessions", SESSION]) => {
            inner.session["config"] = body["config"].clone();
            Json(inner.session.clone()).into_response()
        }
        ("POST", ["sessions", SESSION, action]) => act(&mut inner, action),
        ("GET", [SESSION, "auth", "qr"]) => qr(&inner),
        ("POST", [SESSION, "auth", "request-code"]) => pairing_code(&inner, &body),
        ("GET", [SESSION, "profile"]) => {
            let picture = inner.picture.as_ref().map_or(PICTURE, |(url, _)| url);
            Json(json!({"id": OWN, "picture": picture, "name": "Desk of Ann"})).into_response()
        }
        ("GET", [SESSION, "chats", "overview"]) => overview(&mut inner, &uri),
        ("GET", [SESSION, "chats", chat, "messages"]) => past(&mut inner, &chat.replace("%40", "@"), &uri),
        ("GET", ["files", SESSION, name]) => file(&inner, name),
        ("POST" | "PUT", [endpoint]) => send(&mut inner, endpoint, body),
        _ => missing(),
    }
}

fn missing() -> Response {
    let body = json!({"statusCode": 404, "message": "Session not found", "error": "Not Found"});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn unprocessable(body: Value) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

fn expects(inner: &Inner, status: &str) -> Result<(), Box<Response>> {
    if inner.session["status"] == status {
        return Ok(());
    }
    Err(Box::new(unprocessable(json!({
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": SESSION, "status": inner.session["status"], "expected": [status],
    }))))
}

fn create(inner: &mut Inner, body: Value) -> Response {
    if !inner.session.is_null() {
        let message = format!("Session '{SESSION}' already exists. Use PUT to update it.");
        return unprocessable(
            json!({"statusCode": 422, "message": message, "error": "Unprocessable Entity"}),
        );
    }
    let status = if body["start"] == true { "STARTING" } else { "STOPPED" };
    inner.session = json!({"name": body["name"], "status": status, "config": body["config"], "me": null});
    (StatusCode::CREATED, Json(inner.session.clone())).into_response()
}

fn act(inner: &mut Inner, action: &str) -> Response {
    let status = match action {
        "start" | "restart" | "logout" => "STARTING",
        "stop" => "STOPPED",
        _ => return missing(),
    };
    inner.session["status"] = json!(status);
    inner.session["me"] = Value::Null;
    (StatusCode::CREATED, Json(inner.session.clone())).into_response()
}

fn qr(inner: &Inner) -> Response {
    match expects(inner, "SCAN_QR_CODE") {
        Ok(()) => Json(json!({"value": format!("2@code-{},AbCdEf==,GhIjKl==", inner.codes)})).into_response(),
        Err(refusal) => *refusal,
    }
}

fn pairing_code(inner: &Inner, body: &Value) -> Response {
    match expects(inner, "SCAN_QR_CODE") {
        Ok(()) if body["phoneNumber"].as_str().is_some_and(|it| it.bytes().all(|c| c.is_ascii_digit())) => {
            (StatusCode::CREATED, Json(json!({"code": "ABCD-EFGH"}))).into_response()
        }
        Ok(()) => StatusCode::BAD_REQUEST.into_response(),
        Err(refusal) => *refusal,
    }
}

/// A number of the query; WAHA's document says which are required.
fn number(uri: &Uri, name: &str) -> Option<u64> {
    let fields = uri.query().unwrap_or_default().split('&').filter_map(|field| field.split_once('='));
    fields.into_iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
}

fn chat_of(message: &Value) -> &str {
    message["id"].as_str().and_then(|id| id.split('_').nth(1)).unwrap_or_default()
}

/// Chats, the one that was written in last first.
fn overview(inner: &mut Inner, uri: &Uri) -> Response {
    let mut chats: Vec<Value> = Vec::new();
    for message in inner.past.iter().rev() {
        if !chats.iter().any(|chat| chat["id"] == chat_of(message)) {
            let id = chat_of(message);
            chats.push(json!({"id": id, "name": null, "picture": null, "lastMessage": message, "_chat": {}}));
        }
    }
    let (offset, limit) = (number(uri, "offset").unwrap_or(0), number(uri, "limit").unwrap_or(20));
    let page: Vec<Value> = chats.into_iter().skip(offset as usize).take(limit as usize).collect();
    Json(page).into_response()
}

fn past(inner: &mut Inner, chat: &str, uri: &Uri) -> Response {
    let Some(limit) = number(uri, "limit") else {
        inner.complaints.push("messages lacks limit".to_owned());
        return StatusCode::BAD_REQUEST.into_response();
    };
    let since = number(uri, "filter.timestamp.gte").unwrap_or(0);
    let is_wanted = |message: &&Value| {
        chat_of(message) == chat && message["timestamp"].as_u64().is_some_and(|at| at >= since)
    };
    let offset = number(uri, "offset").unwrap_or(0);
    let found = inner.past.iter().filter(is_wanted).skip(offset as usize).take(limit as usize);
    Json(found.cloned().collect::<Vec<_>>()).into_response()
}

fn file(inner: &Inner, name: &str) -> Response {
    match inner.files.iter().find(|(kept, _)| kept == name) {
        Some((_, bytes)) => ([(header::CONTENT_TYPE, "image/png")], bytes.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": {"code": 404, "key": "FILE_NOT_FOUND"}})))
            .into_response(),
    }
}

/// Required fields after WAHA's document, with files as `BinaryFile`; a missing one is a 500 in the real one.
fn send(inner: &mut Inner, endpoint: &str, body: Value) -> Response {
    let wanted: &[&str] = match endpoint {
        "sendText" => &["/session", "/chatId", "/text"],
        "sendImage" | "sendFile" => &["/session", "/chatId", "/file/mimetype", "/file/data"],
        "sendVoice" | "sendVideo" => &["/session", "/chatId", "/file/mimetype", "/file/data", "/convert"],
        "sendList" => &["/session", "/chatId", "/message/title", "/message/button", "/message/sections"],
        "reaction" => &["/session", "/messageId", "/reaction"],
        "sendSeen" | "startTyping" => &["/session", "/chatId"],
        _ => return missing(),
    };
    if let Some(lacking) = wanted.iter().find(|at| body.pointer(at).is_none_or(Value::is_null)) {
        inner.complaints.push(format!("{endpoint} lacks {lacking}"));
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({"statusCode": 500, "request": {"body": body}})),
        )
            .into_response();
    }
    if let Err(refusal) = expects(inner, "WORKING") {
        return *refusal;
    }
    let chat = body["chatId"].as_str().unwrap_or_default().to_owned();
    inner.sent.push((endpoint.to_owned(), body));
    let id = format!("true_{chat}_3EB0{:016X}", inner.sent.len());
    (StatusCode::CREATED, Json(json!({"id": id, "_data": {}}))).into_response()
}
