//! Offline assistant: sentiment, language and an extractive summary, counted from
//! word lists. It understands nothing: it counts words that tend to please or annoy
//! and picks sentences that hold the words of the conversation. It calls nobody,
//! and never writes to a contact.

#![allow(
    clippy::result_large_err,
    reason = "the contract's failure is a record, passed by value once per call"
)]

mod english;
mod language;
mod reply;
mod sentiment;
mod spanish;
mod summary;
mod words;

use pointsman_plugin::assistant::{
    Conversation, Done, Failed, Insights, Manifest, Outcome, Request, Speaker, Task,
};
use pointsman_plugin::{Assistant, Context, Failure, Http, export};

/// The name under which its results are kept.
const MODEL: &str = concat!("lexicon-", env!("CARGO_PKG_VERSION"));

/// The assistant.
pub struct Lexicon;

export!(assistant Lexicon);

impl Assistant for Lexicon {
    fn describe() -> Manifest {
        Manifest {
            publisher: "Pointsman".into(),
            license: Some("Apache-2.0 AND MIT".into()),
            languages: vec!["en".into(), "es".into()],
            ..Manifest::new(
                "lexicon",
                "Word lists (offline)",
                env!("CARGO_PKG_VERSION"),
                vec![Task::Reply, Task::Insights],
            )
        }
    }

    async fn assist(context: &Context, request: Request, _: &Http) -> Result<Done, Failed> {
        let about = &request.conversation;
        let outcome = match request.task {
            Task::Reply => reply::outcome(about),
            Task::Insights => Outcome::Insights(insights(context, about)),
            Task::Suggest | Task::Other(_) => {
                let said = "word lists write no texts; take another assistant for that";
                return Err(Failure::unsupported(said).into());
            }
        };
        Ok(Done { model: Some(MODEL.into()), ..Done::new(outcome) })
    }
}

fn insights(context: &Context, about: &Conversation) -> Insights {
    let said = by_contact(about);
    let language = language::of(&said, about.language.as_deref());
    Insights {
        sentiment: language.as_deref().and_then(|language| sentiment::of(&said, language)),
        summary: summary::of(about, &context.locale),
        language,
        extras: vec![],
    }
}

/// What the contact wrote, oldest first.
fn by_contact(about: &Conversation) -> Vec<&str> {
    let by_contact = about.turns.iter().filter(|turn| turn.speaker == Speaker::Contact);
    by_contact.map(|turn| turn.text.trim()).filter(|text| !text.is_empty()).collect()
}
