//! The currency of a price that names none, or one of several: by what the page says elsewhere, by the shop's
//! country.

use super::state::State;
use crate::document::Document;
use crate::dom::attribute;
use crate::extract::normal;

/// The currency of a price. `beside`: what stands beside the price, where it names one alone. `among`: those that it may
/// mean, where they are several: a shop in Germany that writes `$` does not mean euros.
pub(super) fn currency(
    document: &Document,
    state: &State,
    beside: Option<&'static str>,
    among: &[&str],
) -> Option<&'static str> {
    let fits = |code: &str| among.is_empty() || among.contains(&code);
    let of_country = of_country(document).into_iter().flatten().find(|code| fits(code));
    // `元` is written in Taiwan and Hong Kong, too.
    if beside == Some("CNY") && matches!(of_country, Some("TWD" | "HKD")) {
        return of_country;
    }
    let in_metas = || {
        let currencies =
            document.metas().filter(|(name, _)| name.to_ascii_lowercase().contains("currency"));
        currencies.map(|(_, content)| content).find_map(normal::currency)
    };
    beside
        .or_else(|| state.currencies().find_map(normal::currency))
        .or_else(in_metas)
        .or(of_country)
}

/// By the end of the host's name, by the region of the page's language, and that of shops for all the world.
fn of_country(document: &Document) -> [Option<&'static str>; 3] {
    let host = document.url().host_str().unwrap_or_default();
    let top = host.rsplit('.').next().unwrap_or_default();
    let language = attribute(document.html.root_element(), "lang").unwrap_or_default();
    let region = language.split(['-', '_']).nth(1).map(str::to_ascii_lowercase);
    let is_worldwide = top == "com" && language.eq_ignore_ascii_case("en");
    [of_region(top), region.as_deref().and_then(of_region), is_worldwide.then_some("USD")]
}

fn of_region(region: &str) -> Option<&'static str> {
    Some(match region {
        "at" | "be" | "cy" | "de" | "ee" | "es" | "fi" | "fr" | "gr" | "hr" | "ie" | "it"
        | "lt" | "lu" | "lv" | "mt" | "nl" | "pt" | "si" | "sk" | "bg" => "EUR",
        "uk" | "gb" => "GBP",
        "us" => "USD",
        "ae" => "AED",
        "ar" => "ARS",
        "au" => "AUD",
        "bd" => "BDT",
        "br" => "BRL",
        "ca" => "CAD",
        "ch" => "CHF",
        "cl" => "CLP",
        "cn" => "CNY",
        "co" => "COP",
        "cz" => "CZK",
        "dk" => "DKK",
        "eg" => "EGP",
        "hk" => "HKD",
        "hu" => "HUF",
        "id" => "IDR",
        "il" => "ILS",
        "in" => "INR",
        "is" => "ISK",
        "jp" => "JPY",
        "kr" => "KRW",
        "kz" => "KZT",
        "lk" => "LKR",
        "ma" => "MAD",
        "mx" => "MXN",
        "my" => "MYR",
        "ng" => "NGN",
        "no" => "NOK",
        "nz" => "NZD",
        "pe" => "PEN",
        "ph" => "PHP",
        "pk" => "PKR",
        "pl" => "PLN",
        "ro" => "RON",
        "rs" => "RSD",
        "ru" => "RUB",
        "sa" => "SAR",
        "se" => "SEK",
        "sg" => "SGD",
        "th" => "THB",
        "tr" => "TRY",
        "tw" => "TWD",
        "ua" => "UAH",
        "vn" => "VND",
        "za" => "ZAR",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heuristics::page::Page;
    use url::Url;

    fn among(url: &str, html: &str, among: &[&str]) -> Option<&'static str> {
        let document = Document::parse(html, &Url::parse(url).unwrap());
        let state = State::of(&document, &Page::of(&document), &[]);
        currency(&document, &state, None, among)
    }

    fn read(url: &str, html: &str, beside: Option<&'static str>) -> Option<&'static str> {
        let document = Document::parse(html, &Url::parse(url).unwrap());
        let state = State::of(&document, &Page::of(&document), &[]);
        currency(&document, &state, beside, &[])
    }

    #[test]
    fn what_stands_beside_the_price_comes_before_the_country() {
        assert_eq!(read("https://s.example.cl/", "", Some("EUR")), Some("EUR"));
        assert_eq!(read("https://s.example.cl/", "", None), Some("CLP"));
        assert_eq!(read("https://s.example.tw/", "", Some("CNY")), Some("TWD"));
        let meta = "<meta property='og:price:currency' content=USD>";
        assert_eq!(read("https://s.example.cl/", meta, None), Some("USD"));
        assert_eq!(read("https://s.example.com/", "<html lang=en-GB>", None), Some("GBP"));
        assert_eq!(read("https://s.example.com/", "<html lang=en>", None), Some("USD"));
        assert_eq!(read("https://s.example.com/", "", None), None);
    }

    #[test]
    fn the_country_has_no_say_where_its_currency_has_another_sign() {
        let dollars = ["USD", "CAD", "CLP"];
        assert_eq!(among("https://s.example.cl/", "", &dollars), Some("CLP"));
        assert_eq!(among("https://s.example.de/", "", &dollars), None);
        assert_eq!(among("https://s.example.de/", "<html lang=en-CA>", &dollars), Some("CAD"));
        let meta = "<meta property='og:price:currency' content=USD>";
        assert_eq!(among("https://s.example.de/", meta, &dollars), Some("USD"));
    }
}
