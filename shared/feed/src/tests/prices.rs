//! Texts of prices from web shops, as price-parser's tests have them, against what is read in them here: all of its cases,
//! those that it fails itself included.

use crate::{currency, parse_money};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;

const CASES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/price-parser/price_cases.jsonl");
/// The currency stands in a text of its own, which a feed would have in a column of its own.
const BESIDE: &str = "the currency is not in the text";

#[derive(Deserialize)]
struct Case {
    price_raw: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    decimal_separator: Option<String>,
}

/// How many of a kind were read as expected, of how many.
#[derive(Default)]
struct Rate {
    right: usize,
    all: usize,
}

impl Rate {
    fn add(&mut self, is_right: bool) {
        self.right += usize::from(is_right);
        self.all += 1;
    }
}

#[test]
fn price_parser_cases() {
    let Ok(lines) = fs::read_to_string(CASES) else {
        eprintln!("SKIPPED: no {CASES}");
        return;
    };
    let (mut amounts, mut currencies) = (Rate::default(), Rate::default());
    let (mut beside, mut without_text) = (0, 0);
    let mut misses = BTreeSet::new();
    for line in lines.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let Some(text) = case.price_raw else {
            without_text += 1;
            continue;
        };
        let mark = case.decimal_separator.and_then(|mark| mark.chars().next());
        let read = parse_money(&text, mark.filter(|mark| matches!(mark, '.' | ','))).ok();
        let ten_thousandths =
            |amount: String| (amount.parse::<f64>().unwrap() * 10_000.0).round() as i64;
        let is_right = read.map(|money| money.ten_thousandths) == case.amount.map(ten_thousandths);
        amounts.add(is_right);
        if !is_right {
            misses.insert(text.clone());
        }
        let Some(sign) = case.currency else { continue };
        let expected = currency::find(&sign);
        let is_same = read.zip(expected).is_some_and(|(money, named)| money.currency == named.code);
        currencies.add(is_same);
        if is_same {
            continue;
        }
        if is_right && read.is_some_and(|money| money.currency.is_none()) && !text.contains(&sign) {
            beside += 1;
        } else {
            misses.insert(text);
        }
    }
    println!("price-parser, amounts: {} of {}", amounts.right, amounts.all);
    println!("price-parser, currencies: {} of {}", currencies.right, currencies.all);
    println!("  left out, cases without a text of a price: {without_text}");
    println!("  {beside}: {BESIDE}");
    for (reason, texts) in KNOWN_MISSES {
        println!("  {}: {reason}: {}", texts.len(), texts.join(" | "));
    }
    let known = KNOWN_MISSES.iter().flat_map(|(_, texts)| *texts).map(|text| (*text).to_owned());
    let known: BTreeSet<String> = known.collect();
    let unexplained: Vec<&String> = misses.difference(&known).collect();
    let mended: Vec<&String> = known.difference(&misses).collect();
    assert!(unexplained.is_empty(), "misses without a reason: {unexplained:#?}");
    assert!(mended.is_empty(), "no misses any more: {mended:#?}");
}

/// Why texts are read otherwise.
const KNOWN_MISSES: [(&str, &[&str]); 10] = [
    (
        "a name of a currency that is not known here",
        &[
            "PTE 120 000 000",
            "DEM 170 000",
            "R273.00",
            "R8,499",
            "61.858 L",
            "45 ج.م",
            "45 E£",
            "CAN$1.23",
            "200q",
            "200Q",
            "1 دج",
            "1 .د.ب",
            "1 $b",
            "1 P",
            "1 franc",
            "2 francs",
            "1 ናቕፋ",
            "1 نافكا",
            "1 E",
            "1 ብር",
            "1 D",
            "1 ლ",
            "1 ¢",
            "1 GFr",
            "1 L",
            "1 ع.د",
            "1 د.",
            "1 KSh",
            "1 ل.د",
            "1 ден",
            "1 ДЕН",
            "1 Ar",
            "1 MT",
            "1 K",
            "1 FRw",
            "1 RF",
            "1 R₣",
            "1 Дин",
            "1 SPL",
            "1 ج.س.",
            "1 د.ت",
            "1 G$",
            "1 GY$",
            "1 BTC",
            "1 Dh",
            "1 Dhs",
            "1 Esc",
            "1 Fbu",
            "1 ID",
            "1 Ks",
            "1 NT",
            "1 Nu",
            "1 Rbl",
            "1 Re",
            "1 S/",
            "1 Sl",
            "1 Vt",
            "1 din",
            "1 hrn",
            "1 kwz",
            "1 lari",
            "1 nis",
            "1 pound",
            "1 Sʻ",
            "1 S'",
            "1 so'm",
            "1 som",
            "1 stg",
            "1 Ƀ",
            "1 дин",
            "1 км",
            "1 с",
            "1 ש״ח",
            "1 ج.س",
            "1 د.أ",
            "1 د.ا",
            "1 د.ج",
            "1 د.م",
            "1 دينار",
            "1 دينار أردني",
            "1 دينار كويتي",
            "1 ر.ع",
            "1 ر.ق",
            "1 ش.ج",
            "1 ل.س",
            "1 ل.ل",
            "1 ரூ",
            "1 රු",
            "1 ლარი",
            "1 圆",
            "1 圓",
            "1 G",
        ],
    ),
    (
        "several amounts: which is the price can't be told",
        &[
            "205,68 € 205.68",
            "AED 8000 (USD 2179)",
            "399 167.00 руб 420 176.16 руб",
            "3,49 zł 1,75 zł",
            "6,000.00 руб. 5,500.00 руб.",
            "841,00 zł – 995,00 zł",
            "Buy Now - 2 Litre Was $120.00 Now $60.00",
            "50 - $2.00 100 - $2.75 400 - $4.50 1,000 - $9.00 2,000 - $17.00 3,000 - $24.00 10,000 - $75.00",
        ],
    ),
    (
        "words or a unit beside the amount: a feed's price column with such text is refused rather than guessed at",
        &[
            "Běžná cena 9 800 Kč",
            "běžná cena 590 Kč",
            "běžná cena 6,00 Kč",
            "Cena 283,50 PLN",
            "Vanaf € 49.95",
            "$426.20/EA",
            "Type of Transfer *",
            "Price: $15.95/mo",
            "3 Ausgaben für nur 14,85 EUR",
            "Код товара: 884",
            "Free Shipping on Orders $49+.",
            "22000.00元/台",
        ],
    ),
    ("no number: free is not 0 here", &["Free!"]),
    (
        "decimal marks that contradict each other or the thousands",
        &["$..75", "$.75,333", "$.750.30", "$..75,333"],
    ),
    ("the set takes `ft` for feet; here it is the forint", &["16.00 ft"]),
    ("a code of two letters apart from its sign", &["AU $59.95", "US $1.23"]),
    (
        "the set expects 1 where there is no number",
        &["CND", "KShs", "chf", "so'm", "тг", "ש\"ח", "ש'ח", "د.ع", "د.ل", "ر.ي", "ش.ص"],
    ),
    ("the currency's sign as decimal mark", &["1250€ 600", "1250€ 60", "1250€600"]),
    ("a space within the number", &["$119. 95"]),
];
