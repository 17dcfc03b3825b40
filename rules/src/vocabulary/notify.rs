//! `notify`: tells people of the team.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "notify",
    params: &[param("who", Kind::Named(Thing::Recipient)), param("text", Kind::Text)],
    required: 2,
    doc: "Tells a group, an agent, the admins or the assignee.",
    example: r#"notify("assignee", "The window closes soon.")"#,
    act: Act::Intent(|args| Intent::Notify { who: args.text(0), text: args.text(1) }),
};
