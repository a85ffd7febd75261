//! What a crawl of a site proves, once it is over: for the load that reads its rows, be it the run's own or a replay.

use super::super::failure::Failure;
use super::intake::{MAX_PICTURES, shown};
use super::state::{SiteCounts, State};
use feedfleet_config::Site;
use feedfleet_feed::Completeness;
use feedfleet_model::report::{RefusalSample, SAMPLES_PER_REASON};
use feedfleet_model::{RunKey, keys, text};
use feedfleet_objects::Objects;
use feedfleet_site::{Canonical, Evidence, FailedPage, Frontier, Proof, UnseenPages, UrlKind};

/// What is known of a site when its rows are loaded.
pub(crate) struct SiteEnd {
    /// Whether all of it was seen, and how that is known.
    pub completeness: Completeness,
    /// The pages that were found and not seen, if there are any: their products stay.
    pub unseen: Option<UnseenPages>,
    /// What an operator should know, by reason.
    pub warnings: Vec<Warning>,
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
                 products, are gone, or lack some",
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

/// A warning, how often, and the first samples.
type Warning = (&'static str, u64, Vec<RefusalSample>);

/// The hosts that were left alone for long.
pub(super) fn host_busy(counts: &SiteCounts) -> Warning {
    let hosts = counts.busy_hosts.iter().take(SAMPLES_PER_REASON);
    ("host-busy", counts.busy, hosts.map(|(host, told)| sample(host, told)).collect())
}

fn sample(position: &str, message: &str) -> RefusalSample {
    RefusalSample {
        position: position.to_owned(),
        message: message.to_owned(),
        ..RefusalSample::default()
    }
}

fn warnings(frontier: &Frontier, counts: &SiteCounts) -> Vec<Warning> {
    let (sitemaps, pages): (Vec<&FailedPage>, Vec<&FailedPage>) =
        frontier.failed().iter().partition(|page| page.kind == UrlKind::Sitemap);
    let first_of = |failed: &[&FailedPage]| -> Vec<RefusalSample> {
        let first = failed.iter().take(SAMPLES_PER_REASON);
        first.map(|page| sample(&page.url, &what_failed(page, counts))).collect()
    };
    let some = |place: &Option<String>, message: &str| {
        place.iter().map(|place| sample(place, message)).collect()
    };
    let mut broken: Vec<RefusalSample> = some(&counts.broken_sitemap, "it was not read whole");
    broken.extend(first_of(&sitemaps));
    broken.truncate(SAMPLES_PER_REASON);
    let mut warnings = vec![
        ("page-failed", pages.len() as u64, first_of(&pages)),
        (
            "robots-unreachable",
            counts.unreachable,
            counts
                .unreachable_origin
                .iter()
                .map(|origin| {
                    let why = counts.why_failed.get(origin);
                    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                    let text = format!("its robots.txt cannot be had{why}: nothing was fetched");
                    sample(origin, &text)
                })
                .collect(),
        ),
        ("sitemap-broken", counts.broken_sitemaps + sitemaps.len() as u64, broken),
        host_busy(counts),
        (
            "sitemap-gone",
            counts.gone_sitemaps,
            some(&counts.gone_sitemap, "it is not there: products keep the pictures that it named"),
        ),
        (
            "pictures-left-out",
            counts.pictures_left_out,
            vec![sample(
                "sitemaps",
                &format!(
                    "they name pictures for more pages than the {MAX_PICTURES} of which they are kept: products \
                     without one of their own may lack it; select image_link under [source.selectors], or split \
                     the pipe"
                ),
            )],
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
            warnings.push((
                "limit-reached",
                *count,
                vec![sample(&shown(first), &skip.to_string())],
            ));
        }
    }
    // A crawl that ended had nothing left to fetch, or no time.
    if let Some(entry) = frontier.unfetched().next() {
        let left = vec![sample(&entry.url, "max_time was over: not fetched")];
        warnings.push(("limit-reached", frontier.remaining() as u64, left));
    }
    warnings.retain(|(_, count, _)| *count > 0);
    warnings
}

/// Why a page failed, for people.
pub(super) fn what_failed(page: &FailedPage, counts: &SiteCounts) -> String {
    if let Some(why) = counts.why_failed.get(&page.url) {
        return why.clone();
    }
    match page.status {
        Some(200) => {
            "what it answers with is empty, damaged, too large or nested too deep to be read"
                .to_owned()
        }
        Some(status) => format!("answered {status}"),
        None => {
            "no answer that could be read, or it leads to another site or nowhere, or robots.txt \
             forbids it or cannot be had"
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
    use feedfleet_site::{Limits, Next, Outcome, Skip};
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
    fn what_failed_is_told_of_each() {
        let mut state = state(3);
        let why = [("0", "it leads in circles: to /0"), ("1", "timed out")];
        state.notes.counts.why_failed =
            why.map(|(page, why)| (format!("https://shop.example/{page}"), why.to_owned())).into();
        let end = SiteEnd::of_state(&state, &site());
        let (reason, count, samples) = &end.warnings[0];
        assert_eq!((*reason, *count), ("page-failed", 3));
        let told: Vec<&str> = samples.iter().map(|sample| sample.message.as_str()).collect();
        assert_eq!(told, ["it leads in circles: to /0", "timed out", "answered 500"]);
    }

    #[test]
    fn a_sitemap_that_failed_is_no_page() {
        let mut state = state(0);
        state.notes.counts.broken_sitemaps = 1;
        state.notes.counts.broken_sitemap = Some("https://shop.example/a.xml: cut off".to_owned());
        let url = "https://shop.example/b.xml";
        state.frontier.add(url, UrlKind::Sitemap, 0);
        assert!(matches!(state.frontier.next(NOW), Next::Fetch(_)));
        let failed = Outcome::Failed { status: Some(500), is_transient: false, retry_after: None };
        state.frontier.done(url, &failed, NOW);
        let end = SiteEnd::of_state(&state, &site());
        let [(reason, count, samples)] = &end.warnings[..] else { panic!("one") };
        assert_eq!((*reason, *count, samples.len()), ("sitemap-broken", 2, 2));
        assert_eq!(
            (samples[1].position.as_str(), samples[1].message.as_str()),
            (url, "answered 500")
        );
    }

    #[test]
    fn hosts_that_asked_to_be_left_alone_are_told() {
        let mut state = state(0);
        let told = "answered 503 at 2026-01-01T00:00:00Z: left alone until 2026-01-01T01:00:00Z";
        state.notes.counts.busy = 2;
        state.notes.counts.busy_hosts.insert("shop.example".to_owned(), told.to_owned());
        state.notes.counts.pictures_left_out = 7;
        let end = SiteEnd::of_state(&state, &site());
        let [busy, left_out] = &end.warnings[..] else { panic!("two") };
        assert_eq!((busy.0, busy.1, busy.2.len()), ("host-busy", 2, 1));
        assert_eq!(
            (busy.2[0].position.as_str(), busy.2[0].message.as_str()),
            ("shop.example", told)
        );
        assert_eq!((left_out.0, left_out.1), ("pictures-left-out", 7));
        assert!(left_out.2[0].message.contains("50000"), "{:?}", left_out.2);
    }

    #[test]
    fn a_crawl_without_time_says_so() {
        let mut state = state(0);
        for page in ["a", "b"] {
            state.frontier.add(&format!("https://shop.example/{page}"), UrlKind::Page, 0);
        }
        let end = SiteEnd::of_state(&state, &site());
        let Completeness::Truncated(why) = &end.completeness else { panic!("it is whole") };
        assert!(why.contains("max_time was over: 2 URLs"), "{why}");
        let [(reason, count, samples)] = &end.warnings[..] else { panic!("one") };
        assert_eq!((*reason, *count), ("limit-reached", 2));
        assert_eq!(samples[0].position, "https://shop.example/a");
        assert!(samples[0].message.contains("max_time"), "{}", samples[0].message);
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
