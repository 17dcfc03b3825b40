//! A local stand-in for Meta's Graph API, and Meta's side of a WhatsApp channel:
//! it takes messages and files as Meta does, checks our webhook before it uses
//! it, refuses on demand, and signs what it delivers. What Meta would refuse is
//! refused here.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Server;
use crate::api::{Answer, text_at};
use crate::server::to_local;

/// Id of our WhatsApp number.
pub const NUMBER_ID: &str = "106540352242922";
/// Id of our business account.
pub const ACCOUNT_ID: &str = "102290129340398";
/// The only token that is taken.
pub const TOKEN: &str = "EAAstoriesstoriesstories";
/// Signs webhooks.
pub const APP_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// What our side told Meta to present.
pub const VERIFY_TOKEN: &str = "stories-verify-this-webhook";
/// Longest text (error 100 above it).
const TEXT_CHARS_MAX: usize = 4_096;
/// What Meta presents when it checks a webhook; it wants exactly this back.
const CHALLENGE: &str = "1158201444";

/// A file that was uploaded or that a customer sent.
#[derive(Clone)]
struct Stored {
    content_type: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Inner {
    sent: Vec<Value>,
    uploads: Vec<Vec<u8>>,
    complaints: Vec<String>,
    faults: VecDeque<(u16, Value)>,
    files: BTreeMap<String, Stored>,
    webhook: Option<String>,
    subscribed: bool,
    base: String,
}

/// A running stand-in with the channel that is connected to it; ends when dropped.
pub struct Graph {
    inner: Arc<Mutex<Inner>>,
    http: reqwest::Client,
    server: tokio::task::JoinHandle<()>,
    /// Our id of the channel.
    pub channel: String,
    /// The public URL that Meta is told.
    pub webhook_url: String,
    own_id: String,
    base: String,
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Graph {
    /// Starts one and connects a channel of this kind, with the default group Support, to it.
    ///
    /// # Errors
    /// No port can be opened, or the API refuses the channel.
    pub async fn connect(server: &Server, kind: &str, own_id: &str) -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Arc::new(Mutex::new(Inner { base: server.url().to_owned(), ..Inner::default() }));
        let routes = Router::new().fallback(serve).with_state((inner.clone(), url.clone()));
        let task = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        let api = server.api()?;
        let group = api.find("/api/v1/groups", "name", "Support").await?;
        let channel = json!({
            "provider": "meta-cloud", "kind": kind, "name": "Meta", "active": true,
            "settings": {"phone_number_id": own_id, "business_account_id": ACCOUNT_ID, "base_url": url},
            "secrets": {"access_token": TOKEN, "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN},
            "default_group": text_at(&group, "/id")?, "allow_private_egress": true,
        });
        let channel = api.post("/api/v1/channels", channel).await?.expect(201)?;
        Ok(Self {
            inner,
            http: crate::http_client()?,
            server: task,
            channel: text_at(&channel, "/id")?.to_owned(),
            webhook_url: text_at(&channel, "/webhook_url")?.to_owned(),
            own_id: own_id.to_owned(),
            base: server.url().to_owned(),
        })
    }

    /// Bodies of the messages that were taken, in order.
    pub fn sent(&self) -> Vec<Value> {
        lock(&self.inner).sent.clone()
    }

    /// Multipart bodies of the files that were uploaded, in order.
    pub fn uploads(&self) -> Vec<Vec<u8>> {
        lock(&self.inner).uploads.clone()
    }

    /// What Meta would have refused.
    pub fn complaints(&self) -> Vec<String> {
        lock(&self.inner).complaints.clone()
    }

    /// The webhook that the number has, once it was checked.
    pub fn webhook(&self) -> Option<String> {
        lock(&self.inner).webhook.clone()
    }

    /// The next message is refused with this code.
    pub fn refuse_next(&self, status: u16, code: u32, details: &str) {
        let error = json!({"error": {"message": format!("(#{code}) refused by plan"), "type": "OAuthException",
            "code": code, "error_data": {"messaging_product": "whatsapp", "details": details}, "fbtrace_id": "AbC"}});
        lock(&self.inner).faults.push_back((status, error));
    }

    /// A customer's file; answers its id.
    pub fn serve_file(&self, id: &str, content_type: &str, bytes: &[u8]) -> String {
        let stored = Stored { content_type: content_type.to_owned(), bytes: bytes.to_vec() };
        lock(&self.inner).files.insert(id.to_owned(), stored);
        id.to_owned()
    }

    /// A message of a customer. `what`: `type` and its object.
    pub fn message(&self, phone: &str, id: &str, at_s: i64, what: Value) -> Value {
        let digits = phone.trim_start_matches('+');
        let mut message = json!({"from": digits, "id": id, "timestamp": at_s.to_string()});
        if let (Some(message), Value::Object(what)) = (message.as_object_mut(), what) {
            message.extend(what);
        }
        json!({"contacts": [{"profile": {"name": format!("Customer {phone}")}, "wa_id": digits}], "messages": [message]})
    }

    /// A status of a message of ours.
    pub fn status(id: &str, phone: &str, status: &str, effect: &str, at_s: i64) -> Value {
        json!({"statuses": [{"id": id, "status": status, "timestamp": at_s.to_string(),
            "recipient_id": phone.trim_start_matches('+'), "biz_opaque_callback_data": effect}]})
    }

    /// Signs and delivers a batch of changes.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver(&self, values: &[Value]) -> Result<Answer> {
        let change = |value: &Value| {
            let mut value = value.clone();
            value["messaging_product"] = json!("whatsapp");
            value["metadata"] =
                json!({"display_phone_number": "15550783881", "phone_number_id": self.own_id});
            json!({"field": "messages", "value": value})
        };
        let changes: Vec<Value> = values.iter().map(change).collect();
        self.deliver_json(&json!({"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT_ID, "changes": changes}]})).await
    }

    /// Signs and delivers a webhook, written as Meta writes it.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver_json(&self, body: &Value) -> Result<Answer> {
        let body = escaped(body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes()), body.as_bytes());
        self.deliver_raw(body, &format!("sha256={}", hex(tag.as_ref()))).await
    }

    /// Delivers any bytes with any signature.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver_raw(&self, body: String, signature: &str) -> Result<Answer> {
        let url = to_local(&self.webhook_url, &self.base);
        let request = self.http.post(&url).header("content-type", "application/json");
        let response = request.header("x-hub-signature-256", signature).body(body).send().await?;
        Answer::read(format!("POST {url}"), response).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Meta escapes everything beyond ASCII, and slashes.
fn escaped(json: &Value) -> String {
    let mut text = String::new();
    for c in json.to_string().chars() {
        let mut units = [0; 2];
        match c {
            '/' => text.push_str("\\/"),
            c if c.is_ascii() => text.push(c),
            c => text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    text
}

fn refusal(status: u16, code: u32, message: &str) -> Response {
    let error =
        json!({"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbC"}});
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(error)).into_response()
}

async fn serve(
    State((inner, url)): State<(Arc<Mutex<Inner>>, String)>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer != Some(&format!("Bearer {TOKEN}")) {
        return refusal(401, 190, "Invalid OAuth access token");
    }
    let path: Vec<&str> = uri.path().split('/').skip(2).collect();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (method.as_str(), path.as_slice()) {
        ("POST", [_, "messages"]) => messages(&mut lock(&inner), &json),
        ("POST", [_, "media"]) => {
            let mut inner = lock(&inner);
            inner.uploads.push(body.to_vec());
            Json(json!({"id": format!("90{}", inner.uploads.len())})).into_response()
        }
        ("GET", ["content", id]) => match lock(&inner).files.get(*id).cloned() {
            Some(file) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("GET", [ACCOUNT_ID, "subscribed_apps"]) => {
            let apps = if lock(&inner).subscribed {
                json!([{"whatsapp_business_api_data": {"id": "7"}}])
            } else {
                json!([])
            };
            Json(json!({"data": apps})).into_response()
        }
        ("POST", [ACCOUNT_ID, "subscribed_apps"]) => {
            lock(&inner).subscribed = true;
            Json(json!({"success": true})).into_response()
        }
        ("GET", [ACCOUNT_ID, "message_templates"]) => Json(templates()).into_response(),
        ("GET", [NUMBER_ID]) => {
            Json(json!({"id": NUMBER_ID, "verified_name": "Stories", "status": "CONNECTED",
            "webhook_configuration": {"phone_number": lock(&inner).webhook}}))
            .into_response()
        }
        ("POST", [NUMBER_ID]) => verify(&inner, &json["webhook_configuration"]).await,
        ("GET", [id]) if lock(&inner).files.contains_key(*id) => {
            let file = lock(&inner).files.get(*id).cloned();
            let (content_type, bytes) = file.map(|file| (file.content_type, file.bytes)).unwrap_or_default();
            let link = format!("{url}/v/content/{id}");
            Json(json!({"id": id, "url": link, "mime_type": content_type, "file_size": bytes.len(),
                "sha256": hex(digest::digest(&digest::SHA256, &bytes).as_ref()), "messaging_product": "whatsapp"}))
            .into_response()
        }
        _ => refusal(400, 33, "Unsupported request. Object does not exist"),
    }
}

fn messages(inner: &mut Inner, body: &Value) -> Response {
    if let Some((status, error)) = inner.faults.pop_front() {
        return (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), Json(error))
            .into_response();
    }
    if body["messaging_type"].is_string() {
        inner.sent.push(body.clone());
        let id = format!("m_{}", inner.sent.len());
        return Json(json!({"recipient_id": body["recipient"]["id"], "message_id": id})).into_response();
    }
    if let Some(complaint) = complaint(body) {
        inner.complaints.push(complaint.clone());
        return refusal(400, 100, &complaint);
    }
    inner.sent.push(body.clone());
    let id = format!("wamid.OUT{}", inner.sent.len());
    Json(json!({"messaging_product": "whatsapp", "contacts": [{"input": body["to"], "wa_id": body["to"]}],
        "messages": [{"id": id}]}))
    .into_response()
}

/// What Meta would say against a message.
fn complaint(body: &Value) -> Option<String> {
    let kind = body["type"].as_str().unwrap_or_default();
    if body["messaging_product"] != "whatsapp" {
        return Some("The parameter messaging_product is required.".into());
    }
    if body["to"].as_str().is_none_or(|to| to.is_empty() || !to.bytes().all(|c| c.is_ascii_digit())) {
        return Some("The parameter to is required.".into());
    }
    if kind.is_empty() || body[kind].is_null() {
        return Some(format!("The parameter {kind} is required."));
    }
    let text = body["text"]["body"].as_str();
    if kind == "text" && text.is_none_or(|text| text.is_empty() || text.chars().count() > TEXT_CHARS_MAX) {
        return Some("Param text['body'] must be 1 to 4096 characters long.".into());
    }
    None
}

/// Meta calls a webhook before it takes it.
async fn verify(inner: &Mutex<Inner>, wanted: &Value) -> Response {
    let url = wanted["override_callback_uri"].as_str().unwrap_or_default().to_owned();
    if url.is_empty() {
        lock(inner).webhook = None;
        return Json(json!({"success": true})).into_response();
    }
    let token = wanted["verify_token"].as_str().unwrap_or_default();
    let local = to_local(&url, &lock(inner).base);
    let local = format!("{local}?hub.mode=subscribe&hub.challenge={CHALLENGE}&hub.verify_token={token}");
    let answer = match crate::http_client() {
        Ok(http) => http.get(local).send().await,
        Err(_) => return refusal(500, 1, "no client"),
    };
    let is_ours = match answer {
        Ok(answer) if answer.status().is_success() => answer.text().await.is_ok_and(|text| text == CHALLENGE),
        _ => false,
    };
    if !is_ours {
        return refusal(400, 2200, "(#2200) Callback verification failed");
    }
    lock(inner).webhook = Some(url);
    Json(json!({"success": true})).into_response()
}

fn templates() -> Value {
    let body = json!({"type": "BODY", "text": "Hi {{first_name}}, order {{order}} is ready."});
    let header = json!({"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"});
    let buttons = json!({"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Thanks"},
        {"type": "URL", "text": "Open", "url": "https://a.example/o/{{1}}",
            "example": ["https://a.example/o/881"]}]});
    json!({"data": [{"id": "11", "name": "order_ready", "language": "en", "status": "APPROVED", "category": "UTILITY",
        "parameter_format": "NAMED", "components": [header, body, buttons]}], "paging": {"cursors": {"after": "x"}}})
}
