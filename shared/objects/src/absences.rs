//! Lists of products that a source did not mention: JSON Lines, one product a line, streamed in and out,
//! since a list may be as long as the pipe.
//!
//! A worker writes them before the commit of the run that they belong to; the next run counts on from them,
//! and an operator's approval applies them.

use crate::{ObjectError, Objects, Upload};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nights: Option<u8>,
}

/// A list on its way in. Blocking: for use on a thread of its own.
pub struct AbsenceList {
    key: ObjectKey,
    upload: Box<dyn Upload>,
    /// The first failure; [`AbsenceList::finish`] tells it.
    written: io::Result<()>,
}

impl AbsenceList {
    /// Begins a list. Nothing is visible before [`AbsenceList::finish`].
    pub fn begin(objects: &dyn Objects, key: &ObjectKey) -> Result<Self, ObjectError> {
        Ok(Self { key: key.clone(), upload: objects.upload(key)?, written: Ok(()) })
    }

    /// Adds a product. `nights`: complete runs in a row that have not mentioned it. A failure is told in the
    /// end.
    pub fn push(&mut self, id: &str, nights: Option<u8>) {
        if self.written.is_ok() {
            self.written = self.write(&Line { id: Cow::Borrowed(id), nights });
        }
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.upload, line)?;
        self.upload.write_all(b"\n")
    }

    /// Makes the list visible and durable, in place of an earlier one of this key.
    pub fn finish(self) -> Result<(), ObjectError> {
        let Self { key, upload, written } = self;
        written.map_err(|source| ObjectError {
            action: "write",
            subject: key.to_string(),
            source,
        })?;
        upload.finish().map(|_| ())
    }
}

/// Calls `visit` with every id of a list, and the number beside it. False: there is no such list. Blocking.
pub fn read_absences(
    objects: &dyn Objects,
    key: &ObjectKey,
    mut visit: impl FnMut(&str, Option<u8>),
) -> Result<bool, ObjectError> {
    let Some(list) = objects.open(key)? else { return Ok(false) };
    let failed = |source| ObjectError { action: "read", subject: key.to_string(), source };
    for line in BufReader::new(list).lines() {
        let line = line.map_err(failed)?;
        let line: Line<'_> = serde_json::from_str(&line).map_err(|e| failed(e.into()))?;
        visit(&line.id, line.nights);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use feedfleet_model::{RunId, RunKey, keys};

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let key = keys::absent(&RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) });
        assert!(!read_absences(&objects, &key, |_, _| panic!("there is no list")).unwrap());

        let ids = ["a", "", "전기\n밥솥", "\"quoted\\"];
        let mut list = AbsenceList::begin(&objects, &key).unwrap();
        for (nights, id) in (0..).zip(ids) {
            list.push(id, Some(nights).filter(|n| *n > 0));
        }
        list.finish().unwrap();
        let mut found = Vec::new();
        let there = read_absences(&objects, &key, |id, n| found.push((id.to_owned(), n))).unwrap();
        assert!(there);
        let expected =
            ids.iter().zip([None, Some(1), Some(2), Some(3)]).map(|(id, n)| ((*id).to_owned(), n));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_list_that_is_not_finished_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let key = keys::held(&RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) });
        let mut list = AbsenceList::begin(&objects, &key).unwrap();
        list.push("a", None);
        drop(list);
        assert!(!read_absences(&objects, &key, |_, _| {}).unwrap());
    }

    #[tokio::test]
    async fn a_damaged_list_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let key = keys::held(&RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) });
        objects.put(&key, "{\"id\":\"a\"}\n{\"id\":".into()).await.unwrap();
        let error = read_absences(&objects, &key, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(key.as_str()), "{error}");
    }
}
