//! Finds any of many short phrases in a text at one pass, without regard to case, kind of white space or hyphens.

use std::collections::HashMap;

/// Scripts from here on (Hebrew, Arabic, Thai, Chinese, Japanese, Korean) are not cut into words by spaces, or
/// glue small words to the next.
const WORDS_END: char = '\u{590}';

/// Phrases to look for.
#[derive(Debug)]
pub(super) struct Phrases {
    /// By their first character, where that is ASCII: nearly all that is looked for begins so.
    by_ascii: [Vec<Phrase>; 128],
    by_first: HashMap<char, Vec<Phrase>>,
}

#[derive(Debug)]
struct Phrase {
    text: &'static str,
    /// Whether letters may follow.
    is_stem: bool,
}

impl Phrases {
    /// Takes lists of phrases, in lower case, separated by `|`. A phrase stands for whole words; with `*` at its
    /// end, the last word may go on.
    pub(super) fn new(lists: &[&'static str]) -> Self {
        let mut by_ascii = [const { Vec::new() }; 128];
        let mut by_first: HashMap<char, Vec<Phrase>> = HashMap::new();
        for written in lists.iter().flat_map(|list| list.split('|')).map(str::trim) {
            let text = written.trim_end_matches('*');
            if let Some(first) = text.chars().next() {
                let phrase = Phrase { text, is_stem: text.len() < written.len() };
                match by_ascii.get_mut(first as usize) {
                    Some(phrases) => phrases.push(phrase),
                    None => by_first.entry(first).or_default().push(phrase),
                }
            }
        }
        Self { by_ascii, by_first }
    }

    fn that_begin_with(&self, first: char) -> &[Phrase] {
        let phrases = self.by_ascii.get(first as usize).or_else(|| self.by_first.get(&first));
        phrases.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a text as [`fold`] gives it begins with any of the phrases.
    pub(super) fn begin(&self, folded: &str) -> bool {
        let Some(first) = folded.chars().next() else { return false };
        self.that_begin_with(first).iter().any(|phrase| phrase.begins(folded))
    }

    /// Whether any of the phrases is in a text as [`fold`] gives it.
    pub(super) fn is_in(&self, folded: &str) -> bool {
        self.has(folded, Phrase::begins)
    }

    /// Whether a text as [`fold`] gives it ends with any of the phrases.
    pub(super) fn end(&self, folded: &str) -> bool {
        self.has(folded, |phrase, rest| phrase.text == rest)
    }

    /// Whether from the beginning of any word on a text is as wanted of a phrase.
    fn has(&self, folded: &str, is_wanted: impl Fn(&Phrase, &str) -> bool) -> bool {
        let mut previous = ' ';
        for (place, c) in folded.char_indices() {
            let is_start = c >= WORDS_END || !(previous.is_alphanumeric() && c.is_alphanumeric());
            previous = c;
            if !is_start {
                continue;
            }
            let rest = &folded[place..];
            if self.that_begin_with(c).iter().any(|phrase| is_wanted(phrase, rest)) {
                return true;
            }
        }
        false
    }
}

impl Phrase {
    fn begins(&self, text: &str) -> bool {
        let Some(after) = text.strip_prefix(self.text) else { return false };
        let ends_word = || {
            let last = self.text.chars().next_back().unwrap_or(' ');
            last >= WORDS_END || !after.starts_with(char::is_alphanumeric)
        };
        self.is_stem || ends_word()
    }
}

/// Lower case, with one space for white space, hyphens and underscores.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || matches!(c, '-' | '‑' | '_') {
            if !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else if c.is_ascii() {
            folded.push(c.to_ascii_lowercase());
        } else {
            folded.extend(c.to_lowercase());
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_whole_words_unless_they_are_stems() {
        let phrases = Phrases::new(&["out of stock|sold out", "недоступ*|売り切れ|épuisé"]);
        for (text, expected) in [
            ("Sorry, Out-of-Stock!", true),
            ("SOLD\u{a0} OUT", true),
            ("unsold outfit", false),
            ("Товар недоступен", true),
            ("この商品は売り切れました", true),
            ("Article ÉPUISÉ.", true),
            ("", false),
        ] {
            assert_eq!(phrases.is_in(&fold(text)), expected, "{text}");
        }
        assert!(phrases.begin("sold out today") && !phrases.begin("now sold out"));
        assert!(!phrases.begin("sold outfit") && !phrases.begin(""));
        assert!(phrases.end("now sold out") && !phrases.end("sold out today"));
        assert!(!phrases.end("unsold out") && !phrases.end(""));
    }
}
