//! Prints how well extraction does on a folder of product pages with ground truth: F1 a field, as a crawl extracts it and
//! by structured data alone. Run by `scripts/bench/pages`.
//!
//! ```text
//! score FOLDER [--misses]
//! ```

#[path = "../tests/zyte/score.rs"]
mod score;

use score::{FIELDS, score};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, with_misses) = match arguments.as_slice() {
        [folder] => (folder, false),
        [folder, option] if option == "--misses" => (folder, true),
        _ => {
            eprintln!("usage: score FOLDER [--misses]");
            return ExitCode::from(2);
        }
    };
    let score = match score(Path::new(folder)) {
        Ok(score) => score,
        Err(error) => {
            eprintln!("{folder}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} pages", score.pages);
    println!("field          F1     structured   right  wrong  missed");
    for ((name, _, _), (tally, structured)) in
        FIELDS.iter().zip(score.all.iter().zip(&score.structured))
    {
        println!(
            "{name:13}  {:.3}  {:.3}        {:5}  {:5}  {:6}",
            tally.f1(),
            structured.f1(),
            tally.right,
            tally.wrong,
            tally.missed
        );
    }
    if with_misses {
        for miss in &score.misses {
            println!("{miss}");
        }
    }
    if score.pages == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
