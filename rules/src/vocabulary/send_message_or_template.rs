//! `send_message_or_template`: text while the window is open, else a template.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "send_message_or_template",
    params: &[param("text", Kind::Text), param("name", Kind::Named(Thing::Template)), param("language", Kind::Text), param("slots", Kind::Slots)],
    required: 2,
    doc: "Writes free text while the window is open when it is sent, else the template.",
    example: r#"send_message_or_template("Still there?", "follow_up", "en", #{ name: "Ana" })"#,
    act: Act::Intent(|args| Intent::SendMessageOrTemplate {
        text: args.text(0),
        template: args.template(1),
    }),
};
