//! Feedfleet on AWS's interfaces: against stand-ins that nobody here wrote, and against servers of the tests' own
//! for what no stand-in has.

mod catalog;
mod dead_letters;
mod infra;
mod night;
mod object_faults;
mod objects;
mod queue;
mod queue_faults;
mod queue_rig;
mod readers;
mod roles;
mod sources;
mod throughput;
