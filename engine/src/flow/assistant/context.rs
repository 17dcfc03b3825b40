//! What an assistant reads of one conversation, within a budget of tokens. Pure.
//! Nothing of other conversations, no notes, no names, numbers or ids of people
//! comes in here.

use std::collections::HashSet;

use pointsman_rules::facts::{Direction, SenderKind};

use crate::flow::content::Content;
use crate::plugins::{KnowledgeSnippet, Speaker, Turn};
use crate::store::knowledge::Snippet;
use crate::store::messages::Message;

/// Bytes of text per token, on the safe side: English has about four, other scripts fewer.
const BYTES_PER_TOKEN: usize = 3;
/// What a turn costs besides its text, tokens.
const TURN_TOKENS: usize = 4;
/// The part of the budget that knowledge may take: one in so many.
const KNOWLEDGE_SHARE: usize = 3;
/// Shorter words say nothing about what a text is about.
const WORD_CHARS_MIN: usize = 3;

/// About how many tokens a text has.
pub(super) fn tokens(text: &str) -> usize {
    text.len().div_ceil(BYTES_PER_TOKEN)
}

/// What is read, and about how many tokens that is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) turns: Vec<Turn>,
    pub(super) knowledge: Vec<KnowledgeSnippet>,
    pub(super) tokens: usize,
}

/// The end of a thread and the knowledge that fits it best. `messages`: the newest first. The last message is always
/// among them, cut when it alone is more than the budget.
pub(super) fn reading(
    messages: &[Message],
    knowledge: &[Snippet],
    instructions: &str,
    budget: usize,
) -> Reading {
    let mut left = budget.saturating_sub(tokens(instructions));
    let all: Vec<Turn> = messages.iter().filter_map(turn).collect();
    let knowledge = known(&all, knowledge, left / KNOWLEDGE_SHARE);
    left -= knowledge.iter().map(cost_of).sum::<usize>();
    let mut turns = Vec::new();
    for (index, mut turn) in all.into_iter().enumerate() {
        let cost = tokens(&turn.text) + TURN_TOKENS;
        if cost > left && index > 0 {
            break;
        }
        if cost > left {
            turn.text = beginning(&turn.text, left.saturating_sub(TURN_TOKENS) * BYTES_PER_TOKEN).to_owned();
        }
        left = left.saturating_sub(cost);
        turns.push(turn);
    }
    turns.reverse();
    Reading { turns, knowledge, tokens: budget - left }
}

/// A message as a turn; `None`: it is not for assistants, or says nothing.
fn turn(message: &Message) -> Option<Turn> {
    let speaker = match (message.direction, message.sender) {
        (Direction::Internal, _) => return None,
        (Direction::Inbound, _) => Speaker::Contact,
        (Direction::Outbound, SenderKind::Assistant) => Speaker::Assistant,
        (Direction::Outbound, SenderKind::Rule | SenderKind::System) => Speaker::Automation,
        (Direction::Outbound, _) => Speaker::Agent,
    };
    // What failed was never read by anybody.
    if message.status.as_deref() == Some("failed") {
        return None;
    }
    let content: Content = serde_json::from_str(&message.content).ok()?;
    let attachments = match &content {
        Content::Media { items } | Content::Linked { items, .. } => {
            items.iter().map(|item| item.family.clone()).collect()
        }
        Content::Location { .. } => vec!["location".to_owned()],
        Content::Cards { .. } => vec!["contact card".to_owned()],
        Content::Template { name, text: None, .. } => vec![format!("template {name}")],
        Content::Unsupported { .. } => vec!["something that cannot be shown".to_owned()],
        Content::Reaction { .. } | Content::Deleted { .. } => return None,
        _ => Vec::new(),
    };
    let text = match &content {
        Content::Template { text, .. } => text.as_deref(),
        _ => content.text(),
    };
    let text = text.unwrap_or_default().to_owned();
    let says_something = !text.trim().is_empty() || !attachments.is_empty();
    says_something.then_some(Turn { speaker, text, at_ms: message.at_ms, attachments })
}

fn cost_of(it: &KnowledgeSnippet) -> usize {
    tokens(&it.title) + tokens(&it.text) + TURN_TOKENS
}

/// The texts that share most words with what contacts said, as many as fit; of equal ones the older.
fn known(turns: &[Turn], knowledge: &[Snippet], mut left: usize) -> Vec<KnowledgeSnippet> {
    let said: HashSet<String> =
        turns.iter().filter(|it| it.speaker == Speaker::Contact).flat_map(|it| words(&it.text)).collect();
    let shared = |it: &&Snippet| {
        let own: HashSet<String> = words(&it.title).chain(words(&it.body)).collect();
        std::cmp::Reverse(own.intersection(&said).count())
    };
    let mut ranked: Vec<&Snippet> = knowledge.iter().collect();
    ranked.sort_by_cached_key(shared);
    let mut out = Vec::new();
    for it in ranked {
        let snippet = KnowledgeSnippet { title: it.title.clone(), text: it.body.clone() };
        let cost = cost_of(&snippet);
        if cost <= left {
            left -= cost;
            out.push(snippet);
        }
    }
    out
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|word| word.chars().count() >= WORD_CHARS_MIN).map(str::to_lowercase)
}

/// At most so many bytes, whole characters.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
