//! Assistants: who may be asked about which channel, what is asked, and what came
//! of it. The model is asked outside of any turn; what it says goes through the
//! conversation's lane as a command, and only the turn decides what becomes of it.

pub mod ask;
pub mod bill;
mod budget;
mod context;
pub mod run;

use pointsman_rules::ids::AssistantId;
use serde::{Deserialize, Serialize};

use crate::store::assistants::Limits;
use crate::store::channel_assistants::Consent;

/// What an assistant does on a channel, as turns need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Which.
    pub assistant: AssistantId,
    /// Does it answer contacts?
    pub replies: bool,
    /// Does it judge and sum up every chat that ends?
    pub insights_at_end: bool,
    /// Silence of the contact before it answers, milliseconds.
    pub silence_ms: i64,
    /// Answers in a row without a person.
    pub answers_max: i64,
}

impl Duty {
    /// From what is kept.
    pub fn new(consent: &Consent, limits: &Limits) -> Self {
        Self {
            assistant: consent.assistant,
            replies: consent.replies,
            insights_at_end: consent.insights_at_end,
            silence_ms: limits.silence_ms,
            answers_max: limits.answers_max,
        }
    }
}

/// What it took to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Who was asked; `None`: nobody could be.
    pub assistant: Option<AssistantId>,
    /// What answered, as the vendor calls it.
    pub model: Option<String>,
    /// Milliseconds.
    pub took_ms: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
}

/// What an assistant has to say to a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A text.
    Reply {
        /// Never empty.
        text: String,
    },
    /// A person should take over.
    HandOver {
        /// One sentence.
        reason: String,
    },
    /// Nothing needs to be said.
    Silence,
    /// It could not answer; a person takes over.
    Failed {
        /// One sentence.
        reason: String,
    },
}

/// What an assistant thinks of a conversation; what it cannot tell is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// `negative`, `neutral` or `positive`.
    pub sentiment: Option<String>,
    /// From -1 (negative) to 1.
    pub score: Option<f64>,
    /// What it is about.
    pub summary: Option<String>,
    /// BCP 47, of what the contact writes.
    pub language: Option<String>,
}
