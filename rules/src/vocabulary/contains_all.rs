//! `contains_all`: the text has all of these parts.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "contains_all",
    params: &[param("text", Kind::Subject), param("parts", Kind::Phrases)],
    required: 2,
    doc: "Are all of these parts somewhere in the text?",
    example: r#"message.text.contains_all(["refund", "order"])"#,
    act: Act::Text(|subject, args| args.texts(1).iter().all(|part| text::contains(subject, part))),
};
