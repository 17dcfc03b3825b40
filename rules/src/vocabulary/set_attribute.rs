//! `set_attribute`: keeps a value with the conversation.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "set_attribute",
    params: &[param("key", Kind::Name), param("value", Kind::Any)],
    required: 2,
    doc: "Keeps a value with the conversation; `()` removes it.",
    example: r#"set_attribute("order", "A-1001")"#,
    act: Act::Intent(|args| Intent::SetAttribute { key: args.text(0), value: args.json(1) }),
};
