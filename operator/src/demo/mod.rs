//! `feedfleet demo`: the whole fleet on this machine, against the sample shop. Two nights: the first loads
//! everything, the second brings changes, removals and a broken partner.

mod result;
mod shop;

use crate::cli::{DemoArgs, LogArgs};
use crate::commands::run::follow_progress;
use crate::context::Context;
use crate::{shutdown, view};
use anyhow::{Context as _, Result, bail};
use feedfleet_model::{RunKey, RunReport};
use feedfleet_scheduler::LocalFleet;
use feedfleet_scheduler::issue::issue_now;
use indicatif::{MultiProgress, ProgressBar};
use result::{NightResult, image_results};
use shop::Shop;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Marks a folder as a demo's: only such a folder is replaced.
const MARK: &str = ".feedfleet-demo";
/// Between looks at reports and queues.
const LOOK: Duration = Duration::from_millis(150);

const FLEET: &str = include_str!("../../../examples/demo/fleet.toml");
const PIPES: [(&str, &str); 6] = [
    ("atelier-press", include_str!("../../../examples/demo/pipes/atelier-press.toml")),
    ("corner-books", include_str!("../../../examples/demo/pipes/corner-books.toml")),
    ("hanok-living", include_str!("../../../examples/demo/pipes/hanok-living.toml")),
    ("lumen-lighting", include_str!("../../../examples/demo/pipes/lumen-lighting.toml")),
    ("northwind-outdoor", include_str!("../../../examples/demo/pipes/northwind-outdoor.toml")),
    ("pixel-parts", include_str!("../../../examples/demo/pipes/pixel-parts.toml")),
];

/// Runs the demo.
pub async fn run(args: &DemoArgs, logs: &LogArgs) -> Result<ExitCode> {
    let shop = Shop::start(args.seed).await.context("could not start the sample shop")?;
    write_configuration(&args.dir, &shop.base_url())?;
    let context = Context::load(&args.dir)?;
    if let Some(mistake) = context.mistakes.iter().next() {
        bail!("the demo's own configuration has a mistake: {mistake}");
    }
    view::print(format!("sample shop   {} (six partners, on this machine)", shop.base_url()));
    view::print(format!("working in    {}", context.config.folder.display()));

    let stop = shutdown::on_signal()?;
    let fleet_stop = CancellationToken::new();
    let log = context.config.folder.join("var/workers.log");
    let program = std::env::current_exe().context("could not find this program's own file")?;
    let logs = LogArgs { log: "info".to_owned(), ..logs.clone() };
    let arguments = crate::commands::worker_arguments(&context.config.folder, &logs);
    let fleet = LocalFleet::new(program, arguments, Some(log.clone()));
    let deps = feedfleet_scheduler::Deps { issue_due_runs: false, ..context.scheduler()? };
    let scheduler = tokio::spawn(feedfleet_scheduler::run(deps, Some(fleet), fleet_stop.clone()));

    let mut nights = Vec::new();
    for night in [1, 2] {
        shop.set_night(night);
        let before = shop.requests();
        match run_night(&context, night, &stop).await? {
            Some(result) => {
                nights.push(NightResult { requests: shop.requests() - before, ..result })
            }
            None => break,
        }
    }
    fleet_stop.cancel();
    scheduler.await.context("the scheduler panicked")?;
    shop.stop().await;
    if stop.is_cancelled() {
        view::print("stopped before the end");
        return Ok(ExitCode::from(130));
    }
    for night in &nights {
        view::print(night);
    }
    where_things_are(&context, &log);
    Ok(ExitCode::SUCCESS)
}

/// A fresh folder with the demo's configuration.
fn write_configuration(folder: &Path, shop: &str) -> Result<()> {
    let mark = folder.join(MARK);
    if folder.exists() {
        let empty = fs::read_dir(folder)?.next().is_none();
        if !empty && !mark.exists() {
            bail!(
                "{} exists and is not an earlier demo: nothing was touched; name another folder with --dir",
                folder.display()
            );
        }
        fs::remove_dir_all(folder).with_context(|| {
            format!("could not replace the earlier demo in {}", folder.display())
        })?;
    }
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    };
    fs::create_dir_all(folder.join("pipes"))
        .and_then(|()| fs::create_dir_all(folder.join("var")))
        .with_context(|| format!("could not create {}", folder.display()))?;
    write(&mark, "made by `feedfleet demo`, which replaces this folder\n")?;
    write(&folder.join("fleet.toml"), FLEET)?;
    for (name, text) in PIPES {
        let text = text.replace("${DEMO_URL}", shop);
        write(&folder.join("pipes").join(format!("{name}.toml")), &text)?;
    }
    Ok(())
}

/// Runs every pipe once, and waits for tables and pictures. None: told to stop.
async fn run_night(
    context: &Context,
    night: u8,
    stop: &CancellationToken,
) -> Result<Option<NightResult>> {
    let reports = context.reports()?;
    let queues = context.queues()?;
    let catalog = context.catalog()?;
    view::print(format!("\nnight {night}"));
    let mut runs = Vec::new();
    let deps = context.scheduler()?;
    for pipe in &context.config.pipes {
        runs.push(issue_now(&deps, &pipe.name, None).await?);
    }
    let bars = MultiProgress::new();
    let mut watched: BTreeMap<RunKey, ProgressBar> = BTreeMap::new();
    for run in &runs {
        watched.insert(run.clone(), bars.add(view::spinner()));
    }
    let pipes = bars.add(view::bar("pipes"));
    pipes.set_length(runs.len() as u64);
    let pictures = bars.add(view::bar("picture batches"));
    let mut finals: BTreeMap<RunKey, RunReport> = BTreeMap::new();
    loop {
        for run in runs.iter().filter(|run| !finals.contains_key(*run)).cloned().collect::<Vec<_>>()
        {
            let report = reports.load(&run).await?.context("a run's report has gone")?;
            let bar = &watched[&run];
            bar.set_message(follow_progress(&report));
            if report.state.is_final() {
                bar.finish_with_message(result::one_line(&report));
                finals.insert(run, report);
            }
        }
        pipes.set_position(finals.len() as u64);
        let counts = queues.image.counts().await?;
        let waiting = counts.visible + counts.in_flight;
        // Batches are put on the queue while others are taken off it.
        let known = pictures.length().unwrap_or(0).max(pictures.position() + waiting);
        pictures.set_length(known);
        pictures.set_position(known - waiting);
        let receipts = context.objects()?.list("receipts/", None, 1).await?;
        if finals.len() == runs.len() && waiting == 0 && receipts.is_empty() {
            pipes.finish();
            pictures.finish();
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
    let images = image_results(&catalog)?;
    let reports = finals.into_values().collect();
    Ok(Some(NightResult { night, reports, images, requests: 0 }))
}

fn where_things_are(context: &Context, log: &Path) {
    let config = context.config.folder.display();
    let fleet = &context.config.fleet;
    view::print(format!("\nproduct table   {}", fleet.catalog.path.join("products").display()));
    view::print(format!("pictures        {}", fleet.objects.path.join("images").display()));
    view::print(format!("workers' log    {}", log.display()));
    view::print("\nlook at them:");
    let program =
        std::env::current_exe().map_or("feedfleet".into(), |path| path.display().to_string());
    view::print(format!("  {program} --config {config} runs list"));
    view::print(format!("  {program} --config {config} runs show lumen-lighting"));
    view::print(format!(
        "  {program} --config {config} sql \"SELECT pipe, count(*) AS products, min(price), max(price) \
         FROM products GROUP BY pipe ORDER BY pipe\""
    ));
    view::print(format!(
        "  python3 -c \"import deltalake as d; print(d.QueryBuilder().register('p', \
         d.DeltaTable('{}')).execute('select pipe, count(*) from p group by pipe').read_all())\"",
        fleet.catalog.path.join("products").display()
    ));
}
