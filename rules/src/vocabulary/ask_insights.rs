//! `ask_insights`: asks the assistant how the contact sounds and what it is about.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "ask_insights",
    params: &[],
    required: 0,
    doc: "Asks the channel's assistant for sentiment, summary and language; they come a little later.",
    example: "ask_insights()",
    act: Act::Intent(|_| Intent::AskInsights),
};
