//! `route_to_group`: the conversation gets a team.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "route_to_group",
    params: &[param("group", Kind::Named(Thing::Group))],
    required: 1,
    doc: "Gives the conversation to a group, by name or id.",
    example: r#"route_to_group("Billing")"#,
    act: Act::Intent(|args| Intent::RouteToGroup { group: args.text(0) }),
};
