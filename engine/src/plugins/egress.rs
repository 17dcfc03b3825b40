//! Performs the HTTP calls that plugins ask for: only to allowed origins, only
//! to checked addresses, without redirects and proxies, with secrets placed by
//! name and every answer bounded. Says truthfully whether a call may have
//! reached the vendor.

mod address;
mod blob;
mod bucket;
mod files;
mod json;
mod post;
mod request;
mod secrets;
mod target;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::{Client, Response};
use url::Url;

pub use address::{Lookup, LookupFuture, SystemLookup};
pub use blob::{BLOB_BYTES_MAX, BlobStore, BlobStream, DirectoryBlobs, StoredBlob, sweep_partials};
pub use bucket::{BucketBlobs, BucketError};
pub(super) use files::Files;
pub use post::{Post, Posted, post_url};
pub(super) use secrets::SecretRule;

use super::bindings::provider::pointsman::plugin::{http, types};
use super::manifest::{self, Manifest, SettingKind};
use super::operation::Caller;
use super::{ChannelContext, Secret};
use address::{CheckedResolver, ForbiddenAddress, Reach};
use target::Target;

/// HTTP calls of one operation; further ones are refused.
pub const CALLS_MAX: u32 = 8;
/// Bytes of an answer that a plugin gets; a larger one counts as unclear.
pub const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Header fields of an answer that a plugin gets; further ones are dropped.
const RESPONSE_HEADERS_MAX: usize = 64;
/// Time for one call when the plugin asks for none, milliseconds.
const TIMEOUT_MS: u32 = 15_000;
/// Longest time for one call, milliseconds; longer wishes are cut.
const TIMEOUT_MS_MAX: u32 = 60_000;
/// What an operation keeps of its time to hear that its call took too long, milliseconds.
const LAST_WORDS_MS: u32 = 500;
/// Time to resolve, connect and shake hands, milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// How long an idle connection is kept, milliseconds: shorter than common servers keep it (Node.js, Apache and uvicorn
/// close it after 5 s, as their documentation says), because whether a request arrived that meets a connection which is
/// being closed is unclear.
const IDLE_MS: u64 = 4_000;
/// Holds what a burst of messages uses at once: what does not fit is closed after it, and shakes hands anew in the next.
const IDLE_CONNECTIONS_PER_HOST_MAX: usize = 128;

/// What egress needs from outside.
#[derive(Clone)]
pub struct EgressConfig {
    /// Resolves names.
    pub lookup: Arc<dyn Lookup>,
    /// Keeps media.
    pub blobs: Arc<dyn BlobStore>,
}

/// Why egress could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot start: {0}; check the certificates of this system")]
pub struct EgressError(String);

/// Why a call was not made, as one sentence that says what to do.
#[derive(Debug)]
pub(super) struct Refusal(String);

impl Refusal {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// What one plugin may call for one channel.
pub(super) struct Permissions {
    channel_id: String,
    /// Origins of the manifest.
    declared: Arc<[String]>,
    /// Settings of kind `egress-url` and their origins.
    own: Vec<(String, String)>,
    allow_private: bool,
    secrets: Arc<[SecretRule]>,
}

impl Permissions {
    pub(super) fn new(
        manifest: &Manifest,
        declared: Arc<[String]>,
        secrets: Arc<[SecretRule]>,
        context: &ChannelContext,
    ) -> Self {
        let settings: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&context.settings).unwrap_or_default();
        let own = manifest.settings.iter().filter(|s| s.kind == SettingKind::EgressUrl).filter_map(|s| {
            let url = Url::parse(settings.get(&s.name)?.as_str()?).ok()?;
            Some((s.name.clone(), url.origin().ascii_serialization()))
        });
        Self {
            channel_id: context.channel_id.clone(),
            declared,
            own: own.collect(),
            allow_private: context.allow_private_egress,
            secrets,
        }
    }

    /// One public URL and nothing else; no secret goes there.
    pub(super) fn public(context: &ChannelContext, url: &str) -> Self {
        let origin = Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
        Self {
            channel_id: context.channel_id.clone(),
            declared: origin.into_iter().collect(),
            own: Vec::new(),
            allow_private: false,
            secrets: Arc::default(),
        }
    }

    /// With one public URL besides.
    pub(super) fn and_public(mut self, url: &str) -> Self {
        let origin = Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
        self.declared = self.declared.iter().cloned().chain(origin).collect();
        self
    }

    /// How far a call of this URL may reach, when its origin is allowed at all.
    fn reach(&self, url: &Url) -> Result<Reach, Refusal> {
        let origin = url.origin().ascii_serialization();
        let own = self.own.iter().any(|(_, own)| *own == origin);
        let reach = if own && self.allow_private { Reach::Private } else { Reach::Public };
        if !own && !self.declared.iter().any(|declared| manifest::covers(declared, &origin)) {
            let advice = match self.own.first() {
                Some((setting, _)) => format!("correct the channel's setting `{setting}`, or"),
                None => "the plugin's author must".to_owned(),
            };
            let (host, channel) = (url.host_str().unwrap_or(""), &self.channel_id);
            return Err(Refusal(format!(
                "host {host} is not allowed for channel {channel}; {advice} add `{origin}` to the origins of the plugin's manifest (P301)"
            )));
        }
        if url.scheme() != "https" && reach != Reach::Private {
            return Err(Refusal(format!(
                "{origin} is not https; use https, or let an admin allow private egress for channel {}",
                self.channel_id
            )));
        }
        Ok(reach)
    }

    fn forbidden_address(&self, url: &Url, reach: Reach) -> Refusal {
        let (host, channel) = (url.host_str().unwrap_or(""), &self.channel_id);
        Refusal(match reach {
            Reach::Public => format!(
                "host {host} is in a private or reserved network; if it is yours, let an admin allow private egress for channel {channel} (P302)"
            ),
            Reach::Private => format!(
                "host {host} is in a reserved range (link-local, metadata, multicast or translated) that is never called; use its plain address (P302)"
            ),
        })
    }
}

/// The two HTTP clients. They share no connections: one that may reach private networks is never
/// used for an origin that may not.
pub(super) struct Egress {
    public: Client,
    private: Client,
    pub(super) blobs: Arc<dyn BlobStore>,
}

/// What became of a call.
pub(super) struct Performed {
    pub(super) answer: http::Answer,
    /// May it have had an effect at the vendor?
    pub(super) left: bool,
}

impl Performed {
    pub(super) fn new(method: &str, answer: http::Answer) -> Self {
        let harmless = matches!(method, "GET" | "HEAD");
        let left = !harmless && !matches!(answer, http::Answer::NotSent(_) | http::Answer::Refused(_));
        Self { answer, left }
    }
}

/// How long one call may take, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// When the plugin asks for no time.
    usual_ms: u32,
    /// Longer wishes are cut.
    longest_ms: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { usual_ms: TIMEOUT_MS, longest_ms: TIMEOUT_MS_MAX }
    }
}

impl Patience {
    /// A call may take all the time of its operation, but for what is needed to hear of the failure.
    pub(super) fn whole(operation_ms: u32) -> Self {
        let ms = operation_ms.saturating_sub(LAST_WORDS_MS).max(1);
        Self { usual_ms: ms, longest_ms: ms }
    }
}

/// The network, as far as one operation of one channel may use it.
pub(super) struct Line<'a> {
    pub(super) egress: &'a Egress,
    pub(super) permissions: &'a Permissions,
    pub(super) secrets: &'a BTreeMap<String, Secret>,
    pub(super) files: &'a Files,
    pub(super) patience: Patience,
}

impl Caller for Line<'_> {
    async fn perform(&self, call: http::Call) -> Performed {
        self.egress.perform(self, call).await
    }
}

impl Egress {
    pub(super) fn new(config: EgressConfig) -> Result<Self, EgressError> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // An error means that the process has chosen a provider already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Ok(Self {
            public: client(config.lookup.clone(), Reach::Public)?,
            private: client(config.lookup, Reach::Private)?,
            blobs: config.blobs,
        })
    }

    /// Everything that is checked before a name is resolved: method, URL, origin, headers, secrets, sizes.
    ///
    /// # Errors
    /// The sentence that the plugin is told.
    pub(super) async fn check(
        &self,
        permissions: &Permissions,
        secrets: &BTreeMap<String, Secret>,
        call: http::Call,
        (files, blobs): (&Files, &dyn BlobStore),
    ) -> Result<(), String> {
        let checked = self.request(permissions, secrets, call, TIMEOUT_MS, (files, blobs)).await;
        checked.map(drop).map_err(|Refusal(sentence)| sentence)
    }

    async fn perform(&self, line: &Line<'_>, call: http::Call) -> Performed {
        let Line { permissions, secrets, files, patience, .. } = *line;
        let (method, sink) = (call.method.clone(), call.sink);
        let timeout = call.timeout_ms.unwrap_or(patience.usual_ms).clamp(1, patience.longest_ms);
        let shelf = (files, self.blobs.as_ref());
        let (target, request) = match self.request(permissions, secrets, call, timeout, shelf).await {
            Ok(prepared) => prepared,
            Err(Refusal(sentence)) => {
                tracing::warn!(channel = permissions.channel_id, sentence, "plugin call refused");
                return Performed::new(&method, http::Answer::Refused(sentence));
            }
        };
        let origin = target.origin();
        let answer = match request.send().await {
            Ok(response) => match sink {
                http::Sink::Blob if response.status().is_success() => self.keep(response, files).await,
                http::Sink::Blob | http::Sink::Plugin => read(response).await,
            },
            Err(error) => failed(&error, &target, permissions, timeout),
        };
        tracing::debug!(channel = permissions.channel_id, origin, outcome = outcome(&answer), "plugin call");
        Performed::new(&method, answer)
    }

    async fn request(
        &self,
        permissions: &Permissions,
        values: &BTreeMap<String, Secret>,
        call: http::Call,
        timeout_ms: u32,
        files: (&Files, &dyn BlobStore),
    ) -> Result<(Target, reqwest::RequestBuilder), Refusal> {
        let method = request::method(&call.method)?;
        let (mut target, secrets) = target::target(&call.url, permissions, values)?;
        request::add_query(&mut target, &call.query, &secrets)?;
        let headers = request::headers(&call, &secrets)?;
        let client = match target.reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        let request = client
            .request(method, target.url.clone())
            .headers(headers.clone())
            .timeout(Duration::from_millis(timeout_ms.into()));
        Ok((target, request::add_body(request, call.body, &headers, &secrets, files).await?))
    }

    /// Streams an answer into the blob store.
    async fn keep(&self, response: Response, files: &Files) -> http::Answer {
        let (status, headers) = (response.status().as_u16(), pairs(&response));
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|v| v.to_str().ok()).unwrap_or("application/octet-stream");
        let content_type = content_type.to_owned();
        let content = response
            .bytes_stream()
            .map_ok(Vec::from)
            .map_err(|e| std::io::Error::other(e.without_url()))
            .boxed();
        match files.store(self.blobs.as_ref(), content, &content_type).await {
            Ok(blob) => http::Answer::Stored(http::Stored {
                status,
                headers,
                blob: blob.id,
                content_type,
                size: blob.size,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                http::Answer::Refused(error.to_string())
            }
            Err(error) => http::Answer::Unclear(format!("the file could not be stored: {error}")),
        }
    }
}

fn client(lookup: Arc<dyn Lookup>, reach: Reach) -> Result<Client, EgressError> {
    Client::builder()
        .dns_resolver(Arc::new(CheckedResolver { lookup, reach }))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .https_only(reach == Reach::Public)
        .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
        .pool_idle_timeout(Duration::from_millis(IDLE_MS))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST_MAX)
        .user_agent(concat!("Pointsman/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| EgressError(root_cause(&e)))
}

fn pairs(response: &Response) -> Vec<types::Pair> {
    let pair = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| types::Pair {
        name: name.as_str().to_owned(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    response.headers().iter().take(RESPONSE_HEADERS_MAX).map(pair).collect()
}

/// Reads an answer up to the limit.
async fn read(mut response: Response) -> http::Answer {
    let (status, headers) = (response.status().as_u16(), pairs(&response));
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return http::Answer::Response(http::Response { status, headers, body }),
            Ok(Some(piece)) if body.len() + piece.len() <= RESPONSE_BYTES_MAX => {
                body.extend_from_slice(&piece);
            }
            Ok(Some(_)) => {
                return http::Answer::Unclear(format!(
                    "the answer (status {status}) is larger than {RESPONSE_BYTES_MAX} bytes; ask for less, or store it as a blob"
                ));
            }
            Err(error) => {
                return http::Answer::Unclear(format!(
                    "the answer (status {status}) broke off: {}",
                    root_cause(&error)
                ));
            }
        }
    }
}

/// Only what surely happened before the request was written is `not-sent`.
fn failed(
    error: &reqwest::Error,
    target: &Target,
    permissions: &Permissions,
    timeout_ms: u32,
) -> http::Answer {
    let origin = target.origin();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(ForbiddenAddress(reach)) = inner.downcast_ref() {
            return http::Answer::Refused(permissions.forbidden_address(&target.url, *reach).0);
        }
        cause = inner.source();
    }
    if error.is_connect() {
        return http::Answer::NotSent(format!("cannot connect to {origin}: {}", root_cause(error)));
    }
    if error.is_builder() {
        return http::Answer::Refused(format!("the request cannot be built: {}", root_cause(error)));
    }
    if error.is_timeout() {
        return http::Answer::Unclear(format!("no complete answer from {origin} within {timeout_ms} ms"));
    }
    http::Answer::Unclear(format!("no complete answer from {origin}: {}", root_cause(error)))
}

/// The innermost cause. The outer texts hold the URL, which may hold a secret.
fn root_cause(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "unknown cause".into() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn outcome(answer: &http::Answer) -> String {
    match answer {
        http::Answer::Response(response) => response.status.to_string(),
        http::Answer::Stored(stored) => format!("{} stored", stored.status),
        http::Answer::NotSent(_) => "not sent".into(),
        http::Answer::Unclear(_) => "unclear".into(),
        http::Answer::Refused(_) => "refused".into(),
    }
}
