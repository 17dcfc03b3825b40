//! `stop_rules`: later rules of this event do not run.

use super::{Act, Word};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "stop_rules",
    params: &[],
    required: 0,
    doc: "No later rule runs on this event.",
    example: "stop_rules()",
    act: Act::Intent(|_| Intent::StopRules),
};
