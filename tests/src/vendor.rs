//! A local stand-in for Twilio's API: accepts messages as Twilio does (form
//! body, basic auth, 201 with the documented JSON), keeps what came with time
//! and order, fails on demand, and calls back. It judges requests: what Twilio
//! would refuse is refused here.

mod callbacks;
mod door;
mod files;
mod routes;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

pub use callbacks::Callbacks;

use crate::twilio::{AUTH_TOKEN, Form};

/// What the stand-in does instead of accepting at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Accepts, but answers only after this time.
    Slow(Duration),
    /// 429, code 20429; not processed. Seconds for `Retry-After`.
    RateLimited(u64),
    /// 503 without a Twilio body; not processed, though the client cannot know.
    ServerError,
    /// The connection breaks after the request was processed, before an answer.
    CutAfter,
    /// The connection breaks in the middle of the answer.
    HalfBody,
    /// 401, code 20003: the token was revoked.
    Unauthorized,
    /// 400 with this Twilio error code.
    Refused(u32),
}

impl Fault {
    /// Does the customer get the message although the answer is bad?
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Slow(_) | Self::CutAfter | Self::HalfBody)
    }
}

/// One `POST Messages.json`, whatever became of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Position among all requests, from 0.
    pub order: usize,
    /// When it had arrived completely.
    pub at: Instant,
    /// Its fields.
    pub form: Form,
    /// The fault it met.
    pub fault: Option<Fault>,
    /// The id it was given; none when it was not processed.
    pub sid: Option<String>,
    /// Why Twilio would have refused it; none for a correct request.
    pub complaint: Option<String>,
}

impl Sent {
    /// A field; empty when absent.
    pub fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Will the customer see it?
    pub fn is_accepted(&self) -> bool {
        self.sid.is_some()
    }
}

/// Ids of the stand-in start here, far from those that stories give to inbound messages.
const FIRST_SID: u64 = 1 << 56;

/// A plan of faults by position: `None` accepts.
type FaultPlan = Box<dyn Fn(usize) -> Option<Fault> + Send>;

struct State {
    auth_token: String,
    sent: Vec<Sent>,
    next_faults: VecDeque<Fault>,
    plan: Option<FaultPlan>,
    callbacks: Callbacks,
    callback_base: Option<String>,
    webhook_urls: Vec<String>,
    next_sid: u64,
}

/// Shared by the routes and the story.
#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    files: files::Files,
    http: reqwest::Client,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking story must not hide its reason behind a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; ends when dropped.
pub struct Vendor {
    shared: Shared,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Vendor {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = State {
            auth_token: AUTH_TOKEN.to_owned(),
            sent: Vec::new(),
            next_faults: VecDeque::new(),
            plan: None,
            callbacks: Callbacks::None,
            callback_base: None,
            webhook_urls: Vec::new(),
            next_sid: FIRST_SID,
        };
        let shared = Shared {
            state: Arc::new(Mutex::new(state)),
            files: files::Files::default(),
            http: crate::http_client()?,
        };
        let routes = routes::routes(shared.clone()).merge(files::routes(shared.clone()));
        let server = tokio::spawn(async move {
            let service = routes.into_make_service_with_connect_info::<door::Cutter>();
            // It serves until the story ends; an error of the listener shows as failing calls.
            drop(axum::serve(door::Door::new(listener), service).await);
        });
        Ok(Self { shared, url, server })
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where status callbacks really go: the local address behind the public name.
    pub fn deliver_callbacks_to(&self, base: &str) {
        self.shared.lock().callback_base = Some(base.to_owned());
    }

    /// From now on, call back about every accepted message.
    pub fn call_back(&self, callbacks: Callbacks) {
        self.shared.lock().callbacks = callbacks;
    }

    /// The next requests meet these faults, in this order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().next_faults.extend(faults);
    }

    /// Every request meets what the plan says for its position.
    pub fn fail_by(&self, plan: impl Fn(usize) -> Option<Fault> + Send + 'static) {
        self.shared.lock().plan = Some(Box::new(plan));
    }

    /// No more faults.
    pub fn recover(&self) {
        let mut state = self.shared.lock();
        state.next_faults.clear();
        state.plan = None;
    }

    /// Only this token is accepted from now on.
    pub fn rotate_token(&self, auth_token: &str) {
        auth_token.clone_into(&mut self.shared.lock().auth_token);
    }

    /// All requests so far, in the order they came.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.lock().sent.clone()
    }

    /// The requests that were processed, in the order they came.
    pub fn accepted(&self) -> Vec<Sent> {
        self.shared.lock().sent.iter().filter(|sent| sent.is_accepted()).cloned().collect()
    }

    /// How many were processed.
    pub fn accepted_count(&self) -> usize {
        self.shared.lock().sent.iter().filter(|sent| sent.is_accepted()).count()
    }

    /// What Twilio would have refused.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.lock().sent.iter().filter_map(|sent| sent.complaint.clone()).collect()
    }

    /// Somebody else connects the number: the vendor calls them from now on.
    pub fn point_webhook_to(&self, url: &str) {
        self.shared.lock().webhook_urls.push(url.to_owned());
    }

    /// The webhook URLs that were set through the API.
    pub fn webhook_urls(&self) -> Vec<String> {
        self.shared.lock().webhook_urls.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::{ACCOUNT_SID, NUMBER, encode};

    async fn post(vendor: &Vendor, token: &str, text: &str) -> reqwest::Result<(u16, String)> {
        let pairs = [("To", "whatsapp:+34600"), ("From", &format!("whatsapp:{NUMBER}")), ("Body", text)];
        let form: Form = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", vendor.url());
        let request = crate::http_client().unwrap().post(url).basic_auth(ACCOUNT_SID, Some(token));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(encode(&form));
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    #[tokio::test]
    async fn accepts_refuses_and_breaks_on_demand() {
        let vendor = Vendor::start().await.unwrap();
        let (status, body) = post(&vendor, AUTH_TOKEN, "hi ñ").await.unwrap();
        assert_eq!(status, 201);
        assert!(body.contains("\"status\":\"queued\""), "{body}");
        assert_eq!(post(&vendor, "wrong", "x").await.unwrap().0, 401);
        assert_eq!(post(&vendor, AUTH_TOKEN, "").await.unwrap().0, 400);
        vendor.fail_next([Fault::RateLimited(3), Fault::ServerError, Fault::CutAfter, Fault::HalfBody]);
        assert_eq!(post(&vendor, AUTH_TOKEN, "x").await.unwrap().0, 429);
        assert_eq!(post(&vendor, AUTH_TOKEN, "x").await.unwrap().0, 503);
        assert!(post(&vendor, AUTH_TOKEN, "cut").await.is_err());
        assert!(post(&vendor, AUTH_TOKEN, "half").await.is_err());
        let texts: Vec<_> = vendor.accepted().iter().map(|sent| sent.field("Body").to_owned()).collect();
        assert_eq!(texts, ["hi ñ", "cut", "half"]);
        assert_eq!(vendor.sent().len(), 7);
        assert_eq!(vendor.complaints(), ["Message body is required"]);
    }
}
