//! `agent`: is this person there.

use super::{Act, Kind, Word, field, param};
use crate::names::Thing;
use crate::view::Shape;

pub(super) static WORD: Word = Word {
    name: "agent",
    params: &[param("agent", Kind::Named(Thing::Agent))],
    required: 1,
    doc: "One agent, by e-mail, name or id: `online` now, and `name`.",
    example: r#"agent("ana@example.com").online"#,
    act: Act::Fact {
        fields: &[
            field("online", Shape::Flag, "Are they there now?"),
            field("name", Shape::Text, "Their name."),
        ],
        get: |snapshot, args| {
            let directory = &snapshot.facts.directory;
            let name = args.text(0);
            let found = directory.agent(&name).ok_or_else(|| super::no_such(Thing::Agent, &name, directory))?;
            Ok(super::answer([("online", found.online.into()), ("name", found.name.as_str().into())]))
        },
    },
};
