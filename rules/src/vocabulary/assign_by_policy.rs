//! `assign_by_policy`: the group chooses the person.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "assign_by_policy",
    params: &[param("policy", Kind::Policy)],
    required: 1,
    doc: "Lets the group choose an agent: `round_robin`, `least_busy`, `longest_idle` or `random`.",
    example: r#"assign_by_policy("round_robin")"#,
    act: Act::Intent(|args| Intent::AssignByPolicy { policy: args.text(0) }),
};
