//! `application/x-www-form-urlencoded`, as webhooks use it: order and repeats
//! are kept, `+` is a space, bad escapes stay as they are.

use percent_encoding::percent_decode;

/// A parsed form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body or the text after the `?` of a URL. Bytes that are not UTF-8 become `U+FFFD`.
    pub fn parse(bytes: &[u8]) -> Self {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name, unless it is empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All pairs as they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Form {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

fn decode(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        for (body, expected) in [
            ("", vec![]),
            ("a=1&b=2&a=3", vec![("a", "1"), ("b", "2"), ("a", "3")]),
            ("a=x+y%2Bz&b=%C3%A9%20%F0%9F%99%8F", vec![("a", "x y+z"), ("b", "é 🙏")]),
            ("a&b=&=c&&d=e=f", vec![("a", ""), ("b", ""), ("", "c"), ("d", "e=f")]),
            ("a=%zz%4&b=%FF", vec![("a", "%zz%4"), ("b", "\u{fffd}")]),
        ] {
            let form = Form::parse(body.as_bytes());
            assert_eq!(form.pairs().collect::<Vec<_>>(), expected, "{body}");
        }
    }

    #[test]
    fn the_first_value_counts_and_empty_is_not_filled() {
        let form = Form::parse(b"a=&b=1&b=2");
        assert_eq!(
            (form.get("a"), form.filled("a"), form.get("b"), form.get("c")),
            (Some(""), None, Some("1"), None)
        );
    }
}
