//! The request's body, and how it changes for servers that know less than OpenAI's:
//! they say which member they do not take, and get the question again without it.

use pointsman_plugin::assistant::Task;
use serde_json::{Value, json};

use crate::settings::{FORMS, Settings};

/// How a question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Place in [`FORMS`].
    form: usize,
    new_token_field: bool,
    effort: bool,
}

impl Shape {
    pub(crate) fn of(settings: &Settings) -> Self {
        let form = FORMS.iter().position(|form| *form == settings.answer_form()).unwrap_or(0);
        Self { form, new_token_field: settings.is_new_token_field(), effort: true }
    }

    /// What to try after this refusal: `None` when another shape would not help.
    pub(crate) fn after(self, refusal: &str) -> Option<Self> {
        let last = FORMS.len() - 1;
        let about = |word: &str| refusal.contains(word);
        if self.form < last && (about("response_format") || about("json_schema")) {
            // A server without schemas seldom has the other either: one question more is enough.
            return Some(Self { form: last, ..self });
        }
        if about("max_tokens") || about("max_completion_tokens") {
            return Some(Self { new_token_field: !self.new_token_field, ..self });
        }
        if self.effort && about("reasoning_effort") {
            return Some(Self { effort: false, ..self });
        }
        None
    }

    /// The body of the request.
    pub(crate) fn body(self, settings: &Settings, task: &Task, tokens_max: u32, messages: &Value) -> Value {
        let mut body = json!({ "messages": messages });
        // In Azure's older form the path names the deployment.
        if settings.azure_api_version().is_none() {
            body["model"] = settings.model().into();
        }
        let tokens = if self.new_token_field { "max_completion_tokens" } else { "max_tokens" };
        body[tokens] = tokens_max.into();
        match FORMS[self.form] {
            "json_schema" => {
                let format = json!({ "name": "answer", "strict": true, "schema": schema(task) });
                body["response_format"] = json!({ "type": "json_schema", "json_schema": format });
            }
            "json_object" => body["response_format"] = json!({ "type": "json_object" }),
            _ => {}
        }
        if let Some(effort) = settings.reasoning_effort().filter(|_| self.effort) {
            body["reasoning_effort"] = effort.into();
        }
        if settings.is_openai() {
            body["store"] = false.into();
        }
        body
    }
}

/// What an answer looks like. Strict schemas want every member required and no others.
fn schema(task: &Task) -> Value {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "number" });
    let words = |all: &[&str]| json!({ "type": "string", "enum": all });
    let (properties, required) = match task {
        Task::Insights => (
            json!({
                "sentiment": words(&["negative", "neutral", "positive"]),
                "score": number, "summary": text, "language": text,
            }),
            json!(["sentiment", "score", "summary", "language"]),
        ),
        Task::Reply | Task::Suggest | Task::Other(_) => (
            json!({
                "action": words(&["reply", "handoff", "silence"]),
                "text": text,
                "reason": words(&["person_wanted", "unsure", "sensitive", "not_allowed", "none"]),
                "note": text, "confidence": number,
            }),
            json!(["action", "text", "reason", "note", "confidence"]),
        ),
    };
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
