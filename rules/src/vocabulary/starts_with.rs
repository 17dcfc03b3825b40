//! `starts_with`: the text begins so.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "starts_with",
    params: &[param("text", Kind::Subject), param("beginnings", Kind::Phrases)],
    required: 2,
    doc: "Does the text begin with one of these?",
    example: r#"message.text.starts_with("order")"#,
    act: Act::Text(|subject, args| args.texts(1).iter().any(|part| subject.trim_start().starts_with(text::fold(part).as_ref()))),
};
