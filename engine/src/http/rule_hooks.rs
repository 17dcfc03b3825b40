//! `/rule-hooks`: URLs that other programs call, on which rules run as
//! `webhook.received`; and `/hooks/rules/{key}`, where they are called.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use pointsman_rules::ids::{ChannelId, ConversationId, HookId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::hooks::{flow_problem, is_hook_key};
use super::paging::List;
use super::path::Id;
use super::problem::Problem;
use super::rate::RULE_HOOK;
use super::{Api, Refused, body};
use crate::clock::rfc3339;
use crate::crypto::random_token;
use crate::flow::rule_hook::{self, CONTACT, CONVERSATION, Call, HookError, PAYLOAD_BYTES_MAX};
use crate::flow::webhook;
use crate::flow::webhook::sign::Secrets;
use crate::store::audit::{self, Change};
use crate::store::rule_hooks::{self, Hook};

/// URLs of one tenant at most.
const HOOKS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 60;
const POINTER_CHARS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(rotate)).routes(routes!(remove))
}

/// Where the URLs are called.
pub(super) fn door() -> Router<Api> {
    Router::new().route("/hooks/rules/{key}", post(receive))
}

/// A new URL.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRuleHook {
    /// Unique; rules see it as `event.name`.
    #[schema(example = "shop")]
    name: String,
    /// Must calls be signed as Standard Webhooks wants it? Yes when absent; `false`: the URL itself is the secret.
    signed: Option<bool>,
    /// What the payload names: `contact` (a number or address; their last conversation) or `conversation` (an id).
    /// `contact` when absent.
    about: Option<String>,
    /// Where in the payload, as a JSON pointer; `/phone` or `/conversation` when absent.
    #[schema(example = "/customer/phone")]
    pointer: Option<String>,
    /// Only conversations of this channel; for contacts.
    #[schema(value_type = Option<String>)]
    channel: Option<ChannelId>,
}

/// A URL of rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleHookView {
    /// `hok_…`.
    id: String,
    /// As rules see it.
    name: String,
    /// Where it is called.
    url: String,
    /// Must calls be signed?
    signed: bool,
    /// What the payload names.
    about: String,
    /// Where.
    pointer: String,
    /// Only conversations of this channel.
    channel: Option<String>,
    /// When it was called last.
    #[schema(format = DateTime)]
    last_call_at: Option<String>,
    /// How that ended: `accepted`, or why it was refused.
    last_outcome: Option<String>,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A URL with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeRuleHook {
    /// The URL.
    #[serde(flatten)]
    hook: RuleHookView,
    /// `whsec_…`, for signing.
    secret: String,
}

/// A call was taken.
#[derive(Debug, Serialize)]
struct Taken {
    conversation: ConversationId,
}

fn show(api: &Api, it: &Hook) -> RuleHookView {
    RuleHookView {
        id: it.id.to_string(),
        name: it.name.clone(),
        url: format!("{}/hooks/rules/{}", api.flow.settings.public_url, it.key),
        signed: it.signed,
        about: it.about.clone(),
        pointer: it.pointer.clone(),
        channel: it.channel.map(|id| id.to_string()),
        last_call_at: it.last_ms.map(rfc3339),
        last_outcome: it.last_outcome.clone(),
        created_at: rfc3339(it.created_ms),
    }
}

/// For the audit log: the URL is a secret.
fn told(api: &Api, it: &Hook) -> RuleHookView {
    RuleHookView { url: "***".to_owned(), ..show(api, it) }
}

/// URLs of rules, the oldest first.
#[utoipa::path(get, path = "/api/v1/rule-hooks", tag = "rules", responses((status = 200, body = List<RuleHookView>)))]
async fn list(State(api): State<Api>, Admin(who): Admin) -> Result<Json<List<RuleHookView>>, Problem> {
    let found = rule_hooks::list(&mut api.read().await?, who.tenant).await?;
    Ok(Json(List::whole(found.iter().map(|it| show(&api, it)).collect())))
}

/// Adds a URL. The answer is the only time that its secret is shown.
#[utoipa::path(post, path = "/api/v1/rule-hooks", tag = "rules", request_body = NewRuleHook, responses((status = 201, body = MadeRuleHook)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewRuleHook>,
) -> Result<(StatusCode, Json<MadeRuleHook>), Problem> {
    let (clock, tenant, now_ms) = (&api.flow.clock, who.tenant, api.flow.clock.now_ms());
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")));
    }
    let about = new.about.unwrap_or_else(|| CONTACT.to_owned());
    let usual = match about.as_str() {
        CONTACT => "/phone",
        CONVERSATION => "/conversation",
        _ => return Err(Problem::field("/about", format!("must be `{CONTACT}` or `{CONVERSATION}`"))),
    };
    let pointer = new.pointer.unwrap_or_else(|| usual.to_owned());
    if !pointer.starts_with('/') || pointer.chars().count() > POINTER_CHARS_MAX {
        let message = "must be a JSON pointer: parts of the payload's names, each after a `/`";
        return Err(Problem::field("/pointer", message));
    }
    if let Some(channel) = new.channel {
        let known = api.flow.catalog.channel(&api.flow, tenant, channel).await.map_err(flow_problem)?;
        if known.is_none() || about != CONTACT {
            return Err(Problem::field(
                "/channel",
                "must be a channel of yours, and goes with `contact` only",
            ));
        }
    }
    let (id, secret) = (HookId::new(now_ms, clock.random()), webhook::new_secret(clock));
    let hook = Hook {
        tenant,
        id,
        name,
        key: random_token(clock, ""),
        secrets: rule_hook::seal(&api.flow.keyring, clock, id, &Secrets::new(&secret)),
        signed: new.signed.unwrap_or(true),
        about,
        pointer,
        channel: new.channel,
        created_ms: now_ms,
        last_ms: None,
        last_outcome: None,
    };
    let entry = who.did(clock, "rule_hook.create", id, Change::made(&told(&api, &hook)));
    let row = hook.clone();
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            let there = rule_hooks::list(tx, tenant).await?;
            if there.len() >= HOOKS_MAX {
                let detail = format!("there are {HOOKS_MAX} URLs of rules already; remove one first");
                return Err(Problem::refused("too_many_rule_hooks", detail).into());
            }
            if there.iter().any(|it| it.name.to_lowercase() == row.name.to_lowercase()) {
                return Err(Problem::field("/name", "another URL of rules is called so").into());
            }
            rule_hooks::insert(tx, &row).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    let made = MadeRuleHook { hook: show(&api, &hook), secret: secret.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Gives a URL another secret; the old one is believed beside it for a day.
#[utoipa::path(post, path = "/api/v1/rule-hooks/{id}/rotate", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = MadeRuleHook)))]
async fn rotate(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<HookId>,
) -> Result<Json<MadeRuleHook>, Problem> {
    let (tenant, clock, keyring) = (who.tenant, api.flow.clock.clone(), api.flow.keyring.clone());
    let secret = webhook::new_secret(&clock);
    let new = secret.clone();
    let entry =
        who.did(&clock, "rule_hook.rotate", id, Change::act(serde_json::json!({"secret": "changed"})));
    let hook = api
        .write(move |tx| {
            let (clock, keyring, new, entry) = (clock.clone(), keyring.clone(), new.clone(), entry.clone());
            Box::pin(async move {
                let hook =
                    rule_hooks::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule hook"))?;
                let old = rule_hook::open(&keyring, &hook)
                    .map_err(|error| Problem::internal("a secret cannot be opened", &error))?;
                let sealed = rule_hook::seal(&keyring, &clock, id, &old.rotated(&new, clock.now_ms()));
                rule_hooks::set_secrets(tx, tenant, id, &sealed).await?;
                audit::append(tx, tenant, &entry).await?;
                Ok::<_, Refused>(hook)
            })
        })
        .await?;
    Ok(Json(MadeRuleHook { hook: show(&api, &hook), secret: secret.expose().to_owned() }))
}

/// Removes a URL: calls of it are refused from now on.
#[utoipa::path(delete, path = "/api/v1/rule-hooks/{id}", tag = "rules", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<HookId>,
) -> Result<StatusCode, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    api.write(move |tx| {
        let (who, api) = (who.clone(), inside.clone());
        Box::pin(async move {
            let hook =
                rule_hooks::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule hook"))?;
            rule_hooks::delete(tx, tenant, id).await?;
            let change = Change::removed(&told(&api, &hook));
            let entry = who.did(&api.flow.clock, "rule_hook.delete", id, change);
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn receive(
    State(api): State<Api>,
    Path(key): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    if !is_hook_key(&key) {
        return Err(refused(HookError::Unknown));
    }
    api.limits.take(&format!("rule hook {key}"), RULE_HOOK)?;
    let text = |headers: &HeaderMap, name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let headers = request.headers().clone();
    let call = Call {
        id: text(&headers, "webhook-id"),
        timestamp: text(&headers, "webhook-timestamp"),
        signature: text(&headers, "webhook-signature"),
        body: body::bytes(request, PAYLOAD_BYTES_MAX).await?.to_vec(),
    };
    let conversation = rule_hook::call(&api.flow, &key, &call).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(Taken { conversation })))
}

fn refused(error: HookError) -> Problem {
    let (code, detail) = (error.code(), error.to_string());
    match error {
        HookError::Unknown => Problem::new(StatusCode::NOT_FOUND, code, detail),
        HookError::Forged => Problem::unauthorized(detail),
        HookError::Malformed => Problem::malformed(code, detail),
        HookError::Nobody(_) | HookError::NoConversation => Problem::refused(code, detail),
        HookError::Overloaded { retry_after_s } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(retry_after_s)
        }
        HookError::Flow(error) => flow_problem(error),
    }
}
