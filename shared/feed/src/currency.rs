//! Currencies by code, symbol and word.

/// A text that names a currency, or one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// The ISO 4217 code; none when the text alone does not say which, such as `$`.
    pub(crate) code: Option<&'static str>,
}

/// What a text such as `EUR`, `€` or `руб.` names. None: no currency.
pub(crate) fn find(text: &str) -> Option<Named> {
    let text = text.trim_matches('.');
    if let Some(code) = code(text) {
        return Some(Named { code: Some(code) });
    }
    let lower = text.to_lowercase();
    let known = WORDS.iter().find(|(word, _)| *word == lower);
    if let Some((_, code)) = known {
        return Some(Named { code: *code });
    }
    // `CAD$`, `$USD`.
    code(text.trim_matches('$')).map(|code| Named { code: Some(code) })
}

/// The ISO 4217 code that a text is, in either case.
pub(crate) fn code(text: &str) -> Option<&'static str> {
    let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
    by_letters(bytes.map(|byte| byte.to_ascii_uppercase()))
}

/// The ISO 4217 code of three upper-case letters.
pub(crate) fn by_letters(letters: [u8; 3]) -> Option<&'static str> {
    // Most amounts are in one of a few, which need no search.
    match &letters {
        b"EUR" => return Some("EUR"),
        b"USD" => return Some("USD"),
        b"KRW" => return Some("KRW"),
        b"JPY" => return Some("JPY"),
        b"GBP" => return Some("GBP"),
        b"PLN" => return Some("PLN"),
        b"CHF" => return Some("CHF"),
        _ => {}
    }
    let place = CODES.binary_search_by(|code| code.as_bytes().cmp(&letters)).ok()?;
    Some(CODES[place])
}

/// Whether amounts of the currency have three digits after the mark.
pub(crate) fn has_three_decimals(code: &str) -> bool {
    matches!(code, "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND")
}

/// Whether amounts of the currency have no digits after the mark.
pub(crate) fn has_no_decimals(code: &str) -> bool {
    [
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
        "XAF", "XOF", "XPF",
    ]
    .contains(&code)
}

/// In order.
const CODES: [&str; 155] = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT",
    "BGN", "BHD", "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD",
    "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD",
    "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ",
    "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD",
    "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP",
    "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR",
    "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB",
    "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD",
    "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL",
    "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU",
    "UZS", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XOF", "XPF", "YER", "ZAR", "ZMW",
];

/// Signs and words, in lower case. Those that several countries use name none.
const WORDS: [(&str, Option<&str>); 85] = [
    ("$", None),
    ("¥", None),
    ("￥", None),
    ("₤", None),
    ("₶", None),
    ("kr", None),
    ("rs", None),
    ("fr", None),
    ("ريال", None),
    ("جنيه", None),
    ("درهم", None),
    ("€", Some("EUR")),
    ("euro", Some("EUR")),
    ("euros", Some("EUR")),
    ("£", Some("GBP")),
    ("￡", Some("GBP")),
    ("us$", Some("USD")),
    ("$us", Some("USD")),
    ("a$", Some("AUD")),
    ("au$", Some("AUD")),
    ("c$", Some("CAD")),
    ("ca$", Some("CAD")),
    ("nz$", Some("NZD")),
    ("hk$", Some("HKD")),
    ("nt$", Some("TWD")),
    ("s$", Some("SGD")),
    ("sg$", Some("SGD")),
    ("mx$", Some("MXN")),
    ("r$", Some("BRL")),
    ("₩", Some("KRW")),
    ("￦", Some("KRW")),
    ("원", Some("KRW")),
    ("won", Some("KRW")),
    ("円", Some("JPY")),
    ("yen", Some("JPY")),
    ("元", Some("CNY")),
    ("人民币", Some("CNY")),
    ("rmb", Some("CNY")),
    ("yuan", Some("CNY")),
    ("zł", Some("PLN")),
    ("zl", Some("PLN")),
    ("kč", Some("CZK")),
    ("kc", Some("CZK")),
    ("ft", Some("HUF")),
    ("lei", Some("RON")),
    ("лв", Some("BGN")),
    ("₽", Some("RUB")),
    ("руб", Some("RUB")),
    ("рублей", Some("RUB")),
    ("р", Some("RUB")),
    ("₴", Some("UAH")),
    ("грн", Some("UAH")),
    ("₸", Some("KZT")),
    ("тг", Some("KZT")),
    ("₺", Some("TRY")),
    ("tl", Some("TRY")),
    ("sfr", Some("CHF")),
    ("chfr", Some("CHF")),
    ("₹", Some("INR")),
    ("₨", None),
    ("৳", Some("BDT")),
    ("฿", Some("THB")),
    ("บาท", Some("THB")),
    ("₫", Some("VND")),
    ("đ", Some("VND")),
    ("vnđ", Some("VND")),
    ("₱", Some("PHP")),
    ("rp", Some("IDR")),
    ("rm", Some("MYR")),
    ("₭", Some("LAK")),
    ("៛", Some("KHR")),
    ("₮", Some("MNT")),
    ("₪", Some("ILS")),
    ("ש\"ח", Some("ILS")),
    ("₾", Some("GEL")),
    ("₼", Some("AZN")),
    ("֏", Some("AMD")),
    ("kd", Some("KWD")),
    ("د.ك", Some("KWD")),
    ("د.إ", Some("AED")),
    ("ر.س", Some("SAR")),
    ("₦", Some("NGN")),
    ("₵", Some("GHS")),
    ("₡", Some("CRC")),
    ("₲", Some("PYG")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order() {
        assert!(CODES.is_sorted());
        assert!(CODES.iter().all(|listed| code(listed) == Some(*listed)));
        for (word, code) in WORDS {
            assert_eq!(word, word.to_lowercase());
            assert!(code.is_none_or(|code| CODES.contains(&code)), "{word}");
        }
    }

    #[test]
    fn signs_and_codes_are_found() {
        let code = |text| find(text).map(|named| named.code);
        assert_eq!(code("eur"), Some(Some("EUR")));
        assert_eq!(code("руб."), Some(Some("RUB")));
        assert_eq!(code("US$"), Some(Some("USD")));
        assert_eq!(code("CAD$"), Some(Some("CAD")));
        assert_eq!(code("$"), Some(None));
        assert_eq!((code("PCS"), code(""), code("...")), (None, None, None));
    }
}
