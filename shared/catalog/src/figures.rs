//! What a run's commit says of the run: the figures that its worker gave it, found again in the log. Whoever ends a
//! run that another worker has committed tells it by these.

use crate::error::{CatalogError, Cause};
use crate::files::FilePlace;
use crate::log_files::LogFiles;
use crate::table::Table;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries that are read at once: few, since the one that is looked for is among the newest.
const ENTRIES_AT_ONCE: usize = 8;

/// The commit of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCommit {
    /// The table's version that it made.
    pub version: u64,
    /// Its [`metrics`](crate::Change::metrics).
    pub figures: BTreeMap<String, u64>,
}

impl Table {
    /// The commit that let this run of an application in. None: the run is not in, or its entry is not in the log any
    /// more.
    pub fn commit_of(&self, app_id: &str, run: i64) -> Result<Option<RunCommit>, CatalogError> {
        if !self.has_log_entry()? {
            return Ok(None);
        }
        let log = LogFiles::list(self)?;
        let entries: Vec<(u64, &FilePlace)> = log.entries_newest_first().collect();
        // Runs are asked for soon after their commit: it is among the newest.
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            let places: Vec<FilePlace> = some.iter().map(|(_, place)| (*place).clone()).collect();
            let texts = self.files().read_present(&places)?;
            for ((version, place), text) in some.iter().zip(texts) {
                // Upkeep may take the oldest while this goes on.
                let Some(text) = text else { return Ok(None) };
                let entry = parse(&text).map_err(|e| unusable(place, &e))?;
                match entry.fences.get(app_id) {
                    Some(fence) if *fence == run => {
                        return Ok(Some(RunCommit { version: *version, figures: entry.figures }));
                    }
                    Some(fence) if *fence < run => return Ok(None),
                    _ => {}
                }
            }
        }
        Ok(None)
    }
}

fn unusable(place: &FilePlace, why: &serde_json::Error) -> CatalogError {
    CatalogError {
        action: "read",
        subject: place.to_string(),
        source: Cause::Unusable(why.to_string()),
    }
}

/// What an entry of the log says of its commit.
#[derive(Default)]
struct Entry {
    fences: BTreeMap<String, i64>,
    figures: BTreeMap<String, u64>,
}

fn parse(text: &[u8]) -> serde_json::Result<Entry> {
    let mut entry = Entry::default();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let action: Action = serde_json::from_slice(line)?;
        if let Some(Txn { app_id, version }) = action.txn {
            entry.fences.insert(app_id, version);
        }
        if let Some(Value::Object(figures)) = action.commit_info.and_then(|i| i.operation_metrics) {
            let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
            let numbers =
                figures.into_iter().filter_map(|(name, value)| Some((name, number(&value)?)));
            entry.figures.extend(numbers);
        }
    }
    Ok(entry)
}

/// One line of an entry. Other actions are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    txn: Option<Txn>,
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitInfo {
    /// Text by name; other writers have other values.
    operation_metrics: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_whoever_wrote_it() {
        let ours = "{\"commitInfo\":{\"operation\":\"MERGE\",\"operationMetrics\":{\"new\":\"7\",\"odd\":null}}}\n\
                    {\"txn\":{\"appId\":\"acme/feed\",\"version\":12,\"lastUpdated\":1}}\n\n\
                    {\"add\":{\"path\":\"x\",\"size\":1}}\n";
        let entry = parse(ours.as_bytes()).unwrap();
        assert_eq!(entry.fences, BTreeMap::from([("acme/feed".to_owned(), 12)]));
        assert_eq!(entry.figures, BTreeMap::from([("new".to_owned(), 7)]));
        for metrics in ["null", "{\"files\":3,\"times\":{\"ms\":1}}", "[]"] {
            let other = format!("{{\"commitInfo\":{{\"operationMetrics\":{metrics}}}}}");
            assert_eq!(parse(other.as_bytes()).unwrap().figures, BTreeMap::new(), "{metrics}");
        }
        assert!(parse(b"{\"txn\":").is_err());
    }
}
