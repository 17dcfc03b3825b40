//! Standard functions that could make a huge value in one call. The engine looks
//! at sizes only after a call, when the memory has been taken; these look before.

use rhai::{Engine, ImmutableString};

use super::STRING_BYTES_MAX;
use crate::vocabulary::Wrong;

type Outcome = Result<(), Box<rhai::EvalAltResult>>;

/// Replaces the standard `replace`, in all its four forms.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("replace", |text: &mut ImmutableString, old: &str, new: &str| replace(text, old, new))
        .register_fn("replace", |text: &mut ImmutableString, old: char, new: &str| {
            replace(text, old.encode_utf8(&mut [0; 4]), new)
        })
        .register_fn("replace", |text: &mut ImmutableString, old: &str, new: char| {
            replace(text, old, new.encode_utf8(&mut [0; 4]))
        })
        .register_fn("replace", |text: &mut ImmutableString, old: char, new: char| {
            replace(text, old.encode_utf8(&mut [0; 4]), new.encode_utf8(&mut [0; 4]))
        });
}

fn replace(text: &mut ImmutableString, old: &str, new: &str) -> Outcome {
    let found = text.matches(old).count();
    let grown = text.len().saturating_add(found.saturating_mul(new.len().saturating_sub(old.len())));
    if grown > STRING_BYTES_MAX {
        let message = format!("the text would be longer than {STRING_BYTES_MAX} bytes");
        return Err(Wrong::new("too_large", message).into());
    }
    if found > 0 {
        *text = text.replace(old, new).into();
    }
    Ok(())
}
