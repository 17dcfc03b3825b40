//! What the model is told. The system message holds our rules and what the admins
//! wrote; the user message is one JSON object with what others wrote, so that no
//! text in it can pass for anything but data: JSON has no way out of a string.
//! One system and one user message, because some servers' chat templates take no
//! more.

use pointsman_plugin::Context;
use pointsman_plugin::assistant::{Conversation, Request, Speaker, Task, Turn};
use serde_json::{Value, json};

const REPLY: &str = include_str!("../prompts/reply.txt");
const SUGGEST: &str = include_str!("../prompts/suggest.txt");
const INSIGHTS: &str = include_str!("../prompts/insights.txt");

/// The messages of the request.
pub(crate) fn messages(context: &Context, request: &Request) -> Value {
    let about = &request.conversation;
    let mut data = json!({ "channel": about.channel_kind });
    if let Some(language) = &about.language {
        data["language"] = language.as_str().into();
    }
    let rules = match request.task {
        Task::Insights => {
            data["summary_language"] = context.locale.as_str().into();
            INSIGHTS.trim_end().to_owned()
        }
        Task::Suggest => with_business(SUGGEST, about),
        Task::Reply | Task::Other(_) => with_business(REPLY, about),
    };
    if request.task != Task::Insights {
        data["reply_chars_max"] = request.limits.reply_chars_max.into();
    }
    data["conversation"] = about.turns.iter().map(turn).collect();
    json!([
        { "role": "system", "content": rules },
        { "role": "user", "content": data.to_string() },
    ])
}

/// The rules, and below them what the admins wrote. Insights need none of it.
fn with_business(rules: &str, about: &Conversation) -> String {
    let mut text = rules.trim_end().to_owned();
    if !about.instructions.trim().is_empty() {
        text += "\n\n# Instructions of the business\n";
        text += about.instructions.trim();
    }
    if !about.knowledge.is_empty() {
        text += "\n\n# What may be told to customers";
        for snippet in &about.knowledge {
            text += &format!("\n\n## {}\n{}", snippet.title.trim(), snippet.text.trim());
        }
    }
    text
}

fn turn(turn: &Turn) -> Value {
    let from = match &turn.speaker {
        Speaker::Contact => "contact",
        Speaker::Agent => "agent",
        Speaker::Assistant => "assistant",
        Speaker::Automation | Speaker::Other(_) => "automation",
    };
    let mut said = json!({ "from": from, "text": turn.text });
    if !turn.attachments.is_empty() {
        said["attachments"] = json!(turn.attachments);
    }
    said
}
