//! The catalog against a naive model: nights of random changes, fences, races, compaction, rollback, vacuum.

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

mod absences;
mod fences;
mod images;
mod nights;
mod restore;
mod retire;
mod support;
mod vacuum;
