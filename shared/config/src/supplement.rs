//! Supplements: further sources of a pipe, such as one of prices or of stock, which say something of its products by
//! their ids, on schedules of their own.

use crate::load::Config;
use crate::pipe::Pipe;
use feedfleet_model::ColumnId;
use std::time::Duration;

/// What a supplement may say of its pipe's products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The columns that it fills, in the table's order; of an amount its currency too. No other supplement of the
    /// pipe fills them.
    pub columns: Vec<ColumnId>,
    /// Where it counts.
    pub mode: LayerMode,
    /// A run of the pipe leaves its values out when they are older than this, by the times for which both runs were
    /// scheduled; none: they count until there are others.
    pub max_age: Option<Duration>,
}

/// Where a supplement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerMode {
    /// Wherever it says something, whatever the pipe's own source says.
    Override,
    /// Where the pipe's own source says nothing.
    Fill,
}

impl Config {
    /// All that runs: each pipe, followed by its supplements.
    pub fn sources(&self) -> impl Iterator<Item = &Pipe> {
        self.pipes.iter().flat_map(|pipe| std::iter::once(pipe).chain(&pipe.supplements))
    }
}
