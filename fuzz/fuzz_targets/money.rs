//! Amounts of money.
#![no_main]

use feedfleet_feed::parse_money;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for mark in [None, Some('.'), Some(',')] {
        let Ok(money) = parse_money(text, mark) else { continue };
        assert!(money.ten_thousandths >= 0, "{text:?} is {money:?}");
        // Whatever it was, written out plainly it is the same.
        let (whole, fraction) = (money.ten_thousandths / 10_000, money.ten_thousandths % 10_000);
        let plain = format!("{whole}.{fraction:04} {}", money.currency.unwrap_or_default());
        assert_eq!(parse_money(&plain, Some('.')), Ok(money), "{text:?}, written as {plain:?}");
    }
});
