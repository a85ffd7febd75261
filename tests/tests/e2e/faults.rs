//! What the fleet promises when something fails, shown on the real binary: workers that abort, panic, run
//! out of memory, stop or are told to stop; a source that hangs; processes that are killed. Each test says in
//! its first line which promise it shows.
//!
//! A lease runs out ten seconds after its worker's last sign of life at the earliest; that is what most of
//! these tests wait for.

mod chaos;
mod damage;
mod deaths;
mod isolation;
mod leases;
pub(crate) mod nights;
mod processes;
mod queue;
mod resume;
pub(crate) mod support;
