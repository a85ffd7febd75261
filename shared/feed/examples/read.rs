//! Reads a feed to mapped and hashed rows, as a crawl does, and drops them. scripts/bench/feeds measures it.
//!
//!     read PIPE FILE
//!
//! PIPE is the file of a pipe, which says how FILE is read. Prints one line of JSON: rows, refused products, fields
//! left empty, bytes after decompression, seconds, and a digest of the rows that does not depend on their order.

use feedfleet_config::{ProcessEnvironment, parse_pipe};
use feedfleet_feed::{FeedReader, Hints, Settings, Step};
use feedfleet_model::hash::id_hash;
use feedfleet_model::{PipeName, Row};
use feedfleet_telemetry::budget::Budget;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Budget = Budget;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(pipe), Some(feed), None) = (args.next(), args.next(), args.next()) else {
        return Err("expected: read PIPE FILE".into());
    };
    let name: PipeName = "bench".parse()?;
    let text = std::fs::read_to_string(&pipe)?;
    let folder = std::path::absolute(Path::new("."))?;
    let settings = Settings::of(&parse_pipe(&name, &text, &folder, &ProcessEnvironment)?)?;

    let began = Instant::now();
    let mut reader = FeedReader::open(Box::new(File::open(feed)?), &settings, Hints::default())?;
    let mut row = Row::new();
    let mut scratch = Vec::new();
    let (mut rows, mut digest) = (0_u64, 0_u128);
    loop {
        match reader.next(&mut row)? {
            // As the diff does with each: shared/catalog/src/diff.rs.
            Step::Row(_) => {
                rows += 1;
                let hash = row.content_hash(&mut scratch) ^ id_hash(row.id()).rotate_left(64);
                digest = digest.wrapping_add(hash);
            }
            Step::Known | Step::Refused(_) => {}
            Step::End => break,
        }
    }
    let seconds = began.elapsed().as_secs_f64();

    let stats = reader.stats();
    let warnings: u64 = reader.take_warnings().iter().map(|warning| warning.count).sum();
    let result = serde_json::json!({
        "rows": rows,
        "refused": stats.refused,
        "warnings": warnings,
        "bytes": stats.decoded_bytes,
        "seconds": seconds,
        "digest": format!("{digest:032x}"),
    });
    println!("{result}");
    Ok(())
}
