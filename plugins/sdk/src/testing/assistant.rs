//! Runs case folders of an assistant natively: tasks with the scripted answers of a
//! model, and what must come of them.

use std::marker::PhantomData;
use std::path::Path;

use pointsman_cases::{Case, Run, Script, Task};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{account_task, context, operation, shape};
use crate::assistant::{
    Conversation, Done, Failed, HandoffReason, Limits, Mood, Outcome, Request, Snippet, Speaker, Turn, Usage,
};
use crate::provider::{Account, Assistant};
use crate::{Context, assistant};

type StartAccount = fn(Context, Task, Script<'_>) -> Result<Value, String>;

/// The case folders of one assistant.
pub struct AssistantSuite<A> {
    account: Option<StartAccount>,
    assistant: PhantomData<A>,
}

impl<A: Assistant> Default for AssistantSuite<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Assistant> AssistantSuite<A> {
    /// An assistant without optional exports.
    pub fn new() -> Self {
        Self { account: None, assistant: PhantomData }
    }

    /// It also exports `account`.
    #[must_use]
    pub fn account(mut self) -> Self
    where
        A: Account,
    {
        self.account = Some(|context, task, script| {
            let task = account_task(task);
            operation::run(
                script,
                |http| async move { A::account(&context, task, &http).await },
                shape::report,
            )
        });
        self
    }

    /// Runs every folder in `cases`.
    ///
    /// # Panics
    /// A case does not come out as expected, or there is none. All that differ are shown.
    pub fn run(&self, cases: impl AsRef<Path>) {
        super::every(cases.as_ref(), |case| super::check(case, |case| self.outcome(case)));
    }

    fn outcome(&self, case: &Case) -> Result<Value, String> {
        let (script, context) = (case.script(), context(case));
        match &case.run {
            Run::Validate => {
                let errors = A::validate(&context.settings);
                Ok(json!({ "errors": errors.iter().map(shape::field_error).collect::<Vec<_>>() }))
            }
            Run::Assist(task) => {
                let request = read(task)?;
                let assist = |http| async move { A::assist(&context, request, &http).await };
                operation::run_or(script, assist, done, failed)
            }
            Run::Account(task) => {
                let start = self.account.ok_or("the suite was built without `.account()`")?;
                start(context, *task, script)
            }
            _ => Err("an assistant has neither webhooks nor messages; providers have a `Suite`".into()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    task: String,
    conversation: ConversationJson,
    limits: LimitsJson,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConversationJson {
    channel_kind: String,
    language: Option<String>,
    #[serde(default)]
    instructions: String,
    #[serde(default)]
    knowledge: Vec<SnippetJson>,
    turns: Vec<TurnJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnippetJson {
    title: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnJson {
    speaker: String,
    text: String,
    #[serde(default)]
    at_ms: u64,
    #[serde(default)]
    attachments: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsJson {
    output_tokens_max: u32,
    reply_chars_max: u32,
    time_ms: u32,
}

/// Reads a task from the engine's JSON of it.
pub(super) fn read(json: &Value) -> Result<Request, String> {
    let from: RequestJson = serde_json::from_value(json.clone()).map_err(|e| format!("[assist]: {e}"))?;
    let about = from.conversation;
    Ok(Request {
        task: match from.task.as_str() {
            "reply" => assistant::Task::Reply,
            "suggest" => assistant::Task::Suggest,
            "insights" => assistant::Task::Insights,
            other => assistant::Task::Other(other.to_owned()),
        },
        conversation: Conversation {
            channel_kind: about.channel_kind,
            language: about.language,
            instructions: about.instructions,
            knowledge: about
                .knowledge
                .into_iter()
                .map(|it| Snippet { title: it.title, text: it.text })
                .collect(),
            turns: about.turns.into_iter().map(turn).collect(),
            extras: vec![],
        },
        limits: Limits {
            output_tokens_max: from.limits.output_tokens_max,
            reply_chars_max: from.limits.reply_chars_max,
            time_ms: from.limits.time_ms,
        },
        extras: vec![],
    })
}

fn turn(from: TurnJson) -> Turn {
    Turn {
        speaker: match from.speaker.as_str() {
            "contact" => Speaker::Contact,
            "agent" => Speaker::Agent,
            "assistant" => Speaker::Assistant,
            "automation" => Speaker::Automation,
            other => Speaker::Other(other.to_owned()),
        },
        text: from.text,
        at: from.at_ms,
        attachments: from.attachments,
        extras: vec![],
    }
}

fn done(done: &Done) -> Value {
    json!({ "assisted": {
        "outcome": outcome(&done.outcome), "confidence": done.confidence, "model": done.model,
        "usage": done.usage.as_ref().map(usage),
    } })
}

fn failed(failed: &Failed) -> Value {
    json!({
        "failure": shape::failure(&failed.failure), "model": failed.model,
        "usage": failed.usage.as_ref().map(usage),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Reply(text) => json!({ "kind": "reply", "text": text }),
        Outcome::Handoff(handoff) => {
            let reason = match &handoff.reason {
                HandoffReason::PersonWanted => "person_wanted",
                HandoffReason::Unsure => "unsure",
                HandoffReason::Sensitive => "sensitive",
                HandoffReason::NotAllowed => "not_allowed",
                HandoffReason::Other(word) => word,
            };
            json!({ "kind": "handoff", "reason": reason, "note": handoff.note })
        }
        Outcome::Silence => json!({ "kind": "silence" }),
        Outcome::Insights(found) => json!({
            "kind": "insights",
            "mood": found.sentiment.map(|sentiment| match sentiment.mood {
                Mood::Negative => "negative",
                Mood::Neutral => "neutral",
                Mood::Positive => "positive",
            }),
            "score": found.sentiment.map(|sentiment| sentiment.score),
            "summary": found.summary, "language": found.language,
        }),
        Outcome::Other(extra) => json!({ "kind": "other", "key": extra.key }),
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
        "cost": usage.cost.as_ref().map(|cost| json!({ "micros": cost.micros, "currency": cost.currency })),
    })
}
