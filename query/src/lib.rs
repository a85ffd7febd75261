//! SQL over the catalog: the tables `products` and `images` as their Delta logs say, and `runs`, the run
//! reports. Reads, and never writes.
//!
//! [`Engine`] plans and runs a query; [`output::write`] prints its rows; [`cli`] is the program's command line.

pub mod cli;
mod cloud;
pub mod engine;
#[cfg(test)]
mod fixture;
pub mod output;
pub mod runs;
pub mod table;

pub use engine::Engine;
pub use runs::ReportsPlace;

use datafusion::error::DataFusionError;
use feedfleet_model::text::printable;
use std::error::Error;
use std::io::Write;

/// Tells the user something on the error stream, safe to print whatever it quotes.
pub fn complain(text: &str) {
    for line in text.lines() {
        // Where nobody reads the error stream, nobody misses the line.
        writeln!(std::io::stderr(), "feedfleet-query: {}", printable(line)).ok();
    }
}

/// An error of ours on its way through DataFusion.
pub(crate) fn external(e: impl Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}
