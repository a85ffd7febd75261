//! A memory budget for the process: past it, allocation fails and the process ends, before the machine
//! runs out and ends something else. A process that works for another can tell it why: see
//! [`tell_refusals`].

#![expect(unsafe_code, reason = "a global allocator is unsafe by its signature")]

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The process's allocator: mimalloc, counted.
pub struct Budget;

static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Whether memory has been refused since the limit was set.
static REFUSED: AtomicBool = AtomicBool::new(false);
static NOTE: OnceLock<(File, &'static str)> = OnceLock::new();

/// From now on the process may hold this many bytes.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
    REFUSED.store(false, Ordering::Relaxed);
}

/// Writes `line` to `file` when memory is refused for the first time after [`set_limit`]. A process that
/// goes past its limit aborts as it would for many other reasons; this tells them apart. Once a process.
pub fn tell_refusals(file: File, line: &'static str) {
    if NOTE.set((file, line)).is_err() {
        tracing::warn!("it was said already where refusals of memory are told");
    }
}

/// Bytes that the process holds.
pub fn used_bytes() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Whether `bytes` more fit; counts them if so.
fn take(bytes: usize) -> bool {
    let before = USED.fetch_add(bytes, Ordering::Relaxed);
    if before.saturating_add(bytes) > LIMIT.load(Ordering::Relaxed) {
        USED.fetch_sub(bytes, Ordering::Relaxed);
        note_refusal();
        return false;
    }
    true
}

/// Allocates nothing: it is called where there is nothing left to give.
#[cold]
fn note_refusal() {
    if !REFUSED.swap(true, Ordering::Relaxed)
        && let Some((file, line)) = NOTE.get()
    {
        let mut file: &File = file;
        // Nobody is left to tell if nobody listens.
        file.write_all(line.as_bytes()).ok();
    }
}

// SAFETY: every call is passed on to mimalloc with the arguments it came with; counting touches nothing of
// the memory itself.
unsafe impl GlobalAlloc for Budget {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let more = size.saturating_sub(layout.size());
        if !take(more) {
            return std::ptr::null_mut();
        }
        USED.fetch_sub(layout.size().saturating_sub(size), Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_limit_nothing_is_given() {
        set_limit(used_bytes() + 1000);
        assert!(take(900));
        assert!(!REFUSED.load(Ordering::Relaxed));
        assert!(!take(200));
        assert!(REFUSED.load(Ordering::Relaxed));
        USED.fetch_sub(900, Ordering::Relaxed);
        assert!(take(200));
        USED.fetch_sub(200, Ordering::Relaxed);
        set_limit(usize::MAX);
    }
}
