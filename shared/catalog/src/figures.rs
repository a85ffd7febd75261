//! What a run's commit says of the run: the figures that its worker gave it, found again in the log. Whoever ends a
//! run that another worker has committed tells it by these.

use crate::error::{CatalogError, Cause, Context};
use crate::log_files::LogFiles;
use crate::table::Table;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

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
        if !self.folder().join("_delta_log").is_dir() {
            return Ok(None);
        }
        // Runs are asked for soon after their commit: it is among the newest.
        for (version, path) in LogFiles::list(self)?.entries_newest_first() {
            // Upkeep may take the oldest while this goes on.
            let Some(entry) = read(path)? else { return Ok(None) };
            match entry.fences.get(app_id) {
                Some(fence) if *fence == run => {
                    return Ok(Some(RunCommit { version, figures: entry.figures }));
                }
                Some(fence) if *fence < run => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// What an entry of the log says of its commit.
#[derive(Default)]
struct Entry {
    fences: BTreeMap<String, i64>,
    figures: BTreeMap<String, u64>,
}

/// None: it has gone.
fn read(path: &Path) -> Result<Option<Entry>, CatalogError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).at("read", path),
    };
    let entry = parse(&text).map_err(|e| CatalogError {
        action: "read",
        subject: path.display().to_string(),
        source: Cause::Unusable(e.to_string()),
    })?;
    Ok(Some(entry))
}

fn parse(text: &str) -> serde_json::Result<Entry> {
    let mut entry = Entry::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let action: Action = serde_json::from_str(line)?;
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
        let entry = parse(ours).unwrap();
        assert_eq!(entry.fences, BTreeMap::from([("acme/feed".to_owned(), 12)]));
        assert_eq!(entry.figures, BTreeMap::from([("new".to_owned(), 7)]));
        for metrics in ["null", "{\"files\":3,\"times\":{\"ms\":1}}", "[]"] {
            let other = format!("{{\"commitInfo\":{{\"operationMetrics\":{metrics}}}}}");
            assert_eq!(parse(&other).unwrap().figures, BTreeMap::new(), "{metrics}");
        }
        assert!(parse("{\"txn\":").is_err());
    }
}
