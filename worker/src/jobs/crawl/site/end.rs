//! What a crawl of a site proves, once it is over: for the load that reads its rows, be it the run's own or a replay.

use super::super::failure::Failure;
use super::state::{SiteCounts, State};
use feedfleet_config::Site;
use feedfleet_feed::Completeness;
use feedfleet_model::report::{RefusalSample, SAMPLES_PER_REASON};
use feedfleet_model::{RunKey, keys, text};
use feedfleet_objects::Objects;
use feedfleet_site::{Canonical, Evidence, FailedPage, Frontier, Proof, UnseenPages};

/// What is known of a site when its rows are loaded.
pub(crate) struct SiteEnd {
    /// Whether all of it was seen, and how that is known.
    pub completeness: Completeness,
    /// The pages that were found and not seen, if there are any: their products stay.
    pub unseen: Option<UnseenPages>,
    /// What an operator should know, by reason.
    pub warnings: Vec<(&'static str, u64, Vec<RefusalSample>)>,
}

impl SiteEnd {
    /// The end of the crawl whose rows `run` has.
    pub(crate) async fn of(
        objects: &dyn Objects,
        run: &RunKey,
        site: &Site,
    ) -> Result<Self, Failure> {
        let found = objects.get(&keys::site_state(run)).await?;
        let state = found.map(|object| State::from_bytes(&object.bytes, &site.limits));
        Ok(match state {
            Some(Ok(state)) => Self::of_state(&state, site),
            Some(Err(why)) => Self::unknown(&format!("how the crawl ended cannot be read: {why}")),
            None => Self::unknown("how the crawl ended is not known any more"),
        })
    }

    fn unknown(why: &str) -> Self {
        let completeness = Completeness::Truncated(why.to_owned());
        Self { completeness, unseen: None, warnings: Vec::new() }
    }

    fn of_state(state: &State, site: &Site) -> Self {
        let frontier = &state.frontier;
        let evidence = evidence(state);
        let completeness = match evidence.prove(site.max_failed) {
            Proof::Whole if state.notes.counts.forgotten => Completeness::Truncated(format!(
                "a part of the site: {} pages failed, and the rows of the run before, which had their \
                 products, are gone",
                evidence.failed
            )),
            // Pages that lost their products are no failures: the usual number of records is looked at, too.
            Proof::Whole => Completeness::Unproven(format!(
                "all {} pages that were found were read{}",
                text::count(evidence.pages),
                match evidence.failed {
                    0 => String::new(),
                    failed => format!(", but {failed}, whose products stay"),
                }
            )),
            Proof::Partial { reasons } => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                Completeness::Truncated(format!("a part of the site: {}", reasons.join("; ")))
            }
        };
        let unseen = (!frontier.failed().is_empty())
            .then(|| UnseenPages::of(frontier, &state.moved, &Canonical::new(&site.canonical)));
        Self { completeness, unseen, warnings: warnings(frontier, &state.notes.counts) }
    }
}

/// What the frontier and the notes know of the crawl's completeness.
pub(super) fn evidence(state: &State) -> Evidence {
    let counts = &state.notes.counts;
    Evidence {
        sitemaps_broken: counts.broken_sitemaps,
        hosts_unreachable: counts.unreachable,
        ..Evidence::of(&state.frontier)
    }
}

fn warnings(
    frontier: &Frontier,
    counts: &SiteCounts,
) -> Vec<(&'static str, u64, Vec<RefusalSample>)> {
    let sample = |position: &str, message: &str| RefusalSample {
        position: position.to_owned(),
        message: message.to_owned(),
        ..RefusalSample::default()
    };
    let failed = frontier.failed();
    let of_failed = |page: &FailedPage| sample(&page.url, &what_failed(page));
    let first = failed.iter().take(SAMPLES_PER_REASON).map(of_failed).collect();
    let some = |place: &Option<String>, message: &str| {
        place.iter().map(|place| sample(place, message)).collect()
    };
    let mut warnings = vec![
        ("page-failed", failed.len() as u64, first),
        (
            "robots-unreachable",
            counts.unreachable,
            some(&counts.unreachable_origin, "its robots.txt cannot be had: nothing was fetched"),
        ),
        (
            "sitemap-broken",
            counts.broken_sitemaps,
            some(&counts.broken_sitemap, "it was not read whole"),
        ),
        ("json-ld-broken", counts.broken_json_ld, Vec::new()),
        ("page-noindex", counts.noindex, Vec::new()),
        (
            "left-site",
            u64::from(counts.led_away.is_some()),
            some(&counts.led_away, "not followed; expected its host in hosts of [source]"),
        ),
    ];
    for (skip, count) in &frontier.tally().refused {
        if skip.is_cut() {
            let first = frontier.tally().first_refused.get(skip);
            let first = first.map(String::as_str).unwrap_or_default();
            warnings.push(("limit-reached", *count, vec![sample(first, &skip.to_string())]));
        }
    }
    warnings.retain(|(_, count, _)| *count > 0);
    warnings
}

/// Why a page failed, for people.
pub(super) fn what_failed(page: &FailedPage) -> String {
    match page.status {
        Some(200) => {
            "what it answers with is empty, damaged, too large or nested too deep to be read"
                .to_owned()
        }
        Some(status) => format!("answered {status}"),
        None => {
            "no answer that could be read, or it leads to another site or nowhere, or robots.txt \
             forbids it"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Notes;
    use super::*;
    use chrono::{DateTime, Utc};
    use feedfleet_config::Location;
    use feedfleet_site::{Limits, Next, Outcome, Skip, UrlKind};
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::path::Path;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn site() -> Box<Site> {
        let text = "[source]\nkind = 'site'\nurl = 'https://shop.example/'\n";
        let name = "acme".parse().unwrap();
        let environment = BTreeMap::new();
        let pipe = feedfleet_config::parse_pipe(&name, text, Path::new("/"), &environment);
        match pipe.unwrap().source.location {
            Location::Site(site) => site,
            other => panic!("{other:?}"),
        }
    }

    /// The state after a hundred pages, of which so many failed.
    fn state(failed: usize) -> State {
        let mut frontier = Frontier::new(&Limits::default(), NOW);
        for page in 0..100 {
            frontier.add(&format!("https://shop.example/{page}"), UrlKind::Product, 0);
        }
        for page in 0..100 {
            let Next::Fetch(entry) = frontier.next(NOW) else { panic!("there are a hundred") };
            let outcome = if page < failed {
                Outcome::Failed { status: Some(500), is_transient: false, retry_after: None }
            } else {
                Outcome::Done
            };
            frontier.done(&entry.url, &outcome, NOW);
        }
        let notes = Notes::new(String::new(), String::new(), None);
        State { notes, unchanged: HashSet::new(), moved: HashMap::new(), frontier }
    }

    #[test]
    fn some_pages_may_fail_and_keep_their_products() {
        let end = SiteEnd::of_state(&state(2), &site());
        let Completeness::Unproven(text) = &end.completeness else { panic!("it is whole") };
        assert!(text.contains("98 pages") && text.contains("but 2"), "{text}");
        let unseen = end.unseen.unwrap();
        assert!(unseen.keep("https://shop.example/0") && !unseen.keep("https://shop.example/9"));
        assert_eq!((end.warnings[0].0, end.warnings[0].1), ("page-failed", 2));
    }

    #[test]
    fn doubts_are_told() {
        let end = SiteEnd::of_state(&state(3), &site());
        assert!(
            matches!(&end.completeness, Completeness::Truncated(why) if why.contains("3 of 100"))
        );
        let mut state = state(0);
        state.notes.counts.broken_sitemaps = 1;
        let end = SiteEnd::of_state(&state, &site());
        assert!(matches!(&end.completeness, Completeness::Truncated(_)) && end.unseen.is_none());
        let mut state = self::state(0);
        state.frontier.note(Skip::TooDeep, "https://shop.example/a");
        state.frontier.note(Skip::TooDeep, "https://shop.example/b");
        let (reason, count, samples) = SiteEnd::of_state(&state, &site()).warnings.remove(0);
        assert_eq!((reason, count), ("limit-reached", 2));
        assert_eq!(samples[0].position, "https://shop.example/a");
        let mut state = self::state(1);
        state.notes.counts.forgotten = true;
        let end = SiteEnd::of_state(&state, &site());
        assert!(matches!(&end.completeness, Completeness::Truncated(_)));
        let end = SiteEnd::unknown("gone");
        assert!(matches!(end.completeness, Completeness::Truncated(_)));
    }
}
