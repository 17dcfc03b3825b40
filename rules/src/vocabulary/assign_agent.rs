//! `assign_agent`: the conversation gets a person, or nobody.

use super::{Act, Kind, Word, param};
use crate::intent::{Assignee, Intent};

pub(super) static WORD: Word = Word {
    name: "assign_agent",
    params: &[param("agent", Kind::Assignee)],
    required: 1,
    doc: "Gives the conversation to an agent (e-mail, name or id), to whoever answered last, or with `()` to nobody.",
    example: r#"assign_agent("last_responding")"#,
    act: Act::Intent(|args| Intent::AssignAgent {
        agent: match args.opt_text(0) {
            None => Assignee::Nobody,
            Some(word) if word == "last_responding" => Assignee::LastResponding,
            Some(name) => Assignee::Agent { name },
        },
    }),
};
