//! What it says when it is asked to reply: nothing where nothing needs an answer, and
//! otherwise that a person should. It never writes a text.

use pointsman_plugin::assistant::{Conversation, HandoffReason, Outcome, Speaker, Turn};

use crate::words;

const PERSON: &str = include_str!("../data/person.txt");
const THANKS: &str = include_str!("../data/thanks.txt");
/// Longer messages hold more than thanks, words.
const THANKS_WORDS_MAX: usize = 6;

pub(crate) fn outcome(about: &Conversation) -> Outcome {
    let open: Vec<&Turn> = about
        .turns
        .iter()
        .rev()
        .take_while(|turn| turn.speaker == Speaker::Contact || turn.speaker == Speaker::Automation)
        .filter(|turn| turn.speaker == Speaker::Contact)
        .collect();
    let texts: Vec<Vec<String>> = open.iter().map(|turn| words::of(&turn.text)).collect();
    if texts.iter().any(|text| words::lines(PERSON).any(|phrase| words::holds(text, phrase))) {
        return Outcome::handoff(HandoffReason::PersonWanted, "The contact asks for a person.");
    }
    let answered = about.turns.iter().any(|turn| turn.speaker == Speaker::Agent);
    if open.iter().zip(&texts).all(|(turn, text)| is_thanks(turn, text, answered)) {
        return Outcome::Silence;
    }
    Outcome::handoff(HandoffReason::Unsure, "This assistant works with word lists and writes no answers.")
}

/// Thanks after an answer end a chat; before one they may be the start of it.
fn is_thanks(turn: &Turn, words: &[String], answered: bool) -> bool {
    let is_plain = turn.attachments.is_empty() && !turn.text.contains('?');
    is_plain
        && answered
        && words.len() <= THANKS_WORDS_MAX
        && (words::lines(THANKS).any(|phrase| words::holds(words, phrase)) || is_only_emoji(turn, words))
}

fn is_only_emoji(turn: &Turn, words: &[String]) -> bool {
    words.is_empty() && !turn.text.trim().is_empty()
}
