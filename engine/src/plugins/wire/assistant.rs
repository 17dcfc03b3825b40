//! What is asked of an assistant and what it says, in our words. Names of people
//! and ids of conversations have no place here.

use serde::{Deserialize, Serialize};

/// What an assistant is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssistTask {
    /// Answer the contact.
    Reply,
    /// A draft for an agent.
    Suggest,
    /// Sentiment, summary, language.
    Insights,
}

impl AssistTask {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Suggest => "suggest",
            Self::Insights => "insights",
        }
    }
}

/// What an assistant can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// At least one.
    pub tasks: Vec<AssistTask>,
    /// BCP 47; empty: it does not depend on the language.
    pub languages: Vec<String>,
    /// It can call nobody: what it reads stays on this server. Found out by the host, not claimed.
    pub offline: bool,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssistRequest {
    /// What to do.
    pub task: AssistTask,
    /// About what.
    pub conversation: AssistConversation,
    /// Within what.
    pub limits: AssistLimits,
}

/// As much of one conversation as the assistant may read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssistConversation {
    /// `whatsapp`, `sms`, …
    pub channel_kind: String,
    /// BCP 47.
    pub language: Option<String>,
    /// From the admins.
    #[serde(default)]
    pub instructions: String,
    /// From the admins: what may be told to contacts.
    #[serde(default)]
    pub knowledge: Vec<KnowledgeSnippet>,
    /// Oldest first.
    pub turns: Vec<Turn>,
}

/// A piece of what the tenant knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeSnippet {
    /// What it is about.
    pub title: String,
    /// What may be told.
    pub text: String,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who spoke.
    pub speaker: Speaker,
    /// What was said; may be empty beside attachments.
    pub text: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub at_ms: i64,
    /// `image`, `location`, …
    #[serde(default)]
    pub attachments: Vec<String>,
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person outside.
    Contact,
    /// A person inside.
    Agent,
    /// An assistant.
    Assistant,
    /// A rule or the system.
    Automation,
}

/// What one task may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssistLimits {
    /// What the model may write, tokens.
    pub output_tokens_max: u32,
    /// Longest reply that the channel takes, characters.
    pub reply_chars_max: u32,
    /// Time for the whole task, milliseconds; then it has failed.
    pub time_ms: u32,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assisted {
    /// The result.
    pub outcome: AssistOutcome,
    /// From 0.0 to 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// As the vendor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The result of a task, checked: it fits the task and is within its limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AssistOutcome {
    /// Text for the contact or, of `suggest`, the draft; never empty.
    Reply {
        /// Plain text.
        text: String,
    },
    /// A person should take over.
    Handoff {
        /// `person_wanted`, `unsure`, `sensitive`, `not_allowed` or a plugin's own word.
        reason: String,
        /// One sentence for the agents; may be empty.
        note: String,
    },
    /// Nothing needs to be said.
    Silence,
    /// What it thinks of the conversation.
    Insights(Insights),
}

/// What an assistant thinks of a conversation; what it cannot tell is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insights {
    /// How the contact feels.
    pub mood: Option<Mood>,
    /// From -1.0 (negative) to 1.0 (positive).
    pub score: Option<f64>,
    /// Plain text.
    pub summary: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
}

/// How the contact feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// Annoyed, worried.
    Negative,
    /// Neither.
    Neutral,
    /// Pleased.
    Positive,
}

/// What a task took, as the vendor states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u32,
    /// Tokens written.
    pub output_tokens: u32,
    /// Money, where the vendor tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Millionths of the currency.
    pub micros: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Why nothing came of a task; it may have cost all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssistFailure {
    /// The reason.
    pub failure: super::Failure,
    /// As the vendor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl From<super::Failure> for AssistFailure {
    fn from(failure: super::Failure) -> Self {
        Self { failure, model: None, usage: None }
    }
}
