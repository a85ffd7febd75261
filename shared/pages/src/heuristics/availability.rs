//! Whether a product can be had, by what its page says. Short texts near the product's name that speak of stock are
//! rated: by the words, by whether their class speaks of stock, too, and by how far they are.

use super::amounts::amounts;
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
/// How many texts before and after the product's name may hold back what a price or a button alone says, and their
/// longest in bytes.
const HOLD_BEFORE: usize = 20;
const HOLD_AFTER: usize = 80;
const HOLD_BYTES: usize = 80;
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
    let value = folded.rsplit(':').next().unwrap_or_default().trim_start();
    // Further on it may be the delivery that comes soon.
    let begins = |phrases: &Phrases| phrases.begin(&folded) || phrases.begin(value);
    let is_later = || [&SOON, &WAITLIST].iter().any(|phrases| begins(phrases));
    let is_dated = || begins_with_from_a_day(&folded) || begins_with_from_a_day(value);
    let is_not_now = || LATER.is_in(&folded) || is_later() || is_dated() || begins(&ON_REQUEST);
    let is_to_order =
        || is_to_order(&folded) || (is_to_order(value) && !DELIVERY.is_in(label_of(&folded)));
    if OUT_OF_STOCK.is_in(&folded) {
        Some(if is_had_online(&folded) { "in_stock" } else { "out_of_stock" })
    } else if BACKORDER.is_in(&folded) || is_to_order() {
        Some("backorder")
    } else if PREORDER.is_in(&folded) {
        Some("preorder")
    } else if IN_STOCK.is_in(&folded) && !is_not_now() {
        Some("in_stock")
    } else {
        None
    }
}

/// Whether another part of a text than the one that says it is out says that it can be had online, now: what is out is
/// out in shops alone. What a hyphen joins is one part.
fn is_had_online(folded: &str) -> bool {
    let parts = folded.split([';', ',', '.', '|', '(', ')', '–', '—']);
    let mut parts = parts.flat_map(|part| part.split(" but "));
    let contrary = [&OUT_OF_STOCK, &DENIED, &SOON, &LATER];
    parts.any(|part| ONLINE.is_in(part) && !contrary.iter().any(|phrases| phrases.is_in(part)))
}

/// Whether a text is all about having something ordered: `Sur commande, 8 jours`, and not `Sur commande de 50 €` nor
/// `On order: 0`.
fn is_to_order(folded: &str) -> bool {
    let is_end = |rest: &str| {
        let rest = rest.trim();
        let numbers = amounts(rest);
        let is_time = || {
            numbers.iter().any(|number| number.has_unit)
                && !numbers.iter().any(|number| number.has_currency)
        };
        let is_set_off = || rest.starts_with([',', '.', ';', '(', '!', '|', '–', '—']);
        rest.is_empty() || (is_set_off() && (numbers.is_empty() || is_time()))
    };
    TO_ORDER.iter().any(|phrase| folded.strip_prefix(*phrase).is_some_and(is_end))
}

/// What stands before the value of a text: all up to its last colon.
fn label_of(folded: &str) -> &str {
    folded.rsplit_once(':').map_or("", |(label, _)| label)
}

/// Whether a text begins by saying from which day on something can be had.
fn begins_with_from_a_day(folded: &str) -> bool {
    FROM.iter().any(|from| folded.strip_prefix(*from).is_some_and(begins_with_a_day))
}

/// Whether a text begins with a month, or a day of one: `1st of March`, `April 2027`.
fn begins_with_a_day(folded: &str) -> bool {
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words =
        words.filter(|word| !matches!(*word, "the" | "of" | "dem" | "le" | "du" | "de"));
    let is_month = |word: &str| MONTHS.begin(word);
    let Some(first) = words.next() else { return false };
    let is_number = first.starts_with(|c: char| c.is_ascii_digit());
    is_month(first) || (is_number && words.next().is_some_and(is_month))
}

/// Whether a text says that something can't be had.
pub(super) fn says_out(text: &str) -> bool {
    OUT_OF_STOCK.is_in(&fold(text))
}

/// The availability that a page shows. `has_price`: the page has a price; a page that sells and says nothing of
/// stock sells from stock, unless it says that it will only later, or on request.
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
    let has_button = (0..page.tags.len()).any(|tag| is_buy_control(page, tag));
    let sells = (has_price || has_button) && !is_held_back(page, has_button);
    sells.then_some("in_stock")
}

/// Whether a text near the product's name says that it can't be bought yet, or only on request. Beside a buy button the
/// latter is one more way to buy, a day may have gone by, and a waiting list may be another's.
fn is_held_back(page: &Page<'_>, has_button: bool) -> bool {
    let name = page.anchor.map_or(0..0, |anchor| page.tags[anchor].first..page.tags[anchor].end);
    let first = name.start.saturating_sub(HOLD_BEFORE);
    let end = (name.end + HOLD_AFTER).min(page.runs.len());
    (first..end).any(|run| !name.contains(&run) && holds_back(page, run, has_button))
}

fn holds_back(page: &Page<'_>, run: usize, has_button: bool) -> bool {
    let (text, index) = (&page.runs[run].text, page.runs[run].tag);
    let tag = &page.tags[index];
    if tag.is_hidden || tag.is_aside || text.len() > HOLD_BYTES {
        return false;
    }
    let around: Vec<_> = page.around(index).take(LEVELS).map(|tag| &page.tags[tag]).collect();
    if around.iter().any(|tag| tag.marks.has(Marks::CHOICE) || tag.name() == "option") {
        return false;
    }
    let is_of_stock = around.iter().any(|tag| tag.marks.has(Marks::STOCK));
    let folded = fold(text);
    // A longer text may speak of something else of the product: `More colours coming soon`.
    let begins = |says: fn(&str) -> bool| {
        let value = folded.rsplit(':').next().unwrap_or_default();
        let trimmed = |text: &str| says(text.trim_start_matches(|c: char| !c.is_alphanumeric()));
        trimmed(&folded) || trimmed(value)
    };
    let is_soon = begins(|text| SOON.begin(text)) || (is_of_stock && SOON.is_in(&folded));
    let is_later = || {
        begins(begins_with_from_a_day)
            || begins(|text| WAITLIST.begin(text))
            || (is_of_stock && WAITLIST.is_in(&folded))
    };
    let is_on_request =
        || begins(|text| ON_REQUEST.begin(text)) || (is_of_stock && ON_REQUEST.is_in(&folded));
    // Sizes and links that come soon are not the product.
    let is_of_choice = || around.iter().any(|tag| matches!(tag.name(), "a" | "li" | "label"));
    let is_not_yet = is_soon || (!has_button && is_later());
    (is_not_yet && !is_of_choice()) || (!has_button && is_on_request())
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
        "voorbestel*|forudbestil*|forhåndsbestil*|förbeställ*|ennakkotila*|preventa|predobjedn*|előrendel*",
        "предзаказ*|予約|预售|預購|예약",
    ])
});

static BACKORDER: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["back order*|backorder*|nachbestell*|под заказ|на заказ|під замовлення"])
});

/// What a text begins with, and ends with but for how long it takes, where something is ordered for who wants it.
const TO_ORDER: [&str; 18] = [
    "on order",
    "special order",
    "sur commande",
    "disponible sur commande",
    "uniquement sur commande",
    "auf bestellung",
    "nur auf bestellung",
    "lieferbar auf bestellung",
    "su ordinazione",
    "disponibile su ordinazione",
    "bajo pedido",
    "disponible bajo pedido",
    "sob encomenda",
    "op bestelling",
    "na zamówienie",
    "na objednávku",
    "beställningsvara",
    "bestillingsvare",
];

/// What the label of a text is about that speaks of orders, not of stock: `Free delivery: on order £50+`.
static DELIVERY: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "delivery|shipping|shipment|postage|free|versand*|lieferung|livraison|expédition|frais de port",
        "spedizione|consegna|envío|envíos|entrega|frete|verzend*|bezorg*|levering|dostawa|wysyłka",
        "doprava|frakt|fragt|leverans",
    ])
});

/// What stands before the day from which something can be had.
const FROM: [&str; 16] = [
    "available from ",
    "available on ",
    "available starting ",
    "verfügbar ab ",
    "lieferbar ab ",
    "erhältlich ab ",
    "disponible à partir ",
    "disponible dès ",
    "disponible le ",
    "disponible a partir del ",
    "disponible desde el ",
    "disponibile dal ",
    "disponível a partir de ",
    "beschikbaar vanaf ",
    "leverbaar vanaf ",
    "tillgänglig från ",
];

/// Months, as words of a text behind [`FROM`].
static MONTHS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "january|february|march|april|may|june|july|august|september|october|november|december",
        "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez",
        "januar|jänner|februar|märz|mai|juni|juli|oktober|dezember",
        "janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre",
        "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre",
        "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre",
        "janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro",
        "januari|februari|maart|mei|augustus|maj|augusti",
    ])
});

/// Says that something can be had online.
static ONLINE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "available online|in stock online|online available|online in stock|online verfügbar",
        "online lieferbar|online erhältlich|online auf lager|disponible en ligne|en stock en ligne",
        "disponibile online|disponible online|disponível online|online beschikbaar|online leverbaar",
        "dostępny online|dostępne online",
    ])
});

/// Says that it is not so, or not yet.
static DENIED: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "not|no|neither|isn't|isn’t|aren't|aren’t|nicht|pas|plus|non|não|niet|nie",
        "soon|when|if|from|bald|wenn|sobald|ob|ab|pronto|presto",
    ])
});

/// Says that something will be told later, not that it is so.
static LATER: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["let you know|notify|when it|when this|when back|email|e mail"])
});

/// Says that something can't be bought yet.
static SOON: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "coming soon|available soon|in stock soon|back soon|not yet available|not yet released",
        "demnächst|bald verfügbar|bald lieferbar|bald erhältlich|bald wieder|in kürze|noch nicht erschienen",
        "bientôt|prochainement|disponible bientôt|disponible prochainement|à paraître|pas encore disponible",
        "prossimamente|presto disponibile|disponibile a breve|disponibile presto|non ancora disponibile",
        "disponible próximamente|disponível em breve|próximamente|proximamente",
        "muy pronto|disponible pronto|disponible en breve|em breve|brevemente",
        "binnenkort|wkrótce|připravujeme|pripravujeme|již brzy|čoskoro|kommer snart|snart i lager",
        "snart på lager|snart tilbage|tulossa|hamarosan|în curând|in curand|uskoro|kmalu|yakında",
        "скоро|ожидается|незабаром|очікується|очаквайте|σύντομα|sắp ra mắt|segera hadir",
        "à venir",
        "近日発売|近日入荷|発売予定|入荷予定|即将上市|即將上市|即将推出|敬请期待|敬請期待|출시 예정|입고 예정|בקרוב|قريبا",
    ])
});

/// Says that others wait for something.
static WAITLIST: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "waitlist|wait list|waiting list|warteliste|wachtlijst|lista de espera",
        "liste d'attente|liste d’attente|lista d'attesa|lista d’attesa",
    ])
});

/// Says that something is sold when asked for, or in shops alone.
static ON_REQUEST: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "request a quote|request quote|request for quote|get a quote|ask for a quote|quote only|notify me",
        "on request|upon request|price on request|price upon request|available on request",
        "available upon request|call for price|call for pricing|call for availability",
        "contact us for price|contact us for pricing|contact for price|enquire now|inquire now",
        "in store only|in stores only|only in store|only in stores|only in our stores",
        "only available in store|only available in stores|available in store only",
        "auf anfrage|preis auf anfrage|verfügbarkeit auf anfrage|lieferzeit auf anfrage",
        "lieferbar auf anfrage|verfügbar auf anfrage|angebot anfordern|preis anfragen|jetzt anfragen",
        "nur in unseren filialen|nur in der filiale|nur im laden|nur im geschäft|benachrichtigen",
        "sur demande|sur devis|prix sur demande|disponible sur demande|demander un devis|demande de devis",
        "uniquement en magasin|prévenez moi|me prévenir|su richiesta|prezzo su richiesta|avvisami",
        "disponibile su richiesta|richiedi preventivo|richiedi un preventivo|solo in negozio",
        "a consultar|precio a consultar|consultar precio|solicitar presupuesto|pedir presupuesto",
        "solicitar cotización|solo en tienda|sólo en tienda|avísame|sob consulta|preço sob consulta",
        "solicitar orçamento|pedir orçamento|avise me|op aanvraag|prijs op aanvraag|offerte aanvragen",
        "alleen in de winkel|na zapytanie|cena na zapytanie|zapytaj o cenę|powiadom mnie|na dotaz",
        "cena na dotaz|begär offert|pris på förfrågan|pris på forespørsel|по запросу|цена по запросу",
        "запросить цену|узнать цену|сообщить о поступлении|ціна за запитом|fiyat sorunuz|teklif al",
        "询价|詢價|价格面议|價格面議|가격 문의|견적 요청",
    ])
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

    #[test]
    fn what_is_ordered_first_and_what_is_out_in_shops_alone_are_told_apart() {
        for (text, expected) in [
            ("Voorbestellen", Some("preorder")),
            ("Nu voorbestelbaar", Some("preorder")),
            ("Sur commande", Some("backorder")),
            ("Disponible sur commande (8 jours)", Some("backorder")),
            ("Verfügbarkeit: auf Bestellung", Some("backorder")),
            ("Not in stock in store; available online", Some("in_stock")),
            ("Sold out in stores, but in stock online", Some("in_stock")),
            ("In der Filiale ausverkauft, online verfügbar", Some("in_stock")),
            ("Sold out in store, not available online", Some("out_of_stock")),
            ("No longer available online", Some("out_of_stock")),
            ("Sold out online, available in store", Some("out_of_stock")),
            ("Not in stock", Some("out_of_stock")),
            ("Ausverkauft – bald wieder online verfügbar", Some("out_of_stock")),
            ("En rupture, bientôt disponible en ligne", Some("out_of_stock")),
            ("Agotado. Pronto disponible online", Some("out_of_stock")),
            ("Uitverkocht, binnenkort online beschikbaar", Some("out_of_stock")),
            ("Sold out online - available in store", Some("out_of_stock")),
            ("Sold out in store - available online", Some("out_of_stock")),
            ("Out of stock online Available in store", Some("out_of_stock")),
            ("Notify me when available online", Some("out_of_stock")),
            ("Sold out. This item isn't available online.", Some("out_of_stock")),
            ("Sold out, available online from 1 March", Some("out_of_stock")),
        ] {
            assert_eq!(availability_in(text), expected, "{text}");
            let body = format!("<p class=stock>{text}</p><button>Add to cart</button>");
            assert_eq!(read(&body, true).0, expected, "{text}");
        }
    }

    #[test]
    fn a_price_alone_does_not_sell_what_comes_later_or_on_request() {
        let button = "<button>Add to cart</button>";
        for text in [
            "Coming soon",
            "Coming Soon: March",
            "Availability: coming soon",
            "Demnächst lieferbar",
            "Bientôt disponible",
            "Prossimamente",
            "Disponible próximamente",
            "Скоро в наличии",
            "À venir",
        ] {
            let body = format!("<p class=stock>{text}</p>");
            assert_eq!(read(&body, true).0, None, "{text}");
            assert_eq!(read(&format!("{body}{button}"), true).0, None, "{text}");
        }
        // The day may have gone by, and the list may be another's.
        for text in [
            "Waitlist",
            "Warteliste",
            "Available from 1 March",
            "Available from 12 November 2020",
            "Available from the 1st of March",
            "Availability: available from April 2027",
            "Lieferbar ab 1. März",
            "Disponible à partir du 3 avril",
            "Disponible le 3 mars 2021",
        ] {
            let body = format!("<p class=stock>{text}</p>");
            assert_eq!(read(&body, true).0, None, "{text}");
            assert_eq!(read(&format!("{body}{button}"), true).0, Some("in_stock"), "{text}");
        }
        for body in [
            "<p>Auf Anfrage</p>",
            "<p>Lieferbar auf Anfrage</p>",
            "<p>Preis: auf Anfrage</p>",
            "<button>Request a quote</button>",
            "<a href=/quote>Request a quote</a>",
            "<p>Price on request</p>",
            "<p>Only in our stores</p>",
            "<button>Notify me</button>",
        ] {
            assert_eq!(read(body, true).0, None, "{body}");
            assert_eq!(read(&format!("{body}{button}"), true).0, Some("in_stock"), "{body}");
        }
        for body in [
            "<p>More colours coming soon</p>",
            "<p>Engraving on request</p>",
            "<ul><li>35 <a href='#'>coming soon</a></li></ul>",
            "<footer>Coming soon</footer>",
            "<p>In stock</p><p>Price on request</p>",
            "<p>Available from stock</p>",
            "<p>Available from 3 shops in May</p>",
            "<p>Lieferbar ab Lager</p>",
            "<p>Livraison offerte sur commande de 50 €</p>",
            "<p>Sur commande de 50 €, livraison offerte</p>",
            "<p>Sur commande, dès 50 € livraison offerte</p>",
            "<p>On order: 0</p>",
            "<p>On order (0)</p>",
            "<p>On order £50+</p>",
            "<p>On order > $50</p>",
            "<p>Free delivery: on order £50+</p>",
            "<p>Free shipping: on order > $50</p>",
            "<p>Livraison offerte : sur commande</p>",
        ] {
            assert_eq!(read(body, true).0, Some("in_stock"), "{body}");
        }
        assert_eq!(availability_in("Bientôt disponible"), None);
        assert_eq!(availability_in("Auf Lager, in Kürze bei Ihnen"), Some("in_stock"));
    }
}
