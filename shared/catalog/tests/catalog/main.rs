//! The catalog against a naive model: nights of random changes, fences, races, compaction, rollback, vacuum; in a
//! folder, and in an object store.

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

mod absences;
mod checkup;
mod faulty;
mod fences;
mod images;
mod nights;
mod requests;
mod restore;
mod retire;
mod store;
mod supplements;
mod support;
mod vacuum;
