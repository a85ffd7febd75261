//! Object keys. They are made here and nowhere else, from typed parts, so that nothing from outside can
//! shape a path.

use crate::hash::{bytes_hash, hex};
use crate::ids::{PipeName, RunId, RunKey};
use std::fmt;

mod supplements;

pub use supplements::{
    SUPPLEMENTS, reports_of_supplements, run_of_supplement_object, supplement_objects,
    supplement_state, supplement_values, validators_of_supplements,
};

/// The key of an object: `/`-separated segments of `A-Z a-z 0-9 . _ = -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a key that was written before; none for a text that is no key.
    pub fn parse(text: &str) -> Option<Self> {
        let segment = |s: &str| {
            !s.is_empty()
                && s != "."
                && s != ".."
                && s.len() <= 255
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=-".contains(&b))
        };
        (text.len() <= 1024 && text.split('/').all(segment)).then(|| Self(text.to_owned()))
    }

    fn of(text: String) -> Self {
        debug_assert!(Self::parse(&text).is_some(), "{text}");
        Self(text)
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Prefix of all run reports.
pub const REPORTS: &str = "reports";
/// Prefix of copies of objects that could not be read and have been replaced.
pub const DAMAGED: &str = "damaged";
/// Prefix of raw snapshots.
pub const RAW: &str = "raw";
/// Prefix of image receipts that wait to be folded into the `images` table.
pub const RECEIPTS: &str = "receipts";
/// Prefix of dead letters.
pub const DEAD: &str = "dead";
/// Prefix of what says that pipes are paused.
pub const PAUSED: &str = "paused";
/// Prefix of the dead letters of crawl jobs, whose ids begin so.
pub const DEAD_CRAWLS: &str = "dead/crawl-";

/// A run's report. Run ids are written with leading zeros: listing sorts them by time.
pub fn report(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{REPORTS}/{}/{}.json", key.pipe, run_segment(key.run)))
}

/// Prefix of a pipe's reports.
pub fn reports_of(pipe: &PipeName) -> String {
    format!("{REPORTS}/{pipe}/")
}

/// The run a report's key names; none for other keys.
pub fn run_of_report(key: &ObjectKey) -> Option<RunKey> {
    let mut parts = key.as_str().strip_prefix(REPORTS)?.strip_prefix('/')?.split('/');
    let pipe = parts.next()?.parse().ok()?;
    let run = parts.next()?.strip_suffix(".json")?.parse().ok()?;
    parts.next().is_none().then_some(RunKey { pipe, run })
}

/// A run's report that could not be read, as it was; `content` is a hash of its bytes.
pub fn damaged_report(key: &RunKey, content: u64) -> ObjectKey {
    let run = run_segment(key.run);
    ObjectKey::of(format!("{DAMAGED}/{REPORTS}/{}/{run}-{content:016x}", key.pipe))
}

/// Names the raw snapshot of a run's source, as it came. No object itself: it is made of those below.
pub fn raw(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{RAW}/{}/{}", key.pipe, run_segment(key.run)))
}

/// Prefix of the objects that make up a run's raw snapshot.
pub fn raw_prefix(key: &RunKey) -> String {
    format!("{}/", raw(key))
}

/// What is known of a raw snapshot, and which parts belong to it.
pub fn raw_facts(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{}/facts.json", raw(key)))
}

/// Part `number` of a raw snapshot, of those that one transfer into it wrote.
pub fn raw_part(key: &RunKey, transfer: u32, number: u32) -> ObjectKey {
    ObjectKey::of(format!("{}/{transfer:04}-{number:08}", raw(key)))
}

/// How far the crawl of a site is whose rows are the run's raw snapshot, and what it has learnt. It lies among the
/// snapshot's objects, and expires with them.
pub fn site_state(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{}/site.state", raw(key)))
}

/// The transfer and the number of a part of a raw snapshot; none for other keys.
pub fn part_of_raw(key: &ObjectKey) -> Option<(u32, u32)> {
    run_of_raw_object(key)?;
    let (transfer, number) = key.name().split_once('-')?;
    Some((transfer.parse().ok()?, number.parse().ok()?))
}

/// The run whose raw snapshot this key names, or an object of; none for other keys.
pub fn run_of_raw_object(key: &ObjectKey) -> Option<RunKey> {
    let mut parts = key.as_str().strip_prefix(RAW)?.strip_prefix('/')?.split('/');
    let pipe = parts.next()?.parse().ok()?;
    Some(RunKey { pipe, run: parts.next()?.parse().ok()? })
}

/// The validators of a pipe's last complete run.
pub fn validators(pipe: &PipeName) -> ObjectKey {
    ObjectKey::of(format!("validators/{pipe}.json"))
}

/// The ids of the products whose removal a run held, until an operator decides; JSON Lines. `content` is a hash of
/// them: two workers at one run never write different lists under one key.
pub fn held(key: &RunKey, content: u64) -> ObjectKey {
    ObjectKey::of(format!("{}{content:016x}", held_by(key)))
}

/// Prefix of all lists of held products that workers wrote for a run.
pub fn held_by(key: &RunKey) -> String {
    format!("held/{}/{}-", key.pipe, run_segment(key.run))
}

/// The ids of the products that a run's source did not mention and that stay, and for how many runs in a row; JSON
/// Lines. `content` as for [`held`].
pub fn absent(key: &RunKey, content: u64) -> ObjectKey {
    ObjectKey::of(format!("{}{content:016x}", absent_from(key)))
}

/// The hash in the key of such a list; none for other keys.
pub fn content_of_list(key: &str) -> Option<u64> {
    let (_, content) = key.rsplit_once('-')?;
    u64::from_str_radix(content, 16).ok()
}

/// Prefix of all lists of absent products that workers wrote for a run.
pub fn absent_from(key: &RunKey) -> String {
    format!("absent/{}/{}-", key.pipe, run_segment(key.run))
}

/// Says that a pipe is paused, and why.
pub fn paused(pipe: &PipeName) -> ObjectKey {
    ObjectKey::of(format!("{PAUSED}/{pipe}.json"))
}

/// The pipe that a key says is paused; none for other keys.
pub fn pipe_of_pause(key: &ObjectKey) -> Option<PipeName> {
    let name = key.as_str().strip_prefix(PAUSED)?.strip_prefix('/')?;
    name.strip_suffix(".json")?.parse().ok()
}

/// The key of a picture of a pipe: derived from its address, so that the product row knows it before the
/// picture is there. It names the original.
pub fn image_key(pipe: &PipeName, url: &str) -> ObjectKey {
    let hash = hex(address_hash(url));
    ObjectKey::of(format!("images/{pipe}/{}/{hash}/original", &hash[..2]))
}

/// The hash that names the picture at this address among its pipe's.
pub fn address_hash(url: &str) -> u128 {
    bytes_hash(url.as_bytes())
}

/// The [`address_hash`] in the key of an original, a rendition or a picture's facts; none for other keys.
pub fn picture_hash(key: &str) -> Option<u128> {
    let hash = key.strip_prefix("images/")?.split('/').nth(2)?;
    if hash.len() == 32 { u128::from_str_radix(hash, 16).ok() } else { None }
}

/// Prefix of a pipe's pictures whose hash begins with this byte.
pub fn pictures_of(pipe: &PipeName, first_byte: u8) -> String {
    format!("images/{pipe}/{first_byte:02x}/")
}

/// A rendition of the picture with this key.
pub fn rendition(image: &ObjectKey, name: &str, extension: &str) -> ObjectKey {
    let base = image.as_str().strip_suffix("original").unwrap_or(image.as_str());
    ObjectKey::of(format!("{base}{name}.{extension}"))
}

/// What is known of the picture with this key: ETag, hash, size, renditions.
pub fn image_facts(image: &ObjectKey) -> ObjectKey {
    let base = image.as_str().strip_suffix("original").unwrap_or(image.as_str());
    ObjectKey::of(format!("{base}facts.json"))
}

/// Whether this is the key of some picture's facts.
pub fn is_image_facts(key: &ObjectKey) -> bool {
    picture_hash(key.as_str()).is_some() && key.name() == "facts.json"
}

/// Prefix of what workers tell of themselves.
pub const WORKERS: &str = "fleet/workers";

/// What a worker tells of itself, by its name: machine and process. Workers on two machines may have one process
/// id.
pub fn worker_status(worker: &str) -> ObjectKey {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = worker.chars().take(200).map(plain).collect();
    ObjectKey::of(format!("{WORKERS}/{name}.json"))
}

/// What the scheduler tells of the fleet.
pub fn fleet_status() -> ObjectKey {
    ObjectKey::of("fleet/status.json".to_owned())
}

/// Who does upkeep.
pub fn upkeep_owner() -> ObjectKey {
    ObjectKey::of("upkeep/owner.json".to_owned())
}

/// A receipt of an image job, by the job's own id and the time in microseconds: whoever deletes one that was read
/// deletes none that was written since.
pub fn receipt(job_id: &str, written_at_us: i64) -> ObjectKey {
    ObjectKey::of(format!("{RECEIPTS}/{job_id}-{written_at_us}.json"))
}

/// The lasting dead letter of a job, by the job's own id.
pub fn dead_letter(job_id: &str) -> ObjectKey {
    ObjectKey::of(format!("{DEAD}/{job_id}.json"))
}

/// The dead letter that somebody names; none for a text that is no id.
pub fn dead_letter_named(id: &str) -> Option<ObjectKey> {
    if id.contains('/') { None } else { ObjectKey::parse(&format!("{DEAD}/{id}.json")) }
}

fn run_segment(run: RunId) -> String {
    format!("{:012}", run.0.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_shapes_a_path() {
        let pipe: PipeName = "acme".parse().unwrap();
        for url in
            ["http://h/../../etc/passwd", "http://h/%2e%2e/", &"x".repeat(5000), "http://h/\0"]
        {
            let key = image_key(&pipe, url);
            assert!(ObjectKey::parse(key.as_str()).is_some(), "{key}");
            assert!(key.as_str().len() < 160);
        }
        for bad in ["", "a//b", "../a", "a/..", "a b", "/a", "a/"] {
            assert_eq!(ObjectKey::parse(bad), None, "{bad}");
        }
        for bad in ["../reports/acme/1", "a/b", "a b", "\0"] {
            assert_eq!(dead_letter_named(bad), None, "{bad}");
        }
        assert_eq!(dead_letter_named("crawl-a-7"), Some(dead_letter("crawl-a-7")));
    }

    #[test]
    fn a_worker_is_told_from_one_elsewhere() {
        let key = worker_status("i-0abc/17");
        assert_eq!(key.as_str(), "fleet/workers/i-0abc-17.json");
        assert_ne!(key, worker_status("ip-10-0-0-7.internal/17"));
        for odd in ["../é/1", "", &"x".repeat(400)] {
            assert!(ObjectKey::parse(worker_status(odd).as_str()).is_some(), "{odd}");
        }
    }

    #[test]
    fn every_object_of_a_picture_names_it() {
        let pipe: PipeName = "acme".parse().unwrap();
        let url = "http://h/1.jpg";
        let original = image_key(&pipe, url);
        for key in [rendition(&original, "thumb", "webp"), image_facts(&original), original] {
            assert_eq!(picture_hash(key.as_str()), Some(address_hash(url)), "{key}");
            let byte = (address_hash(url) >> 120) as u8;
            assert!(key.as_str().starts_with(&pictures_of(&pipe, byte)), "{key}");
        }
        assert_eq!(picture_hash("images/acme/ab/short/original"), None);
        assert_eq!(picture_hash("raw/acme/000000000001/facts.json"), None);
    }

    #[test]
    fn a_snapshot_and_its_objects_name_their_run() {
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        for key in [raw(&run), raw_facts(&run), raw_part(&run, 1, 20), site_state(&run)] {
            assert_eq!(run_of_raw_object(&key), Some(run.clone()), "{key}");
        }
        assert!(raw_part(&run, 2, 0).as_str().starts_with(&raw_prefix(&run)));
        assert_eq!(part_of_raw(&raw_part(&run, 3, 20)), Some((3, 20)));
        assert_eq!(part_of_raw(&raw_facts(&run)), None);
        assert_eq!(part_of_raw(&site_state(&run)), None);
        assert_eq!(part_of_raw(&raw(&run)), None);
        assert_eq!(run_of_raw_object(&report(&run)), None);
    }

    #[test]
    fn lists_and_copies_are_named_by_run_and_content() {
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        assert_eq!(held(&run, 0xab).as_str(), "held/acme/000000000007-00000000000000ab");
        assert!(held(&run, 1).as_str().starts_with(&held_by(&run)));
        assert_eq!(content_of_list(held(&run, u64::MAX).as_str()), Some(u64::MAX));
        assert_eq!(content_of_list(report(&run).as_str()), None);
        assert!(absent(&run, u64::MAX).as_str().starts_with(&absent_from(&run)));
        assert_ne!(damaged_report(&run, 1), damaged_report(&run, 2));
        assert_eq!(run_of_report(&damaged_report(&run, 1)), None);
    }

    #[test]
    fn report_keys_sort_by_time_and_read_back() {
        let key = |run| RunKey { pipe: "acme".parse().unwrap(), run: RunId(run) };
        assert!(report(&key(999_999_999)) < report(&key(1_000_000_000)));
        assert_eq!(run_of_report(&report(&key(7))), Some(key(7)));
    }
}
