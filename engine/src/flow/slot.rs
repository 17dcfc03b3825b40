//! Holes of templates and how people and rules name them: a hole of the body by
//! its own name (`1`, `customer`), any other with its place in front (`header.1`,
//! `button.0.1`). One key for each hole of a template.

/// Where a hole without a place in front of its name is.
const BODY: &str = "body";
const HEADER: &str = "header";
/// A button, or with its number one of several.
const BUTTON: &str = "button";

/// What a hole is called.
pub fn key(place: &str, name: &str) -> String {
    if place == BODY { name.to_owned() } else { format!("{place}.{name}") }
}

/// The place and the name in it that a key means.
pub fn place_and_name(key: &str) -> (String, String) {
    let (place, name) = match key.split_once('.') {
        Some((HEADER, name)) => (HEADER.to_owned(), name),
        Some((BUTTON, rest)) => match rest.split_once('.') {
            Some((number, name)) if is_number(number) => (format!("{BUTTON}.{number}"), name),
            _ => (BUTTON.to_owned(), rest),
        },
        _ => (BODY.to_owned(), key),
    };
    (place, name.to_owned())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_hole() {
        for (place, name, expected) in [
            ("body", "1", "1"),
            ("body", "order.id", "order.id"),
            ("header", "1", "header.1"),
            ("button", "10", "button.10"),
            ("button.0", "1", "button.0.1"),
            ("button.1", "code", "button.1.code"),
        ] {
            assert_eq!(key(place, name), expected);
            assert_eq!(place_and_name(expected), (place.to_owned(), name.to_owned()));
        }
    }
}
