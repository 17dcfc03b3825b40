//! `set_status`: the state of the case.

use super::{Act, Kind, Word, param};
use crate::facts::Status;
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "set_status",
    params: &[param("status", Kind::Status)],
    required: 1,
    doc: "Sets the status: `open`, `pending`, `on_hold` or `closed`.",
    example: r#"set_status("pending")"#,
    act: Act::Intent(|args| Intent::SetStatus { status: args.word(0, Status::from_word, Status::Open) }),
};
