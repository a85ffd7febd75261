//! Image jobs from picture addresses: batches of one host each, dealt to the host's shards in turn. The same
//! addresses make the same jobs, whoever asks.

use crate::ids::RunKey;
use crate::job::{ImageItem, ImageJob};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use url::Url;

/// Pictures in one message: a few seconds of work at a polite pace. With addresses of the usual length ten such
/// messages, which is what one request takes, fit into one chunk.
pub const BATCH: usize = 20;

/// SQS counts a request for each chunk of so many bytes, when it is sent and when it is received.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a message holds besides its host and its pictures, at most.
const HEAD_BYTES: usize = 512;

/// What a message holds of each picture besides its address: `{"url":""},`.
const ITEM_BYTES: usize = 11;

/// Pictures with longer addresses are not fetched: servers refuse them, and messages must stay small.
pub const MAX_LINK_BYTES: usize = 4096;

/// Addresses of pictures, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PictureLinks {
    by_host: BTreeMap<String, BTreeSet<String>>,
    count: usize,
}

impl PictureLinks {
    /// Adds an address. False: it is here already, or is no web address that a message could carry.
    pub fn add(&mut self, link: &str) -> bool {
        if link.len() > MAX_LINK_BYTES || !link.chars().all(can_travel) {
            return false;
        }
        let is_new = host_of(link)
            .is_some_and(|host| self.by_host.entry(host).or_default().insert(link.to_owned()));
        self.count += usize::from(is_new);
        is_new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_host.is_empty()
    }

    /// The jobs that mirror them; hosts take turns. The first has the number `first`. `round`: see
    /// [`ImageJob::round`]. `shards`: by host, how many workers at most shall fetch from it at once.
    pub fn into_jobs(
        self,
        run: &RunKey,
        round: i64,
        first: u32,
        shards: &dyn Fn(&str) -> u32,
    ) -> Vec<ImageJob> {
        let mut hosts: Vec<_> = self
            .by_host
            .into_iter()
            .map(|(host, links)| (host, links.into_iter().peekable()))
            .collect();
        let mut jobs = Vec::new();
        for turn in 0.. {
            let before = jobs.len();
            for (host, links) in &mut hosts {
                let items = next_batch(host, links);
                if !items.is_empty() {
                    jobs.push(ImageJob {
                        pipe: run.pipe.clone(),
                        run: run.run,
                        host: host.clone(),
                        shard: turn % shards(host).max(1),
                        round,
                        batch: first + jobs.len() as u32,
                        items,
                    });
                }
            }
            if jobs.len() == before {
                break;
            }
        }
        jobs
    }
}

/// The next of the host's pictures that go into one message: a batch, or fewer where their addresses are so
/// long that the message would need a second chunk.
fn next_batch(host: &str, links: &mut Peekable<impl Iterator<Item = String>>) -> Vec<ImageItem> {
    let mut bytes = HEAD_BYTES + host.len();
    let mut items = Vec::new();
    while items.len() < BATCH {
        let fits = |url: &String| items.is_empty() || bytes + item_bytes(url) <= CHUNK_BYTES;
        let Some(url) = links.next_if(fits) else { break };
        bytes += item_bytes(&url);
        items.push(ImageItem { url });
    }
    items
}

/// Bytes of a picture in a message's body; JSON marks quotes and backslashes by one more.
fn item_bytes(url: &str) -> usize {
    let marked = url.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    ITEM_BYTES + url.len() + marked
}

/// Characters that a queue takes: those of XML.
fn can_travel(c: char) -> bool {
    !c.is_ascii_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
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
    use crate::job::Job;

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
        let jobs = links.into_jobs(&key, 0, 0, &|_| 2);
        let order: Vec<_> =
            jobs.iter().map(|j| (j.host.as_str(), j.shard, j.items.len())).collect();
        assert_eq!(order, [("a", 0, 20), ("b", 0, 10), ("a", 1, 20), ("a", 0, 15)]);
        assert_eq!(jobs[3].batch, 3);
    }

    /// The bodies of the jobs for so many addresses of so many bytes, of one host.
    fn bodies(count: usize, url_bytes: usize) -> Vec<String> {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1_767_225_600) };
        let mut links = PictureLinks::default();
        for i in 0..count {
            let start = format!("https://images.shop.example/{i:06}");
            let padding = "\"".repeat(url_bytes.saturating_sub(start.len()));
            assert!(links.add(&format!("{start}{padding}")));
        }
        let jobs = links.into_jobs(&key, 29_453_760, 0, &|_| 4);
        jobs.into_iter().map(|job| Job::Image(job).to_body()).collect()
    }

    #[test]
    fn no_job_needs_a_second_chunk() {
        let bodies = bodies(60, 4_000);
        assert!(bodies.iter().all(|body| body.len() <= CHUNK_BYTES));
        // Two of them do not fit into one: none could be saved.
        assert!(bodies.windows(2).all(|pair| pair[0].len() + pair[1].len() > CHUNK_BYTES));
        assert_eq!(bodies.iter().map(|body| body.matches("\"url\"").count()).sum::<usize>(), 60);
    }

    #[test]
    fn ten_usual_jobs_share_a_chunk() {
        let bodies = bodies(200, 90);
        assert_eq!(bodies.len(), 10);
        assert!(bodies.iter().map(String::len).sum::<usize>() <= CHUNK_BYTES);
    }

    #[test]
    fn only_web_addresses_have_a_host() {
        assert_eq!(host_of("https://h/x.jpg").as_deref(), Some("h"));
        assert_eq!(host_of("http://h:8080/x.jpg").as_deref(), Some("h:8080"));
        assert_eq!(host_of("data:image/png;base64,AA"), None);
        assert_eq!(host_of("x.jpg"), None);
        let mut links = PictureLinks::default();
        assert!(!links.add("x.jpg"));
        assert!(!links.add("http://h/\u{ffff}.jpg"));
        assert!(!links.add(&format!("http://h/{}", "x".repeat(5000))));
        assert!(links.is_empty());
    }
}
