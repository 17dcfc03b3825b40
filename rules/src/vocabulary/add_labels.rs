//! `add_labels`: adds free words.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "add_labels",
    params: &[param("labels", Kind::Labels)],
    required: 1,
    doc: "Adds labels; those that are there stay.",
    example: r#"add_labels(["vip", "refund"])"#,
    act: Act::Intent(|args| Intent::AddLabels { labels: args.texts(0) }),
};
