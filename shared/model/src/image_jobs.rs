//! Image jobs from picture addresses: batches of one host each, dealt to the host's shards in turn. The same
//! addresses make the same jobs, whoever asks.

use crate::ids::RunKey;
use crate::job::{ImageItem, ImageJob};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// Pictures in one message: a few seconds of work at a polite pace.
const BATCH: usize = 20;

/// Addresses of pictures, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PictureLinks {
    by_host: BTreeMap<String, BTreeSet<String>>,
}

impl PictureLinks {
    /// Adds an address. False: it is here already, or is no web address.
    pub fn add(&mut self, link: &str) -> bool {
        host_of(link)
            .is_some_and(|host| self.by_host.entry(host).or_default().insert(link.to_owned()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_host.values().map(BTreeSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_host.is_empty()
    }

    /// The jobs that mirror them; hosts take turns. `round`: see [`ImageJob::round`]. `shards`: how many
    /// workers at most shall fetch from one host at once.
    pub fn into_jobs(self, run: &RunKey, round: i64, shards: u32) -> Vec<ImageJob> {
        let mut hosts: Vec<(String, Vec<Vec<ImageItem>>)> = Vec::new();
        for (host, urls) in self.by_host {
            let items: Vec<ImageItem> = urls.into_iter().map(|url| ImageItem { url }).collect();
            hosts.push((host, items.chunks(BATCH).map(<[_]>::to_vec).collect()));
        }
        let turns = hosts.iter().map(|(_, batches)| batches.len()).max().unwrap_or(0);
        let mut jobs = Vec::new();
        for turn in 0..turns {
            for (host, batches) in &hosts {
                if let Some(items) = batches.get(turn) {
                    jobs.push(ImageJob {
                        pipe: run.pipe.clone(),
                        run: run.run,
                        host: host.clone(),
                        shard: turn as u32 % shards.max(1),
                        round,
                        batch: jobs.len() as u32,
                        items: items.clone(),
                    });
                }
            }
        }
        jobs
    }
}

/// Host and, where it is not the scheme's own, port. None for what is no web address.
pub fn host_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    #[test]
    fn hosts_take_turns_and_batches_are_dealt_to_shards() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
        let mut links = PictureLinks::default();
        for (host, n) in [("a", 55), ("b", 10)] {
            for i in 0..n {
                assert!(links.add(&format!("http://{host}/{i:03}.jpg")));
            }
        }
        assert!(!links.add("http://b/000.jpg"), "each address once");
        assert_eq!(links.len(), 65);
        let jobs = links.into_jobs(&key, 0, 2);
        let order: Vec<_> =
            jobs.iter().map(|j| (j.host.as_str(), j.shard, j.items.len())).collect();
        assert_eq!(order, [("a", 0, 20), ("b", 0, 10), ("a", 1, 20), ("a", 0, 15)]);
        assert_eq!(jobs[3].batch, 3);
    }

    #[test]
    fn only_web_addresses_have_a_host() {
        assert_eq!(host_of("https://h/x.jpg").as_deref(), Some("h"));
        assert_eq!(host_of("http://h:8080/x.jpg").as_deref(), Some("h:8080"));
        assert_eq!(host_of("data:image/png;base64,AA"), None);
        assert_eq!(host_of("x.jpg"), None);
        let mut links = PictureLinks::default();
        assert!(!links.add("x.jpg"));
        assert!(links.is_empty());
    }
}
