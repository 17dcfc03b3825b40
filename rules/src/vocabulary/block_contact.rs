//! `block_contact`: we want no messages.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "block_contact",
    params: &[],
    required: 0,
    doc: "Stops listening and talking to the contact.",
    example: "block_contact()",
    act: Act::Intent(|_| Intent::BlockContact),
};
