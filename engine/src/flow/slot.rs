//! Holes of templates and how people and rules name them: a hole of the body by
//! its own name (`1`, `customer`), any other with its place in front (`header.1`,
//! `button.0.1`). One key for each hole of a template.

use std::collections::BTreeMap;

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

/// A body with its holes (`{{1}}`, `{{ customer }}`) filled; a hole that nothing is known for stays as it is.
pub fn fill(body: &str, slots: &BTreeMap<String, String>) -> String {
    let (mut filled, mut rest) = (String::with_capacity(body.len()), body);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let hole = after.split_once("}}");
        let known = hole.and_then(|(name, left)| Some((slots.get(name.trim())?, left)));
        rest = match known {
            Some((text, left)) => {
                filled.push_str(text);
                left
            }
            None => {
                filled.push_str("{{");
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_shows_what_was_put_in() {
        let slots = [("1", "Ana"), ("2", "{{1}}"), ("order.id", "881")];
        let slots = slots.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        for (body, filled) in [
            ("Hi {{1}}, order {{ order.id }} is here.", "Hi Ana, order 881 is here."),
            ("{{2}}: what was put in is not filled again", "{{1}}: what was put in is not filled again"),
            ("{{3}} {{1}}", "{{3}} Ana"),
            ("{{ {{1}} }}", "{{ Ana }}"),
            ("open {{1", "open {{1"),
            ("", ""),
        ] {
            assert_eq!(fill(body, &slots), filled);
        }
    }

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
