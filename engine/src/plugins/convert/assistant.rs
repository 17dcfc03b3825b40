//! Tasks of an assistant on their way in, and what it says on its way out. What it
//! says is text of a stranger: cut to size, freed of control characters, and never
//! anything but text, numbers and words.

use super::super::bindings::assistant::exports::pointsman::plugin::assistant as api;
use super::super::wire::{
    Abilities, AssistFailure, AssistRequest, AssistTask, Cost, Insights, KnowledgeSnippet, Mood, Speaker,
    Turn, Usage,
};
use super::{failure, instant};

/// Longest summary, characters; the rest is cut.
const SUMMARY_CHARS_MAX: usize = 2_000;
/// Longest note of a hand-over, characters; the rest is cut.
const NOTE_CHARS_MAX: usize = 500;
/// Longest name of a model, language or reason, characters.
const WORD_CHARS_MAX: usize = 100;
/// Most languages that an assistant may name; further ones are dropped.
const LANGUAGES_MAX: usize = 200;

pub(in crate::plugins) fn abilities(
    offered: Vec<api::Task>,
    languages: Vec<String>,
    offline: bool,
) -> Abilities {
    let mut tasks = Vec::new();
    for task in offered {
        let task = match task {
            api::Task::Reply => AssistTask::Reply,
            api::Task::Suggest => AssistTask::Suggest,
            api::Task::Insights => AssistTask::Insights,
            // A task of a later contract, which this host cannot ask for.
            api::Task::Other(_) => continue,
        };
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let languages = languages.into_iter().filter_map(language).take(LANGUAGES_MAX).collect();
    Abilities { tasks, languages, offline }
}

pub(in crate::plugins) fn request(from: &AssistRequest) -> api::Request {
    let about = &from.conversation;
    api::Request {
        task: match from.task {
            AssistTask::Reply => api::Task::Reply,
            AssistTask::Suggest => api::Task::Suggest,
            AssistTask::Insights => api::Task::Insights,
        },
        conversation: api::Conversation {
            channel_kind: about.channel_kind.clone(),
            language: about.language.clone(),
            instructions: about.instructions.clone(),
            knowledge: about.knowledge.iter().map(snippet).collect(),
            turns: about.turns.iter().map(turn).collect(),
            extras: Vec::new(),
        },
        limits: api::Limits {
            output_tokens_max: from.limits.output_tokens_max,
            reply_chars_max: from.limits.reply_chars_max,
            time_ms: from.limits.time_ms,
        },
        extras: Vec::new(),
    }
}

fn snippet(from: &KnowledgeSnippet) -> api::Snippet {
    api::Snippet { title: from.title.clone(), text: from.text.clone() }
}

fn turn(from: &Turn) -> api::Turn {
    api::Turn {
        speaker: match from.speaker {
            Speaker::Contact => api::Speaker::Contact,
            Speaker::Agent => api::Speaker::Agent,
            Speaker::Assistant => api::Speaker::Assistant,
            Speaker::Automation => api::Speaker::Automation,
        },
        text: from.text.clone(),
        at: instant(from.at_ms),
        attachments: from.attachments.clone(),
        extras: Vec::new(),
    }
}

pub(in crate::plugins) fn insights(from: api::Insights) -> Insights {
    let sentiment = from.sentiment.filter(|sentiment| sentiment.score.is_finite());
    Insights {
        mood: sentiment.map(|sentiment| match sentiment.mood {
            api::Mood::Negative => Mood::Negative,
            api::Mood::Neutral => Mood::Neutral,
            api::Mood::Positive => Mood::Positive,
        }),
        score: sentiment.map(|sentiment| sentiment.score.clamp(-1.0, 1.0)),
        summary: from.summary.map(|text| plain(&text, SUMMARY_CHARS_MAX)).filter(|text| !text.is_empty()),
        language: from.language.and_then(language),
    }
}

/// Reason and note of a hand-over.
pub(in crate::plugins) fn handoff(from: api::Handoff) -> (String, String) {
    let reason = match from.reason {
        api::HandoffReason::PersonWanted => "person_wanted".to_owned(),
        api::HandoffReason::Unsure => "unsure".to_owned(),
        api::HandoffReason::Sensitive => "sensitive".to_owned(),
        api::HandoffReason::NotAllowed => "not_allowed".to_owned(),
        api::HandoffReason::Other(word) if is_word(&word) => word,
        api::HandoffReason::Other(_) => "other".to_owned(),
    };
    (reason, plain(&from.note, NOTE_CHARS_MAX))
}

pub(in crate::plugins) fn confidence(from: Option<f64>) -> Option<f64> {
    from.filter(|value| value.is_finite()).map(|value| value.clamp(0.0, 1.0))
}

pub(in crate::plugins) fn model(from: Option<String>) -> Option<String> {
    from.map(|name| plain(&name, WORD_CHARS_MAX)).filter(|name| !name.is_empty())
}

pub(in crate::plugins) fn usage(from: Option<api::Usage>) -> Option<Usage> {
    let is_currency = |code: &str| code.len() == 3 && code.bytes().all(|c| c.is_ascii_uppercase());
    from.map(|usage| Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cost: usage.cost.filter(|cost| is_currency(&cost.currency)).map(|cost| Cost {
            micros: i64::try_from(cost.micros).unwrap_or(i64::MAX),
            currency: cost.currency,
        }),
    })
}

pub(in crate::plugins) fn assist_failure(from: api::Failed) -> AssistFailure {
    AssistFailure { failure: failure(from.failure), model: model(from.model), usage: usage(from.usage) }
}

/// Text as people may see it: no control characters but line breaks and tabs, no blanks around, not too long.
pub(in crate::plugins) fn plain(text: &str, chars_max: usize) -> String {
    let shown = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    shown.take(chars_max).collect::<String>().trim().to_owned()
}

fn language(tag: String) -> Option<String> {
    let parts = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_alphanumeric());
    (tag.len() <= WORD_CHARS_MAX && tag.split('-').all(parts)).then_some(tag)
}

fn is_word(text: &str) -> bool {
    let letters = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    (1..=WORD_CHARS_MAX).contains(&text.len()) && text.bytes().all(letters)
}
