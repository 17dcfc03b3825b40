//! `has_word`: the text has one of these as whole words.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "has_word",
    params: &[param("text", Kind::Subject), param("words", Kind::Phrases)],
    required: 2,
    doc: "Is one of these in the text as a whole word or phrase?",
    example: r#"message.text.has_word("stop")"#,
    act: Act::Text(|subject, args| args.texts(1).iter().any(|word| text::has_word(subject, word))),
};
