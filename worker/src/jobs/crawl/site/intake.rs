//! What came of the requests of a crawl, taken in: rows, links, sitemaps, robots.txt, redirects.

use super::crawler::Crawler;
use super::end::host_busy;
use super::fetch::lasting;
use super::hosts::{LONG_PAUSE, RobotsAnswer};
use super::page::PageReader;
use super::preview::UNREAD;
use super::sitemaps::{Listed, SitemapEnd};
use super::state::Notes;
use super::tasks::{Ended, Found, PageEnd, What};
use chrono::{DateTime, SecondsFormat, Utc};
use feedfleet_config::host_key;
use feedfleet_http::Url;
use feedfleet_model::hash::bytes_hash;
use feedfleet_model::report::RefusalCount;
use feedfleet_model::text;
use feedfleet_site::{Added, Outcome, UrlEntry, UrlKind};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pictures of sitemaps that are remembered until their pages are read, or the crawl ends.
pub(super) const MAX_PICTURES: usize = 50_000;
/// Pages that failed of which it is kept why: a report shows fewer.
const MAX_WHYS: usize = 50;
/// Characters that are kept of why something failed, and of where something leads.
const MAX_SHOWN_CHARS: usize = 500;
/// Where a sitemap is that nobody names.
const USUAL_SITEMAP: &str = "/sitemap.xml";

/// What became of a URL, and why it failed, if it did.
type Ending = (Outcome, Option<String>);

impl Crawler<'_> {
    /// Takes in what came of a request.
    pub(super) fn end(&mut self, ended: Ended) {
        let now = self.now();
        self.fetched.fetch_add(ended.bytes, Ordering::Relaxed);
        if let Some(until) = self.hosts.ended(&ended.host, &ended.answer, now) {
            self.note_busy(&ended.host, ended.answer.status, now, until);
        }
        let (entry, (outcome, why)) = match ended.what {
            What::Robots(answer, why) => {
                self.learn(answer, why);
                return;
            }
            What::Sitemap(entry, end) => {
                // What the task has found is all here.
                while let Ok(entries) = self.listed.try_recv() {
                    self.add_listed(entries);
                }
                let outcome = self.end_sitemap(&entry, end);
                (entry, outcome)
            }
            What::Page(entry, end) => {
                let outcome = self.end_page(&entry, end);
                (entry, outcome)
            }
        };
        self.done(&entry, &outcome, why, now);
        self.progress.seen().store(self.state.frontier.tally().pages, Ordering::Relaxed);
    }

    /// Tells the frontier what became of a URL; `why` is kept of the first that are given up. Of a sitemap that is lost, it
    /// is noted that there is one.
    pub(super) fn done(
        &mut self,
        entry: &UrlEntry,
        outcome: &Outcome,
        why: Option<String>,
        now: DateTime<Utc>,
    ) {
        let failed = self.state.frontier.failed().len();
        self.state.frontier.done(&entry.url, outcome, now);
        let is_given_up = self.state.frontier.failed().len() > failed;
        if entry.kind == UrlKind::Sitemap && (is_given_up || *outcome == Outcome::Gone) {
            self.state.notes.counts.lacks_pictures = true;
        }
        let Some(why) = why.filter(|_| is_given_up) else { return };
        let known = &mut self.state.notes.counts.why_failed;
        if known.len() < MAX_WHYS {
            known.insert(entry.url.clone(), shown(&why).into_owned());
        }
    }

    fn note_busy(
        &mut self,
        host: &str,
        status: Option<u16>,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        let [now, until] = [now, until].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        tracing::warn!(host, ?status, %until, "the host is left alone for a while");
        let counts = &mut self.state.notes.counts;
        counts.busy += 1;
        let status = status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        let told = format!("answered {status} at {now}: left alone until {until}");
        counts.busy_hosts.insert(host.to_owned(), told);
        self.tell_busy();
    }

    /// Tells, of a crawl that was taken up, what it told before.
    pub(super) fn tell_busy_still(&self) {
        let counts = &self.state.notes.counts;
        if counts.busy == 0 {
            return;
        }
        self.tell_busy();
        if let Some((host, left)) = self.hosts.longest_pause(self.now())
            && left >= LONG_PAUSE
            && counts.busy_hosts.contains_key(&host)
        {
            tracing::warn!(host, ?left, "the host is still left alone");
        }
    }

    /// Tells those who watch which hosts are, or were, left alone for long.
    pub(super) fn tell_busy(&self) {
        let (reason, count, samples) = host_busy(&self.state.notes.counts);
        self.progress.tell(vec![RefusalCount { reason: reason.to_owned(), count, samples }]);
    }

    fn learn(&mut self, answer: RobotsAnswer, why: Option<String>) {
        let origin = answer.origin.clone();
        let status = answer.status;
        let learnt = self.hosts.learn(answer);
        if learnt.is_unreachable {
            let why = why.unwrap_or_default();
            tracing::warn!(%origin, ?status, why, "robots.txt cannot be had: the site is left alone");
            let counts = &mut self.state.notes.counts;
            counts.unreachable += 1;
            if !why.is_empty() {
                counts.why_failed.insert(origin.clone(), shown(&why).into_owned());
            }
            counts.unreachable_origin = Some(origin);
            return;
        }
        let is_start =
            |root: &Url| self.site.starts.iter().any(|start| host_key(start) == host_key(root));
        let Some(root) = Url::parse(&origin).ok().filter(is_start) else { return };
        if !self.site.sitemaps.is_empty() {
            return;
        }
        let usual = [USUAL_SITEMAP.to_owned()];
        let sitemaps = if learnt.sitemaps.is_empty() { &usual[..] } else { &learnt.sitemaps[..] };
        let mut is_new = false;
        for sitemap in sitemaps {
            match self.reader().canonical.resolve(&root, sitemap) {
                Some(url) if self.hosts.is_allowed(&url) => {
                    let added = self.state.frontier.add(url.as_str(), UrlKind::Sitemap, 0);
                    is_new |= added == Added::New;
                }
                Some(url) => {
                    let url = shown(url.as_str());
                    self.note_broken_sitemap(format!("{url} is on another host"));
                }
                None => {}
            }
        }
        if is_new {
            // Pages that wait for their host are before it only because nobody knew of it.
            for entry in self.hosts.clear().into_iter().rev() {
                self.state.frontier.put_back(&entry.url);
            }
        }
    }

    fn reader(&self) -> Arc<PageReader> {
        self.tools.reader.clone()
    }

    /// Whether this is where sitemaps usually are, and the origin's robots.txt names none.
    fn is_usual_sitemap(&self, url: &str) -> bool {
        Url::parse(url)
            .is_ok_and(|url| url.path() == USUAL_SITEMAP && !self.hosts.names_sitemaps(&url))
    }

    fn note_broken_sitemap(&mut self, why: String) {
        tracing::info!(why, "a sitemap is not whole");
        let counts = &mut self.state.notes.counts;
        counts.broken_sitemaps += 1;
        counts.broken_sitemap.get_or_insert(why);
        counts.lacks_pictures = true;
    }

    /// What became of a sitemap, and why it failed, if it did.
    fn end_sitemap(&mut self, entry: &UrlEntry, end: PageEnd<SitemapEnd>) -> Ending {
        // Nobody said that there is one: that there is none says nothing.
        let is_guess = self.site.sitemaps.is_empty() && self.is_usual_sitemap(&entry.url);
        let outcome = match end {
            PageEnd::Read(SitemapEnd::Whole) | PageEnd::NotModified => Outcome::Done,
            PageEnd::Read(SitemapEnd::NoSitemap(_)) if is_guess => Outcome::Gone,
            PageEnd::Read(SitemapEnd::NoSitemap(why) | SitemapEnd::Broken(why)) => {
                self.note_broken_sitemap(format!("{}: {}", entry.url, shown(&why)));
                Outcome::Done
            }
            // Many sites send who asks for what is not there to their front page.
            PageEnd::Redirect(target) if is_guess && !target.contains("sitemap") => Outcome::Gone,
            PageEnd::Redirect(target) => return self.redirected(entry, &target),
            PageEnd::Ended(Outcome::Failed { is_transient: false, .. }, _) if is_guess => {
                Outcome::Gone
            }
            // Somebody named it. Products of last time are asked for by themselves; where not all are known, those that
            // it lists would pass for gone.
            PageEnd::Ended(Outcome::Gone, _) if !is_guess => {
                let Notes { last, has_gaps, .. } = &self.state.notes;
                if last.is_none() || *has_gaps {
                    self.note_broken_sitemap(format!("{}: it is not there", entry.url));
                } else {
                    let counts = &mut self.state.notes.counts;
                    counts.gone_sitemaps += 1;
                    counts.gone_sitemap.get_or_insert_with(|| entry.url.clone());
                }
                Outcome::Gone
            }
            PageEnd::Ended(outcome, why) => {
                note_failure(entry, &outcome, why.as_deref());
                return (outcome, why);
            }
        };
        (outcome, None)
    }

    /// What became of a page, and why it failed, if it did.
    fn end_page(&mut self, entry: &UrlEntry, end: PageEnd<Found>) -> Ending {
        let (outcome, why) = match end {
            PageEnd::Read(found) => {
                let is_unread = found.is_unread;
                self.take_page(entry, found);
                if is_unread {
                    (lasting(Some(200)), Some(UNREAD.to_owned()))
                } else {
                    (Outcome::Done, None)
                }
            }
            PageEnd::NotModified => {
                self.state.unchanged.insert(bytes_hash(entry.url.as_bytes()));
                (Outcome::Done, None)
            }
            PageEnd::Redirect(target) => self.redirected(entry, &target),
            PageEnd::Ended(outcome, why) => {
                note_failure(entry, &outcome, why.as_deref());
                (outcome, why)
            }
        };
        if !matches!(outcome, Outcome::Failed { .. }) {
            self.state.notes.pictures.remove(&entry.url);
        }
        (outcome, why)
    }

    fn take_page(&mut self, entry: &UrlEntry, found: Found) {
        self.rows.extend_from_slice(&found.lines);
        let counts = &mut self.state.notes.counts;
        counts.products += found.products;
        counts.without_product += u64::from(found.products == 0 && !found.is_unread);
        counts.noindex += u64::from(found.noindex);
        counts.broken_json_ld += found.broken_json_ld;
        for (skip, url) in found.cut {
            // What was found, or must not be fetched, is not left out.
            let is_new = !self.state.frontier.knows(&url);
            if is_new && Url::parse(&url).is_ok_and(|url| self.hosts.is_permitted(&url)) {
                self.state.frontier.note(skip, &url);
            }
        }
        let depth = entry.depth.saturating_add(1);
        for (url, kind) in found.links {
            let is_new = !self.state.frontier.knows(&url);
            if is_new && Url::parse(&url).is_ok_and(|url| self.hosts.is_permitted(&url)) {
                self.state.frontier.add(&url, kind, depth);
            }
        }
    }

    /// A redirect is a link: its target is a page of its own, and is fetched once, whoever leads there. One that leads
    /// nowhere says nothing of what was on the page.
    fn redirected(&mut self, entry: &UrlEntry, target: &str) -> Ending {
        let lost = |why: String| (lasting(None), Some(why));
        let reader = self.reader();
        let base = Url::parse(&entry.url).ok();
        let url = base.and_then(|base| reader.canonical.resolve(&base, target));
        let Some(url) = url else {
            return lost(format!("it leads to {:?}, which is no address", shown(target)));
        };
        let shown_url = shown(url.as_str());
        let is_sitemap = entry.kind == UrlKind::Sitemap;
        if !self.hosts.is_allowed(&url) {
            let away = format!("{} leads to {shown_url}", entry.url);
            if is_sitemap {
                self.note_broken_sitemap(away);
                return (Outcome::Done, None);
            }
            self.state.notes.counts.led_away.get_or_insert(away);
            // Walls against crawlers are elsewhere, too: a product is not gone because of one.
            let is_product = entry.kind == UrlKind::Product;
            return if is_product {
                lost(format!("it leads to another site: {shown_url}"))
            } else {
                (Outcome::Done, None)
            };
        }
        let [from, to] = [entry.url.as_str(), url.as_str()].map(|url| bytes_hash(url.as_bytes()));
        if self.state.leads(to, from) {
            // It leads to itself, be it but for what is dropped of addresses, or over others.
            return lost(format!("it leads in circles: to {shown_url}"));
        }
        let kind = match entry.kind {
            UrlKind::Sitemap => Some(UrlKind::Sitemap),
            // A start or a product stays one, wherever it has moved to.
            kind => match reader.judge(&url, entry.depth) {
                Ok(UrlKind::Product) => Some(UrlKind::Product),
                Ok(_) => Some(kind),
                Err(skip) => {
                    self.state.frontier.note(skip, &shown_url);
                    None
                }
            },
        };
        if let Some(kind) = kind {
            let Some(added) = self.state.frontier.add_target(url.as_str(), kind, entry) else {
                let why =
                    format!("too many redirects in a row lead to it, and it on to {shown_url}");
                return lost(why);
            };
            if is_sitemap && added == Added::Known && !target.contains("sitemap") {
                self.note_broken_sitemap(format!("{} leads to {shown_url}", entry.url));
            }
        }
        self.state.moved.insert(from, to);
        (Outcome::Done, None)
    }

    pub(super) fn add_listed(&mut self, entries: Vec<Listed>) {
        for Listed { url, kind, depth, picture } in entries {
            let is_permitted = || Url::parse(&url).is_ok_and(|url| self.hosts.is_permitted(&url));
            if kind != UrlKind::Sitemap && !is_permitted() {
                continue;
            }
            let added = self.state.frontier.add(&url, kind, depth);
            let has_room = self.state.notes.pictures.len() < MAX_PICTURES;
            // Also of a page that is known by a link, or from the night before.
            let Some(picture) = picture else { continue };
            let Notes { pictures, counts, .. } = &mut self.state.notes;
            match pictures.get_mut(&url) {
                _ if matches!(added, Added::Refused(_)) => {}
                // Of several, the same every night, whichever sitemap comes first.
                Some(known) => {
                    if picture < *known {
                        *known = picture;
                    }
                }
                None if has_room => {
                    pictures.insert(url, picture);
                }
                None => {
                    counts.pictures_left_out += 1;
                    counts.lacks_pictures = true;
                }
            }
        }
    }
}

/// What is kept of a text that a server says, which may be as long as it likes.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    text::shorten(text, MAX_SHOWN_CHARS)
}

fn note_failure(entry: &UrlEntry, outcome: &Outcome, why: Option<&str>) {
    if matches!(outcome, Outcome::Failed { .. }) {
        let why = why.unwrap_or_default();
        tracing::debug!(url = %entry.url, tries = entry.failures + 1, why, "a page failed");
    }
}
