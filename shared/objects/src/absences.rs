//! Lists of products that a source did not mention: JSON Lines, one product a line, streamed in and out,
//! since a list may be as long as the pipe.
//!
//! A worker writes them before the commit of the run that they belong to; the next run counts on from them,
//! and an operator's approval applies them. Each is named by a hash of what is in it, so that a worker without
//! its lease can spoil no list of its successor's, and the name tells a damaged list from the one that was written.

use crate::{ObjectError, Objects};
use feedfleet_model::Nights;
use feedfleet_model::hash::seeded_hash;
use feedfleet_model::keys::ObjectKey;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Write};

/// One line.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Complete runs in a row that have not mentioned it.
    #[serde(default, skip_serializing_if = "is_zero")]
    nights: u8,
    /// Doubtful ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    doubtful: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Takes note of a product, and of the runs that have not mentioned it.
pub type Visit<'a> = dyn FnMut(&str, Nights) + 'a;

/// Writes the list of the products that `for_each` visits, under the key that `key_of` makes of the hash of what is
/// in it; that hash, or none where there is nothing to list, and no list then. `for_each` is called twice, and must
/// visit the same products. Blocking: for use on a thread of its own.
///
/// # Errors
///
/// Those of `for_each`, and of the store. There is no list then.
pub fn write_absences<E: From<ObjectError>>(
    objects: &dyn Objects,
    key_of: impl FnOnce(u64) -> ObjectKey,
    for_each: impl Fn(&mut Visit<'_>) -> Result<(), E>,
) -> Result<Option<u64>, E> {
    let mut content = Content::default();
    for_each(&mut |id, nights| content.add(id, nights))?;
    let Some(hash) = content.hash() else { return Ok(None) };
    let key = key_of(hash);
    let mut upload = objects.upload(&key)?;
    let mut written = Ok(());
    for_each(&mut |id, nights| {
        if written.is_ok() {
            written = write(&mut upload, id, nights);
        }
    })?;
    written.map_err(|source| ObjectError { action: "write", subject: key.to_string(), source })?;
    upload.finish()?;
    Ok(Some(hash))
}

fn write(upload: &mut dyn Write, id: &str, nights: Nights) -> io::Result<()> {
    let Nights { complete, doubtful } = nights;
    let line = Line { id: Cow::Borrowed(id), nights: complete, doubtful };
    serde_json::to_writer(&mut *upload, &line)?;
    upload.write_all(b"\n")
}

/// Calls `visit` with every product of a list. The hash of what is in it; none where it is empty, or there is no such
/// list. Blocking.
pub fn read_absences(
    objects: &dyn Objects,
    key: &ObjectKey,
    mut visit: impl FnMut(&str, Nights),
) -> Result<Option<u64>, ObjectError> {
    let mut content = Content::default();
    let Some(list) = objects.open(key)? else { return Ok(None) };
    let failed = |source| ObjectError { action: "read", subject: key.to_string(), source };
    for line in BufReader::new(list).lines() {
        let line = line.map_err(failed)?;
        let damaged = |e| failed(io::Error::new(io::ErrorKind::InvalidData, e));
        let line: Line<'_> = serde_json::from_str(&line).map_err(damaged)?;
        let nights = Nights { complete: line.nights, doubtful: line.doubtful };
        content.add(&line.id, nights);
        visit(&line.id, nights);
    }
    Ok(content.hash())
}

/// What is in a list, whatever its order: the sum of its lines' hashes.
#[derive(Default)]
struct Content {
    sum: u128,
    lines: u64,
}

impl Content {
    fn add(&mut self, id: &str, nights: Nights) {
        let seed = u64::from(nights.complete) << 8 | u64::from(nights.doubtful);
        self.sum = self.sum.wrapping_add(seeded_hash(id.as_bytes(), seed));
        self.lines += 1;
    }

    fn hash(&self) -> Option<u64> {
        (self.lines > 0).then_some((self.sum >> 64) as u64 ^ self.sum as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use feedfleet_model::{RunId, RunKey, keys};
    use tempfile::TempDir;

    fn store() -> (TempDir, FolderObjects, RunKey) {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        (folder, objects, RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) })
    }

    fn nights(complete: u8, doubtful: u8) -> Nights {
        Nights { complete, doubtful }
    }

    fn write(objects: &FolderObjects, run: &RunKey, list: &[(&str, Nights)]) -> Option<u64> {
        let for_each = |visit: &mut Visit<'_>| -> Result<(), ObjectError> {
            list.iter().for_each(|(id, nights)| visit(id, *nights));
            Ok(())
        };
        write_absences(objects, |hash| keys::absent(run, hash), for_each).unwrap()
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let (_folder, objects, run) = store();
        let list = [
            ("a", nights(0, 0)),
            ("", nights(1, 0)),
            ("전기\n밥솥", nights(0, 2)),
            ("\"quoted\\", nights(255, 3)),
        ];
        let hash = write(&objects, &run, &list).unwrap();
        let key = keys::absent(&run, hash);
        let mut found = Vec::new();
        let read = read_absences(&objects, &key, |id, nights| found.push((id.to_owned(), nights)));
        assert_eq!(read.unwrap(), Some(hash));
        assert_eq!(found, list.map(|(id, nights)| (id.to_owned(), nights)));
    }

    #[test]
    fn a_list_has_the_name_of_what_is_in_it() {
        let (_folder, objects, run) = store();
        let first = [("a", nights(1, 0)), ("b", nights(1, 0))];
        let turned = [first[1], first[0]];
        let names: Vec<Option<u64>> = [
            &first[..],
            &turned,
            &first[..1],
            &[("a", nights(0, 1)), ("b", nights(1, 0))],
            &[("a", nights(1, 0)), ("c", nights(1, 0))],
        ]
        .map(|list| write(&objects, &run, list))
        .to_vec();
        assert_eq!(names[0], names[1]);
        for (n, name) in names.iter().enumerate().skip(2) {
            assert!(!names[..n].contains(name), "{n}");
        }
        assert_eq!(write(&objects, &run, &[]), None);
        let other = keys::absent(&run, 17);
        assert_eq!(read_absences(&objects, &other, |_, _| panic!("an id")).unwrap(), None);
    }

    #[test]
    fn a_list_that_could_not_be_made_is_not_there() {
        let (_folder, objects, run) = store();
        let round = std::cell::Cell::new(0);
        let for_each = |visit: &mut Visit<'_>| -> Result<(), ObjectError> {
            visit("a", Nights::default());
            round.set(round.get() + 1);
            let source = io::Error::other("the table has gone");
            if round.get() < 2 {
                return Ok(());
            }
            Err(ObjectError { action: "read", subject: "a file".to_owned(), source })
        };
        let key = std::cell::RefCell::new(None);
        let key_of = |hash| key.borrow_mut().insert(keys::held(&run, hash)).clone();
        write_absences(&objects, key_of, for_each).unwrap_err();
        let key = key.into_inner().unwrap();
        assert_eq!(read_absences(&objects, &key, |_, _| {}).unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_list_is_an_error_that_names_it_or_has_another_hash() {
        let (_folder, objects, run) = store();
        let key = keys::held(&run, 1);
        objects.put(&key, "{\"id\":\"a\"}\n{\"id\":".into()).await.unwrap();
        let error = read_absences(&objects, &key, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(key.as_str()), "{error}");
        objects.put(&key, "{\"id\":\"a\"}\n".into()).await.unwrap();
        assert_ne!(read_absences(&objects, &key, |_, _| {}).unwrap(), Some(1));
    }
}
