//! The words of the rule language, one file each: what it is called, what it
//! takes, what it does. Registration, checking and documentation all read the
//! same record; a word does nothing but describe an intent or answer a question.

mod args;
mod kind;
mod register;

use std::fmt;

use rhai::{Dynamic, EvalAltResult, Position};

use crate::facts::Directory;
use crate::intent::Intent;
use crate::names::Thing;
use crate::view::{Shape, Snapshot};

pub(crate) use args::Args;
pub use kind::{BUTTONS_MAX, Kind, LABELS_MAX, LEVEL_MAX, NAME_CHARS_MAX, POLICIES};
pub(crate) use register::{FORBIDDEN, about, constants, register};

/// Declares the files of the folder and collects their words.
macro_rules! words {
    ($($file:ident),* $(,)?) => {
        $(mod $file;)*
        /// All of them; see [`words()`].
        pub(crate) static WORDS: &[&Word] = &[$(&$file::WORD),*];
    };
}

words! {
    route_to_group, assign_agent, assign_by_policy, end_chat, set_status, archive, reopen, snooze,
    set_priority, add_labels, remove_labels, set_attribute, add_note, escalate, set_ai, ask_insights,
    send_message, send_template, send_message_or_template, notify, call_webhook,
    start_timer, cancel_timer, opt_out, block_contact, run_rule, stop_rules,
    contains, contains_any, contains_all, has_word, starts_with, ends_with, matches,
    agents, agent, calendar,
}

/// One word of the language.
pub struct Word {
    /// As scripts write it.
    pub name: &'static str,
    /// What it takes, in order. A text helper's first one stands before the dot.
    pub params: &'static [Param],
    /// How many of `params` must be given.
    pub required: usize,
    /// One sentence.
    pub doc: &'static str,
    /// One line that works.
    pub example: &'static str,
    act: Act,
}

/// One thing that a word takes.
pub struct Param {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
}

const fn param(name: &'static str, kind: Kind) -> Param {
    Param { name, kind }
}

/// What a word does; its arguments have been checked.
enum Act {
    /// Asks for something.
    Intent(fn(&Args) -> Intent),
    /// Compares the folded text before the dot.
    Text(fn(&str, &Args) -> bool),
    /// Looks something up; `fields` are those of the answer.
    Fact { fields: &'static [AnswerField], get: fn(&Snapshot, &Args) -> Result<Dynamic, Wrong> },
}

/// A field of what a look-up answers.
pub struct AnswerField {
    /// As scripts write it.
    pub name: &'static str,
    /// What it holds; may also be missing.
    pub shape: Shape,
    /// One sentence.
    pub doc: &'static str,
}

const fn field(name: &'static str, shape: Shape, doc: &'static str) -> AnswerField {
    AnswerField { name, shape, doc }
}

impl Word {
    /// `intent`, `text` or `fact`.
    pub fn family(&self) -> &'static str {
        match self.act {
            Act::Intent(_) => "intent",
            Act::Text(_) => "text",
            Act::Fact { .. } => "fact",
        }
    }

    /// The fields of what it answers, when it answers with fields.
    pub fn fields(&self) -> &'static [AnswerField] {
        match self.act {
            Act::Fact { fields, .. } => fields,
            Act::Intent(_) | Act::Text(_) => &[],
        }
    }

    /// E.g. `set_ai(on: true or false, for?: duration, reason?: text)`.
    pub fn signature(&self) -> String {
        let show = |(index, p): (usize, &Param)| {
            let mark = if index < self.required { "" } else { "?" };
            format!("{}{mark}: {}", p.name, p.kind.word())
        };
        let mut params = self.params.iter().enumerate();
        match self.act {
            Act::Text(_) => {
                let subject = params.next().map_or("text", |(_, p)| p.name);
                format!("{subject}.{}({})", self.name, params.map(show).collect::<Vec<_>>().join(", "))
            }
            Act::Intent(_) | Act::Fact { .. } => {
                format!("{}({})", self.name, params.map(show).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every word, in the order of the documentation.
pub fn words() -> &'static [&'static Word] {
    WORDS
}

/// The word with this name.
pub fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|w| w.name == name).copied()
}

/// Why an argument cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl From<Wrong> for Box<EvalAltResult> {
    /// The engine adds the place of the call.
    fn from(wrong: Wrong) -> Self {
        EvalAltResult::ErrorRuntime(Dynamic::from(wrong), Position::NONE).into()
    }
}

impl Wrong {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The error of a look-up whose name does not exist.
fn no_such(thing: Thing, name: &str, directory: &Directory) -> Wrong {
    match thing.missing(name, directory) {
        Some(missing) => Wrong::new(missing.code, missing.message).hint(missing.hint),
        None => Wrong::new(thing.code(), format!("`{name}` cannot be read")),
    }
}

/// The fields of a look-up's answer.
fn answer<const N: usize>(fields: [(&'static str, Dynamic); N]) -> Dynamic {
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<rhai::Map>().into()
}
