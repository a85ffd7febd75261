//! Which dead letters are meant, and how they are grouped for people.

use super::DeskError;
use crate::age;
use chrono::{DateTime, Utc};
use feedfleet_model::keys::ObjectKey;
use feedfleet_model::{PipeName, ReasonClass};
use feedfleet_objects::dead_letters::LetterState;
use feedfleet_objects::{DeadLetter, DeadLetters};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Which dead letters: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Their ids; empty: any.
    pub ids: Vec<String>,
    /// Their pipe.
    pub pipe: Option<PipeName>,
    /// What they died of.
    pub class: Option<ReasonClass>,
    /// Dead for longer than this.
    pub older_than: Option<Duration>,
    /// Dead for no longer than this.
    pub newer_than: Option<Duration>,
    /// Also those that were decided on. Those named by their ids are taken in any state.
    pub decided_too: bool,
}

impl Selection {
    /// Whether anything is given that not every letter fits.
    pub fn is_narrow(&self) -> bool {
        !self.ids.is_empty()
            || self.pipe.is_some()
            || self.class.is_some()
            || self.older_than.is_some()
            || self.newer_than.is_some()
    }

    /// Whether the letter is one of those meant.
    pub fn takes(&self, letter: &DeadLetter, now: DateTime<Utc>) -> bool {
        let is_named = self.ids.contains(&letter.id);
        let dead_for = age(now, letter.died_at);
        (self.ids.is_empty() || is_named)
            && (self.decided_too || is_named || letter.state == LetterState::Waiting)
            && self.pipe.as_ref().is_none_or(|pipe| letter.pipe().is_some_and(|of| is_of(of, pipe)))
            && self.class.is_none_or(|class| letter.reason.class == class)
            && self.older_than.is_none_or(|limit| dead_for > limit)
            && self.newer_than.is_none_or(|limit| dead_for <= limit)
    }
}

/// Whether it is this pipe or supplement, or a supplement of this pipe.
fn is_of(of: &PipeName, pipe: &PipeName) -> bool {
    of == pipe || of.pipe() == *pipe
}

/// The letters that are meant, newest run first, and the keys of letters that cannot be read.
///
/// # Errors
/// [`DeskError::Unknown`] for an id that no letter has; [`DeskError::Objects`].
pub async fn find(
    letters: &DeadLetters,
    selection: &Selection,
    now: DateTime<Utc>,
) -> Result<(Vec<DeadLetter>, Vec<ObjectKey>), DeskError> {
    let (mut found, unreadable) = if selection.ids.is_empty() {
        letters.all().await?
    } else {
        let mut named = Vec::new();
        for id in selection.ids.iter().collect::<BTreeSet<_>>() {
            let letter = letters.load(id).await?;
            named.push(letter.ok_or_else(|| DeskError::Unknown { id: id.clone() })?);
        }
        (named, Vec::new())
    };
    found.retain(|letter| selection.takes(letter, now));
    found.sort_by(|a, b| b.run().cmp(&a.run()).then_with(|| a.id.cmp(&b.id)));
    Ok((found, unreadable))
}

/// Letters of one pipe that died of the same and stand the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The pipe; none of bodies that are no job.
    pub pipe: Option<PipeName>,
    /// What they died of.
    pub class: ReasonClass,
    /// Whether they wait for a decision.
    pub state: LetterState,
    /// How many.
    pub count: u64,
    /// When the first of them died.
    pub oldest: DateTime<Utc>,
    /// When the last of them died.
    pub newest: DateTime<Utc>,
    /// What the last of them died of, in full.
    pub last_reason: String,
}

/// The letters by pipe, what they died of, and state.
pub fn groups(letters: &[DeadLetter]) -> Vec<Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for letter in letters {
        let (pipe, class, died_at) = (letter.pipe(), letter.reason.class, letter.died_at);
        let group = groups.entry((pipe, class, letter.state)).or_insert_with(|| Group {
            pipe: pipe.cloned(),
            class,
            state: letter.state,
            count: 0,
            oldest: died_at,
            newest: died_at,
            last_reason: letter.reason.message.clone(),
        });
        group.count += 1;
        group.oldest = group.oldest.min(died_at);
        if died_at > group.newest {
            group.newest = died_at;
            group.last_reason.clone_from(&letter.reason.message);
        }
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::tests::{crawl_letter, foreign_letter};
    use chrono::TimeDelta;
    use feedfleet_model::Reason;
    use feedfleet_objects::FolderObjects;
    use std::sync::Arc;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn letter(pipe: &str, run: i64, class: ReasonClass, minute: i64) -> DeadLetter {
        let reason = Reason::new(class, format!("at {minute}"));
        DeadLetter { reason, died_at: at(minute), ..crawl_letter(pipe, run) }
    }

    fn four() -> Vec<DeadLetter> {
        let dropped = LetterState::Dropped;
        vec![
            letter("acme", 1, ReasonClass::SourceRefused, 10),
            letter("acme", 2, ReasonClass::NotAFeed, 30),
            letter("bert", 1, ReasonClass::SourceRefused, 50),
            DeadLetter { state: dropped, ..letter("bert", 2, ReasonClass::SourceRefused, 5) },
        ]
    }

    fn taken(selection: &Selection) -> Vec<usize> {
        let taken = |letter: &DeadLetter| selection.takes(letter, at(60));
        four().iter().enumerate().filter(|(_, l)| taken(l)).map(|(place, _)| place).collect()
    }

    #[test]
    fn everything_that_is_given_must_fit() {
        let minutes = |n: u64| Some(Duration::from_secs(n * 60));
        let acme: Option<PipeName> = Some("acme".parse().unwrap());
        let any = Selection::default;
        let named = vec![four()[1].id.clone(), four()[3].id.clone()];
        let cases = [
            (any(), vec![0, 1, 2]),
            (Selection { decided_too: true, ..any() }, vec![0, 1, 2, 3]),
            (Selection { pipe: acme.clone(), ..any() }, vec![0, 1]),
            (Selection { class: Some(ReasonClass::SourceRefused), ..any() }, vec![0, 2]),
            (Selection { older_than: minutes(30), ..any() }, vec![0]),
            (Selection { newer_than: minutes(30), ..any() }, vec![1, 2]),
            (Selection { older_than: minutes(20), newer_than: minutes(40), ..any() }, vec![1]),
            (Selection { ids: named.clone(), ..any() }, vec![1, 3]),
            (Selection { ids: named, pipe: acme, ..any() }, vec![1]),
        ];
        for (selection, expected) in cases {
            assert_eq!(taken(&selection), expected, "{selection:?}");
            let is_any = selection == any() || selection.decided_too;
            assert_eq!(selection.is_narrow(), !is_any, "{selection:?}");
        }
    }

    #[test]
    fn groups_have_count_age_and_last_reason() {
        let mut letters = four();
        letters.push(letter("acme", 3, ReasonClass::SourceRefused, 40));
        letters.push(foreign_letter());
        let groups = groups(&letters);
        let brief = |g: &Group| (g.pipe.as_ref().map(ToString::to_string), g.class, g.count);
        let expected = [
            (None, ReasonClass::Unreadable, 1),
            (Some("acme".to_owned()), ReasonClass::SourceRefused, 2),
            (Some("acme".to_owned()), ReasonClass::NotAFeed, 1),
            (Some("bert".to_owned()), ReasonClass::SourceRefused, 1),
            (Some("bert".to_owned()), ReasonClass::SourceRefused, 1),
        ];
        assert_eq!(groups.iter().map(brief).collect::<Vec<_>>(), expected);
        let acme = &groups[1];
        assert_eq!((acme.oldest, acme.newest), (at(10), at(40)));
        assert_eq!(acme.last_reason, "at 40");
        assert_eq!(groups[3].state, LetterState::Waiting);
        assert_eq!(groups[4].state, LetterState::Dropped);
    }

    #[tokio::test]
    async fn the_newest_run_comes_first_and_an_unknown_id_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Arc::new(FolderObjects::open(folder.path()).unwrap());
        let letters = DeadLetters::new(objects);
        for letter in four() {
            letters.keep(&letter).await.unwrap();
        }
        let (found, _) = find(&letters, &Selection::default(), at(60)).await.unwrap();
        let ids: Vec<_> = found.iter().map(|letter| letter.id.as_str()).collect();
        assert_eq!(ids, ["crawl-acme-2", "crawl-acme-1", "crawl-bert-1"]);

        for id in ["crawl-acme-3", "../../etc/passwd", "x\u{1b}[31m"] {
            let selection = Selection { ids: vec![id.to_owned()], ..Selection::default() };
            let told = find(&letters, &selection, at(60)).await.unwrap_err().to_string();
            assert!(told.contains("feedfleet dlq list --each"), "{told}");
            assert!(!told.contains('\u{1b}'), "{told}");
        }
    }
}
