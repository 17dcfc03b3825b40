//! The contact's language: of longer texts what `whatlang` says, of short ones what
//! the small words of English and Spanish say, where it is only guessing.

use whatlang::{Detector, Info, Lang, Script};

use crate::words;

/// Small words that the other language does not have.
const ENGLISH: &[&str] = &[
    "the", "is", "are", "you", "my", "and", "to", "of", "it", "for", "with", "not", "this", "that", "have",
    "was", "i", "i'm", "don't", "your", "can", "please", "thanks", "thank", "hello", "hi", "what", "when",
    "where", "how", "still", "been", "we", "they",
];
const SPANISH: &[&str] = &[
    "el", "los", "las", "una", "y", "muy", "pero", "con", "del", "hola", "gracias", "cuando", "donde",
    "tengo", "quiero", "esta", "mi", "por", "que", "es", "un", "lo", "le", "se", "como", "para", "ya",
    "necesito", "usted", "ustedes", "buenos", "buenas", "hay", "al",
];
/// Languages of Latin script that a short text may be taken for.
const LATIN: [Lang; 8] =
    [Lang::Eng, Lang::Spa, Lang::Por, Lang::Fra, Lang::Deu, Lang::Ita, Lang::Nld, Lang::Cat];
/// From here on `whatlang` knows better than small words, characters.
const LONG_CHARS_MIN: usize = 40;
/// `whatlang` calls itself reliable from 0.9 on, which one sentence seldom reaches.
const CONFIDENCE_MIN: f64 = 0.5;
/// Shorter texts tell nothing, characters.
const CHARS_MIN: usize = 3;

/// BCP 47; the given one when the texts do not tell.
pub(crate) fn of(texts: &[&str], given: Option<&str>) -> Option<String> {
    let text = texts.join("\n");
    let words = words::of(&text);
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(&word.as_str())).count();
    let (english, spanish) = (count(ENGLISH), count(SPANISH));
    let by_words = match () {
        () if english > 2 * spanish => Some("en".to_owned()),
        () if spanish > 2 * english => Some("es".to_owned()),
        () => None,
    };
    let chars = text.chars().count();
    let by_letters = || detected(&text).filter(|_| chars >= CHARS_MIN).map(|info| code(info.lang()));
    let told = if chars < LONG_CHARS_MIN { by_words.or_else(by_letters) } else { by_letters().or(by_words) };
    told.or_else(|| given.map(str::to_owned))
}

/// What `whatlang` says, when it is rather sure of it.
fn detected(text: &str) -> Option<Info> {
    let info = match whatlang::detect(text)? {
        info if info.script() == Script::Latin => Detector::with_allowlist(LATIN.to_vec()).detect(text)?,
        info => info,
    };
    (info.confidence() >= CONFIDENCE_MIN).then_some(info)
}

/// The shortest code of ISO 639, as BCP 47 wants it, where the language has a short one here.
fn code(lang: Lang) -> String {
    let short = match lang {
        Lang::Eng => "en",
        Lang::Spa => "es",
        Lang::Por => "pt",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ita => "it",
        Lang::Nld => "nl",
        Lang::Cat => "ca",
        Lang::Rus => "ru",
        Lang::Ukr => "uk",
        Lang::Ara => "ar",
        Lang::Heb => "he",
        Lang::Hin => "hi",
        Lang::Jpn => "ja",
        Lang::Cmn => "zh",
        Lang::Kor => "ko",
        Lang::Tha => "th",
        Lang::Ell => "el",
        other => other.code(),
    };
    short.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_messages_are_told_apart() {
        for (text, language) in [
            ("hi, is it open?", Some("en")),
            ("thanks!", Some("en")),
            ("hola buenas", Some("es")),
            ("ya me llegó, gracias", Some("es")),
            ("Olá, eu não recebi o meu pedido e estou à espera há duas semanas", Some("pt")),
            ("Bonjour, je voudrais savoir quand ma commande sera livrée à la maison", Some("fr")),
            ("Καλημέρα, πού είναι η παραγγελία μου;", Some("el")),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(of(&[text], None).as_deref(), language, "{text}");
        }
        assert_eq!(of(&["??"], Some("es-MX")).as_deref(), Some("es-MX"));
    }
}
