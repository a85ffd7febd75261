//! The demo's sample shop: six partners with a feed each, all made up here and served on loopback.
//!
//! Everything follows from one seed, so that two demos show the same numbers. Night one offers the
//! whole catalogue; night two changes some of it, and one partner's site is down for maintenance.

mod catalogue;
mod feeds;
mod pictures;
mod server;
mod words;
mod xml_feeds;

pub use server::Shop;
