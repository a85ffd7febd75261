//! Schedules: what follows a moment, and what came before. Four bytes are the moment, one chooses the zone,
//! and the rest is the cron line.
#![no_main]

use chrono::DateTime;
use feedfleet_fuzz::pipe;
use libfuzzer_sys::fuzz_target;

const ZONES: [&str; 5] =
    ["UTC", "Asia/Seoul", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"];

fuzz_target!(|data: &[u8]| {
    let Some((moment, rest)) = data.split_first_chunk::<4>() else { return };
    let Some((choice, line)) = rest.split_first() else { return };
    let Ok(line) = std::str::from_utf8(line) else { return };
    let zone = ZONES[usize::from(*choice) % ZONES.len()];
    let line = serde_json::to_string(line).expect("a text is JSON");
    let toml = format!(
        "schedule = {line}\ntimezone = \"{zone}\"\n[source]\nurl = \"feed\"\nformat = \"google-xml\"\n"
    );
    let Ok(pipe) = pipe(&toml) else { return };
    // From 1970 to 2106.
    let moment = i64::from(u32::from_le_bytes(*moment));
    let at = DateTime::from_timestamp(moment, 0).expect("chrono knows these years");
    if let Some(last) = pipe.last_run_before(at) {
        assert!(last <= at, "{last} is not before {at}");
    }
    if let Some(next) = pipe.next_run_after(at) {
        assert!(next > at, "{next} is not after {at}");
        assert_eq!(pipe.last_run_before(next), Some(next), "the time after {at}");
    }
});
