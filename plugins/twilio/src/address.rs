//! Addresses as Twilio writes them: `whatsapp:+34600000000`, `+14155550100`, a
//! short code, a sender name; and `whatsapp:CC.…` for people who hide their number.

/// Prefix of every address on WhatsApp.
pub(crate) const WHATSAPP: &str = "whatsapp:";
/// Kind of the channels on WhatsApp.
pub(crate) const WHATSAPP_KIND: &str = "whatsapp";
/// E.164: at most 15 digits; no country has numbers shorter than this.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Short codes.
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=6;
/// Alphanumeric sender names.
const SENDER_NAME_CHARS_MAX: usize = 11;

/// Our own address in canonical form, or `None` when it cannot be one of this kind.
/// Accepts spaces, dashes, dots and brackets, and WhatsApp with or without prefix.
pub(crate) fn own(kind: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text.strip_prefix(WHATSAPP).unwrap_or(text).trim();
    let compact: String =
        bare.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')).collect();
    let digits = compact.strip_prefix('+').unwrap_or(&compact);
    let numeric = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let is_phone = numeric && DIGITS.contains(&digits.len()) && !digits.starts_with('0');
    if kind == WHATSAPP_KIND {
        return is_phone.then(|| format!("{WHATSAPP}+{digits}"));
    }
    let is_short = numeric && compact == digits && SHORT_CODE_DIGITS.contains(&digits.len());
    let is_name = (1..=SENDER_NAME_CHARS_MAX).contains(&bare.chars().count())
        && bare.bytes().all(|c| c.is_ascii_alphanumeric() || c == b' ')
        && bare.bytes().any(|c| c.is_ascii_alphabetic());
    match () {
        () if text.starts_with(WHATSAPP) => None,
        () if is_short => Some(compact),
        () if is_phone => Some(format!("+{digits}")),
        () if is_name => Some(bare.to_owned()),
        () => None,
    }
}

/// A contact's address for `To`: as received, with the prefix its kind needs.
pub(crate) fn recipient(kind: &str, address: &str) -> String {
    if kind == WHATSAPP_KIND && !address.starts_with(WHATSAPP) {
        return format!("{WHATSAPP}{address}");
    }
    address.to_owned()
}

/// The E.164 number in an address, if it holds one.
pub(crate) fn phone(address: &str) -> Option<String> {
    let bare = address.strip_prefix(WHATSAPP).unwrap_or(address);
    let digits = bare.strip_prefix('+')?;
    let numeric = DIGITS.contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    numeric.then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_number_may_be_written_in_many_ways() {
        for (kind, text, expected) in [
            ("whatsapp", "whatsapp:+14155238886", Some("whatsapp:+14155238886")),
            ("whatsapp", " +1 (415) 523-8886 ", Some("whatsapp:+14155238886")),
            ("whatsapp", "14155238886", Some("whatsapp:+14155238886")),
            ("whatsapp", "whatsapp:MX.4566546130240823", None),
            ("whatsapp", "0123456789", None),
            ("whatsapp", "", None),
            ("sms", "+1 415 555 0100", Some("+14155550100")),
            ("sms", "14155550100", Some("+14155550100")),
            ("sms", "55501", Some("55501")),
            ("sms", "MyShop", Some("MyShop")),
            ("sms", "A name that is too long", None),
            ("sms", "whatsapp:+14155550100", None),
            ("sms", "+1415555010012345", None),
        ] {
            assert_eq!(own(kind, text).as_deref(), expected, "{kind} {text:?}");
        }
    }

    #[test]
    fn hidden_numbers_are_kept_as_received() {
        assert_eq!(
            recipient("whatsapp", "whatsapp:IN.13491208655302741918"),
            "whatsapp:IN.13491208655302741918"
        );
        assert_eq!(recipient("whatsapp", "+5215512345678"), "whatsapp:+5215512345678");
        assert_eq!(recipient("sms", "55501"), "55501");
        assert_eq!(phone("whatsapp:IN.13491208655302741918"), None);
        assert_eq!(phone("whatsapp:+5215512345678").as_deref(), Some("+5215512345678"));
    }
}
