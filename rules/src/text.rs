//! Comparing what people write: case, accents and scripts of digits do not
//! matter. Regular expressions are linear-time and compiled once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization;

/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 1_000;
/// Largest compiled pattern, bytes; a pattern that needs more is refused when the rule is saved.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;
/// Most compiled patterns kept; when full, the cache starts again empty.
const PATTERNS_CACHED_MAX: usize = 1_000;

/// Code points of the digit zero in scripts that people write numbers in.
const ZEROS: &[u32] = &[
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810,
];

/// Lower case, no accents, ASCII digits, no invisible characters.
///
/// Marks are dropped in Latin, Greek, Cyrillic, Hebrew and Arabic writing only:
/// in Indic scripts they are vowels, and dropping them would join different words.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_dropped(*c)).nfc() {
        push_folded(&mut out, c);
    }
    Cow::Owned(out)
}

fn is_dropped(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036F | 0x0591..=0x05C7 | 0x064B..=0x065F | 0x0670 // accents and optional vowels
        | 0x00AD | 0x200B..=0x200F | 0x2060 | 0xFE00..=0xFE0F | 0xFEFF) // invisible
}

fn push_folded(out: &mut String, c: char) {
    let code = u32::from(c);
    if code >= 0x80
        && let Some(digit) = ZEROS.iter().find(|z| (**z..**z + 10).contains(&code)).map(|z| code - z)
    {
        out.push(char::from_digit(digit, 10).unwrap_or(c));
        return;
    }
    for lower in c.to_lowercase() {
        match lower {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' => out.push('d'),
            'ı' => out.push('i'),
            'ς' => out.push('σ'),
            '’' | '‘' | 'ʼ' => out.push('\''),
            other => out.push(other),
        }
    }
}

/// Is the phrase somewhere in the text? An empty phrase is nowhere.
pub fn contains(folded: &str, phrase: &str) -> bool {
    let phrase = fold(phrase.trim());
    !phrase.is_empty() && folded.contains(phrase.as_ref())
}

/// Is the phrase in the text as whole words?
pub fn has_word(folded: &str, phrase: &str) -> bool {
    let phrase = fold(phrase.trim());
    if phrase.is_empty() {
        return false;
    }
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    folded.match_indices(phrase.as_ref()).any(|(start, found)| {
        let before = folded.get(..start).and_then(|t| t.chars().next_back());
        let after = folded.get(start + found.len()..).and_then(|t| t.chars().next());
        !in_word(before) && !in_word(after)
    })
}

/// The compiled form of a pattern, from the cache if it was used before.
///
/// # Errors
/// One sentence on what is wrong with the pattern.
pub fn pattern(source: &str) -> Result<Arc<Regex>, String> {
    static CACHE: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);
    if let Some(regex) = CACHE.lock().unwrap_or_else(PoisonError::into_inner).get(source) {
        return Ok(regex.clone());
    }
    let regex = Arc::new(compile(source)?);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= PATTERNS_CACHED_MAX {
        cache.clear();
    }
    cache.insert(source.to_owned(), regex.clone());
    Ok(regex)
}

fn compile(source: &str) -> Result<Regex, String> {
    if source.len() > PATTERN_BYTES_MAX {
        return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    // The text is folded before it is matched, so accents in the pattern must go as
    // well; ASCII stays, since `\D` is not `\d`.
    let mut folded = String::with_capacity(source.len());
    for c in source.nfc() {
        match c.is_ascii() {
            true => folded.push(c),
            false => folded.push_str(&fold(c.encode_utf8(&mut [0; 4]))),
        }
    }
    RegexBuilder::new(&folded)
        .case_insensitive(true)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
        .nest_limit(32)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "the pattern is too large; use fewer or smaller repetitions".to_owned()
            }
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("it cannot be read")
                .trim_start_matches("error: ")
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_accents_and_digits() {
        for (given, folded) in [
            ("Refund PLEASE", "refund please"),
            ("Crème Brûlée", "creme brulee"),
            ("İstanbul STRAßE", "istanbul strasse"),
            ("٠١٢٣ ۴۵ ७", "0123 45 7"),
            ("ｆｕｌｌ １２", "full 12"),
            ("re\u{200B}fund I’m", "refund i'm"),
            ("Москва́ Йод", "москва иод"),
            ("हिन्दी", "हिन्दी"),
            ("한국", "한국"),
        ] {
            assert_eq!(fold(given), folded);
        }
        assert!(matches!(fold("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_are_whole_words() {
        assert!(has_word("please stop.", "STOP"));
        assert!(!has_word("nonstop", "stop"));
        assert!(!has_word("stopped", "stop"));
        assert!(has_word("i was charged twice!", "charged twice"));
        assert!(has_word("stopping? stop", "stop"));
        assert!(!has_word("anything", " "));
        assert!(contains("prefunded", "Refund"));
        assert!(!contains("anything", ""));
    }

    #[test]
    fn patterns_are_folded_but_keep_their_classes() {
        let find = |p: &str, t: &str| pattern(p).unwrap().is_match(&fold(t));
        assert!(find("café", "CAFE au lait"));
        assert!(find(r"order\s+\d{3,}", "Order ١٢٣٤"));
        assert!(!find(r"^\D+$", "a1"));
        assert!(pattern("(").is_err());
        assert!(pattern("((a{1000}){1000}){1000}").unwrap_err().contains("too large"));
        assert!(pattern(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(Arc::ptr_eq(&pattern("same").unwrap(), &pattern("same").unwrap()));
    }
}
