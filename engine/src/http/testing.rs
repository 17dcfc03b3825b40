//! A whole API on a fresh SQLite file, and requests to it.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use pointsman_rules::ids::{KeyId, SessionId, TenantId, UserId};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tower::ServiceExt as _;

use super::Api;
use super::auth::Role;
use crate::clock::Clock;
use crate::crypto::sha256_hex;
use crate::flow;
use crate::store::users::{Presence, User};
use crate::store::{Db, Durability, api_keys, sessions, tenants, users};

/// A moment for tests: 2025-11-21T08:00:00Z.
pub(crate) const NOW_MS: i64 = 1_763_712_000_000;

pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) tenant: TenantId,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let kind = self.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{}", self.text);
        let json = self.expect(status);
        assert_eq!(json["code"], code, "{json}");
        assert!(json["request_id"].as_str().unwrap().starts_with("req_"), "{json}");
        json
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        let db = Db::migrate_and_connect(&url).await.unwrap();
        let flow = flow::testing::on(db, Clock::fixed(NOW_MS), folder.path());
        let tenant = TenantId::new(NOW_MS, 1);
        let stage = Self { api: Api::new(flow, Registry::default()), tenant, _folder: folder };
        stage
            .write(move |tx| {
                Box::pin(async move {
                    let row = tenants::Tenant { id: tenant, name: "Default".into() };
                    tenants::insert(tx, &row, NOW_MS).await
                })
            })
            .await;
        stage
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        body: impl for<'t> Fn(
            &'t mut crate::store::Tx,
        ) -> futures_util::future::BoxFuture<'t, Result<T, crate::store::StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> T {
        self.api.flow.db.write(Durability::Soft, body).await.unwrap()
    }

    /// Makes an API key with this role in the stage's tenant.
    pub(crate) async fn key(&self, role: Role) -> String {
        self.key_of(self.tenant, role).await
    }

    pub(crate) async fn key_of(&self, tenant: TenantId, role: Role) -> String {
        let clock = &self.api.flow.clock;
        let id = KeyId::new(NOW_MS, clock.random());
        let key = format!("pm_{id}");
        let hash = sha256_hex(key.as_bytes());
        let row = api_keys::ApiKey {
            id,
            name: "test".into(),
            role,
            created_ms: NOW_MS,
            expires_ms: None,
            revoked_ms: None,
        };
        self.write(move |tx| {
            let (row, hash) = (row.clone(), hash.clone());
            Box::pin(async move { api_keys::insert(tx, tenant, &row, &hash).await })
        })
        .await;
        key
    }

    pub(crate) async fn user(&self, email: &str, role: Role) -> UserId {
        let id = UserId::new(NOW_MS, self.api.flow.clock.random());
        let (tenant, email) = (self.tenant, email.to_owned());
        self.write(move |tx| {
            let user = User {
                id,
                email: email.clone(),
                name: "Someone".into(),
                role,
                password_hash: None,
                presence: Presence::Offline,
                chats_max: None,
                created_ms: NOW_MS,
                disabled_ms: None,
            };
            Box::pin(async move { users::insert(tx, tenant, &user).await })
        })
        .await;
        id
    }

    /// Begins a session: the cookie and the CSRF token.
    pub(crate) async fn session(&self, user: UserId) -> (String, String) {
        let clock = &self.api.flow.clock;
        let token = format!("session-{}", clock.random());
        let csrf = super::auth::csrf_token(&self.api.flow.keyring, &token);
        let session = sessions::Session {
            id: SessionId::new(NOW_MS, clock.random()),
            token_hash: sha256_hex(token.as_bytes()),
            csrf_hash: sha256_hex(csrf.as_bytes()),
            user,
            created_ms: NOW_MS,
            expires_ms: NOW_MS + 1_000_000,
        };
        let tenant = self.tenant;
        self.write(move |tx| {
            let session = session.clone();
            Box::pin(async move { sessions::insert(tx, tenant, &session).await })
        })
        .await;
        (format!("pm_session={token}"), csrf)
    }

    /// The status alone: for streams, whose body does not end.
    pub(crate) async fn status(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> u16 {
        self.request(method, path, headers, body).await.status().as_u16()
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Response {
        let Some(json) = body else { return self.raw(method, path, headers, "").await };
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        self.raw(method, path, &headers, &json.to_string()).await
    }

    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body.to_owned()) };
        super::router(self.api.clone()).oneshot(request.body(body).unwrap()).await.unwrap()
    }

    /// `headers`: name and value.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        Self::read(self.request(method, path, headers, body).await).await
    }

    /// A body that is not JSON; its type is among the headers.
    pub(crate) async fn send_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        Self::read(self.raw(method, path, headers, body).await).await
    }

    async fn read(response: Response) -> Answer {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.send("GET", path, &[("authorization", &format!("Bearer {key}"))], None).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send("POST", path, &[("authorization", &format!("Bearer {key}"))], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send("PATCH", path, &[("authorization", &format!("Bearer {key}"))], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, key: &str) -> Answer {
        self.send("DELETE", path, &[("authorization", &format!("Bearer {key}"))], None).await
    }
}
