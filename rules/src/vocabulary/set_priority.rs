//! `set_priority`: how urgent the conversation is.

use super::{Act, Kind, Word, param};
use crate::facts::Priority;
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "set_priority",
    params: &[param("priority", Kind::Priority)],
    required: 1,
    doc: "Sets the priority: `low`, `normal`, `high` or `urgent`.",
    example: r#"set_priority("high")"#,
    act: Act::Intent(|args| Intent::SetPriority { priority: args.word(0, Priority::from_word, Priority::Normal) }),
};
