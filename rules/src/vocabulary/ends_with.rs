//! `ends_with`: the text ends so.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "ends_with",
    params: &[param("text", Kind::Subject), param("endings", Kind::Phrases)],
    required: 2,
    doc: "Does the text end with one of these?",
    example: r#"message.text.ends_with("?")"#,
    act: Act::Text(|subject, args| args.texts(1).iter().any(|part| subject.trim_end().ends_with(text::fold(part).as_ref()))),
};
