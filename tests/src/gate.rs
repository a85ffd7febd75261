//! A gate that a test opens and shuts, and that its server's handlers wait at.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Self {
        let gate = Self::default();
        gate.set(true);
        gate
    }

    /// Shuts it, or opens it for all who wait.
    pub fn set(&self, shut: bool) {
        let (is_shut, changed) = &*self.0;
        *is_shut.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        changed.notify_all();
    }

    /// Whether it is shut.
    pub fn is_shut(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let (is_shut, changed) = &*self.0;
        let shut = is_shut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(shut, |shut| *shut).unwrap_or_else(PoisonError::into_inner));
    }
}
