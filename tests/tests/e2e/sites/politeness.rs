//! What a host sees of the whole fleet.

use super::shop::Shop;
use crate::faults::support::{SOON, is_final, issue, left, report, settled, stop};
use feedfleet_tests::{Fleet, Reply, Running, Server, eventually};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Requests at once that the fleet allows itself to a host.
const AT_ONCE: usize = 4;
/// The least time between two requests that the second host asks for.
const GAP: Duration = Duration::from_millis(400);

/// Four workers are at three hosts. One is crawled by two pipes and has pictures: it never sees more requests at once than
/// the fleet allows itself. The others ask for a `Crawl-delay`, one of a single pipe and one of two: their requests are so
/// far apart, whoever sends them.
#[test]
fn a_host_never_sees_more_than_its_allowance() {
    let busy = Host::new(60, true, "");
    let quiet = Host::new(20, false, "Crawl-delay: 0.4\n");
    let fleet = Fleet::with_fleet_toml(&format!(
        "[leases]\nvisibility = \"60s\"\n[workers]\nmax = 4\n[hosts]\nconcurrency = {AT_ONCE}\n\
         [http]\nallow_private = [\"127.0.0.0/8\"]\n[scheduler]\ntick = \"1s\"\n"
    ));
    let shared = Host::new(8, false, "Crawl-delay: 0.4\n");
    busy.pipe(&fleet, "a");
    busy.pipe(&fleet, "b");
    quiet.pipe(&fleet, "c");
    shared.pipe(&fleet, "d");
    shared.pipe(&fleet, "e");
    let runs = [("a", 60_u64), ("b", 60), ("c", 20), ("d", 8), ("e", 8)];
    let runs = runs.map(|(pipe, live)| (pipe, live, issue(&fleet, pipe)));
    let mut workers: Vec<Running> = (0..4).map(|_| fleet.spawn(&["worker"])).collect();
    for (pipe, live, run) in runs {
        let report = settled(&fleet, pipe, run);
        assert_eq!(report["state"], "done", "{report:#}");
        assert_eq!(report["counts"]["live"], live, "{report:#}");
    }
    eventually(SOON, "the pictures to be asked for", || (left(&fleet, "image") == 0).then_some(()));
    workers.iter_mut().for_each(stop);

    for (name, host, asked) in
        [("busy", &busy, Duration::ZERO), ("quiet", &quiet, GAP), ("shared", &shared, GAP)]
    {
        let seen = host.seen();
        eprintln!(
            "the {name} host, from four workers: {} requests, at most {} at once ({AT_ONCE} allowed), at least {} ms \
             apart ({} ms asked for)",
            seen.began.len(),
            seen.most,
            seen.gaps().min().unwrap_or_default().as_millis(),
            asked.as_millis(),
        );
    }
    let most = busy.seen().most;
    assert!((2..=AT_ONCE).contains(&most), "{most} requests at once");
    for host in [&quiet, &shared] {
        let seen = host.seen();
        assert!(seen.most <= AT_ONCE, "{} requests at once", seen.most);
        let gaps = seen.began.len() - 1;
        // What was sent in time may arrive late, and then the next one seems early: one here and there, and not all of them
        // together.
        let early = seen.gaps().filter(|gap| *gap < GAP / 4).count();
        assert!(early <= gaps / 3, "{early} of {gaps} were close behind another");
        let least = GAP * u32::try_from(gaps).expect("some twenty") - GAP;
        // From when somebody knew what is asked for, so that nothing is too early because the first was late.
        let took = seen.began[gaps] - seen.told_at.expect("robots.txt was asked for");
        assert!(gaps >= 17 && took >= least, "{gaps} gaps in {took:?}");
    }
}

/// Where crawls would leave a host no request for pictures, the configuration says so.
#[test]
fn too_many_crawls_of_one_host_are_refused() {
    let shop = Shop::new(1, |mood| mood.has_pictures = true);
    let fleet = Fleet::with_fleet_toml("[hosts]\nconcurrency = 2\n");
    shop.pipe(&fleet, "a", "");
    fleet.run(&["pipes", "check"]).ok();
    shop.pipe(&fleet, "b", "");
    let checked = fleet.run(&["pipes", "check"]).failed();
    checked.says(&["(a, b)", "expected 3 at least", "mirror = false"]);
}

/// So does a run whose crawl is one too many by the time it begins, on one line, and of its own pipe alone.
#[test]
fn a_crawl_that_became_one_too_many_is_refused() {
    let shop = Shop::new(1, |mood| mood.has_pictures = true);
    let fleet = Fleet::with_fleet_toml("[hosts]\nconcurrency = 2\n");
    shop.pipe(&fleet, "a", "");
    let run = issue(&fleet, "a");
    shop.pipe(&fleet, "b", "");
    let mut worker = fleet.spawn(&["worker"]);
    let report =
        eventually(SOON, "the run to end", || Some(report(&fleet, "a", run)).filter(is_final));
    assert_eq!(report["state"], "dead", "{report:#}");
    assert_eq!(report["reason"]["class"], "configuration", "{report:#}");
    let why = report["reason"]["message"].as_str().unwrap_or_default();
    assert!(why.starts_with("pipes/a.toml: ") && why.contains("expected 3 at least"), "{why}");
    assert!(!why.contains("pipes/b.toml") && !why.contains('\n'), "{why}");
    stop(&mut worker);
}

/// A shop that remembers how it was asked.
struct Host {
    server: Server,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    under_way: usize,
    most: usize,
    /// When each request began, pictures among them, but for robots.txt: before that nobody knows what is asked for.
    began: Vec<Instant>,
    /// When robots.txt was first asked for.
    told_at: Option<Instant>,
}

impl Seen {
    fn gaps(&self) -> impl Iterator<Item = Duration> {
        self.began.windows(2).map(|pair| pair[1] - pair[0])
    }
}

impl Host {
    /// A shop of so many products, with this line in its robots.txt.
    fn new(products: usize, has_pictures: bool, manners: &str) -> Self {
        let robots =
            format!("User-agent: *\n{manners}Disallow: /private/\nSitemap: /sitemap.xml\n");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let server = Server::start(move |path, _| {
            {
                let mut seen = shared.lock().expect("no handler panics");
                let now = Instant::now();
                match path {
                    "/robots.txt" => _ = seen.told_at.get_or_insert(now),
                    _ => seen.began.push(now),
                }
                seen.under_way += 1;
                seen.most = seen.most.max(seen.under_way);
            }
            // Long enough for requests to meet.
            std::thread::sleep(Duration::from_millis(10));
            let reply = match path {
                "/robots.txt" => Reply::ok(robots.as_str()),
                "/sitemap.xml" => sitemap(products),
                "/" => html("<h1>Shop</h1>"),
                _ => product(path, has_pictures),
            };
            shared.lock().expect("no handler panics").under_way -= 1;
            reply
        });
        Self { server, seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no handler panics")
    }

    fn pipe(&self, fleet: &Fleet, name: &str) {
        let url = self.server.base_url();
        let source = format!("[source]\nkind = \"site\"\nurl = \"{url}/\"\n");
        fleet.pipe(name, &format!("{source}[source.site]\nproduct = \"/p/*\"\n"));
    }
}

fn sitemap(products: usize) -> Reply {
    let urls: String = (0..products).map(|n| format!("<url><loc>/p/{n}</loc></url>")).collect();
    let namespace = "http://www.sitemaps.org/schemas/sitemap/0.9";
    let text = format!("<?xml version=\"1.0\"?><urlset xmlns=\"{namespace}\">{urls}</urlset>");
    Reply::ok(text).header("Content-Type", "application/xml")
}

/// A product's page; 404 for any other path, that of a picture among them.
fn product(path: &str, has_pictures: bool) -> Reply {
    let Some(n) = path.strip_prefix("/p/") else { return Reply::status(404) };
    let picture =
        if has_pictures { format!("\"image\":\"/pictures/{n}.jpg\",") } else { String::new() };
    html(&format!(
        "<script type=\"application/ld+json\">{{\"@context\":\"https://schema.org\",\"@type\":\"Product\",\
         \"name\":\"Product {n}\",\"sku\":\"S{n}\",{picture}\"offers\":{{\"@type\":\"Offer\",\"price\":\"9.99\",\
         \"priceCurrency\":\"EUR\"}}}}</script><h1>Product {n}</h1>"
    ))
}

fn html(body: &str) -> Reply {
    let page =
        format!("<!DOCTYPE html><html><head><title>Shop</title></head><body>{body}</body></html>");
    Reply::ok(page).header("Content-Type", "text/html; charset=utf-8")
}
