//! The guard: whether a source was whole, and what becomes of the products that it did not mention. New and
//! changed rows load whatever is decided here; removals need a source that proves itself.

mod usual;

pub(crate) use usual::{Usual, usual};

use super::absence;
use super::failure::Failure;
use super::load::Work;
use feedfleet_catalog::diff::{Absent, Diff};
use feedfleet_config::{Format, Guard, TextKind};
use feedfleet_feed::Completeness;
use feedfleet_model::report::{Lists, RefusalTally, TO_DECIDE};
use feedfleet_model::{Night, PipeName, Reason, ReasonClass, RunKey, text};
use usual::{lost_key, mostly_repeated, share};

/// So many absent products, and this share of the pipe, may be a change of ids.
const MANY_ABSENT: u64 = 20;
const MANY_ABSENT_SHARE: f64 = 0.05;
/// Fewer refused records are no feed gone wrong, where others were taken.
const MANY_REFUSED: u64 = 20;
/// So great a share of refused records is told from the first night on, when nothing is usual yet.
const MOST_REFUSED_SHARE: f64 = 0.5;
/// Characters of what is told of a refused record.
const SAMPLE_CHARS: usize = 200;
/// Why a transfer of a format without end mark proves nothing.
const UNMARKED_END: &str =
    "the transfer does not show where it ends (no Content-Length, no chunks)";
/// Why delimited text may be cut inside its last column, where it has all its cells.
const LOST_LINE_END: &str = "the last line has no line end, and the pipe's sources have one: it may be cut off, and its \
                             last value with it; an approval makes that usual";

/// What is known of a source that has been read to its end.
pub(super) struct Source<'a> {
    /// What the format says of its end.
    pub end: &'a Completeness,
    /// The transfer itself shows where it ends.
    pub transfer_ends: bool,
    /// Records read.
    pub seen: u64,
    /// Of those, the ones that were refused and do not even say which product they are of.
    pub unreadable: u64,
    /// Records that the pipe's source usually has; none: not known yet.
    pub usual: Option<u64>,
    /// The last record does not end with its line, as those of the pipe's source usually do.
    pub lost_line_end: bool,
    /// The supplement that it is of; none: the pipe's own.
    pub supplement: Option<&'a str>,
}

/// What absence from a source means, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wholeness {
    pub night: Night,
    pub text: String,
}

impl Wholeness {
    /// Whether absence means that a product is gone.
    pub fn is_complete(&self) -> bool {
        self.night == Night::Complete
    }
}

/// Judges whether a source was whole.
pub(super) fn wholeness(source: &Source<'_>, guard: &Guard) -> Wholeness {
    let (night, text) = match source.end {
        Completeness::Proven(what) => (Night::Complete, what.clone()),
        Completeness::Truncated(why) => (Night::Cut, format!("truncated: {why}")),
        Completeness::Unproven(_) if !source.transfer_ends => {
            (Night::Doubtful, UNMARKED_END.to_owned())
        }
        Completeness::Unproven(why) => {
            let lost_line_end = source.lost_line_end.then(|| LOST_LINE_END.to_owned());
            let doubts = [too_few(source, guard), lost_line_end];
            let doubts: Vec<String> = doubts.into_iter().flatten().collect();
            if doubts.is_empty() {
                (Night::Complete, why.clone())
            } else {
                (Night::Doubtful, format!("{}; {why}", doubts.join("; ")))
            }
        }
    };
    Wholeness { night, text }
}

fn too_few(source: &Source<'_>, guard: &Guard) -> Option<String> {
    let usual = source.usual?;
    ((source.seen as f64) < usual as f64 * guard.min_records).then(|| {
        format!(
            "{} records, usually {}: fewer than the {}'s min_records of {:.0} %",
            text::count(source.seen),
            text::count(usual),
            if source.supplement.is_some() { "supplement" } else { "pipe" },
            guard.min_records * 100.0
        )
    })
}

/// What there is to say, where nothing is usual yet or nothing is live, of a night of which most records were refused.
fn mostly_refused(refusals: &RefusalTally, seen: u64, is_first: bool) -> Option<String> {
    let refused = refusals.total();
    let now = share(refused, seen).filter(|_| is_first)?;
    let most = refusals.most_frequent()?;
    (refused >= seen || (refused >= MANY_REFUSED && now > MOST_REFUSED_SHARE)).then(|| {
        let such_as = most.samples.first().map_or_else(String::new, |sample| {
            let field = sample.field.as_deref().map(|field| format!("{field}: "));
            let field = field.unwrap_or_default();
            let told = format!("{}: {field}{}", sample.position, sample.message);
            format!(", such as {}", text::shorten(&told, SAMPLE_CHARS))
        });
        format!(
            "{} of {} records were refused: {} × {}{such_as}",
            text::count(refused),
            text::count(seen),
            text::count(most.count),
            most.reason
        )
    })
}

/// What there is to say of a source without a record: nobody would see otherwise that records were looked for in the wrong
/// place.
fn no_records(pipe: &PipeName, format: Format, seen: u64) -> Option<String> {
    if seen > 0 {
        return None;
    }
    let setting = match format.text_kind() {
        TextKind::Xml => "item under [source] names the element that is one product",
        TextKind::Json if format == Format::Json => {
            "items under [source] says where the products are"
        }
        TextKind::Json | TextKind::Delimited | TextKind::JsonLines | TextKind::Tagged => {
            return Some("the source has no records".to_owned());
        }
    };
    Some(format!(
        "the source has no records; {setting}: feedfleet pipes detect --pipe {pipe} proposes it"
    ))
}

/// A source that was cut off is worth a word, also where nothing is absent.
fn cut_off(whole: &Wholeness) -> Option<String> {
    (whole.night == Night::Cut).then(|| format!("the source was not whole ({})", whole.text))
}

/// What becomes of the products that the source did not mention.
pub(super) struct Decided {
    pub absent: Absent,
    /// The lists of those that stay.
    pub lists: Lists,
    /// What an operator should know.
    pub note: Option<Reason>,
}

/// Decides about the products that the source did not mention, and writes the lists of those that stay. To be
/// called once, after the last pass.
pub(super) fn decide(
    work: &Work,
    diff: &mut Diff,
    source: &Source<'_>,
    refusals: &RefusalTally,
    whole: &Wholeness,
) -> Result<Decided, Failure> {
    let guard = &work.pipe.guard;
    let live = diff.tally().live_before;
    let is_first = live == 0 || work.usual.duplicates.is_none();
    let mostly_refused = mostly_refused(refusals, source.seen, is_first);
    let no_records = no_records(&work.key.pipe, work.pipe.source.format, source.seen);
    if work.pipe.source.changes_only {
        // Where products are live, it is a night without changes.
        let no_records = no_records.filter(|_| live == 0);
        let note = limit_exceeded([cut_off(whole), no_records, mostly_refused]);
        return Ok(Decided { absent: Absent::Keep, lists: Lists::default(), note });
    }
    let (duplicates, usual) = (diff.tally().duplicates, work.usual.duplicates);
    let lost_key = lost_key(duplicates, source.seen, usual);
    // Shops show one product on several pages.
    let mostly_repeated =
        work.site.is_none().then(|| mostly_repeated(duplicates, source.seen, usual)).flatten();
    let renames_wait = if guard.absent_nights > 1 { let_wait(work, diff, whole)? } else { None };
    // Of those that do not wait.
    let (renamed, absent) = (count_renamed(work, diff, whole)?, diff.absent());
    let why = reason_to_hold(
        guard,
        whole,
        Absences { absent, live, renamed, unreadable: source.unreadable },
        no_records.as_deref(),
        source.supplement,
    );
    let why = match (why, &lost_key) {
        (Some(why), Some(lost_key)) => Some(format!("{why}; {lost_key}")),
        (None, Some(lost_key)) if absent > 0 => Some(lost_key.clone()),
        (why, _) => why,
    };
    let decided = if why.is_some() { Absent::Hold } else { Absent::Remove };
    let lists = absence::write_lists(work, diff, decided)?;
    let note = match why {
        Some(why) => Some(held(&work.key, absent, live, &why)),
        None => {
            let waiting = diff.waiting();
            let cut = all_wait(waiting, live, whole).or_else(|| cut_off(whole));
            let no_records = no_records.filter(|_| live == 0 || absent > 0 || waiting > 0);
            let told = [cut, renames_wait, no_records, mostly_refused, lost_key, mostly_repeated];
            limit_exceeded(told)
        }
    };
    Ok(Decided { absent: decided, lists, note })
}

/// Lets absent products wait that have not been absent for enough nights. Those whose ids have changed wait as all do;
/// that they will not come back shows now, and is told.
fn let_wait(work: &Work, diff: &mut Diff, whole: &Wholeness) -> Result<Option<String>, Failure> {
    let (renamed, absent) = (count_renamed(work, diff, whole)?, diff.absent());
    diff.let_wait(work.pipe.guard.absent_nights, whole.night);
    Ok(seem_renamed(renamed, absent).then(|| told_renamed(renamed, absent)))
}

/// How many of the absent products have the link of a new one, where so many are absent that it is worth asking.
fn count_renamed(work: &Work, diff: &Diff, whole: &Wholeness) -> Result<u64, Failure> {
    if !whole.is_complete() || !is_many(diff.absent(), diff.tally().live_before) {
        return Ok(0);
    }
    Ok(diff.renamed(work.snapshot.as_ref())?)
}

/// Products that would be removed.
#[derive(Clone, Copy)]
struct Absences {
    absent: u64,
    live: u64,
    /// Of those, how many have the link of a new product.
    renamed: u64,
    /// Records that may be of any of them.
    unreadable: u64,
}

fn is_many(absent: u64, live: u64) -> bool {
    absent >= MANY_ABSENT && absent as f64 >= live as f64 * MANY_ABSENT_SHARE
}

fn told_renamed(renamed: u64, absent: u64) -> String {
    format!(
        "{renamed} of {absent} absent products have the link of a new product: their ids seem to have \
         changed; if the new ones are wrong, feedfleet runs rollback undoes them"
    )
}

/// Whether at least half of the absent products have the link of a new one.
fn seem_renamed(renamed: u64, absent: u64) -> bool {
    renamed > 0 && renamed.saturating_mul(2) >= absent
}

/// `no_records`: what there is to say of a source without a record; none: it has some, or may well have none.
/// `supplement`: the one whose guard it is; none: the pipe's own.
fn reason_to_hold(
    guard: &Guard,
    whole: &Wholeness,
    absences: Absences,
    no_records: Option<&str>,
    supplement: Option<&str>,
) -> Option<String> {
    let Absences { absent, live, renamed, unreadable } = absences;
    if absent == 0 {
        return None;
    }
    if !whole.is_complete() {
        return Some(format!("the source was not whole ({})", whole.text));
    }
    if unreadable.saturating_mul(2) >= absent {
        return Some(format!(
            "{unreadable} records could not be read and do not say of which product they are: they may be of \
             those that are absent"
        ));
    }
    if is_many(absent, live) && seem_renamed(renamed, absent) {
        return Some(told_renamed(renamed, absent));
    }
    let share = absent as f64 / live as f64;
    (share > guard.max_removed).then(|| {
        // Such nights are not to be let through, however usual they are.
        if let Some(no_records) = no_records {
            return no_records.to_owned();
        }
        let (whose, place) = match supplement {
            Some(name) => ("supplement", format!(" in [supplements.{name}.guard]")),
            None => ("pipe", String::new()),
        };
        format!(
            "{:.1} % is more than the {whose}'s max_removed of {:.1} %; raise it{place} if such nights are usual",
            share * 100.0,
            guard.max_removed * 100.0
        )
    })
}

/// Why `gone` products, of which a supplement said something and says nothing any more, keep what it said; `before`: of
/// how many it did. None: they do not.
pub(super) fn reason_to_keep(
    guard: &Guard,
    whole: &Wholeness,
    (gone, before): (u64, u64),
    source: &Source<'_>,
) -> Option<String> {
    let absences =
        Absences { absent: gone, live: before, renamed: 0, unreadable: source.unreadable };
    let no_records = (source.seen == 0).then_some("the source has no records");
    reason_to_hold(guard, whole, absences, no_records, source.supplement)
}

/// What an operator should know of held removals.
pub(super) fn held(run: &RunKey, absent: u64, live: u64, why: &str) -> Reason {
    let RunKey { pipe, run } = run;
    let text = format!(
        "{absent} of {live} products are absent from the source and are held: {why}{TO_DECIDE}\
         feedfleet runs approve {pipe} {run}; to keep them: feedfleet runs reject {pipe} {run}"
    );
    Reason::new(ReasonClass::LimitExceeded, text)
}

/// What there is to say of a night that held nothing.
fn limit_exceeded<const N: usize>(told: [Option<String>; N]) -> Option<Reason> {
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| Reason::new(ReasonClass::LimitExceeded, told.join("; ")))
}

/// A source that was not whole is worth a word, also where all absent products would have stayed anyway.
fn all_wait(waiting: u64, live: u64, whole: &Wholeness) -> Option<String> {
    (waiting > 0 && !whole.is_complete()).then(|| {
        format!(
            "{waiting} of {live} products are absent from the source and stay; the night does not count \
             towards their removal, as the source was not whole ({})",
            whole.text
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::RunId;
    use feedfleet_model::report::RefusalSample;

    const GUARD: Guard = Guard { max_removed: 0.3, absent_nights: 1, min_records: 0.8 };

    fn whole(complete: bool) -> Wholeness {
        let night = if complete { Night::Complete } else { Night::Cut };
        Wholeness { night, text: "why".to_owned() }
    }

    /// Of ten records, with this end.
    fn source(end: &Completeness) -> Source<'_> {
        Source {
            end,
            transfer_ends: true,
            seen: 10,
            unreadable: 0,
            usual: None,
            lost_line_end: false,
            supplement: None,
        }
    }

    fn absences(absent: u64, live: u64, renamed: u64) -> Absences {
        Absences { absent, live, renamed, unreadable: 0 }
    }

    #[test]
    fn a_proof_stands_whatever_the_number_of_records() {
        let unproven = Completeness::Unproven("no end mark".to_owned());
        let proven = Completeness::Proven("closing </rss>".to_owned());
        let cut = Completeness::Truncated("it ends in a tag".to_owned());
        for (end, transfer_ends, seen, usual, night) in [
            (&proven, false, 1, Some(1000), Night::Complete),
            (&unproven, true, 800, Some(1000), Night::Complete),
            (&unproven, true, 799, Some(1000), Night::Doubtful),
            (&unproven, true, 1, None, Night::Complete),
            (&unproven, false, 1000, Some(1000), Night::Doubtful),
            (&cut, true, 1000, Some(1000), Night::Cut),
        ] {
            let source = Source { transfer_ends, seen, usual, ..source(end) };
            let judged = wholeness(&source, &GUARD);
            assert_eq!(judged.night, night, "{judged:?}");
        }
        let few = Source { seen: 412, usual: Some(1000), ..source(&unproven) };
        let text = wholeness(&few, &GUARD).text;
        assert!(text.contains("412 records, usually 1,000") && text.contains("min_records"));
    }

    #[test]
    fn a_last_line_that_lost_its_end_is_doubted() {
        let unproven = Completeness::Unproven("no end mark".to_owned());
        let proven = Completeness::Proven("gzip trailer".to_owned());
        let cut = Completeness::Truncated("it ends in a quote".to_owned());
        let judge = |end| wholeness(&Source { lost_line_end: true, ..source(end) }, &GUARD);
        let judged = judge(&unproven);
        assert_eq!(judged.night, Night::Doubtful);
        assert_eq!(judged.text, format!("{LOST_LINE_END}; no end mark"));
        assert_eq!(judge(&proven).night, Night::Complete);
        assert_eq!(judge(&cut).night, Night::Cut);
        assert_eq!(wholeness(&source(&unproven), &GUARD).night, Night::Complete);
        let few = Source { usual: Some(1000), lost_line_end: true, ..source(&unproven) };
        let text = wholeness(&few, &GUARD).text;
        assert!(text.contains("min_records") && text.contains(LOST_LINE_END), "{text}");
    }

    #[test]
    fn a_source_without_a_record_says_where_records_are_looked_for() {
        let pipe = "acme".parse().unwrap();
        let told = |format| no_records(&pipe, format, 0).unwrap();
        assert_eq!(
            told(Format::Xml),
            "the source has no records; item under [source] names the element that is one product: \
             feedfleet pipes detect --pipe acme proposes it"
        );
        assert!(told(Format::Json).contains("items under [source]"));
        for format in [Format::Csv, Format::JsonLines, Format::ShopifyJson] {
            assert_eq!(told(format), "the source has no records");
        }
        assert_eq!(no_records(&pipe, Format::Xml, 1), None);

        // What is held for it advises nothing that would let such a night through.
        let hold = |complete, absent| {
            reason_to_hold(&GUARD, &whole(complete), absences(absent, 10, 0), Some("none"), None)
        };
        assert_eq!(hold(true, 10).as_deref(), Some("none"));
        assert_eq!(hold(true, 3), None, "no more than the guard allows, as others wait");
        assert!(hold(false, 10).is_some_and(|why| why.contains("not whole")));
    }

    #[test]
    fn reasons_to_hold_come_in_order() {
        let reason = |complete, absent, live, renamed| {
            reason_to_hold(&GUARD, &whole(complete), absences(absent, live, renamed), None, None)
        };
        assert_eq!(reason(false, 0, 100, 0), None);
        assert_eq!(reason(true, 30, 100, 0), None);
        assert!(reason(true, 31, 100, 0).is_some_and(|why| why.contains("max_removed")));
        assert!(reason(true, 30, 100, 15).is_some_and(|why| why.contains("ids")));
        assert_eq!(reason(true, 30, 100, 14), None);
        // Too few to be a change of ids, by number and by share.
        assert_eq!(reason(true, 19, 100, 19), None);
        assert_eq!(reason(true, 49, 1000, 49), None);
        assert!(reason(true, 50, 1000, 50).is_some());
        assert!(reason(false, 90, 100, 90).is_some_and(|why| why.contains("not whole")));
        let unreadable = |unreadable| {
            let absences = Absences { unreadable, ..absences(10, 100, 0) };
            reason_to_hold(&GUARD, &whole(true), absences, None, None)
        };
        assert_eq!(unreadable(4), None);
        assert!(unreadable(5).is_some_and(|why| why.contains("could not be read")));
    }

    /// Raising the pipe's own would change nothing for a supplement.
    #[test]
    fn the_guard_that_holds_is_named() {
        let of = |supplement| {
            let unproven = Completeness::Unproven("no end mark".to_owned());
            let source = Source { supplement, ..source(&unproven) };
            reason_to_keep(&GUARD, &whole(true), (4, 10), &source).unwrap_or_default()
        };
        assert!(of(None).contains("the pipe's max_removed") && !of(None).contains("[supplements"));
        let told = of(Some("stock"));
        assert!(told.contains("the supplement's max_removed of 30.0 %"), "{told}");
        assert!(told.contains("[supplements.stock.guard]"), "{told}");
    }

    #[test]
    fn a_first_night_says_that_its_records_were_refused() {
        let refused = |many: u64, few: u64| {
            let mut tally = RefusalTally::default();
            let sample = |message: &str| RefusalSample {
                position: "record 1, line 2".to_owned(),
                field: Some("price".to_owned()),
                message: message.to_owned(),
                ..RefusalSample::default()
            };
            tally.add_many("bad-price", many, [sample("no amount")]);
            tally.add_many("missing-id", few, [sample("no id")]);
            tally
        };
        let told = mostly_refused(&refused(38, 2), 40, true).unwrap();
        assert_eq!(
            told,
            "40 of 40 records were refused: 38 × bad-price, such as record 1, line 2: price: no amount"
        );
        assert!(mostly_refused(&refused(2, 1), 3, true).is_some(), "all of a few");
        assert!(mostly_refused(&refused(20, 1), 40, true).is_some());
        assert_eq!(mostly_refused(&refused(19, 1), 40, true), None, "half of them");
        assert_eq!(mostly_refused(&refused(3, 1), 5, true), None, "a handful");
        assert_eq!(mostly_refused(&refused(38, 2), 40, false), None, "it loaded before");
        assert_eq!(mostly_refused(&RefusalTally::default(), 0, true), None);
    }

    #[test]
    fn what_is_held_names_the_way_out() {
        let run = RunKey { pipe: "acme".parse().unwrap(), run: RunId(7) };
        let text = held(&run, 4, 10, "because").message;
        for part in ["4 of 10", "because", "runs approve acme 7", "runs reject acme 7"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(all_wait(0, 10, &whole(false)), None);
        assert_eq!(all_wait(3, 10, &whole(true)), None);
        assert!(all_wait(3, 10, &whole(false)).is_some());
    }

    #[test]
    fn what_is_told_of_a_night_that_held_nothing() {
        let cut = Wholeness { night: Night::Cut, text: "truncated: it ends in a tag".to_owned() };
        let told = limit_exceeded([cut_off(&cut), Some("b".to_owned())]).unwrap().message;
        assert_eq!(told, "the source was not whole (truncated: it ends in a tag); b");
        let doubtful = Wholeness { night: Night::Doubtful, ..cut };
        assert_eq!(cut_off(&doubtful), None);
        assert_eq!(cut_off(&whole(true)), None);
        assert_eq!(limit_exceeded([None]), None);
    }
}
