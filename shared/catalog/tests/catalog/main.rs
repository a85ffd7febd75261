//! The catalog against a naive model: nights of random changes, fences, races, compaction.

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

mod fences;
mod images;
mod nights;
mod support;
