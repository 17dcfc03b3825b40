//! Asking an assistant about one conversation: consent, budget, what it reads, the
//! call. Outside of any transaction. Must not decide what becomes of the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_rules::ids::{AssistantId, ChannelId, ConversationId, JobId, TenantId};

use super::bill::{self, Bill, Wish};
use super::budget::{self, Cap, Caps};
use super::context::{self, Reading};
use super::{Judgement, Run};
use crate::flow::catalog::{self, Channel};
use crate::flow::{Flow, FlowError};
use crate::plugins::{
    ASSISTANT_KIND, AssistConversation, AssistFailure, AssistLimits, AssistOutcome, AssistRequest,
    AssistTask, Assisted, ChannelContext, Insights, Mood, Usage,
};
use crate::store::assistant_usage::{Line, Place, Used, day_of};
use crate::store::assistants::{self, Assistant};
use crate::store::channel_assistants::{self, Consent};
use crate::store::conversations::Conversation;
use crate::store::knowledge::{self, Snippet};
use crate::store::message_views::{self, Order};
use crate::store::messages::Message;
use crate::store::{StoreError, Tx, conversations};

/// Messages of a thread that are looked at for what an assistant reads.
const MESSAGES_MAX: u32 = 200;
/// Texts of knowledge that are looked at.
pub const KNOWLEDGE_MAX: i64 = 200;
/// Characters of an answer where the channel has no limit of its own; more is no answer to a message.
const REPLY_CHARS_MAX: u32 = 4_000;

/// How long somebody who waits for it may be kept waiting, milliseconds; requests to the API end after 30 seconds.
const WATCHED_MS_MAX: i64 = 25_000;

/// What came of asking.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// What it says, or one sentence about why it could not.
    pub said: Result<AssistOutcome, String>,
    /// What it took.
    pub run: Run,
    /// What to count.
    pub bill: Bill,
}

/// Why nobody was asked.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// There is no such conversation.
    #[error("there is no such conversation")]
    NotFound,
    /// No admin gave this channel an assistant, or it is switched off.
    #[error("no assistant may read this channel; an admin can give it one with PUT /channels/{0}/assistant")]
    NoConsent(ChannelId),
    /// A cap might be passed.
    #[error("{0}")]
    Spent(String),
    /// The flow room failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for NotAsked {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// Everything that asking needs, read at one moment.
struct Desk {
    channel: Arc<Channel>,
    conversation: Conversation,
    assistant: Assistant,
    consent: Consent,
    caps: Caps,
    currency: String,
    instructions: String,
    knowledge: Vec<Snippet>,
    messages: Vec<Message>,
}

/// Asks the assistant of a conversation's channel. `call`: the name of this asking, the same when it is tried again.
///
/// # Errors
/// Why nobody was asked. That the assistant failed is among what came of it.
pub async fn think(
    flow: &Flow,
    tenant: TenantId,
    conversation: ConversationId,
    task: AssistTask,
    call: JobId,
) -> Result<Thought, NotAsked> {
    let desk = gather(flow, tenant, conversation).await?;
    let limits = &desk.assistant.limits;
    let budget = usize::try_from(limits.context_tokens_max).unwrap_or(0);
    let reading = context::reading(&desk.messages, &desk.knowledge, &desk.instructions, budget);
    let context = context_of(flow, tenant, &desk.assistant)?;
    let started_ms = flow.clock.now_ms();
    let wish = desk.wish(task, call, reading.tokens, day_of(started_ms));
    let (place, tokens) = (wish.place, reading.tokens);
    let held = bill::hold(flow, tenant, wish).await?;
    let ended = match flow.host.get(&desk.assistant.plugin) {
        Some(plugin) => plugin.assist(&context, &desk.request(task, reading)).await.map_err(Some),
        None => Err(None),
    };
    let took_ms = (flow.clock.now_ms() - started_ms).max(0);
    Ok(desk.thought(task, ended, tokens, took_ms, (place, held)))
}

async fn gather(flow: &Flow, tenant: TenantId, id: ConversationId) -> Result<Desk, NotAsked> {
    let view = flow.catalog.view(flow, tenant).await?;
    let tx = &mut flow.db.read().await?;
    let found = conversations::load(tx, &[(tenant, id)]).await?;
    let conversation = found.into_iter().next().ok_or(NotAsked::NotFound)?;
    let no_consent = || NotAsked::NoConsent(conversation.channel);
    let consent = channel_assistants::consent_of(tx, tenant, conversation.channel).await?;
    let consent = consent.ok_or_else(no_consent)?;
    let assistant = assistants::get(tx, tenant, consent.assistant).await?;
    let assistant = assistant.filter(|it| it.active).ok_or_else(no_consent)?;
    let cap = Cap {
        tokens: view.settings.assistant_tokens_per_day_max,
        cost_micros: view.settings.assistant_cost_micros_per_day_max,
    };
    let caps = Caps::new(&assistant.limits, &consent, cap);
    let currency = view.settings.currency.clone();
    let instructions = instructions(tx, tenant, &conversation, &assistant, &consent).await?;
    let knowledge = knowledge::list(tx, tenant, None, KNOWLEDGE_MAX).await?;
    let thread = message_views::of_conversation(tx, tenant, id, Order::NewestFirst, None, MESSAGES_MAX);
    let messages = thread.await?.into_iter().map(|it| it.message).collect();
    let channel = flow.catalog.channel(flow, tenant, conversation.channel).await?;
    let channel = channel.ok_or(NotAsked::NotFound)?;
    Ok(Desk { channel, conversation, assistant, consent, caps, currency, instructions, knowledge, messages })
}

/// What admins tell it: whatever the channel, on this channel, and while this group has the conversation.
async fn instructions(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: &Conversation,
    assistant: &Assistant,
    consent: &Consent,
) -> Result<String, StoreError> {
    let of_group = match conversation.facts.group {
        Some(group) => channel_assistants::group_instructions(tx, tenant, group).await?,
        None => None,
    };
    let of_group = of_group.map(|(text, _)| text).unwrap_or_default();
    let parts = [assistant.instructions.trim(), consent.instructions.trim(), of_group.trim()];
    Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

/// What a plugin is told about the assistant. It learns of no channel, contact or tenant.
///
/// # Errors
/// The secrets cannot be opened.
pub fn context_of(flow: &Flow, tenant: TenantId, assistant: &Assistant) -> Result<ChannelContext, FlowError> {
    let secrets = match assistant.secrets.as_str() {
        "" => BTreeMap::new(),
        sealed => catalog::open_sealed(&flow.keyring, &place_of(assistant.id), sealed)?,
    };
    Ok(ChannelContext {
        channel_id: assistant.id.to_string(),
        kind: ASSISTANT_KIND.to_owned(),
        address: String::new(),
        settings: assistant.settings.to_string(),
        secrets: Arc::new(secrets),
        webhook_url: String::new(),
        now_ms: flow.clock.now_ms(),
        locale: "en".to_owned(),
        allow_private_egress: assistant.allow_private_egress,
        files_of: tenant.to_string(),
    })
}

/// Where an assistant's secrets are sealed for.
pub fn place_of(assistant: AssistantId) -> String {
    format!("assistant:{assistant}")
}

impl Desk {
    /// Somebody may be looking at the screen for everything but an answer.
    fn time_ms(&self, task: AssistTask) -> i64 {
        let most_ms = self.assistant.limits.think_ms_max;
        if task == AssistTask::Reply { most_ms } else { most_ms.min(WATCHED_MS_MAX) }
    }

    fn wish(&self, task: AssistTask, id: JobId, read_tokens: usize, day: i64) -> Wish {
        Wish {
            id,
            place: Place { day, channel: self.consent.channel, assistant: self.assistant.id },
            caps: self.caps,
            currency: self.currency.clone(),
            limits: self.assistant.limits.clone(),
            read_tokens,
            time_ms: self.time_ms(task),
        }
    }

    fn request(&self, task: AssistTask, reading: Reading) -> AssistRequest {
        let limits = &self.assistant.limits;
        let of_channel = self.channel.facts.capabilities.text_max;
        AssistRequest {
            task,
            conversation: AssistConversation {
                channel_kind: self.channel.facts.kind.clone(),
                language: self.conversation.facts.language.clone(),
                instructions: self.instructions.clone(),
                knowledge: reading.knowledge,
                turns: reading.turns,
            },
            limits: AssistLimits {
                output_tokens_max: u32::try_from(limits.output_tokens_max).unwrap_or(u32::MAX),
                reply_chars_max: if of_channel == 0 {
                    REPLY_CHARS_MAX
                } else {
                    of_channel.min(REPLY_CHARS_MAX)
                },
                time_ms: u32::try_from(self.time_ms(task)).unwrap_or(u32::MAX),
            },
        }
    }

    fn thought(
        &self,
        task: AssistTask,
        ended: Result<Assisted, Option<AssistFailure>>,
        read_tokens: usize,
        took_ms: i64,
        (place, held): (Place, Option<JobId>),
    ) -> Thought {
        let (said, model, usage) = match ended {
            Ok(it) => (Ok(self.sure_enough(task, it.outcome, it.confidence)), it.model, it.usage),
            Err(Some(it)) => (Err(it.failure.message), it.model, it.usage),
            Err(None) => {
                let plugin = &self.assistant.plugin;
                let nothing = Usage { input_tokens: 0, output_tokens: 0, cost: None };
                (Err(format!("The plugin `{plugin}` is not installed.")), None, Some(nothing))
            }
        };
        let written = match &said {
            Ok(AssistOutcome::Reply { text }) => context::tokens(text),
            _ => 0,
        };
        let (used, currency) = self.used(usage, (read_tokens, written));
        let run = Run {
            assistant: Some(self.assistant.id),
            model,
            took_ms,
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
        };
        Thought { said, run, bill: Bill { held, line: Line { place, currency, used } } }
    }

    /// An answer of which the assistant is not sure enough is for a person to give.
    fn sure_enough(
        &self,
        task: AssistTask,
        outcome: AssistOutcome,
        confidence: Option<f64>,
    ) -> AssistOutcome {
        let least = self.assistant.limits.confidence_percent_min;
        let is_sure = confidence.is_none_or(|it| it * 100.0 >= least as f64);
        match outcome {
            AssistOutcome::Reply { .. } if task == AssistTask::Reply && !is_sure => AssistOutcome::Handoff {
                reason: "unsure".to_owned(),
                note: "The assistant was not sure enough of its answer.".to_owned(),
            },
            outcome => outcome,
        }
    }

    /// What the vendor says it took, with the currency; where it does not, about what it was. Prices are in our
    /// currency, so they count instead of what a vendor says in another; without prices its word is all there is.
    fn used(&self, usage: Option<Usage>, (read, written): (usize, usize)) -> (Used, String) {
        let count = |tokens: usize| i64::try_from(tokens).unwrap_or(i64::MAX);
        let (input_tokens, output_tokens) = match &usage {
            Some(usage) => (usage.input_tokens.into(), usage.output_tokens.into()),
            None => (count(read), count(written)),
        };
        let limits = &self.assistant.limits;
        let has_prices = limits.input_price_micros > 0 || limits.output_price_micros > 0;
        let told = usage.and_then(|usage| usage.cost);
        let (cost_micros, currency) = match told.filter(|it| it.currency == self.currency || !has_prices) {
            Some(cost) => (cost.micros, cost.currency),
            None => (budget::price(limits, input_tokens, output_tokens), self.currency.clone()),
        };
        (Used { runs: 1, input_tokens, output_tokens, cost_micros }, currency)
    }
}

impl From<Insights> for Judgement {
    fn from(it: Insights) -> Self {
        let word = |mood| match mood {
            Mood::Negative => "negative",
            Mood::Neutral => "neutral",
            Mood::Positive => "positive",
        };
        Self {
            sentiment: it.mood.map(|mood| word(mood).to_owned()),
            score: it.score,
            summary: it.summary,
            language: it.language,
        }
    }
}
