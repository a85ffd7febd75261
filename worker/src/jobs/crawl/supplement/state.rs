//! What runs of supplements leave: the values, as JSON Lines, and a state that says which values are a run's. The state
//! is written once, before the run's commit; whichever attempt commits, these values count from then on, and the fence
//! in the table says of which run. Amounts are in ten-thousandths, times in microseconds, as in a row.

pub(crate) use feedfleet_model::SupplementState as State;

use super::values::{Said, Values};
use feedfleet_model::columns::ColumnType;
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::keys::{self, ObjectKey};
use feedfleet_model::{ColumnId, PipeName, RunKey, ValueRef};
use feedfleet_objects::reports::{from_json, to_json};
use feedfleet_objects::{Expected, ObjectError, Objects, PutOutcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};

/// A run's state; none where it has none. A damaged one is as good as none: the supplement's source is read whole.
pub(crate) async fn load_state(
    objects: &dyn Objects,
    run: &RunKey,
) -> Result<Option<State>, ObjectError> {
    let key = keys::supplement_state(run);
    let Some(object) = objects.get(&key).await? else { return Ok(None) };
    match from_json(&key, &object.bytes) {
        Ok(state) => Ok(Some(state)),
        Err(e) => {
            tracing::warn!(%run, error = %e, "what says which values are the run's is damaged");
            Ok(None)
        }
    }
}

/// Writes a run's state, unless an earlier attempt at the run has: that one counts.
pub(crate) async fn settle_state(
    objects: &dyn Objects,
    run: &RunKey,
    state: &State,
) -> Result<State, ObjectError> {
    let key = keys::supplement_state(run);
    if objects.put_if(&key, to_json(state), Expected::Absent).await? != PutOutcome::Lost {
        return Ok(state.clone());
    }
    load_state(objects, run).await?.ok_or_else(|| ObjectError::contended(&key))
}

/// Deletes what runs before this one left, but for values that count still.
pub(crate) async fn drop_older(objects: &dyn Objects, run: &RunKey) -> Result<(), ObjectError> {
    // Where that is not known, nothing is old.
    let Some(state) = load_state(objects, run).await? else { return Ok(()) };
    let counts = state.values;
    let listed = objects.list(&keys::supplement_objects(&run.pipe), None, usize::MAX).await?;
    for found in listed {
        let is_older =
            keys::run_of_supplement_object(&found.key).is_some_and(|of| of.run < run.run);
        if is_older && counts.as_deref() != Some(found.key.as_str()) {
            objects.delete(&found.key).await?;
        }
    }
    Ok(())
}

/// One line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    /// The product.
    pub id: String,
    says: BTreeMap<String, Scalar>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Line {
    fn of(said: Said<'_>, columns: &[ColumnId]) -> Self {
        let mut says = BTreeMap::new();
        for (column, value) in columns.iter().zip(said.values()) {
            let scalar = match value {
                ValueRef::Text(text) => Scalar::Text(text.to_owned()),
                ValueRef::Integer(number) => Scalar::Number(number),
                ValueRef::Boolean(flag) => Scalar::Flag(flag),
                ValueRef::Null | ValueRef::List(_) => continue,
            };
            says.insert(column.column().name.to_owned(), scalar);
        }
        Self { id: said.id.to_owned(), says }
    }

    /// What it says of a column.
    pub fn value(&self, column: ColumnId) -> ValueRef<'_> {
        use ColumnType::{Boolean, Decimal, Integer, Text, Timestamp};
        let column = column.column();
        match (self.says.get(column.name), column.kind) {
            (Some(Scalar::Text(text)), Text) => ValueRef::Text(text),
            (Some(Scalar::Number(n)), Integer | Decimal | Timestamp) => ValueRef::Integer(*n),
            (Some(Scalar::Flag(flag)), Boolean) => ValueRef::Boolean(*flag),
            _ => ValueRef::Null,
        }
    }

    fn write(&self, text: &mut Vec<u8>) -> io::Result<()> {
        text.clear();
        serde_json::to_writer(&mut *text, self)?;
        text.push(b'\n');
        Ok(())
    }
}

/// Writes what a run read; its key, or none where there is nothing to write. Blocking.
pub(crate) fn write_values(
    objects: &dyn Objects,
    run: &RunKey,
    values: &Values,
) -> Result<Option<ObjectKey>, ObjectError> {
    if values.len() == 0 {
        return Ok(None);
    }
    let subject = || keys::supplement_objects(&run.pipe);
    let failed = |source| ObjectError { action: "write", subject: subject(), source };
    let (mut content, mut text) = (Content::default(), Vec::new());
    for said in values.all() {
        Line::of(said, values.columns()).write(&mut text).map_err(failed)?;
        content.add(&text);
    }
    let key = keys::supplement_values(run, content.hash());
    let mut upload = objects.upload(&key)?;
    for said in values.all() {
        Line::of(said, values.columns()).write(&mut text).map_err(failed)?;
        upload.write_all(&text).map_err(failed)?;
    }
    upload.finish()?;
    Ok(Some(key))
}

/// Calls `visit` with each line of a run's values, until that says no. An error, after the last line, where they are
/// not what was written. Blocking.
pub(crate) fn read_values(
    objects: &dyn Objects,
    key: &ObjectKey,
    mut visit: impl FnMut(Line) -> bool,
) -> Result<(), ObjectError> {
    let failed = |source| ObjectError { action: "read", subject: key.to_string(), source };
    let gone = || failed(io::Error::new(io::ErrorKind::NotFound, "it has gone"));
    let mut input = BufReader::new(objects.open(key)?.ok_or_else(gone)?);
    let (mut content, mut text) = (Content::default(), Vec::new());
    loop {
        text.clear();
        if input.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        content.add(&text);
        let line = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
        if !visit(line) {
            return Ok(());
        }
    }
    if keys::content_of_list(key.as_str()) == Some(content.hash()) {
        return Ok(());
    }
    Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is not what was written")))
}

/// Whether it is the object itself that is not as it should be, and not the store that failed.
pub(crate) fn is_damage(e: &ObjectError) -> bool {
    matches!(
        e.source.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::NotFound
    )
}

/// What is in a file of lines, whatever their order: the sum of their hashes.
#[derive(Default)]
struct Content(u128);

impl Content {
    fn add(&mut self, line: &[u8]) {
        self.0 = self.0.wrapping_add(bytes_hash(line));
    }

    fn hash(&self) -> u64 {
        (self.0 >> 64) as u64 ^ self.0 as u64
    }
}

/// How to have a supplement's values read anew.
pub(crate) fn remedy(supplement: &PipeName) -> String {
    format!("to have them read anew: feedfleet run {supplement}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::RunId;
    use feedfleet_model::columns::{ADULT, AVAILABILITY, PRICE};
    use feedfleet_objects::FolderObjects;

    fn run(run: i64) -> RunKey {
        RunKey { pipe: "acme.stock".parse().unwrap(), run: RunId(run) }
    }

    fn values(ids: &[&str]) -> Values {
        let mut values = Values::new(vec![AVAILABILITY, PRICE, ADULT], 1 << 20);
        for id in ids {
            let value_of = |column: ColumnId| match column {
                AVAILABILITY => ValueRef::Text("in \"stock\"\n"),
                PRICE => ValueRef::Integer(-7),
                _ => ValueRef::Null,
            };
            values.insert(id, value_of).unwrap();
        }
        values
    }

    #[tokio::test]
    async fn values_are_read_as_they_were_written_and_told_when_they_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        assert_eq!(write_values(&objects, &run(7), &values(&[])).unwrap(), None);
        let key = write_values(&objects, &run(7), &values(&["a", "b"])).unwrap().unwrap();
        let turned = write_values(&objects, &run(7), &values(&["b", "a"])).unwrap().unwrap();
        assert_eq!(key, turned, "they are named by what is in them");
        let mut ids = Vec::new();
        let mut note = |line: Line| {
            assert_eq!(line.value(AVAILABILITY), ValueRef::Text("in \"stock\"\n"));
            assert_eq!(
                (line.value(PRICE), line.value(ADULT)),
                (ValueRef::Integer(-7), ValueRef::Null)
            );
            ids.push(line.id);
            true
        };
        read_values(&objects, &key, &mut note).unwrap();
        ids.sort();
        assert_eq!(ids, ["a", "b"]);

        let whole = objects.get(&key).await.unwrap().unwrap().bytes;
        for damaged in [&whole[..0], &whole[..whole.len() - 3], &whole[..whole.len() / 2]] {
            objects.put(&key, damaged.to_vec().into()).await.unwrap();
            let told = read_values(&objects, &key, |_| true).unwrap_err();
            assert!(is_damage(&told), "{damaged:?}: {told}");
        }
        objects.delete(&key).await.unwrap();
        assert!(is_damage(&read_values(&objects, &key, |_| true).unwrap_err()));
    }

    #[tokio::test]
    async fn the_first_state_of_a_run_counts_and_older_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(folder.path()).unwrap();
        let written = write_values(&objects, &run(7), &values(&["a"])).unwrap().unwrap();
        let state = State { values: Some(written.to_string()), products: 1 };
        let other = State { values: None, products: 0 };
        assert_eq!(settle_state(&objects, &run(7), &state).await.unwrap(), state);
        assert_eq!(settle_state(&objects, &run(7), &other).await.unwrap(), state);

        // The next run found nothing changed, the one after that nothing at all.
        settle_state(&objects, &run(8), &state).await.unwrap();
        drop_older(&objects, &run(8)).await.unwrap();
        assert_eq!(load_state(&objects, &run(7)).await.unwrap(), None);
        assert!(objects.get(&written).await.unwrap().is_some());
        settle_state(&objects, &run(9), &other).await.unwrap();
        drop_older(&objects, &run(9)).await.unwrap();
        assert!(objects.get(&written).await.unwrap().is_none());
        assert_eq!(load_state(&objects, &run(9)).await.unwrap(), Some(other));
        // Where it cannot be told what counts, everything stays.
        settle_state(&objects, &run(10), &state).await.unwrap();
        objects.put(&keys::supplement_state(&run(10)), "{\"values".into()).await.unwrap();
        assert_eq!(load_state(&objects, &run(10)).await.unwrap(), None);
        drop_older(&objects, &run(10)).await.unwrap();
        assert!(load_state(&objects, &run(9)).await.unwrap().is_some());
    }
}
