//! `end_chat`: ends the live chat and sets the status in one step.

use super::{Act, Kind, Word, param};
use crate::facts::Status;
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "end_chat",
    params: &[param("status", Kind::Status)],
    required: 1,
    doc: "Ends the live chat and sets the status in one step; ended is not closed.",
    example: r#"end_chat("closed")"#,
    act: Act::Intent(|args| Intent::EndChat { status: args.word(0, Status::from_word, Status::Closed) }),
};
