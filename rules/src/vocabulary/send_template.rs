//! `send_template`: writes with an approved template.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "send_template",
    params: &[param("name", Kind::Named(Thing::Template)), param("language", Kind::Text), param("slots", Kind::Slots)],
    required: 1,
    doc: "Writes with a provider-approved template; without a language, that of the conversation, contact or channel.",
    example: r#"send_template("follow_up", "en", #{ name: "Ana" })"#,
    act: Act::Intent(|args| Intent::SendTemplate(args.template(0))),
};
