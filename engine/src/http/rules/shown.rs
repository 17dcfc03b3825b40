//! A rule's run as the API shows it, with a sentence for people who ask why.

use pointsman_rules::decide::{RuleRun, RunOutcome, SkipReason};
use pointsman_rules::ids::EffectId;
use pointsman_rules::lines::LineTrace;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What one rule made of one event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RunShown {
    /// `rul_…`.
    pub(super) rule: String,
    /// `rvs_…`; `null`: it did not look at the event, or a text was tried that was never published.
    pub(super) version: Option<String>,
    /// Its name at the time.
    pub(super) name: String,
    /// `matched`, `not_matched`, `skipped`, `failed`; or why it did not look: `not_subscribed`, `off`, `parked`,
    /// `not_published`, `not_yet`, `unknown`.
    pub(super) outcome: &'static str,
    /// Why it was skipped: `channel`, `filter`, `reply_taken`, `stopped`, `caused_by_rule`, `already_in_chain`,
    /// `chain_too_deep`, `quota`.
    pub(super) reason: Option<String>,
    /// The same for people.
    pub(super) sentence: String,
    /// What it asked for.
    pub(super) intents: Vec<IntentShown>,
    /// Where and why it failed.
    #[schema(value_type = Option<Object>)]
    pub(super) problem: Option<Value>,
    /// Operations of the script engine.
    pub(super) operations: u64,
    /// How long it took, microseconds.
    pub(super) micros: u64,
    /// Which lines ran and what every condition read; when asked for.
    #[schema(value_type = Option<Object>)]
    pub(super) lines: Option<LineTrace>,
}

/// Something a rule asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IntentShown {
    /// The line that asked.
    line: u32,
    /// As a rule writes it.
    call: String,
    /// The same as JSON.
    #[schema(value_type = Object)]
    intent: Value,
    /// Why it was refused.
    refused: Option<RefusalShown>,
    /// A later intent replaced it.
    replaced: Option<ReplacedShown>,
    /// What left because of it.
    pub(super) effect: Option<EffectShown>,
}

/// Why an intent was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RefusalShown {
    /// Stable word.
    code: String,
    /// One sentence.
    reason: String,
}

/// What replaced an intent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ReplacedShown {
    /// By which rule.
    rule: String,
    /// By which of its lines.
    line: u32,
}

/// What became of something that left.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EffectShown {
    /// `eff_…`.
    #[schema(value_type = String)]
    pub(super) id: EffectId,
    /// `queued`, `sending`, `done`, `failed`, `unknown`, `cancelled`; `null`: it is too long ago.
    pub(super) state: Option<&'static str>,
    /// Calls of the vendor.
    pub(super) attempts: i64,
    /// The message.
    pub(super) message: Option<String>,
    /// Its delivery status.
    pub(super) status: Option<String>,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    pub(super) failure: Option<Value>,
}

/// A kept or fresh run.
pub(super) fn run(run: &RuleRun) -> RunShown {
    let intents = run.intents.iter().map(|(line, intent)| {
        let is_this =
            |other_line: u32, other: &pointsman_rules::intent::Intent| other_line == *line && other == intent;
        let refusal = run.refusals.iter().find(|it| is_this(it.line, &it.intent));
        let replaced = run.overridden.iter().find(|it| is_this(it.line, &it.intent));
        IntentShown {
            line: *line,
            call: intent.as_call(),
            intent: serde_json::to_value(intent).unwrap_or_default(),
            refused: refusal.map(|it| RefusalShown { code: it.code.clone(), reason: it.reason.clone() }),
            replaced: replaced.map(|it| ReplacedShown { rule: it.by.to_string(), line: it.by_line }),
            effect: None,
        }
    });
    let (outcome, reason, problem) = match &run.outcome {
        RunOutcome::Matched => ("matched", None, None),
        RunOutcome::NotMatched => ("not_matched", None, None),
        RunOutcome::Skipped { reason } => ("skipped", word(*reason), None),
        RunOutcome::Failed { problem } => ("failed", None, serde_json::to_value(problem).ok()),
    };
    RunShown {
        rule: run.rule.to_string(),
        version: Some(run.version.to_string()),
        name: run.name.clone(),
        outcome,
        reason,
        sentence: sentence(run),
        intents: intents.collect(),
        problem,
        operations: run.ops,
        micros: run.micros,
        lines: None,
    }
}

/// A rule that did not look at the event.
pub(super) fn absent(rule: String, name: String, (outcome, sentence): (&'static str, String)) -> RunShown {
    let (version, reason, problem, lines) = (None, None, None, None);
    RunShown {
        rule,
        version,
        name,
        outcome,
        reason,
        sentence,
        intents: Vec::new(),
        problem,
        operations: 0,
        micros: 0,
        lines,
    }
}

fn word(reason: SkipReason) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}

fn sentence(run: &RuleRun) -> String {
    match &run.outcome {
        RunOutcome::Matched => matched(run),
        RunOutcome::NotMatched => {
            "It ran to its end and asked for nothing: none of its conditions led to an intent.".to_owned()
        }
        RunOutcome::Failed { problem } => format!("It failed, so nothing of it was done: {problem}."),
        RunOutcome::Skipped { reason } => skipped(*reason).to_owned(),
    }
}

fn matched(run: &RuleRun) -> String {
    let asked = run.intents.len();
    let things = |count: usize| if count == 1 { "one thing".to_owned() } else { format!("{count} things") };
    let mut text = format!("It asked for {}", things(asked));
    match run.refusals.as_slice() {
        [] => {}
        [one] if asked == 1 => text.push_str(&format!(", which was refused: {}", one.reason)),
        [first, ..] => {
            let count = run.refusals.len();
            text.push_str(&format!("; {count} of them refused, the first because {}", first.reason));
        }
    }
    if !run.overridden.is_empty() {
        text.push_str(&format!("; {} replaced by what came later", run.overridden.len()));
    }
    text.push('.');
    text
}

/// What a skipped rule can be made to do is said with the reason.
fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Channel => "The event happened on a channel that `channels` in its header does not name.",
        SkipReason::Filter => "The conversation is not one that `where` in its header looks at.",
        SkipReason::ReplyTaken => {
            "An earlier rule of the stage `reply` already answered. Give this one a lower `position` if it must come \
             first, or `stage: background` if it does not talk to the customer."
        }
        SkipReason::Stopped => {
            "An earlier rule said `stop_rules()`. Give this one a lower `position` if it must run."
        }
        SkipReason::CausedByRule => {
            "A rule caused the event, and this one does not run on what rules cause. Write `chain: true` in its \
             header if it must."
        }
        SkipReason::AlreadyInChain => {
            "It is itself among the causes of the event; a rule never starts itself again."
        }
        SkipReason::ChainTooDeep => {
            "Too many rules led to this event, one after the other; the chain was cut."
        }
        SkipReason::Quota => {
            "It was started for this contact as often as the quota allows and is parked until that has calmed down."
        }
    }
}
