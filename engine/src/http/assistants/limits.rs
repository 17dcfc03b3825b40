//! What an assistant may do and use, as the API speaks of it: seconds instead of
//! milliseconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::problem::FieldProblem;
use crate::store::assistants::Limits;

const SECOND_MS: i64 = 1_000;
/// Highest cap and price; more would be none.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// What an assistant may do and use. What is left out is as usual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsForm {
    /// Silence of the contact before it answers, 0 to 300 seconds: a burst of messages gets one answer.
    #[schema(example = 4)]
    silence_seconds: i64,
    /// Answers in a row without a person, 1 to 1,000; with the next message a person takes over.
    answers_max: i64,
    /// How much it reads in one go, 500 to 200,000 tokens; older messages are left out.
    context_tokens_max: i64,
    /// How much it may write in one go, 16 to 8,000 tokens.
    output_tokens_max: i64,
    /// How long it may think, 1 to 120 seconds; then a person takes over.
    think_seconds_max: i64,
    /// How sure it must be of an answer, 0 to 100 percent, where it can tell; below that a person takes over.
    confidence_percent_min: i64,
    /// Tokens of a UTC day over all channels; `null`: any number.
    tokens_per_day_max: Option<i64>,
    /// Cost of a UTC day over all channels, millionths of the organisation's `currency`; `null`: any.
    cost_micros_per_day_max: Option<i64>,
    /// Price of a million tokens read, millionths of the organisation's `currency`; where the vendor tells the cost in
    /// it, that counts.
    input_price_micros: i64,
    /// Price of a million tokens written, millionths of the organisation's `currency`.
    output_price_micros: i64,
}

impl Default for LimitsForm {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Limits> for LimitsForm {
    fn from(it: Limits) -> Self {
        Self {
            silence_seconds: it.silence_ms / SECOND_MS,
            answers_max: it.answers_max,
            context_tokens_max: it.context_tokens_max,
            output_tokens_max: it.output_tokens_max,
            think_seconds_max: it.think_ms_max / SECOND_MS,
            confidence_percent_min: it.confidence_percent_min,
            tokens_per_day_max: it.tokens_per_day_max,
            cost_micros_per_day_max: it.cost_micros_per_day_max,
            input_price_micros: it.input_price_micros,
            output_price_micros: it.output_price_micros,
        }
    }
}

impl LimitsForm {
    /// As it is kept; everything that is wrong goes into `problems`.
    pub(super) fn checked(&self, problems: &mut Vec<FieldProblem>) -> Limits {
        let amount = 0..=AMOUNT_MAX;
        for (name, number, allowed) in [
            ("silence_seconds", Some(self.silence_seconds), 0..=300),
            ("answers_max", Some(self.answers_max), 1..=1_000),
            ("context_tokens_max", Some(self.context_tokens_max), 500..=200_000),
            ("output_tokens_max", Some(self.output_tokens_max), 16..=8_000),
            ("think_seconds_max", Some(self.think_seconds_max), 1..=120),
            ("confidence_percent_min", Some(self.confidence_percent_min), 0..=100),
            ("tokens_per_day_max", self.tokens_per_day_max, amount.clone()),
            ("cost_micros_per_day_max", self.cost_micros_per_day_max, amount.clone()),
            ("input_price_micros", Some(self.input_price_micros), amount.clone()),
            ("output_price_micros", Some(self.output_price_micros), amount),
        ] {
            if number.is_some_and(|number| !allowed.contains(&number)) {
                let message = format!("must be from {} to {}", allowed.start(), allowed.end());
                problems.push(FieldProblem::new(format!("/limits/{name}"), message));
            }
        }
        Limits {
            silence_ms: self.silence_seconds.saturating_mul(SECOND_MS),
            answers_max: self.answers_max,
            context_tokens_max: self.context_tokens_max,
            output_tokens_max: self.output_tokens_max,
            think_ms_max: self.think_seconds_max.saturating_mul(SECOND_MS),
            confidence_percent_min: self.confidence_percent_min,
            tokens_per_day_max: self.tokens_per_day_max,
            cost_micros_per_day_max: self.cost_micros_per_day_max,
            input_price_micros: self.input_price_micros,
            output_price_micros: self.output_price_micros,
        }
    }
}
