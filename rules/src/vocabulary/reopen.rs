//! `reopen`: opens the conversation again.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "reopen",
    params: &[],
    required: 0,
    doc: "Opens the conversation again.",
    example: "reopen()",
    act: Act::Intent(|_| Intent::Reopen),
};
