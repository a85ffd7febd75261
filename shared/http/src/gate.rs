//! Politeness: how many requests of this process go to one host at once.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hosts remembered before the idle ones are forgotten.
const SWEEP_AT: usize = 1024;

/// Lets a fixed number of holders through per host; the others wait in order of arrival. Clones
/// share their state.
#[derive(Debug, Clone)]
pub struct HostGate {
    concurrency: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// The right to one request to a host. Dropping it lets the next one through.
#[derive(Debug)]
#[must_use = "the place is given back when the permit is dropped"]
pub struct Permit {
    _place: OwnedSemaphorePermit,
}

impl HostGate {
    /// A gate that lets `concurrency` requests through to each host at once.
    pub fn new(concurrency: NonZeroUsize) -> Self {
        let concurrency = concurrency.get().min(Semaphore::MAX_PERMITS);
        HostGate { concurrency, hosts: Arc::default() }
    }

    /// Waits for a place at `host` (case and a trailing dot don't matter) and takes it. Dropping
    /// the future gives up the place in the line.
    pub async fn acquire(&self, host: &str) -> Permit {
        let place =
            self.semaphore(host).acquire_owned().await.expect("a gate never closes its semaphores");
        Permit { _place: place }
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let key = host.trim_end_matches('.').to_ascii_lowercase();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= SWEEP_AT && !hosts.contains_key(&key) {
            // Holders and waiters each keep a reference, and new ones are made under this lock
            // only, so a host with a single reference is idle.
            hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        let semaphore =
            hosts.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.concurrency)));
        Arc::clone(semaphore)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn gate(concurrency: usize) -> HostGate {
        HostGate::new(NonZeroUsize::new(concurrency).expect("not zero"))
    }

    #[test]
    fn a_host_takes_as_many_as_configured() {
        let gate = gate(2);
        let first = gate.acquire("shop.example").now_or_never().expect("free");
        let _second = gate.acquire("SHOP.example.").now_or_never().expect("free");
        assert!(gate.acquire("shop.example").now_or_never().is_none());
        drop(first);
        assert!(gate.acquire("shop.example").now_or_never().is_some());
    }

    #[test]
    fn hosts_do_not_wait_for_each_other() {
        let gate = gate(1);
        let _held = gate.acquire("a.example").now_or_never().expect("free");
        assert!(gate.acquire("b.example").now_or_never().is_some());
        assert!(gate.clone().acquire("a.example").now_or_never().is_none());
    }

    #[test]
    fn idle_hosts_are_forgotten_and_held_ones_are_not() {
        let gate = gate(1);
        let _held = gate.acquire("held.example").now_or_never().expect("free");
        for n in 0..2 * SWEEP_AT {
            assert!(gate.acquire(&format!("{n}.example")).now_or_never().is_some());
        }
        assert!(gate.hosts.lock().expect("not poisoned").len() <= SWEEP_AT);
        assert!(gate.acquire("held.example").now_or_never().is_none());
    }
}
