//! Message bodies: what is a job stays the job that it was, and its names fit the queue.
#![no_main]

use feedfleet_model::Job;
use libfuzzer_sys::fuzz_target;

/// What SQS allows a message group and a deduplication id.
const MAX_NAME_BYTES: usize = 128;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let job = match Job::from_body(body) {
        Ok(job) => job,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(Job::from_body(&job.to_body()).expect("its own body is a job's"), job);
    for name in [job.group(), job.dedup_id()] {
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
        assert!(fits && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
});
