//! The longest text that the manifest promises is sent, one more is refused before any call, in its own unit. A text
//! that the vendor refuses later has cost a message; one that it cuts, a contact.

use pointsman_cases::Answer;

use super::super::wire::{FailureKind, OutboundContent, OutboundMessage};
use super::vendor::Vendor;
use super::{Conformance, Sending};

/// One character: 1 character, 2 UTF-16 units, 4 bytes.
const EMOJI: &str = "😀";

pub(super) async fn check(from: &Sending<'_>, found: &mut Conformance) {
    let Some(can) = from.plugin.capabilities(&from.context.kind) else { return };
    let emoji_units = match can.text_unit.as_str() {
        "characters" => 1,
        "utf16_units" => 2,
        "bytes" => 4,
        // Segments of an SMS depend on the alphabet, and no vendor refuses one more.
        _ => return,
    };
    let most = can.text_max as usize;
    for (what, text, fits) in [
        ("a text of the greatest length", "a".repeat(most), true),
        ("a text longer by one", "a".repeat(most + 1), false),
        ("emoji of the greatest length", EMOJI.repeat(most / emoji_units), true),
        ("emoji longer by one", EMOJI.repeat(most / emoji_units + 1), false),
    ] {
        let message = OutboundMessage { content: OutboundContent::Text(text), ..from.message.clone() };
        let refusal = Answer::Response { status: 400, headers: vec![], body: b"{}".to_vec() };
        let (outcome, calls) = Vendor::new(from.case.script(), 0, refusal).send(from, &message).await;
        let too_long =
            matches!(&outcome, Err(it) if it.kind == FailureKind::ContentTooLong && calls.is_empty());
        let sent = outcome.is_ok() || !calls.is_empty();
        let problem = match (fits, sent, too_long) {
            (true, true, _) | (false, false, true) => None,
            (true, ..) => Some(format!("{most} {} are promised, and it was not sent", can.text_unit)),
            (false, ..) => {
                Some(format!("more than {most} {} must be `content-too-long` before any call", can.text_unit))
            }
        };
        found.tried(from.case, what, problem);
    }
}
