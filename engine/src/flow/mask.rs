//! Hiding the addresses of contacts: enough stays to tell two apart, the country
//! code and the last four digits. Pure.

/// Stands for what is hidden, whatever its length.
const HIDDEN: &str = "••••";
/// Digits that stay at the end.
const LAST_DIGITS: usize = 4;
/// A number has at least so many digits; anything shorter hides wholly.
const DIGITS_MIN: usize = 7;
/// Country codes of one and two digits (ITU-T E.164); all others have three.
const SHORT_CODES: [&str; 46] = [
    "1", "7", "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66",
    "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
];

/// The address without what tells who it is: `whatsapp:+5511912341234` becomes `whatsapp:+55 •••• 1234`, anything that
/// is no number its last four characters.
pub fn mask(address: &str) -> String {
    let (scheme, rest) = match address.split_once(':') {
        Some((scheme, rest)) => (format!("{scheme}:"), rest),
        None => (String::new(), address),
    };
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let is_number = rest.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    if is_number && digits.len() >= DIGITS_MIN {
        let last = &digits[digits.len() - LAST_DIGITS..];
        return match rest.starts_with('+') {
            true => format!("{scheme}+{} {HIDDEN} {last}", country_code(&digits)),
            false => format!("{scheme}{HIDDEN} {last}"),
        };
    }
    let length = rest.chars().count();
    if length < DIGITS_MIN {
        return format!("{scheme}{HIDDEN}");
    }
    let last: String = rest.chars().skip(length - LAST_DIGITS).collect();
    format!("{scheme}{HIDDEN}{last}")
}

fn country_code(digits: &str) -> &str {
    let known = SHORT_CODES.iter().find(|code| digits.starts_with(**code));
    &digits[..known.map_or(3, |code| code.len())]
}

/// A name in which runs of digits that could be a number are hidden: people are often saved under theirs.
pub fn mask_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut run = String::new();
    for c in name.chars().chain(['\0']) {
        let is_part =
            c.is_ascii_digit() || (c == '+' && run.is_empty()) || (!run.is_empty() && "-. ()".contains(c));
        if is_part {
            run.push(c);
            continue;
        }
        let number = run.trim_end_matches(|c: char| !c.is_ascii_digit());
        let is_number = number.chars().filter(char::is_ascii_digit).count() >= DIGITS_MIN;
        out.push_str(&if is_number { mask(number) } else { number.to_owned() });
        out.push_str(&run[number.len()..]);
        run.clear();
        out.push(c);
    }
    out.pop(); // the mark at the end
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // S23
    #[test]
    fn the_country_and_four_digits_stay() {
        for (address, masked) in [
            ("+5511912341234", "+55 •••• 1234"),
            ("+55 11 91234-1234", "+55 •••• 1234"),
            ("whatsapp:+14155238886", "whatsapp:+1 •••• 8886"),
            ("+351912345678", "+351 •••• 5678"),
            ("+34600000001", "+34 •••• 0001"),
            ("34600000001", "•••• 0001"),
            ("v_abcdef123456", "••••3456"),
            ("@ana", "••••"),
            ("+12", "••••"),
            ("", "••••"),
        ] {
            assert_eq!(mask(address), masked, "{address}");
        }
    }

    #[test]
    fn a_number_in_a_name_is_hidden_and_the_name_stays() {
        for (name, masked) in [
            ("Ana Ruiz", "Ana Ruiz"),
            ("Customer +34600000001", "Customer +34 •••• 0001"),
            ("+34 600-000-001 (home)", "+34 •••• 0001 (home)"),
            ("Route 66", "Route 66"),
            ("Ana 1 2", "Ana 1 2"),
            ("ñ+", "ñ+"),
        ] {
            assert_eq!(mask_name(name), masked, "{name}");
        }
    }
}
