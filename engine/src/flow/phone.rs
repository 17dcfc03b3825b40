//! Phone numbers: any usual writing becomes E.164, and a key under which the
//! variants of one number are equal. Pure; knows no contact and no channel.

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, ParseError, Type, country};

/// Longest text that is looked at, bytes; no number with all its blanks and brackets is longer.
const TEXT_BYTES_MAX: usize = 40;
/// Digits of a number with its country code, at most (ITU-T E.164).
const DIGITS_MAX: usize = 15;
/// Digits of a number with its country code, at least.
const DIGITS_MIN: usize = 7;
/// Lengths are asked of these kinds of numbers.
const KINDS: [Type; 5] = [Type::FixedLine, Type::Mobile, Type::TollFree, Type::Voip, Type::Uan];

/// A phone number that may exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// `+` and 7 to 15 digits.
    pub e164: String,
    /// The same for all variants of one number; for matching only, never to write to.
    pub key: String,
}

/// Why a text is not a phone number. Continues "`phone` …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Letters, or nothing at all.
    #[error("must be a phone number with its country code, like +34600000000")]
    NotANumber,
    /// Nobody said which country it is in.
    #[error("must begin with its country code, like +34600000000")]
    NoCountry,
    /// The country is not known.
    #[error("begins with a country code that does not exist; write the number like +34600000000")]
    UnknownCountry,
    /// Too many digits or too few for its country.
    #[error("has too many or too few digits for its country; write the number like +34600000000")]
    Length,
}

impl Phone {
    /// Reads a number with its country code (`+34 600 00 00 00`, `0034…`), or a national one when its country is given.
    /// `country`: ISO 3166 two-letter code.
    ///
    /// Whether the number was ever given to somebody is not asked: lists of ranges are older than the newest range.
    ///
    /// # Errors
    /// Not a number, no country, or too long or short for its country.
    pub fn parse(text: &str, country: Option<&str>) -> Result<Self, PhoneError> {
        let digits = plain(text).ok_or(PhoneError::NotANumber)?;
        let country = country.and_then(|code| code.parse::<country::Id>().ok());
        if !digits.starts_with('+') && country.is_none() {
            return Err(PhoneError::NoCountry);
        }
        if !(DIGITS_MIN..=DIGITS_MAX + 1).contains(&digits.len()) {
            return Err(PhoneError::Length);
        }
        let number = phonenumber::parse(country, &digits).map_err(|error| match error {
            ParseError::InvalidCountryCode => PhoneError::UnknownCountry,
            ParseError::NoNumber => PhoneError::NotANumber,
            _ => PhoneError::Length,
        })?;
        let code = number.country().code();
        let e164 = number.format().mode(Mode::E164).to_string();
        let national = e164.strip_prefix(&format!("+{code}")).unwrap_or_default();
        let canonical = canonical(code, national);
        let lengths = possible_lengths(code).ok_or(PhoneError::UnknownCountry)?;
        let fits = |digits: &str| u16::try_from(digits.len()).is_ok_and(|len| lengths.contains(&len));
        if !fits(national) && !fits(&canonical) {
            return Err(PhoneError::Length);
        }
        Ok(Self { key: format!("+{code}{canonical}"), e164 })
    }
}

/// The key of a number as a vendor wrote it; `None` when it cannot be read.
pub fn key(e164: &str) -> Option<String> {
    Phone::parse(e164, None).ok().map(|phone| phone.key)
}

/// Is it a number of a country where one number is written in several ways?
pub fn has_variants(e164: &str) -> bool {
    ["+55", "+52", "+54"].iter().any(|code| e164.starts_with(code))
}

/// The national number without what only some writings of it have.
///
/// - Brazil: mobile numbers got a ninth digit, `9`, after the area code (Anatel, resolution 553/2010). Vendors still know
///   accounts by the number from before; only numbers that went on with 6 to 9 existed then.
/// - Mexico: until 2019 mobile numbers had a `1` after the country code when called from abroad; vendors still write it.
/// - Argentina: mobile numbers have a `9` after the country code when called from abroad, `15` after the area code at
///   home. The library reads the latter as the former.
fn canonical(code: u16, national: &str) -> String {
    match (code, national.as_bytes()) {
        (52, [b'1', rest @ ..]) if rest.len() == 10 => national[1..].to_owned(),
        (54, [b'9', rest @ ..]) if rest.len() == 10 => national[1..].to_owned(),
        (55, [_, _, b'9', b'6'..=b'9', rest @ ..]) if rest.len() == 7 => {
            format!("{}{}", &national[..2], &national[3..])
        }
        _ => national.to_owned(),
    }
}

/// How many digits national numbers have; `None`: there is no such country code.
fn possible_lengths(code: u16) -> Option<Vec<u16>> {
    let regions = DATABASE.by_code(&code)?;
    let lengths = |kind| {
        let of_region = |region: &&phonenumber::Metadata| {
            region.descriptors().get(kind).map(|it| it.possible_length().to_vec()).unwrap_or_default()
        };
        regions.iter().flat_map(of_region).collect::<Vec<_>>()
    };
    Some(KINDS.into_iter().flat_map(lengths).collect())
}

/// Digits, with `+` in front when there is a country code; `None`: there is something else in the text.
fn plain(text: &str) -> Option<String> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '0'..='9' => out.push(c),
            '+' if out.is_empty() => out.push(c),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
            _ => return None,
        }
    }
    if let Some(rest) = out.strip_prefix("00") {
        out = format!("+{rest}");
    }
    (out.len() > 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e164(text: &str, country: Option<&str>) -> Result<String, PhoneError> {
        Phone::parse(text, country).map(|phone| phone.e164)
    }

    #[test]
    fn every_usual_writing_is_read() {
        for text in ["+34600000001", " +34 600 000 001", "0034-600-000-001", "+34 (600) 00.00.01"] {
            assert_eq!(e164(text, None).as_deref(), Ok("+34600000001"), "{text}");
        }
        assert_eq!(e164("600 000 001", Some("ES")).as_deref(), Ok("+34600000001"));
        assert_eq!(e164("020 7946 0018", Some("GB")).as_deref(), Ok("+442079460018"));
        assert_eq!(e164("+44 (0)20 7946 0018", None).as_deref(), Ok("+442079460018"));
        assert_eq!(e164("+39 06 6982 0001", None).as_deref(), Ok("+390669820001"), "Italy keeps its zero");
        assert_eq!(e164("+1 415 555 0100", None).as_deref(), Ok("+14155550100"));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        let cases = [
            ("", PhoneError::NotANumber),
            ("+", PhoneError::NotANumber),
            ("call me", PhoneError::NotANumber),
            ("+34600000001 ext", PhoneError::NotANumber),
            ("600000001", PhoneError::NoCountry),
            ("+34", PhoneError::Length),
            ("+346000000010000000", PhoneError::Length),
            ("+3460000000", PhoneError::Length),
            ("+9996000000001", PhoneError::UnknownCountry),
        ];
        for (text, why) in cases {
            assert_eq!(Phone::parse(text, None), Err(why), "{text:?}");
        }
        assert_eq!(Phone::parse(&"+3".repeat(40), None), Err(PhoneError::NotANumber));
    }

    // S06
    /// S06: what vendors write for one number in Brazil, Mexico and Argentina has one key.
    #[test]
    fn variants_of_one_number_have_one_key() {
        let same = [
            ["+5511987654321", "+551187654321", "+55 (11) 98765-4321"],
            ["+5215512345678", "+525512345678", "+52 1 55 1234 5678"],
            ["+5491123456789", "+541123456789", "+54 11 15 2345-6789"],
        ];
        for variants in same {
            let keys: Vec<_> = variants.iter().map(|text| Phone::parse(text, None).unwrap().key).collect();
            assert!(keys.iter().all(|key| *key == keys[0]), "{variants:?}: {keys:?}");
        }
        let other = [
            ("+551187654321", "+551197654321"),
            ("+5511912345678", "+551112345678"),
            ("+551134567890", "+5511934567890"),
            ("+34600000001", "+34600000002"),
        ];
        for (one, two) in other {
            assert_ne!(key(one), key(two), "{one} {two}");
        }
    }

    #[test]
    fn a_key_is_its_own_key() {
        let areas = ["11", "21", "31", "47", "85"];
        for (index, area) in areas.iter().enumerate() {
            for first in 6..=9 {
                let line = format!("{first}{:07}", 1_234_567 + index);
                let (short, long) = (format!("+55{area}{line}"), format!("+55{area}9{line}"));
                let of_short = key(&short).unwrap();
                assert_eq!(key(&long).as_deref(), Some(of_short.as_str()), "{long}");
                assert_eq!(key(&of_short).as_deref(), Some(of_short.as_str()), "{of_short}");
            }
        }
        for number in ["+14155550100", "+34600000001", "+442079460018", "+390669820001", "+525512345678"] {
            assert_eq!(key(number).as_deref(), Some(number), "no variants: the key is the number");
        }
    }
}
