//! How long the pictures of one message take.

use super::night::PipeLoad;
use super::settings::Settings;

/// What an image job takes besides its pictures: receive, receipt, delete.
const BESIDES_MS: f64 = 100.0;

/// The pictures of one message, one after the other. Times are in milliseconds.
pub(super) struct ImageJob {
    /// One that is there already: a conditional request.
    known_ms: f64,
    /// One that is not.
    new_ms: f64,
    known: u64,
}

impl ImageJob {
    /// A job on a worker with so many cores. `known`: pictures that an earlier attempt has mirrored.
    pub(super) fn new(load: &PipeLoad, settings: &Settings, cores: u32, known: u64) -> Self {
        let known_ms = load.image.unwrap_or(settings.speed.image).as_secs_f64() * 1_000.0;
        let cpu_ms = settings.speed.image_cpu.as_secs_f64() * 1_000.0;
        // With all slots busy, a worker draws no more than its cores can.
        let least_ms = cpu_ms * settings.workers.image_slots as f64 / f64::from(cores.max(1));
        Self { known_ms, new_ms: (known_ms + cpu_ms).max(least_ms), known }
    }

    /// How long it takes, of so many pictures; no job takes no time.
    pub(super) fn millis(&self, count: u64) -> u64 {
        let new = count.saturating_sub(self.known) as f64;
        let ms = BESIDES_MS + self.known as f64 * self.known_ms + new * self.new_ms;
        (ms.round() as u64).max(1)
    }

    /// How many are mirrored after so long.
    pub(super) fn done(&self, after_ms: u64, count: u64) -> u64 {
        let known_ms = self.known as f64 * self.known_ms;
        let new = (after_ms as f64 - known_ms).max(0.0) / self.new_ms.max(f64::EPSILON);
        (self.known + new as u64).min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_picture_takes_its_host_s_time_and_a_core_s() {
        let (load, mut settings) = (fixture::pipe("acme"), fixture::settings());
        let job = ImageJob::new(&load, &settings, 2, 0);
        assert_eq!(job.millis(20), 100 + 20 * 112);
        assert_eq!((job.done(1_000, 20), job.done(100_000, 20)), (8, 20));
        let again = ImageJob::new(&load, &settings, 2, 8);
        assert_eq!(again.millis(20), 100 + 8 * 100 + 12 * 112);
        assert_eq!((again.done(0, 20), again.done(800 + 225, 20)), (8, 10));
        // 100 slots on two cores: 50 pictures a core, one after the other.
        settings.workers.image_slots = 100;
        assert_eq!(ImageJob::new(&load, &settings, 2, 0).millis(20), 100 + 20 * 600);
    }
}
