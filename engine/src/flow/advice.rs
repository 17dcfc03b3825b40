//! What to do about a problem, by its class: one sentence for the person who
//! reads it, whatever the vendor.

/// What to do about failures of this class (`FailureKind::class` or a code of the gate).
pub fn advice(class: &str) -> &'static str {
    match class {
        "auth" => {
            "Enter the vendor's credentials again and check the channel; what is to be sent waits until then."
        }
        "window_closed" => "Send an approved template, or wait until the contact writes.",
        "template_required" => "Start with an approved template.",
        "template" => {
            "Refresh the templates and choose one that is approved in this language, with every hole filled in."
        }
        "opted_out" => "Do not write; the contact must write START first.",
        "invalid_recipient" => "Check the number: international form, and reachable on this kind of channel.",
        "media" | "media_type" | "media_too_large" => {
            "Send a smaller file or one of another type; the channel's limits are among its capabilities."
        }
        "rate_limited" => {
            "Nothing: it is sent again by itself. Should this last, ask the vendor for a higher limit."
        }
        "provider_down" => "Nothing: it is tried again by itself. The vendor's status page may say more.",
        "unknown" => "Ask the contact, or look at the vendor's console, before you send it again.",
        "receive_only" => "Switch receive-only off to send.",
        "channel_inactive" => "Switch the channel on to send.",
        _ => "Read the vendor's own words; the vendor's documentation explains its code.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::FailureKind;

    // S98, S103, S104, S107
    #[test]
    fn every_class_of_failure_has_its_own_advice() {
        let words = [
            "auth_failed",
            "rate_limited",
            "recipient_invalid",
            "opted_out",
            "window_closed",
            "template_invalid",
            "media_invalid",
            "vendor_unavailable",
        ];
        let mut said: Vec<&str> = words.map(|word| advice(FailureKind::from(word.to_owned()).class())).into();
        said.push(advice("rejected"));
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), words.len() + 1, "{said:?}");
    }
}
