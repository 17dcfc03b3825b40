//! `opt_out`: the contact wants no messages.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "opt_out",
    params: &[],
    required: 0,
    doc: "Notes that the contact wants no messages on this kind of channel.",
    example: "opt_out()",
    act: Act::Intent(|_| Intent::OptOut),
};
