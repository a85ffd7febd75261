//! Dates, through a feed. The first byte chooses the zone; the first line behind it is a strftime pattern, or
//! nothing; the rest is the date.
#![no_main]

use feedfleet_feed::{FeedReader, Hints, Settings};
use feedfleet_fuzz::pipe;
use feedfleet_model::{Row, ValueRef, columns};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

const ZONES: [&str; 4] = ["UTC", "Asia/Seoul", "Europe/Berlin", "Pacific/Apia"];
/// The years 1900 to 2200, in microseconds since the epoch.
const YEARS: std::ops::Range<i64> = -2_208_988_800_000_000..7_289_654_400_000_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((choice, rest)) = text.split_at_checked(1) else { return };
    let Some((pattern, date)) = rest.split_once('\n') else { return };
    let zone = ZONES[usize::from(choice.as_bytes()[0]) % ZONES.len()];
    let json = |text: &str| serde_json::to_string(text).expect("a text is JSON");
    let pattern = match pattern {
        "" => String::new(),
        // A JSON text is one in TOML too, up to characters that are refused there.
        pattern => format!(", format = {}", json(pattern)),
    };
    let toml = format!(
        "[source]\nurl = \"feed\"\nformat = \"jsonl\"\n[map]\nid = \"id\"\n\
         availability_date = {{ field = \"date\", as = \"date\", timezone = \"{zone}\"{pattern} }}\n"
    );
    // Patterns that make no sense are refused with the configuration.
    let Ok(pipe) = pipe(&toml) else { return };
    let settings = Settings::of(&pipe).expect("what was loaded can be used");
    let feed = format!("{{\"id\": \"1\", \"date\": {}}}\n", json(date)).into_bytes();
    let mut reader = FeedReader::open(Box::new(Cursor::new(feed)), &settings, Hints::default())
        .expect("it is JSON by lines");
    let mut row = Row::new();
    reader.next(&mut row).expect("one line can be read");
    if let ValueRef::Integer(micros) = row.get(columns::AVAILABILITY_DATE) {
        assert!(YEARS.contains(&micros), "{date:?} is {micros}");
    }
});
