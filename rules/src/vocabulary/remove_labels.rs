//! `remove_labels`: takes free words away.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "remove_labels",
    params: &[param("labels", Kind::Labels)],
    required: 1,
    doc: "Takes labels away.",
    example: r#"remove_labels(["new"])"#,
    act: Act::Intent(|args| Intent::RemoveLabels { labels: args.texts(0) }),
};
