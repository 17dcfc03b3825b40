//! `matches`: a regular expression finds something in the text.

use super::{Act, Kind, Word, param};
use crate::text;

pub(super) static WORD: Word = Word {
    name: "matches",
    params: &[param("text", Kind::Subject), param("pattern", Kind::Pattern)],
    required: 2,
    doc: "Does this regular expression (linear-time, no look-around) find something in the text?",
    example: r"message.text.matches(`order\s+\d{4,}`)",
    act: Act::Text(|subject, args| text::pattern(&args.text(1)).is_ok_and(|regex| regex.is_match(subject))),
};
