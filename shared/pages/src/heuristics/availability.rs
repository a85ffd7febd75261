//! Whether a product can be had, by what its page says. Short texts near the product's name that speak of stock are
//! rated: by the words, by whether their class speaks of stock, too, and by how far they are.

use super::buy::is_buy_control;
use super::marks::Marks;
use super::page::Page;
use super::phrases::{Phrases, fold};
use super::state::State;
use crate::extract::normal;
use std::sync::LazyLock;

/// How many texts before and after the product's name are looked at.
pub(super) const BEFORE: usize = 160;
pub(super) const AFTER: usize = 220;
/// Longest text: an ideograph counts as 2.5 letters. Longer ones are sentences about something else.
const LETTERS: f32 = 60.0;
/// The same where the element's class speaks of stock.
const STOCK_LETTERS: f32 = 110.0;
/// Longest text that announces a preorder, in bytes.
const PREORDER_BYTES: usize = 40;
/// Levels of elements whose class tells what a text is about.
const LEVELS: usize = 3;
/// Fewest points of a text that says more than structured data, and by how many it must exceed its contrary.
const SURE: f32 = 3.2;
const MARGIN: f32 = 1.0;

/// A verdict of the page's texts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Verdict {
    availability: &'static str,
    points: f32,
}

/// What a text says of availability; none where it says nothing.
pub(crate) fn availability_in(text: &str) -> Option<&'static str> {
    let folded = fold(text);
    if OUT_OF_STOCK.is_in(&folded) {
        Some("out_of_stock")
    } else if BACKORDER.is_in(&folded) {
        Some("backorder")
    } else if PREORDER.is_in(&folded) {
        Some("preorder")
    } else if !LATER.is_in(&folded) && IN_STOCK.is_in(&folded) {
        Some("in_stock")
    } else {
        None
    }
}

/// Whether a text says that something can't be had.
pub(super) fn says_out(text: &str) -> bool {
    OUT_OF_STOCK.is_in(&fold(text))
}

/// The availability that a page shows. `has_price`: the page has a price; a page that sells and says nothing of
/// stock sells from stock.
pub(super) fn shown(page: &Page<'_>, state: &State, has_price: bool) -> Option<&'static str> {
    let verdicts = verdicts(page);
    let out = best(&verdicts, |name| name == "out_of_stock");
    let other = best(&verdicts, |name| name != "out_of_stock");
    match (out, other) {
        (Some(out), None) if out.points > 1.0 => return Some(out.availability),
        (Some(out), Some(other)) if out.points > other.points + MARGIN => {
            return Some(out.availability);
        }
        (_, Some(other)) => return Some(other.availability),
        _ => {}
    }
    let of_state: Vec<&'static str> =
        state.values(&["availability"]).filter_map(normal::availability).collect();
    // A product is in stock if one of its variants is.
    if let Some(first) = of_state.iter().find(|name| **name == "in_stock").or(of_state.first()) {
        return Some(*first);
    }
    let sells = has_price || (0..page.tags.len()).any(|tag| is_buy_control(page, tag));
    sells.then_some("in_stock")
}

/// Whether the page says in so many words, and nowhere the contrary, that the product can't be had: then structured
/// data that says otherwise is out of date.
pub(super) fn is_surely_out(page: &Page<'_>) -> bool {
    let verdicts = verdicts(page);
    let out = best(&verdicts, |name| name == "out_of_stock");
    let other = best(&verdicts, |name| name != "out_of_stock");
    out.is_some_and(|out| {
        out.points >= SURE && other.is_none_or(|other| out.points >= other.points + MARGIN)
    })
}

fn best(verdicts: &[Verdict], is_wanted: fn(&str) -> bool) -> Option<Verdict> {
    let wanted = verdicts.iter().copied().filter(|verdict| is_wanted(verdict.availability));
    wanted.max_by(|one, other| one.points.total_cmp(&other.points))
}

fn verdicts(page: &Page<'_>) -> Vec<Verdict> {
    let center = page.anchor.map_or(0, |anchor| page.tags[anchor].first);
    let first = center.saturating_sub(BEFORE);
    let end = (center + AFTER).min(page.runs.len());
    (first..end).filter_map(|run| verdict(page, run, center)).collect()
}

fn verdict(page: &Page<'_>, run: usize, center: usize) -> Option<Verdict> {
    let text = &page.runs[run].text;
    let index = page.runs[run].tag;
    let tag = &page.tags[index];
    if tag.is_hidden || tag.is_aside || tag.is_link || tag.name() == "option" {
        return None;
    }
    let marks = page
        .around(index)
        .take(LEVELS)
        .fold(Marks::default(), |all, tag| all | page.tags[tag].marks);
    let is_of_cart = marks.has(Marks::CART) && !marks.has(Marks::ADD);
    if marks.has(Marks::CHOICE) || is_of_cart {
        return None;
    }
    let is_of_stock = marks.has(Marks::STOCK);
    let letters: f32 = text.chars().map(|c| if c >= '\u{2e80}' { 2.5 } else { 1.0 }).sum();
    let most = if is_of_stock { STOCK_LETTERS } else { LETTERS };
    if letters > most {
        return None;
    }
    let availability = availability_in(text)?;
    let base = match availability {
        "out_of_stock" => 3.0,
        "in_stock" => 2.5,
        _ if text.len() > PREORDER_BYTES => return None,
        _ => 1.5,
    };
    let levels = page.anchor.map_or(3, |anchor| page.distance(index, anchor));
    let far = run.abs_diff(center) as f32 / 100.0 + levels as f32 * 0.08;
    let points = base + if is_of_stock { 2.0 } else { 0.0 } - far;
    Some(Verdict { availability, points })
}

static OUT_OF_STOCK: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "out of stock|sold out|soldout|currently unavailable|temporarily unavailable|no longer available",
        "not available|not in stock|unavailable online|product is unavailable|product unavailable|item unavailable",
        "discontinued|email me when|notify me when|join the waitlist|join waitlist|join the waiting list",
        "listing has ended|bidding has ended|this listing was ended|this listing ended",
        "nicht auf lager|nicht verfügbar|nicht lieferbar|nicht vorrätig|nicht mehr lieferbar|nicht mehr erhältlich",
        "nicht mehr verfügbar|ausverkauft|derzeit nicht|vergriffen",
        "rupture|épuisé*|indisponible*|plus disponible|non disponibile|esaurit*|attualmente non",
        "agotad*|sin stock|no disponible|fuera de stock|sin existencias",
        "esgotad*|indisponível|fora de estoque|sem estoque|não disponível",
        "niedostępn*|brak w magazynie|wyprzedan*|nie je skladom|není skladem|vyprodán*|vypredan*|nedostupn*",
        "nie je možné produkt kúpiť|nie je možné kúpiť|nelze koupit|nelze zakoupit",
        "nincs készleten|nincs raktáron|elfogyott|nem rendelhető",
        "niet op voorraad|niet leverbaar|niet beschikbaar|uitverkocht|slutsåld*|slut i lager|ej i lager",
        "utsolgt|ikke på lager|udsolgt|loppu|loppunut|loppuunmyyty|ei varastossa|otsas",
        "stokta yok|tükendi|stokta kalmadı|εξαντλ*|μη διαθέσιμο|išparduot*|nav pieejams",
        "нет в наличии|нет на складе|отсутствует|недоступ*|распродан*|закончил*|немає в наявності|не е налич*",
        "изчерпан*|stoc epuizat|indisponibil|nu este în stoc|nu este in stoc|nije na stanju|nije dostup*",
        "rasprodan*|ni na zalogi|razprodan*",
        "売り切れ|在庫切れ|在庫なし|完売|品切れ|缺货|缺貨|售罄|售完|已售完|补货中|補貨中|품절|재고 없음",
        "אזל|לא במלאי|אינו במלאי|אינו זמין|غير متوفر|نفد|نفذت|สินค้าหมด|hết hàng|stok habis|habis terjual",
    ])
});

static IN_STOCK: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "in stock|available now|ready to ship|ships today|ships within|ships in|auf lager|sofort lieferbar",
        "sofort verfügbar|lieferbar|vorrätig|en stock|disponible|disponibile|disponibilità immediata",
        "in magazzino|pronta consegna|em estoque|disponível|dostępny|dostępna|w magazynie|na stanie",
        "skladem|skladom|na sklade|raktáron|készleten|op voorraad|leverbaar|i lager|på lager|varastossa",
        "stokta|mevcut|в наличии|есть на складе|в наявності|наличен|в наличност|în stoc|in stoc|na zalogi",
        "na stanju|dostupno|na skladištu|διαθέσιμο|σε απόθεμα|yra sandėlyje|ir noliktavā|laos olemas",
        "在庫あり|有货|有貨|现货|現貨|재고 있|במלאי|متوفر|มีสินค้า|còn hàng|tersedia|stok ada",
    ])
});

static PREORDER: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "pre order*|preorder*|vorbestell*|précommande*|preordin*|pré venda|przedsprzedaż|předobjedn*",
        "предзаказ*|予約|预售|預購|예약",
    ])
});

static BACKORDER: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["back order*|backorder*|nachbestell*|под заказ|на заказ|під замовлення"])
});

/// Says that something will be told later, not that it is so.
static LATER: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["let you know|notify|when it|when this|when back|email|e mail"])
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use url::Url;

    fn read(body: &str, has_price: bool) -> (Option<&'static str>, bool) {
        let html = format!("<title>Iron pan 28</title><h1>Iron pan 28</h1>{body}");
        let document = Document::parse(&html, &Url::parse("https://shop.example/").unwrap());
        let page = Page::of(&document);
        let state = State::of(&document, &page, &[]);
        (shown(&page, &state, has_price), is_surely_out(&page))
    }

    #[test]
    fn texts_near_the_name_are_believed() {
        for (body, expected, is_sure) in [
            ("<p class=stock>Only 3 left, in stock</p>", Some("in_stock"), false),
            ("<p class=stock>Nicht auf Lager</p>", Some("out_of_stock"), true),
            ("<p>Sold out</p>", Some("out_of_stock"), false),
            (
                "<p class=availability>Sold out</p><p class=availability>In stock</p>",
                Some("in_stock"),
                false,
            ),
            ("<button>Pre-order</button>", Some("preorder"), false),
            ("<p>Нет в наличии</p>", Some("out_of_stock"), false),
            ("<p>在庫あり</p>", Some("in_stock"), false),
            ("<button>Add to cart</button>", Some("in_stock"), false),
            ("<ul class=variants><li>Sold out</li></ul>", None, false),
            ("<footer>Sold out</footer>", None, false),
            ("<p>We let you know when it is in stock</p>", None, false),
            ("<p>A pan for life</p>", None, false),
        ] {
            assert_eq!(read(body, false), (expected, is_sure), "{body}");
        }
        assert_eq!(read("<p>A pan for life</p>", true).0, Some("in_stock"));
    }
}
