//! `send_message`: writes to the contact.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;

pub(super) static WORD: Word = Word {
    name: "send_message",
    params: &[param("message", Kind::Content)],
    required: 1,
    doc: "Writes to the contact; with buttons as `#{ text: …, buttons: [#{ id: …, title: … }] }`.",
    example: r#"send_message("We have your message.")"#,
    act: Act::Intent(|args| {
        let (text, buttons) = args.content(0);
        Intent::SendMessage { text, buttons }
    }),
};
