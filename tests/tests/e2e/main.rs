//! Feedfleet from outside: the real binary on a folder of its own, sources served from this machine.

mod bad_input;
mod detect;
mod dlq;
mod doctor;
mod faults;
mod formats;
mod guard;
mod paging;
mod promises;
mod readers;
mod real_input;
mod rollback;
mod secrets;
mod simulate;
mod sites;
mod sources;
mod supplements;
mod transports;
mod upkeep;
mod users;
