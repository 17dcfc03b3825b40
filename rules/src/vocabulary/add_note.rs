//! `add_note`: a private note for the team.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "add_note",
    params: &[param("text", Kind::Text)],
    required: 1,
    doc: "Adds a private note; the contact never sees it.",
    example: r#"add_note("Asked for a refund twice.")"#,
    act: Act::Intent(|args| Intent::AddNote { text: args.text(0) }),
};
