//! Crawls of a generated shop: what is found, what is left alone, and what becomes of a crawl that is interrupted.

mod faults;
mod nights;
mod politeness;
mod shop;
