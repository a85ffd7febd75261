//! The catalog against a naive model: nights of random changes, fences, races, compaction.

mod fences;
mod images;
mod nights;
mod support;
