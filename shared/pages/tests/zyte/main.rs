//! Product pages of real shops, extracted without knowing any of the shops, against what a person found on them.

#![allow(clippy::unwrap_used, reason = "a test that fails by `unwrap` says enough")]

mod score;

use score::{FIELDS, score};
use std::path::Path;

const FOLDER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/zyte-product-pages");

/// The F1 that a field must not fall below. Prices can't reach 0.9 here: of 27, the truth of three reads a
/// separator of thousands as a decimal mark (`24.99` for Chile's `$24.990`). Brand, GTIN and MPN stand on many of
/// the pages whose truth has none.
const FLOORS: [(&str, f64); 7] = [
    ("price", 0.85),
    ("currency", 0.90),
    ("sku", 0.85),
    ("brand", 0.72),
    ("availability", 0.90),
    ("gtin", 0.60),
    ("mpn", 0.75),
];

#[test]
fn fields_of_real_shops_are_found() {
    let folder = Path::new(FOLDER);
    if !folder.exists() {
        eprintln!("SKIPPED: no {FOLDER}");
        return;
    }
    let score = score(folder).unwrap();
    for miss in &score.misses {
        eprintln!("{miss}");
    }
    let mut too_low = Vec::new();
    for ((name, _, _), (tally, structured)) in
        FIELDS.iter().zip(score.all.iter().zip(&score.structured))
    {
        let (_, floor) = FLOORS.iter().find(|(own, _)| own == name).unwrap();
        let (f1, alone) = (tally.f1(), structured.f1());
        eprintln!("zyte {name}: F1 {f1:.3}, structured data alone {alone:.3} {tally:?}");
        if f1 < *floor {
            too_low.push(format!("{name}: {f1:.3} is below {floor}"));
        }
    }
    assert!(score.pages > 0, "no pages in {FOLDER}");
    assert!(too_low.is_empty(), "{too_low:?}");
}
