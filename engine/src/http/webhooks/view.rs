//! An endpoint as the API shows it. Its secret is shown once, when it is made.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::rfc3339;
use crate::flow::webhook;
use crate::http::Api;
use crate::store::webhook_views::Queue;
use crate::store::webhooks::{QUEUE_MAX, Webhook};

/// An endpoint of another program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// `whk_…`.
    id: String,
    /// For people and rules.
    name: String,
    /// For people.
    description: Option<String>,
    /// Where it listens.
    url: String,
    /// Types of events, or `["*"]`.
    events: Vec<String>,
    /// Is it told anything?
    active: bool,
    /// Why it was switched off.
    off_reason: Option<String>,
    /// May it be in a private network, and speak plain HTTP?
    allow_private_egress: bool,
    /// Its secret is never shown again.
    secret: SecretView,
    /// The first failure since the last success. After 5 days of failures it is switched off.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// What waits for it; only when one endpoint is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueView>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
    /// Also the `ETag`.
    version: i64,
}

/// A secret that is not shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookSecretView)]
struct SecretView {
    /// Always true.
    set: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Until when the one before signs too.
    #[schema(format = DateTime)]
    previous_until: Option<String>,
}

/// What waits for an endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookQueueView)]
pub(crate) struct QueueView {
    /// Deliveries that wait.
    waiting: i64,
    /// So many may wait; what comes beyond is kept as failed, and can be replayed.
    waiting_max: u32,
    /// Since when the oldest of them waits.
    #[schema(format = DateTime)]
    oldest_at: Option<String>,
    /// Deliveries that were given up and are still kept.
    failed: i64,
}

impl From<Queue> for QueueView {
    fn from(it: Queue) -> Self {
        Self {
            waiting: it.waiting,
            waiting_max: QUEUE_MAX,
            oldest_at: it.oldest_ms.map(rfc3339),
            failed: it.failed,
        }
    }
}

/// An endpoint with a secret that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeWebhook {
    /// All about it.
    #[serde(flatten)]
    pub(super) view: WebhookView,
    /// `whsec_…`, for checking signatures. Write it down now.
    #[serde(rename = "signing_secret")]
    pub(super) secret: String,
}

pub(super) fn show(api: &Api, it: &Webhook, queue: Option<QueueView>) -> WebhookView {
    let now_ms = api.flow.clock.now_ms();
    // Secrets that cannot be opened are the sender's problem, who says so.
    let secrets = webhook::open(&api.flow.keyring, it).ok();
    let until_ms = secrets.and_then(|secrets| secrets.overlaps_until_ms(now_ms));
    WebhookView {
        id: it.id.to_string(),
        name: it.name.clone(),
        description: it.description.clone(),
        url: it.url.clone(),
        events: it.events.clone(),
        active: it.active,
        off_reason: it.off_reason.clone(),
        allow_private_egress: it.allow_private_egress,
        secret: SecretView {
            set: true,
            updated_at: rfc3339(it.secret_ms),
            previous_until: until_ms.map(rfc3339),
        },
        failing_since: it.failing_since_ms.map(rfc3339),
        queue,
        created_at: rfc3339(it.created_ms),
        version: it.version,
    }
}
