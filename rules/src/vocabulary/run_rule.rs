//! `run_rule`: another rule runs after this one.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "run_rule",
    params: &[param("name", Kind::Named(Thing::Rule))],
    required: 1,
    doc: "Runs another rule right after this one, whatever events it is for; at most once per event.",
    example: r#"run_rule("Tag orders")"#,
    act: Act::Intent(|args| Intent::RunRule { name: args.text(0) }),
};
