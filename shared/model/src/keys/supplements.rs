//! Keys of what supplements leave behind, and prefixes of what belongs to all supplements of a pipe.

use super::{ObjectKey, REPORTS, run_segment};
use crate::ids::{PipeName, RunKey};

/// Prefix of what runs of supplements read.
pub const SUPPLEMENTS: &str = "supplements";

/// Says which values a supplement's run read: those that count, once the run is in the table.
pub fn supplement_state(key: &RunKey) -> ObjectKey {
    ObjectKey::of(format!("{SUPPLEMENTS}/{}/{}.json", key.pipe, run_segment(key.run)))
}

/// The values that a supplement's run read; JSON Lines. `content` is a hash of them: two workers at one run never
/// write different values under one key.
pub fn supplement_values(key: &RunKey, content: u64) -> ObjectKey {
    ObjectKey::of(format!("{SUPPLEMENTS}/{}/{}-{content:016x}", key.pipe, run_segment(key.run)))
}

/// Prefix of all that runs of a supplement read.
pub fn supplement_objects(supplement: &PipeName) -> String {
    format!("{SUPPLEMENTS}/{supplement}/")
}

/// The run that wrote a state or values; none for other keys.
pub fn run_of_supplement_object(key: &ObjectKey) -> Option<RunKey> {
    let mut parts = key.as_str().strip_prefix(SUPPLEMENTS)?.strip_prefix('/')?.split('/');
    let pipe = parts.next()?.parse().ok()?;
    let run = parts.next()?.split(['-', '.']).next()?.parse().ok()?;
    parts.next().is_none().then_some(RunKey { pipe, run })
}

/// Prefix of the reports of all supplements of a pipe.
pub fn reports_of_supplements(pipe: &PipeName) -> String {
    format!("{REPORTS}/{}.", pipe.pipe())
}

/// Prefix of the validators of all supplements of a pipe. The pipe's own begin with it, too.
pub fn validators_of_supplements(pipe: &PipeName) -> String {
    format!("validators/{}.", pipe.pipe())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;
    use crate::keys::{content_of_list, report, reports_of, validators};

    #[test]
    fn what_a_supplement_leaves_names_its_run() {
        let run = RunKey { pipe: "acme.stock".parse().unwrap(), run: RunId(7) };
        let values = supplement_values(&run, 0xab);
        assert_eq!(values.as_str(), "supplements/acme.stock/000000000007-00000000000000ab");
        assert_eq!(content_of_list(values.as_str()), Some(0xab));
        for key in [supplement_state(&run), values] {
            assert_eq!(run_of_supplement_object(&key), Some(run.clone()), "{key}");
            assert!(key.as_str().starts_with(&supplement_objects(&run.pipe)), "{key}");
        }
        assert_eq!(run_of_supplement_object(&report(&run)), None);
    }

    #[test]
    fn what_is_a_supplements_is_told_from_what_is_its_pipes() {
        let pipe: PipeName = "acme".parse().unwrap();
        let stock = RunKey { pipe: pipe.with_supplement("stock").unwrap(), run: RunId(7) };
        let reported = report(&stock);
        assert!(reported.as_str().starts_with(&reports_of_supplements(&pipe)));
        assert!(!reported.as_str().starts_with(&reports_of(&pipe)));
        assert!(validators(&stock.pipe).as_str().starts_with(&validators_of_supplements(&pipe)));
        let other = "acme2".parse().unwrap();
        assert!(!validators(&other).as_str().starts_with(&validators_of_supplements(&pipe)));
    }
}
