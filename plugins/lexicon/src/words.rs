//! Words as they are compared: in lower case and without accents, because people who
//! write in a hurry leave them out. `ñ` stays: `ano` is another word than `año`.

use unicode_segmentation::UnicodeSegmentation as _;

/// Lower case, without accents.
pub(crate) fn plain(text: &str) -> String {
    let letter = |c: char| match c {
        'á' | 'à' | 'â' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        '’' => '\'',
        other => other,
    };
    text.chars().flat_map(char::to_lowercase).map(letter).collect()
}

/// The words of a text in their [`plain`] form.
pub(crate) fn of(text: &str) -> Vec<String> {
    plain(text).unicode_words().map(str::to_owned).collect()
}

/// Does the text hold these words, one after the other?
pub(crate) fn holds(words: &[String], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.windows(phrase.len()).any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
}

/// Lines of a list, without empty ones and remarks.
pub(crate) fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Lines `words<TAB>value` of a list.
pub(crate) fn valued(list: &'static str) -> impl Iterator<Item = (&'static str, f64)> {
    lines(list).filter_map(|line| {
        let (words, value) = line.split_once('\t')?;
        Some((words.trim(), value.trim().parse().ok()?))
    })
}
