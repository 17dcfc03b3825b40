//! `contains`: the text has this part.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "contains",
    params: &[param("text", Kind::Subject), param("part", Kind::Phrase)],
    required: 2,
    doc: "Is this part somewhere in the text? Case, accents and digit scripts do not matter.",
    example: r#"message.text.contains("refund")"#,
    act: Act::Text(|subject, args| text::contains(subject, &args.text(1))),
};
