//! A local stand-in for 1msg: one channel whose token stands in the query. It
//! refuses with 401 and its own sentence, answers 200 also when nothing was sent,
//! keeps webhooks as a list, and posts unsigned ones.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::api::{Answer, text_at};
use crate::server::{Server, to_local};

/// The channel's token; a canary, so it must be unmistakable.
pub const TOKEN: &str = "c4na7y-onemsg-0123456789";
/// The channel's id.
pub const INSTANCE: &str = "VID100000001";
/// The webhook of 1msg's own cabinet, which must stay.
pub const CABINET: &str = "https://app.1msg.example/service/abc";
/// The namespace of the account's templates.
pub const NAMESPACE: &str = "ca300906_cfbc_410b_99fb_dcee8e13d578";

#[derive(Default)]
struct Inner {
    webhooks: Vec<String>,
    acks_on: bool,
    sent: Vec<(String, Value)>,
    refusals: VecDeque<(u16, String)>,
    complaints: Vec<String>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; ends when dropped.
pub struct OneMsg {
    shared: Shared,
    http: reqwest::Client,
    /// Our id of the channel.
    pub channel: String,
    hook: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for OneMsg {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl OneMsg {
    /// Starts one and connects a channel to it, with the default group Support.
    ///
    /// # Errors
    /// No port can be opened, or the API refuses the channel.
    pub async fn connect(server: &Server) -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}/{INSTANCE}/", listener.local_addr()?);
        let shared = Shared::default();
        shared.lock().webhooks.push(CABINET.to_owned());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let running = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let body = json!({
            "provider": "onemsg", "kind": "whatsapp", "name": "Shop",
            "settings": {"api_url": url, "phone": "+12025550100"}, "secrets": {"token": TOKEN},
            "default_group": text_at(&group, "/id")?, "active": true, "allow_private_egress": true,
        });
        let channel = api.post("/api/v1/channels", body).await?.expect(201)?;
        let hook = to_local(text_at(&channel, "/webhook_url")?, server.url());
        let channel = text_at(&channel, "/id")?.to_owned();
        Ok(Self { shared, http: crate::http_client()?, channel, hook, server: running })
    }

    /// The webhooks that it has.
    pub fn webhooks(&self) -> Vec<String> {
        self.shared.lock().webhooks.clone()
    }

    /// Does it tell about deliveries?
    pub fn acks_on(&self) -> bool {
        self.shared.lock().acks_on
    }

    /// What was sent: endpoint and body.
    pub fn sent(&self) -> Vec<(String, Value)> {
        self.shared.lock().sent.clone()
    }

    /// What 1msg would have refused.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.lock().complaints.clone()
    }

    /// The next message is answered with this status and body.
    pub fn refuse_next(&self, status: u16, body: &str) {
        self.shared.lock().refusals.push_back((status, body.to_owned()));
    }

    /// The id that the latest message was given.
    pub fn last_id(&self) -> String {
        format!("wamid.OUT{}", self.shared.lock().sent.len())
    }

    /// Posts a webhook of any channel, as it is: nothing is signed.
    ///
    /// # Errors
    /// No answer came.
    pub async fn tell(&self, instance: &str, mut body: Value) -> Result<Answer> {
        body["instanceId"] = json!(instance);
        let response = self.http.post(&self.hook).json(&body).send().await?;
        Answer::read("POST webhook".to_owned(), response).await
    }

    /// Looks whether somebody is there.
    ///
    /// # Errors
    /// No answer came.
    pub async fn challenge(&self, text: &str) -> Result<Answer> {
        let response = self.http.get(format!("{}?hub.challenge={text}", self.hook)).send().await?;
        Answer::read("GET webhook".to_owned(), response).await
    }

    /// A message of a customer with these fields; `digits` of their number.
    ///
    /// # Errors
    /// The webhook is not taken.
    pub async fn hear(&self, digits: &str, id: &str, time_s: i64, fields: Value) -> Result<()> {
        let chat = format!("{digits}@c.us");
        let mut message = json!({"id": id, "type": "chat", "self": 0, "fromMe": false, "time": time_s,
            "author": chat, "chatId": chat, "senderName": "Ann", "isForwarded": false, "quotedMsgId": null});
        if let (Some(message), Some(fields)) = (message.as_object_mut(), fields.as_object()) {
            message.extend(fields.clone());
        }
        let answer = self.tell(INSTANCE, json!({ "messages": [message] })).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text);
        Ok(())
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default();
    if !query.split('&').any(|field| field == format!("token={TOKEN}")) {
        let error = "Wrong token for channel. Please provide token as a GET parameter.";
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response();
    }
    let Some(path) = uri.path().strip_prefix(&format!("/{INSTANCE}/")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut inner = shared.lock();
    match (method.as_str(), path) {
        ("GET", "status") => Json(json!({"status": "connected"})).into_response(),
        ("GET", "webhook") => Json(json!({"webhookUrl": inner.webhooks.join(", ")})).into_response(),
        ("POST", "webhook") => {
            let urls = body["webhookUrl"].as_array().cloned().unwrap_or_default();
            inner.webhooks = urls.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Json(json!({"set": true, "message": inner.webhooks.last()})).into_response()
        }
        ("POST", "settings") => {
            inner.acks_on |= body["ackNotificationsOn"] == true;
            Json(json!({})).into_response()
        }
        ("GET", "templates") => Json(templates()).into_response(),
        ("POST", path) => send(&mut inner, path, body),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn templates() -> Value {
    let menu = json!({"type": "BUTTONS", "buttons": [
        {"type": "QUICK_REPLY", "text": "Yes, confirm"}, {"type": "QUICK_REPLY", "text": "Call me"}]});
    let body = |text: &str| json!({"type": "BODY", "text": text});
    json!({"total": 2, "templates": [
        {"id": "1001", "name": "order_ready", "category": "UTILITY", "language": "en", "namespace": NAMESPACE,
            "status": "approved", "components": [body("Hello {{1}}, shall we send it?"), menu]},
        {"id": "1002", "name": "old", "category": "MARKETING", "language": {"code": "en"}, "status": "REJECTED",
            "components": json!([body("Buy!")]).to_string()},
    ]})
}

/// Required fields after 1msg's documents.
fn send(inner: &mut Inner, path: &str, body: Value) -> Response {
    let wanted: &[&str] = match path {
        "sendMessage" => &["/chatId", "/body"],
        "sendFile" => &["/chatId", "/body", "/filename"],
        "sendTemplate" => &["/template", "/namespace", "/language/policy", "/language/code", "/params"],
        "sendButton" => &["/chatId", "/body", "/sections"],
        "sendList" => &["/chatId", "/body", "/action", "/sections"],
        "readMessage" => &["/messageId"],
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    if let Some(lacking) = wanted.iter().find(|at| body.pointer(at).is_none_or(Value::is_null)) {
        inner.complaints.push(format!("{path} lacks {lacking}"));
        return Json(json!({"sent": false, "message": format!("{lacking} is not defined")})).into_response();
    }
    if let Some((status, text)) = inner.refusals.pop_front() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return (status, text).into_response();
    }
    inner.sent.push((path.to_owned(), body));
    let id = format!("wamid.OUT{}", inner.sent.len());
    let description = "Message has been sent to the provider";
    Json(json!({"sent": true, "id": id, "message": "Sent", "description": description})).into_response()
}
