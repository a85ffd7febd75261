//! Jobs: what a queue message asks for. The set is closed, so that the compiler checks every handler.

use crate::ids::{PipeName, RunId, RunKey};
use serde::{Deserialize, Serialize};

/// The newest schema of message bodies that this build reads.
pub const BODY_SCHEMA: u32 = 2;
/// The schema of bodies that every release reads.
const FIRST_SCHEMA: u32 = 1;
/// The schema of bodies that name a supplement: a release that knows none hands them back to the queue.
const SUPPLEMENT_SCHEMA: u32 = 2;

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Job {
    /// Crawl a pipe.
    Crawl(CrawlJob),
    /// Mirror a batch of images of one host.
    Image(ImageJob),
}

/// Crawl a pipe once, under a run id that was given when its report was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrawlJob {
    /// The pipe, or the supplement.
    pub pipe: PipeName,
    /// The run.
    pub run: RunId,
    /// Which sending of the run this is, from 1; a part of the deduplication id.
    pub attempt: u32,
}

/// Mirror images that a run found new or changed. Idempotent: an image already there costs one
/// conditional request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageJob {
    /// The pipe whose products show these images.
    pub pipe: PipeName,
    /// The run that asked for them.
    pub run: RunId,
    /// The host they all come from, with its port where it is not the scheme's own.
    pub host: String,
    /// The message group's shard: at most one worker at a time fetches from a shard of a host.
    pub shard: u32,
    /// Which asking for the run's pictures this is: 0 is the run's own; a later one is named by the epoch
    /// minute at which they were found missing. A part of the deduplication id.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub round: i64,
    /// Place of this batch in its round, from 0; a part of the deduplication id.
    pub batch: u32,
    /// The images.
    pub items: Vec<ImageItem>,
}

fn is_zero(round: &i64) -> bool {
    *round == 0
}

/// One image to mirror.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageItem {
    /// Where it is.
    pub url: String,
}

/// Why a body is no job of ours.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableJob {
    /// Not JSON, or not of a job's shape.
    #[error("the message body is not a job: {0}")]
    NotAJob(String),
    /// Written by a newer release: it goes back to the queue for a worker that knows it.
    #[error("the job has schema {found}, and this build reads up to {BODY_SCHEMA}")]
    NewerSchema {
        /// The schema that the body names.
        found: u32,
    },
    /// A kind that this build does not know: it goes back to the queue.
    #[error("this build knows no job of kind '{0}'")]
    UnknownKind(String),
}

#[derive(Serialize, Deserialize)]
struct Body {
    schema: u32,
    id: String,
    #[serde(flatten)]
    job: Job,
}

/// Only what must be understood in a body of any age.
#[derive(Deserialize)]
struct Head {
    schema: u32,
    kind: String,
}

const KINDS: [&str; 2] = ["crawl", "image"];

impl Job {
    /// Reads a message body.
    pub fn from_body(body: &str) -> Result<Self, UnreadableJob> {
        let not_a_job = |e: serde_json::Error| UnreadableJob::NotAJob(e.to_string());
        let head: Head = serde_json::from_str(body).map_err(not_a_job)?;
        if head.schema > BODY_SCHEMA {
            return Err(UnreadableJob::NewerSchema { found: head.schema });
        }
        if !KINDS.contains(&head.kind.as_str()) {
            return Err(UnreadableJob::UnknownKind(head.kind));
        }
        serde_json::from_str::<Body>(body).map(|b| b.job).map_err(not_a_job)
    }

    /// The message body that carries this job.
    pub fn to_body(&self) -> String {
        let body = Body { schema: self.schema(), id: self.id(), job: self.clone() };
        serde_json::to_string(&body).expect("a job has only strings and numbers")
    }

    fn schema(&self) -> u32 {
        if self.run_key().pipe.is_supplement() { SUPPLEMENT_SCHEMA } else { FIRST_SCHEMA }
    }

    /// Our own id of the job: it survives what the queue does to its message ids.
    pub fn id(&self) -> String {
        match self {
            Job::Crawl(job) => format!("crawl-{}-{}", job.pipe, job.run),
            Job::Image(job) => format!("image-{}-{}-{}", job.pipe, job.run, job.place("-")),
        }
    }

    /// The run this job belongs to.
    pub fn run_key(&self) -> RunKey {
        let (pipe, run) = match self {
            Job::Crawl(job) => (&job.pipe, job.run),
            Job::Image(job) => (&job.pipe, job.run),
        };
        RunKey { pipe: pipe.clone(), run }
    }

    /// The message group: what must be done one at a time, such as a pipe and its supplements.
    pub fn group(&self) -> String {
        match self {
            Job::Crawl(job) => job.pipe.pipe().to_string(),
            Job::Image(job) => image_group(&job.host, job.shard),
        }
    }

    /// The deduplication id of its message. That of image jobs tells batches of one number apart: a run's portions are
    /// others once its files have been compacted.
    pub fn dedup_id(&self) -> String {
        match self {
            Job::Crawl(job) => format!("{}/{}/{}", job.pipe, job.run, job.attempt),
            Job::Image(job) => {
                let (place, items) = (job.place("/"), job.items_hash());
                format!("{}/{}/{place}/{items:08x}", job.pipe, job.run)
            }
        }
    }

    /// The kind's name, as bodies carry it.
    pub fn kind(&self) -> &'static str {
        match self {
            Job::Crawl(_) => KINDS[0],
            Job::Image(_) => KINDS[1],
        }
    }
}

impl ImageJob {
    /// Which of its run's batches this is, as ids name it.
    fn place(&self, separator: &str) -> String {
        match self.round {
            0 => self.batch.to_string(),
            round => format!("r{round}{separator}{}", self.batch),
        }
    }

    fn items_hash(&self) -> u32 {
        let urls: Vec<&str> = self.items.iter().map(|item| item.url.as_str()).collect();
        // No address has a line's end in it.
        crate::hash::bytes_hash(urls.join("\n").as_bytes()) as u32
    }
}

/// A group id holds 128 characters at most; a longer host is shortened to its hash.
fn image_group(host: &str, shard: u32) -> String {
    let group = format!("{host}#{shard}");
    if group.len() <= 128 && group.bytes().all(|b| b.is_ascii_graphic()) {
        return group;
    }
    format!("{}#{shard}", crate::hash::hex(crate::hash::bytes_hash(host.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crawl() -> Job {
        Job::Crawl(CrawlJob { pipe: "acme".parse().unwrap(), run: RunId(7), attempt: 1 })
    }

    #[test]
    fn a_job_survives_its_body() {
        assert_eq!(Job::from_body(&crawl().to_body()).unwrap(), crawl());
        assert_eq!(crawl().dedup_id(), "acme/7/1");
    }

    /// A release that knows no supplements must hand the job back, and not take it for broken.
    #[test]
    fn a_supplements_job_has_a_newer_schema_and_its_pipes_group() {
        let pipe = "acme.stock".parse().unwrap();
        let job = Job::Crawl(CrawlJob { pipe, run: RunId(7), attempt: 1 });
        assert_eq!(Job::from_body(&job.to_body()).unwrap(), job);
        assert!(job.to_body().contains(r#""schema":2"#));
        assert!(crawl().to_body().contains(r#""schema":1"#));
        assert_eq!((job.group(), job.id()), (crawl().group(), "crawl-acme.stock-7".to_owned()));
        assert_eq!(job.dedup_id(), "acme.stock/7/1");
    }

    #[test]
    fn bodies_of_others_are_told_apart() {
        let cases = [
            ("", "not a job"),
            ("[]", "not a job"),
            (
                r#"{"schema":1,"kind":"crawl","id":"x","pipe":"../etc","run":1,"attempt":1}"#,
                "not a job",
            ),
            (r#"{"schema":3,"kind":"crawl"}"#, "schema 3"),
            (r#"{"schema":1,"kind":"rank","id":"x"}"#, "kind 'rank'"),
        ];
        for (body, expected) in cases {
            let error = Job::from_body(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn a_batch_of_other_pictures_is_no_duplicate() {
        let job = |urls: &[&str]| {
            let items = urls.iter().map(|url| ImageItem { url: (*url).to_owned() }).collect();
            let pipe = "acme".parse().unwrap();
            let host = "h".into();
            Job::Image(ImageJob { pipe, run: RunId(7), host, shard: 0, round: 0, batch: 3, items })
        };
        let id = |urls: &[&str]| job(urls).dedup_id();
        assert_eq!(id(&["http://h/1", "http://h/2"]), id(&["http://h/1", "http://h/2"]));
        assert_ne!(id(&["http://h/1", "http://h/2"]), id(&["http://h/1", "http://h/3"]));
    }

    #[test]
    fn a_later_round_has_ids_of_its_own() {
        let job = |round| {
            Job::Image(ImageJob {
                pipe: "acme".parse().unwrap(),
                run: RunId(7),
                host: "h".into(),
                shard: 0,
                round,
                batch: 3,
                items: vec![ImageItem { url: "http://h/1.jpg".into() }],
            })
        };
        assert_eq!(
            (job(0).id(), job(25).id()),
            ("image-acme-7-3".into(), "image-acme-7-r25-3".into())
        );
        let [own, later] = [0, 25].map(|round| job(round).dedup_id());
        let items = own.strip_prefix("acme/7/3/").unwrap();
        assert_eq!((items.len(), later), (8, format!("acme/7/r25/3/{items}")));
        assert_eq!(Job::from_body(&job(25).to_body()).unwrap(), job(25));
        // A body of an earlier release has no round, and neither has a run's own.
        assert!(!job(0).to_body().contains("round"));
        assert_eq!(Job::from_body(&job(0).to_body()).unwrap(), job(0));
    }

    #[test]
    fn a_long_host_still_makes_a_group() {
        assert_eq!(image_group("shop.example", 3), "shop.example#3");
        assert!(image_group(&"h".repeat(300), 3).len() <= 128);
    }
}
