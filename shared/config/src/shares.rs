//! How the requests at once that a host allows are dealt out between the crawls of sites and the pictures, so that the
//! fleet keeps to them without talking: each pipe is crawled by one worker at a time, and every worker knows how many
//! pipes crawl a host.

use crate::error::{ConfigError, ConfigErrors};
use crate::pipe::{Location, Pipe};
use crate::site::key_of;
use feedfleet_model::PipeName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A fleet's allowance of each host, dealt out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostShares {
    concurrency: u32,
    /// By the key of a host.
    crawls: BTreeMap<String, Crawls>,
}

/// Who crawls a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Crawls {
    pipes: BTreeSet<PipeName>,
    /// The longest that one of them asks for.
    delay: Duration,
}

impl HostShares {
    /// Deals out `concurrency` (of `[hosts]`) for these pipes, which are all that the fleet has.
    pub fn of(concurrency: usize, pipes: &[Pipe]) -> Self {
        let mut crawls: BTreeMap<String, Crawls> = BTreeMap::new();
        for pipe in pipes {
            if let Location::Site(site) = &pipe.source.location {
                for host in site.host_keys() {
                    let crawls = crawls.entry(host).or_default();
                    crawls.pipes.insert(pipe.name.clone());
                    crawls.delay = crawls.delay.max(site.delay);
                }
            }
        }
        Self { concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX).max(1), crawls }
    }

    /// How many pipes crawl the host with this key, and 1 at least: delays between requests are so many times as long.
    pub fn crawls(&self, key: &str) -> u32 {
        self.crawls.get(key).map_or(0, |crawls| crawls.pipes.len() as u32).max(1)
    }

    /// Which of the pipes that crawl the host with this key a pipe is, from 0.
    pub fn place_of(&self, key: &str, pipe: &PipeName) -> u32 {
        let crawls = self.crawls.get(key);
        crawls.map_or(0, |crawls| {
            crawls.pipes.iter().take_while(|other| *other < pipe).count() as u32
        })
    }

    /// The least time between two requests of crawls to the host with this key, by all pipes that crawl it.
    pub fn delay(&self, key: &str) -> Duration {
        self.crawls.get(key).map_or(Duration::ZERO, |crawls| crawls.delay)
    }

    /// Requests at once that each crawl may have under way to the host with this key: together half of what the host
    /// allows, but one each.
    pub fn of_crawl(&self, key: &str) -> u32 {
        (self.concurrency / 2 / self.crawls(key)).max(1)
    }

    /// Requests at once that are left for pictures from a host, written with its port. 0 where the crawls take all, which
    /// a configuration whose pipes mirror pictures does not allow.
    pub fn of_pictures(&self, host: &str) -> u32 {
        let key = key_of(host);
        if !self.crawls.contains_key(&key) {
            return self.concurrency;
        }
        self.concurrency.saturating_sub(self.crawls(&key).saturating_mul(self.of_crawl(&key)))
    }
}

/// Takes the pipes out whose crawls of a host are more than it allows requests at once, or leave none for pictures;
/// what is wrong with them.
pub(crate) fn take_out_too_many(concurrency: usize, pipes: &mut Vec<Pipe>) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    let has_pictures = pipes.iter().any(|pipe| pipe.images.mirror);
    let shares = HostShares::of(concurrency, pipes);
    let least = |host: &str| shares.crawls(host) + u32::from(has_pictures);
    let full: Vec<&String> =
        shares.crawls.keys().filter(|host| shares.concurrency < least(host)).collect();
    let full_host = |pipe: &Pipe| match &pipe.source.location {
        Location::Site(site) => {
            let hosts = site.host_keys();
            full.iter().find(|host| hosts.contains(**host)).map(|host| (*host).clone())
        }
        _ => None,
    };
    let refused: Vec<(usize, String)> = pipes
        .iter()
        .enumerate()
        .filter_map(|(place, pipe)| Some((place, full_host(pipe)?)))
        .collect();
    for (place, host) in &refused {
        let names: Vec<&str> = refused
            .iter()
            .filter(|(_, other)| other == host)
            .map(|(place, _)| pipes[*place].name.as_str())
            .collect();
        let (too_many, way_out) = if has_pictures {
            ("leave no request for pictures", ", or mirror = false in [images] of every pipe")
        } else {
            ("need more requests at once than it allows", "")
        };
        let message = format!(
            "the crawls of {host} ({}) {too_many}: concurrency in [hosts] of fleet.toml is {concurrency}; expected {} \
             at least{way_out}",
            names.join(", "),
            least(host)
        );
        errors.extend(ConfigError::of_file(pipes[*place].file.clone(), message).into());
    }
    let mut place = 0;
    pipes.retain(|_| {
        place += 1;
        !refused.iter().any(|(refused, _)| *refused == place - 1)
    });
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::parse_pipe;
    use std::path::Path;

    fn pipe(name: &str, url: &str, mirror: bool) -> Pipe {
        let text = format!("[source]\nkind = 'site'\nurl = '{url}'\n[images]\nmirror = {mirror}\n");
        let environment = BTreeMap::new();
        let name = name.parse().expect("a pipe's name");
        parse_pipe(&name, &text, Path::new("/conf"), &environment)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn crawls_and_pictures_never_have_more_than_the_host_allows() {
        for concurrency in 1..=16_usize {
            for crawls in 1..=16_u32 {
                let pipes: Vec<Pipe> = (0..crawls)
                    .map(|n| pipe(&format!("p{n}"), "https://www.shop.example/", true))
                    .collect();
                let shares = HostShares::of(concurrency, &pipes);
                let all = crawls * shares.of_crawl("shop.example");
                let pictures = shares.of_pictures("shop.example");
                assert_eq!(shares.of_pictures("www.shop.example"), pictures);
                assert_eq!(shares.of_pictures("cdn.example"), concurrency as u32);
                assert!(pictures == 0 || all + pictures == concurrency as u32, "{shares:?}");
                let mut kept = pipes.clone();
                let errors = take_out_too_many(concurrency, &mut kept);
                assert_eq!(errors.is_empty(), pictures > 0);
                assert_eq!(kept.is_empty(), pictures == 0);
            }
        }
    }

    #[test]
    fn each_crawl_of_a_host_has_its_place_and_all_have_its_longest_delay() {
        let mut pipes = vec![
            pipe("b", "https://shop.example/", false),
            pipe("a", "https://www.shop.example/b/", false),
            pipe("c", "https://other.example/", false),
        ];
        let Location::Site(site) = &mut pipes[0].source.location else { panic!("a site") };
        site.delay = Duration::from_secs(3);
        let shares = HostShares::of(8, &pipes);
        let places = [1, 0].map(|n: usize| shares.place_of("shop.example", &pipes[n].name));
        assert_eq!((places, shares.crawls("shop.example")), ([0, 1], 2));
        assert_eq!(shares.delay("shop.example"), Duration::from_secs(3));
        assert_eq!(shares.delay("other.example"), Duration::ZERO);
    }

    #[test]
    fn a_pipe_too_many_is_told_the_way_out() {
        let mut pipes = vec![
            pipe("a", "https://shop.example/", false),
            pipe("b", "https://www.shop.example/b/", true),
            pipe("c", "https://other.example/", true),
        ];
        let text = take_out_too_many(2, &mut pipes).to_string();
        assert_eq!(pipes.len(), 1);
        for part in ["a.toml", "b.toml", "shop.example (a, b)", "expected 3", "mirror = false"] {
            assert!(text.contains(part), "{text}");
        }
        let mut silent = vec![pipe("a", "https://shop.example/", false)];
        assert!(take_out_too_many(1, &mut silent).is_empty());
        // Each crawl needs a request of its own, pictures or not.
        silent.push(pipe("b", "https://www.shop.example/b/", false));
        assert!(take_out_too_many(2, &mut silent).is_empty());
        let text = take_out_too_many(1, &mut silent).to_string();
        assert!(silent.is_empty() && text.contains("expected 2 at least"), "{text}");
        assert!(!text.contains("mirror"), "{text}");
    }
}
