//! `agents`: who of a group is there.

use super::{Act, Kind, Word, field, param};
use crate::names::Thing;
use crate::view::Shape;
use rhai::Dynamic;

pub(super) static WORD: Word = Word {
    name: "agents",
    params: &[param("group", Kind::Named(Thing::Group))],
    required: 1,
    doc: "How many agents a group has: `online` and `total`.",
    example: r#"agents("Support").online"#,
    act: Act::Fact {
        fields: &[
            field("online", Shape::Number, "Members who are there now."),
            field("total", Shape::Number, "All members."),
        ],
        get: |snapshot, args| {
            let directory = &snapshot.facts.directory;
            let name = args.text(0);
            let group = directory.group(&name).ok_or_else(|| super::no_such(Thing::Group, &name, directory))?;
            let there = |a: &&crate::facts::AgentFacts| a.online && group.members.contains(&a.id);
            let online = directory.agents.iter().filter(there).count();
            Ok(super::answer([("online", count(online)), ("total", count(group.members.len()))]))
        },
    },
};

fn count(n: usize) -> Dynamic {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}
