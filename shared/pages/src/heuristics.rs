//! What a page shows, read by rules of thumb, for what structured data leaves open or has wrong. The rules know
//! how shops are built, in many languages, and no shop. They rate candidates and keep silent where none is good
//! enough: a missing price is better than a wrong one.

pub(crate) mod amounts;
mod availability;
mod brand;
mod buy;
mod currency;
mod glance;
mod identifiers;
mod labels;
mod marks;
mod page;
mod phrases;
mod plain;
mod price;
mod script;
mod state;

pub(crate) use availability::availability_in;
pub(crate) use glance::may_contradict;
pub(crate) use identifiers::in_url as number_in_url;

use crate::document::Document;
use crate::extract::{Field, Origin, Product, normal};
use labels::{Kind, Labelled, labelled};
use page::Page;
use price::Candidate;
use state::State;

/// Kinds of evidence that make a page without structured data one of a product.
const ENOUGH_EVIDENCE: usize = 2;
/// Keys of numbers in scripts.
const MPN_KEYS: &[&str] =
    &["mpn", "modelnumber", "model_number", "manufacturerpartnumber", "manufacturer_part_number"];
const GTIN_KEYS: &[&str] = &["gtin", "gtin13", "ean", "ean13", "upc", "barcode", "gtin14", "isbn"];
const ID_KEYS: &[&str] = &["productid", "product_id", "item_id", "id"];

/// Adds what a product lacks, and corrects what the page plainly contradicts, but nothing that a selector found.
/// Says whether the page is a product's by what it shows.
pub(crate) fn complete(document: &Document, product: &mut Product) -> bool {
    let page = Page::of(document);
    let in_address = number_in_address(document);
    let known: Vec<&str> =
        product.get(Field::Sku).into_iter().chain(in_address.as_deref()).collect();
    let state = State::of(document, &page, &known);
    let labelled = labelled(&page);
    let prices = price::candidates(&page, &state);

    let evidence = [
        prices.first().is_some_and(|best| best.points >= price::ENOUGH),
        labelled.iter().any(|found| found.kind != Kind::Brand && found.is_sure),
        !state.is_empty(),
        (0..page.tags.len()).any(|tag| buy::is_buy_control(&page, tag)),
        availability::is_surely_out(&page),
        document.open_graph().first("og:type").is_some_and(|kind| kind.contains("product")),
    ];
    let is_product = page.anchor.is_some()
        && evidence.into_iter().filter(|is_there| *is_there).count() >= ENOUGH_EVIDENCE;

    add_price(&page, &prices, product);
    add_currency(document, &state, &prices, product);
    add_numbers(&labelled, &state, in_address, product);
    if product.lacks(Field::Brand) {
        let brand = brand::brand(document, &page, &labelled, &state);
        product.fill(Field::Brand, brand, Origin::Heuristic);
    }
    add_availability(&page, &state, product);
    product.fill(Field::Title, page.anchor.map(|anchor| page.text(anchor)), Origin::Heuristic);
    is_product
}

/// The product's number in the page's address, or in the one that it prefers.
fn number_in_address(document: &Document) -> Option<String> {
    number_in_url(document.url()).or_else(|| number_in_url(&document.canonical()?))
}

fn add_price(page: &Page<'_>, prices: &[Candidate], product: &mut Product) {
    let Some(best) = prices.first().filter(|best| best.points >= price::ENOUGH) else { return };
    let amount = normal::amount_text(best.ten_thousandths);
    let Some(told) = product.fields.get(&Field::Price) else {
        product.set(Field::Price, amount, Origin::Heuristic);
        return;
    };
    let Some(told_amount) = normal::amount_of(&told.text) else { return };
    // Structured data often has the price before the reduction that the page shows struck through.
    let old = prices.iter().find(|own| own.ten_thousandths == told_amount && own.is_old);
    let currency = product.get(Field::Currency).or_else(|| old?.currency);
    // An amount of another currency, or a part of the price, is not what replaced it.
    let is_other = currency.is_some_and(|currency| best.is_other_than(currency));
    let is_plain = || best.tag.is_none_or(|tag| plain::is_plain(page, tag));
    let is_sure = || {
        best.points >= price::SURE
            || price::only_reduction(page) == Some((told_amount, best.ten_thousandths))
    };
    let is_lower = !best.is_old && best.ten_thousandths < told_amount;
    let is_reduced = old.is_some() && is_lower && !is_other && is_sure() && is_plain();
    if is_reduced && told.origin != Origin::Selector {
        let normal_price = told.clone();
        product.fields.entry(Field::NormalPrice).or_insert(normal_price);
        product.set(Field::Price, amount, Origin::Heuristic);
    }
}

fn add_currency(document: &Document, state: &State, prices: &[Candidate], product: &mut Product) {
    let Some(amount) = product.get(Field::Price).and_then(normal::amount_of) else { return };
    if product.lacks(Field::Currency) {
        let shown = prices.iter().find(|own| own.ten_thousandths == amount);
        let beside = shown.and_then(|own| own.currency);
        let among = shown.map_or(&[] as &[&str], |own| own.among);
        let currency = currency::currency(document, state, beside, among);
        product.fill(Field::Currency, currency, Origin::Heuristic);
    }
}

fn add_numbers(
    labelled: &[Labelled],
    state: &State,
    in_address: Option<String>,
    product: &mut Product,
) {
    let origin = Origin::Heuristic;
    let beside = |kind: Kind, is_sure: bool| {
        labelled
            .iter()
            .filter(move |found| found.kind == kind && (found.is_sure || !is_sure))
            .find_map(|found| identifiers::number(&found.value))
    };
    let of_state =
        |keys: &[&str]| state.values(keys).find_map(identifiers::number).map(str::to_owned);
    let sku = || {
        beside(Kind::Sku, true)
            .map(str::to_owned)
            .or_else(|| of_state(&["sku"]))
            .or(in_address)
            .or_else(|| beside(Kind::Sku, false).map(str::to_owned))
            .or_else(|| of_state(ID_KEYS))
    };
    if product.lacks(Field::Sku) {
        product.fill(Field::Sku, sku(), origin);
    }
    let gtins = labelled.iter().filter(|found| found.kind == Kind::Gtin);
    let gtin = gtins
        .map(|found| found.value.as_str())
        .chain(state.values(GTIN_KEYS))
        .find_map(normal::gtin);
    product.fill(Field::Gtin, gtin, origin);
    let mpn = beside(Kind::Mpn, false).map(str::to_owned).or_else(|| of_state(MPN_KEYS));
    product.fill(Field::Mpn, mpn, origin);
}

fn add_availability(page: &Page<'_>, state: &State, product: &mut Product) {
    let origin = Origin::Heuristic;
    match product.fields.get(&Field::Availability) {
        None => {
            let has_price = !product.lacks(Field::Price);
            product.fill(Field::Availability, availability::shown(page, state, has_price), origin);
        }
        Some(told) if told.text == "in_stock" && told.origin != Origin::Selector => {
            if availability::is_surely_out(page) {
                product.set(Field::Availability, "out_of_stock", origin);
            }
        }
        Some(_) => {}
    }
}
