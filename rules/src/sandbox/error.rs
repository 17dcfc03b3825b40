//! The engine's errors in the words of rule authors.

use rhai::{EvalAltResult, ParseError, ParseErrorType, Position};

use super::{CALL_LEVELS_MAX, ENTRIES_MAX, OPERATIONS_MAX, RUN_MS_MAX, STRING_BYTES_MAX, names};
use crate::problem::{Problem, nearest};
use crate::vocabulary::{FORBIDDEN, Wrong};

/// What most often is the matter where the text cannot be read on.
const SYNTAX_HINT: &str = "is a bracket, a quote, a comma or a `;` missing, here or just before?";

/// Line and column of a place; 0 when it has none.
pub(crate) fn place(position: Position) -> (u32, u32) {
    let small = |n: Option<usize>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    (small(position.line()), small(position.position()))
}

/// A failed run. The place is the innermost one, where it happened.
pub(super) fn problem(error: &EvalAltResult) -> Problem {
    let mut inner = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, cause, _) = inner {
        inner = cause;
    }
    let position = if inner.position().is_none() { error.position() } else { inner.position() };
    let (line, column) = place(position);
    let new = |code, message: String| Problem::new(line, column, code, message);
    match inner {
        EvalAltResult::ErrorTooManyOperations(_) => {
            new("too_many_operations", format!("the rule did more than {OPERATIONS_MAX} operations"))
                .with_hint("is there a loop that does not end?")
        }
        EvalAltResult::ErrorTerminated(..) => {
            new("too_slow", format!("the rule ran longer than {RUN_MS_MAX} ms"))
                .with_hint("do less work per event")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            new("too_deep", format!("functions call each other more than {CALL_LEVELS_MAX} levels deep"))
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            let message = format!("{} grew too large", what.to_lowercase());
            new("too_large", message).with_hint(format!(
                "texts hold {STRING_BYTES_MAX} bytes, lists and maps {ENTRIES_MAX} entries"
            ))
        }
        EvalAltResult::ErrorRuntime(value, _) => match value.read_lock::<Wrong>() {
            Some(wrong) => {
                let problem = new(wrong.code, wrong.message.clone());
                Problem { hint: wrong.hint.clone(), ..problem }
            }
            None => new("thrown", value.to_string()),
        },
        EvalAltResult::ErrorFunctionNotFound(call, _) => {
            let name = call.split([' ', '(']).next().unwrap_or(call);
            match FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
                Some((_, why)) => {
                    new("forbidden", format!("`{name}` is not available in rules")).with_hint(*why)
                }
                None => new("wrong_arguments", format!("there is no `{call}`"))
                    .with_hint("is one of the values missing? A missing value is `()`"),
            }
        }
        EvalAltResult::ErrorDotExpr(message, _) if message.contains("'()'") => {
            new("missing_value", "the value before the dot is missing".to_owned())
                .with_hint("write `?.` to get `()` instead")
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            new("unknown_field", format!("there is no field `{name}`"))
        }
        other => new("failed", sentence(&other.to_string())),
    }
}

/// A text that is not a script.
pub(crate) fn syntax(error: &ParseError) -> Problem {
    let (line, column) = place(error.position());
    let new = |code, message: String| Problem::new(line, column, code, message);
    match error.err_type() {
        ParseErrorType::VariableUndefined(name) => {
            let problem = new("unknown_variable", format!("`{name}` is not known"));
            match nearest(name, names()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint("declare it with `let`, or write it in quotes if it is text"),
            }
        }
        ParseErrorType::Reserved(word)
        | ParseErrorType::BadInput(rhai::LexError::ImproperSymbol(word, _)) => {
            match FORBIDDEN.iter().find(|(forbidden, _)| forbidden == word) {
                Some((_, why)) => {
                    new("forbidden", format!("`{word}` is not available in rules")).with_hint(*why)
                }
                None => new("syntax", sentence(&error.err_type().to_string())).with_hint(SYNTAX_HINT),
            }
        }
        other => new("syntax", sentence(&other.to_string())).with_hint(SYNTAX_HINT),
    }
}

/// The engine's message without its own account of the place.
fn sentence(message: &str) -> String {
    let text = message.split(" (line ").next().unwrap_or(message).trim();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
