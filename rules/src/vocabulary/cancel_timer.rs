//! `cancel_timer`: stops a timer of this conversation.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "cancel_timer",
    params: &[param("name", Kind::Name)],
    required: 1,
    doc: "Stops a timer of this conversation.",
    example: r#"cancel_timer("remind")"#,
    act: Act::Intent(|args| Intent::CancelTimer { name: args.text(0) }),
};
