//! `escalate`: asks people to look.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "escalate",
    params: &[param("level", Kind::Level), param("reason", Kind::Text)],
    required: 2,
    doc: "Asks people to look; level 1 is the lowest, 5 the highest.",
    example: r#"escalate(2, "A lawyer was mentioned.")"#,
    act: Act::Intent(|args| Intent::Escalate { level: args.integer(0), reason: args.text(1) }),
};
