//! `contains_any`: the text has one of these parts.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "contains_any",
    params: &[param("text", Kind::Subject), param("parts", Kind::Phrases)],
    required: 2,
    doc: "Is one of these parts somewhere in the text?",
    example: r#"message.text.contains_any(["refund", "charged twice"])"#,
    act: Act::Text(|subject, args| args.texts(1).iter().any(|part| text::contains(subject, part))),
};
