//! `call_webhook`: tells another program.

use super::{Act, Kind, Word, param};
use crate::intent::Intent;
use crate::names::Thing;

pub(super) static WORD: Word = Word {
    name: "call_webhook",
    params: &[param("name", Kind::Named(Thing::Webhook)), param("payload", Kind::Any)],
    required: 1,
    doc: "Calls one of the outgoing webhooks with a payload.",
    example: r#"call_webhook("crm", #{ conversation: conversation.id })"#,
    act: Act::Intent(|args| Intent::CallWebhook { name: args.text(0), payload: args.json(1) }),
};
