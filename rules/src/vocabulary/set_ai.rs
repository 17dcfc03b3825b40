//! `set_ai`: switches the assistant.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "set_ai",
    params: &[param("on", Kind::Switch), param("for", Kind::Duration), param("reason", Kind::Text)],
    required: 1,
    doc: "Switches the assistant, for good or for a duration.",
    example: r#"set_ai(off, "2h", "A person took over.")"#,
    act: Act::Intent(|args| Intent::SetAi {
        on: args.flag(0),
        for_ms: args.duration_ms(1),
        reason: args.opt_text(2),
    }),
};
