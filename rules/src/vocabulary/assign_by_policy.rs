//! `assign_by_policy`: the group chooses the person.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "assign_by_policy",
    params: &[param("policy", Kind::Policy)],
    required: 1,
    doc: "Lets the conversation wait for the next free agent of its group: `round_robin` or `least_busy`.",
    example: r#"assign_by_policy("round_robin")"#,
    act: Act::Intent(|args| Intent::AssignByPolicy { policy: args.text(0) }),
};
