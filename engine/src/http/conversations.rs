//! `/conversations`: listing, reading and deleting. What can be done to one is
//! in `actions`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::event::Actor;
use pointsman_rules::facts::{AiState, Status};
use pointsman_rules::ids::{AssistantId, ChannelId, ContactId, ConversationId, ErasureId, GroupId, UserId};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::hooks::flow_problem;
use super::orders::{not_found, sight};
use super::paging::{List, Query, decode, rows};
use super::path::Id;
use super::problem::{FieldProblem, Problem};
use super::{Api, Refused, mask, orders};
use crate::clock::rfc3339;
use crate::flow::erase::{self, Asked};
use crate::store::audit::{self, Change};
use crate::store::conversation_views::{self, AssigneeFilter, ConversationFilter, ConversationView};
use crate::store::conversations::{Insights, Queue, Switched};
use crate::store::erasures::{self, Erasure};
use crate::store::lanes::Task;

/// Longest time in which a caller waits for an erasure; what is left then is a job's.
const ERASE_WAIT_MAX: Duration = Duration::from_secs(5);

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get, delete))
}

/// A conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Conversation {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ConversationId,
    /// Where it takes place.
    #[schema(value_type = String)]
    channel: ChannelId,
    /// With whom.
    contact: Contact,
    /// Is a real-time chat going on?
    live: bool,
    /// `open`, `pending`, `on_hold` or `closed`.
    status: &'static str,
    /// Which team has it.
    #[schema(value_type = Option<String>)]
    group: Option<GroupId>,
    /// Who has it.
    #[schema(value_type = Option<String>)]
    assignee: Option<UserId>,
    /// `low`, `normal`, `high` or `urgent`.
    priority: &'static str,
    /// Free words.
    labels: Vec<String>,
    /// Typed values that rules and people set.
    attributes: BTreeMap<String, serde_json::Value>,
    /// BCP 47.
    language: Option<String>,
    /// `negative`, `neutral` or `positive`, as an assistant last judged it.
    sentiment: Option<String>,
    /// What it is about, as an assistant last said.
    summary: Option<String>,
    /// Where sentiment and summary come from; `null`: nobody was asked yet.
    insights: Option<InsightsView>,
    /// May the assistant answer?
    ai: Ai,
    /// When free text may be sent.
    window: WindowState,
    /// The contact's last message.
    last_inbound_at: Option<String>,
    /// Our last public message.
    last_outbound_at: Option<String>,
    /// The last message either way; lists are sorted by it.
    last_activity_at: String,
    /// The first characters of the last message.
    preview: Option<String>,
    /// Inbound messages nobody has read.
    unread: i64,
    /// How often it was reopened.
    reopen_count: i64,
    /// When it began.
    created_at: String,
    /// When the live chat ended.
    ended_at: Option<String>,
    /// When it was put away.
    archived_at: Option<String>,
    /// Hidden until then.
    snoozed_until: Option<String>,
    /// Since when the contact waits for a person's answer.
    waiting_since: Option<String>,
    /// When a person first answered since it was opened.
    first_reply_at: Option<String>,
    /// That it waits for somebody to take it; `null`: it does not.
    queue: Option<Waits>,
}

/// Waiting for somebody.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Waits {
    /// Since when.
    since: String,
    /// `round_robin` or `least_busy`.
    policy: &'static str,
    /// Whom it is offered to.
    #[schema(value_type = Option<String>)]
    offered_to: Option<UserId>,
    /// How long they may think.
    offered_until: Option<String>,
}

impl From<Queue> for Waits {
    fn from(queue: Queue) -> Self {
        Self {
            since: rfc3339(queue.since_ms),
            policy: queue.policy.word(),
            offered_to: queue.offer.map(|offer| offer.agent),
            offered_until: queue.offer.map(|offer| rfc3339(offer.until_ms)),
        }
    }
}

/// The person outside.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Contact {
    #[schema(value_type = String)]
    id: ContactId,
    /// What they are called, if known.
    name: Option<String>,
    /// E.164, when known; agents see it masked on masked channels.
    phone: Option<String>,
    /// Where answers go, as the vendor writes it; masked like the phone.
    address: String,
}

/// The assistant's switch.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Ai {
    /// `on`, `off` or `suspended`.
    state: &'static str,
    /// When a suspended assistant may answer again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Since when it is so; `null`: from the beginning.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Who switched it, as an event's `cause.actor`: `kind` and, of people, programs and rules, `id`.
    #[schema(value_type = Option<Object>)]
    by: Option<Actor>,
    /// Why, in a sentence; of a hand-over the assistant's own.
    reason: Option<String>,
}

impl Ai {
    fn new(state: &AiState, switched: Option<Switched>) -> Self {
        let (state, until) = match state {
            AiState::On => ("on", None),
            AiState::Off => ("off", None),
            AiState::Suspended { until_ms } => ("suspended", Some(rfc3339(*until_ms))),
        };
        let since = switched.as_ref().map(|it| rfc3339(it.at_ms));
        let (by, reason) = switched.map(|it| (Some(it.by), it.reason)).unwrap_or_default();
        Self { state, until, since, by, reason }
    }
}

/// Where sentiment and summary come from.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct InsightsView {
    /// Which assistant.
    #[schema(value_type = String)]
    assistant: AssistantId,
    /// Which model, as its vendor calls it.
    model: Option<String>,
    /// From -1 (negative) to 1.
    score: Option<f64>,
    /// BCP 47, of what the contact writes.
    language: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

impl From<Insights> for InsightsView {
    fn from(it: Insights) -> Self {
        Self {
            assistant: it.assistant,
            model: it.model,
            score: it.score,
            language: it.language,
            at: rfc3339(it.at_ms),
        }
    }
}

/// The messaging window.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct WindowState {
    /// When it closes; `null`: the channel has none, or the contact never wrote.
    closes_at: Option<String>,
    /// Has it not closed yet? `true` where there is none.
    is_open: bool,
}

impl Conversation {
    /// As it is at `now_ms`.
    pub(super) fn show(it: ConversationView, now_ms: i64) -> Self {
        let conversation = it.conversation;
        let facts = conversation.facts;
        Self {
            id: facts.id,
            channel: conversation.channel,
            contact: Contact {
                id: conversation.contact,
                name: it.contact_name,
                phone: it.contact_phone,
                address: it.contact_address,
            },
            live: facts.live,
            status: facts.status.word(),
            group: facts.group,
            assignee: facts.assignee,
            priority: facts.priority.word(),
            labels: facts.labels,
            attributes: facts.attributes,
            language: facts.language,
            sentiment: facts.sentiment,
            summary: facts.summary,
            insights: conversation.insights.map(InsightsView::from),
            ai: Ai::new(&facts.ai, conversation.assist.switched),
            window: WindowState {
                closes_at: facts.window_closes_ms.map(rfc3339),
                is_open: facts.window_closes_ms.is_none_or(|closes_ms| closes_ms > now_ms),
            },
            last_inbound_at: facts.last_inbound_ms.map(rfc3339),
            last_outbound_at: facts.last_outbound_ms.map(rfc3339),
            last_activity_at: rfc3339(conversation.last_activity_ms),
            preview: conversation.preview,
            unread: conversation.unread,
            reopen_count: facts.reopen_count,
            created_at: rfc3339(facts.created_ms),
            ended_at: conversation.ended_ms.map(rfc3339),
            archived_at: facts.archived_ms.map(rfc3339),
            snoozed_until: facts.snoozed_until_ms.map(rfc3339),
            waiting_since: facts.waiting_since_ms.map(rfc3339),
            first_reply_at: facts.first_reply_ms.map(rfc3339),
            queue: conversation.queue.map(Waits::from),
        }
    }
}

/// Which conversations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Live chats (`true`) or ended ones.
    live: Option<bool>,
    /// `open`, `pending`, `on_hold` or `closed`.
    status: Option<String>,
    /// Id of a group.
    group: Option<String>,
    /// Id of a user, or `none`.
    assignee: Option<String>,
    /// Id of a channel.
    channel: Option<String>,
    /// Id of a contact.
    contact: Option<String>,
    /// A label.
    label: Option<String>,
    /// Put away (`true`) or not.
    archived: Option<bool>,
    /// `negative`, `neutral` or `positive`.
    sentiment: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<ConversationFilter, Problem> {
        let status = self.status.as_deref().map(|word| {
            Status::from_word(word)
                .ok_or_else(|| bad_query("status", format!("must be one of {}", Status::WORDS.join(", "))))
        });
        let assignee = self.assignee.as_deref().map(|text| match text {
            "none" => Ok(AssigneeFilter::Nobody),
            id => id.parse().map(AssigneeFilter::User).map_err(|error| bad_query("assignee", error)),
        });
        Ok(ConversationFilter {
            live: self.live,
            status: status.transpose()?,
            group: query_id("group", self.group.as_deref())?,
            assignee: assignee.transpose()?,
            channel: query_id("channel", self.channel.as_deref())?,
            contact: query_id("contact", self.contact.as_deref())?,
            label: self.label.clone(),
            archived: self.archived,
            sentiment: self.sentiment.clone(),
        })
    }
}

/// An id in a query parameter.
pub(super) fn query_id<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|error: T::Err| bad_query(name, error))).transpose()
}

/// 400 about one query parameter.
pub(super) fn bad_query(name: &str, message: impl ToString) -> Problem {
    let message = message.to_string();
    Problem::malformed("bad_query", format!("`{name}`: {message}"))
        .with_errors(vec![FieldProblem::new(format!("?{name}"), message)])
}

/// A place in the list: the time of the last activity and an id.
struct Place(i64, ConversationId);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl std::str::FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (at_ms, id) = text.split_once('/').ok_or(())?;
        Ok(Self(at_ms.parse().map_err(|_| ())?, id.parse().map_err(|_| ())?))
    }
}

/// Conversations that you may see, the latest activity first.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(Wanted),
    responses((status = 200, body = List<Conversation>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Conversation>>, Problem> {
    let (filter, rows) = (wanted.filter()?, rows(wanted.limit)?);
    let after =
        wanted.cursor.as_deref().map(decode::<Place>).transpose()?.map(|Place(at_ms, id)| (at_ms, id));
    let tx = &mut api.read().await?;
    let mut found =
        conversation_views::list(tx, who.tenant, sight(&who), &filter, after, rows as u32).await?;
    found.iter_mut().for_each(|it| mask::conversation(&who, it));
    let now_ms = api.flow.clock.now_ms();
    Ok(Json(List::page(
        found,
        rows,
        |it| {
            let (at_ms, id) = it.place();
            Place(at_ms, id)
        },
        |it| Conversation::show(it, now_ms),
    )))
}

/// One conversation.
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    responses((status = 200, body = Conversation)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
) -> Result<Json<Conversation>, Problem> {
    let found = orders::conversation(&api, &who, id).await?;
    Ok(Json(Conversation::show(found, api.flow.clock.now_ms())))
}

/// Removes a conversation with its messages, files, events and runs for good. Owners and admins only.
#[utoipa::path(delete, path = "/api/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ConversationId>,
) -> Result<StatusCode, Problem> {
    let clock = &api.flow.clock;
    let entry = who.did(clock, "conversation.delete", id, Change::act(serde_json::json!({})));
    let asked =
        Asked { id: ErasureId::new(clock.now_ms(), clock.random()), tenant: who.tenant, actor: who.id() };
    let (flow, order) = (api.flow.clone(), asked.clone());
    api.write(move |tx| {
        let (flow, asked, entry) = (flow.clone(), order.clone(), entry.clone());
        Box::pin(async move {
            if !erase::begin_conversation(&flow, tx, &asked, id).await? {
                return Err(Refused::from(not_found("conversation")));
            }
            Ok(audit::append(tx, asked.tenant, &entry).await?)
        })
    })
    .await?;
    // What waits in its lane begins a new conversation.
    api.flow.bus.ring(Task::Turn);
    finish_erasure(&api, &asked).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases what is left right now, as far as that goes while somebody waits; a job does the rest.
pub(super) async fn finish_erasure(api: &Api, asked: &Asked) -> Result<Option<Erasure>, Problem> {
    let found = erasures::get(&mut api.read().await?, asked.tenant, asked.id).await?;
    let Some(erasure) = found else { return Ok(None) };
    let stop = CancellationToken::new();
    let work = erase::work_off(&api.flow, asked.tenant, &erasure, &stop);
    if let Ok(outcome) = tokio::time::timeout(ERASE_WAIT_MAX, work).await {
        outcome.map_err(flow_problem)?;
    }
    Ok(erasures::get(&mut api.read().await?, asked.tenant, asked.id).await?)
}
