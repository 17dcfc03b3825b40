//! `archive`: puts the conversation away.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "archive",
    params: &[],
    required: 0,
    doc: "Puts the conversation away.",
    example: "archive()",
    act: Act::Intent(|_| Intent::Archive),
};
