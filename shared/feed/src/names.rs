//! The names of a feed's fields. Each is looked up once a record at most, and most are guessed.

use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Different field names that one feed may have. Arrays of objects make names without end.
const MAX_NAMES: usize = 10_000;
/// Bytes of a field name.
const MAX_NAME_BYTES: usize = 512;
/// Names that are compared with the next one before it is looked up.
const MAX_GUESSES: usize = 8;
/// No field.
const NONE: u32 = u32::MAX;

/// The names of a feed's fields, numbered in the order in which they first occur.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, RandomState>,
    /// By field number plus one: a field that comes after it. Records repeat themselves, and leave fields out: what
    /// comes next is usually a few steps along this chain.
    followers: Vec<u32>,
    turned_away: u64,
    /// Control characters taken out of values.
    removed: u64,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, field: u32) -> &str {
        &self.names[field as usize]
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Values dropped because there are too many names, or a name is too long.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Control characters taken out of values.
    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    /// Values and characters that were dropped so far, for whatever reason.
    pub(crate) fn dropped(&self) -> u64 {
        self.turned_away + self.removed
    }

    /// Counts control characters taken out of a value.
    pub(crate) fn count_removed(&mut self, characters: u64) {
        self.removed += characters;
    }

    /// The number of a name, which is new or known. None when the feed has too many.
    pub(crate) fn intern(&mut self, name: &str) -> Option<u32> {
        if let Some(field) = self.find(name) {
            return Some(field);
        }
        if self.names.len() >= MAX_NAMES || name.len() > MAX_NAME_BYTES {
            self.turned_away += 1;
            return None;
        }
        let field = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), field);
        Some(field)
    }

    /// As [`Names::intern`], and without hashing where the name follows `previous` as it did before, or is the same.
    pub(crate) fn intern_after(&mut self, previous: Option<u32>, name: &str) -> Option<u32> {
        if let Some(field) = previous.filter(|field| self.name(*field) == name) {
            return Some(field);
        }
        let place = previous.map_or(0, |field| field as usize + 1);
        let next = self.follower(place);
        let mut guess = next;
        for _ in 0..MAX_GUESSES {
            if guess == NONE {
                break;
            }
            if self.name(guess) == name {
                return Some(guess);
            }
            guess = self.follower(guess as usize + 1);
        }
        let field = self.intern(name)?;
        let own = field as usize + 1;
        let room = place.max(own) + 1;
        if self.followers.len() < room {
            self.followers.resize(room, NONE);
        }
        // A new field comes between the two, so that records without it still find the next one.
        if self.followers[own] == NONE {
            self.followers[own] = next;
        }
        self.followers[place] = field;
        Some(field)
    }

    fn follower(&self, place: usize) -> u32 {
        self.followers.get(place).copied().unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_once() {
        let mut names = Names::default();
        for _ in 0..2 {
            let id = names.intern_after(None, "id");
            assert_eq!(id, Some(0));
            assert_eq!(names.intern_after(id, "title"), Some(1));
        }
        assert_eq!(names.intern_after(None, "title"), Some(1));
        assert_eq!((names.len(), names.find("title"), names.find("x")), (2, Some(1), None));
    }

    #[test]
    fn a_field_that_some_records_lack_does_not_break_the_chain() {
        let mut names = Names::default();
        let mut read = |record: &[&str]| {
            let mut previous = None;
            for name in record {
                previous = names.intern_after(previous, name);
            }
            (0..=names.len()).map(|place| names.follower(place)).collect::<Vec<_>>()
        };
        assert_eq!(read(&["a", "d"]), [0, 1, NONE]);
        // Between the two, each: a, b, c, d.
        let chain = read(&["a", "c", "c", "d"]);
        assert_eq!(chain, [0, 2, NONE, 1]);
        let chain = read(&["a", "b", "c", "d"]);
        assert_eq!(chain, [0, 3, NONE, 1, 2]);
        // What is on it changes nothing.
        for record in [&["a", "d"][..], &["b", "d"], &["d", "d"], &["a", "b", "b", "c"]] {
            assert_eq!(read(record), chain);
        }
    }

    #[test]
    fn names_without_end_are_turned_away() {
        let mut names = Names::default();
        for number in 0..MAX_NAMES + 5 {
            names.intern(&format!("a[{number}]"));
        }
        assert_eq!((names.len(), names.turned_away()), (MAX_NAMES, 5));
        assert_eq!(names.intern(&"x".repeat(MAX_NAME_BYTES + 1)), None);
    }

    proptest::proptest! {
        /// Guessing a field gives what looking it up gives, whatever came before.
        #[test]
        fn names_are_guessed_right(records in "([a-e]{0,12} ){1,8}") {
            let (mut guessed, mut looked_up) = (Names::default(), Names::default());
            for record in records.split(' ') {
                let mut previous = None;
                for place in 0..record.len() {
                    let name = &record[place..=place];
                    let field = guessed.intern_after(previous, name);
                    proptest::prop_assert_eq!(field, looked_up.intern(name));
                    previous = field;
                }
            }
        }
    }
}
