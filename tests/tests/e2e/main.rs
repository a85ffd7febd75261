//! Feedfleet from outside: the real binary on a folder of its own, sources served from this machine.

mod faults;
mod formats;
mod readers;
mod real_input;
mod secrets;
mod sources;
mod users;
