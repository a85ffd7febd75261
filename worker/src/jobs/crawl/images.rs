//! Image jobs of a run, derived from its commit: the rows whose picture addresses this run changed. Whoever
//! derives them, and however often, they are the same.

use super::blocking;
use super::failure::Failure;
use crate::deps::Deps;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use feedfleet_catalog::{Catalog, CatalogError, read};
use feedfleet_model::{ImageItem, ImageJob, Job, RunKey};
use feedfleet_queue::NewMessage;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// Pictures in one message: a few seconds of work at a polite pace.
const BATCH: usize = 20;
/// Messages in one call of the queue.
const SEND: usize = 10;
const COLUMNS: [&str; 3] = ["images_run", "image_link", "additional_image_links"];

/// Puts the run's image jobs on their queue; the number of picture addresses in them.
pub(crate) async fn enqueue(deps: &Deps, key: &RunKey) -> Result<u64, Failure> {
    let (catalog, run) = (deps.catalog.clone(), key.clone());
    let links = blocking(move || changed_links(&catalog, &run)).await??;
    let total = links.values().map(BTreeSet::len).sum::<usize>() as u64;
    let jobs = jobs(key, links, deps.fleet.hosts.concurrency as u32);
    for chunk in jobs.chunks(SEND) {
        let messages: Vec<NewMessage> = chunk
            .iter()
            .cloned()
            .map(Job::Image)
            .map(|job| NewMessage {
                group: job.group(),
                dedup_id: job.dedup_id(),
                body: job.to_body(),
            })
            .collect();
        deps.queues.image.send(&messages).await?;
    }
    Ok(total)
}

/// By host, the addresses of pictures that the run changed.
fn changed_links(
    catalog: &Catalog,
    run: &RunKey,
) -> Result<BTreeMap<String, BTreeSet<String>>, CatalogError> {
    let mut links = BTreeMap::new();
    let Some(snapshot) = catalog.products().snapshot()? else { return Ok(links) };
    for file in snapshot.files(Some(&run.pipe))? {
        read::for_each_batch(&snapshot, &file, Some(&COLUMNS), |rows| {
            for row in rows.live() {
                collect(&rows.batch, row, run.run.0, &mut links);
            }
            Ok(())
        })?;
    }
    Ok(links)
}

fn collect(
    batch: &RecordBatch,
    row: usize,
    run: i64,
    links: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let column = |name| batch.column_by_name(name);
    let changed_by = column("images_run").and_then(|c| c.as_primitive_opt::<Int64Type>());
    if !changed_by.is_some_and(|c| c.is_valid(row) && c.value(row) == run) {
        return;
    }
    let mut add = |link: &str| {
        if let Some(host) = host_of(link) {
            links.entry(host).or_default().insert(link.to_owned());
        }
    };
    if let Some(main) = column("image_link").and_then(|c| c.as_string_opt::<i32>())
        && main.is_valid(row)
    {
        add(main.value(row));
    }
    if let Some(more) = column("additional_image_links").and_then(|c| c.as_list_opt::<i32>())
        && more.is_valid(row)
    {
        let items = more.value(row);
        if let Some(items) = items.as_string_opt::<i32>() {
            items.iter().flatten().for_each(&mut add);
        }
    }
}

/// Host and, where it is not the scheme's own, port. None for what is no web address.
fn host_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Batches of one host each, dealt to the host's shards in turn; hosts take turns too.
fn jobs(key: &RunKey, links: BTreeMap<String, BTreeSet<String>>, shards: u32) -> Vec<ImageJob> {
    let mut hosts: Vec<(String, Vec<Vec<ImageItem>>)> = Vec::new();
    for (host, urls) in links {
        let items: Vec<ImageItem> = urls.into_iter().map(|url| ImageItem { url }).collect();
        hosts.push((host, items.chunks(BATCH).map(<[_]>::to_vec).collect()));
    }
    let rounds = hosts.iter().map(|(_, batches)| batches.len()).max().unwrap_or(0);
    let mut jobs = Vec::new();
    for round in 0..rounds {
        for (host, batches) in &hosts {
            if let Some(items) = batches.get(round) {
                jobs.push(ImageJob {
                    pipe: key.pipe.clone(),
                    run: key.run,
                    host: host.clone(),
                    shard: round as u32 % shards.max(1),
                    batch: jobs.len() as u32,
                    items: items.clone(),
                });
            }
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::RunId;

    #[test]
    fn hosts_take_turns_and_batches_are_dealt_to_shards() {
        let key = RunKey { pipe: "acme".parse().unwrap(), run: RunId(1) };
        let urls = |host: &str, n: usize| -> BTreeSet<String> {
            (0..n).map(|i| format!("http://{host}/{i:03}.jpg")).collect()
        };
        let links =
            BTreeMap::from([("a".to_owned(), urls("a", 55)), ("b".to_owned(), urls("b", 10))]);
        let jobs = jobs(&key, links, 2);
        let order: Vec<_> =
            jobs.iter().map(|j| (j.host.as_str(), j.shard, j.items.len())).collect();
        assert_eq!(order, [("a", 0, 20), ("b", 0, 10), ("a", 1, 20), ("a", 0, 15)]);
        assert_eq!(jobs[3].batch, 3);
    }

    #[test]
    fn only_web_addresses_have_a_host() {
        assert_eq!(host_of("https://h/x.jpg").as_deref(), Some("h"));
        assert_eq!(host_of("http://h:8080/x.jpg").as_deref(), Some("h:8080"));
        assert_eq!(host_of("data:image/png;base64,AA"), None);
        assert_eq!(host_of("x.jpg"), None);
    }
}
