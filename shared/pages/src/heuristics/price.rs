//! The price that a page shows. Every element with an amount in it is a candidate; what is around it speaks for or
//! against it, in points. Points are given for what a person goes by: a currency, the word "price" in the element's
//! class, the closeness to the name of the product and to the buy button; they are taken for what is struck
//! through, belongs to other products, leads to other pages, or is called shipping, saving or an instalment.

use super::amounts::{Amount, amounts};
use super::buy::is_buy_control;
use super::marks::Marks;
use super::page::{Page, Run};
use super::plain::{is_by_measure, is_otherwise, is_plain};
use super::state::State;
use crate::dom::attribute;
use crate::extract::normal;

/// Most pieces of text in an element that is a price.
const MAX_RUNS: usize = 14;
/// Longest text of an element that is a price, in characters.
const MAX_CHARS: usize = 70;
/// Longest text of an element around a price whose class says something of it, in bytes.
const AROUND_BYTES: usize = 200;
/// How many elements around a price are looked at.
const AROUND: usize = 3;
/// Most buttons that a price is measured from.
const MAX_BUY_CONTROLS: usize = 20;
/// Fewest points of a price.
pub(super) const ENOUGH: f32 = 3.0;
/// Fewest points of a price that is surely the page's.
pub(super) const SURE: f32 = 8.0;
/// Most pieces of text between a product's name and a reduction that is surely its own.
const NEAR: usize = 40;
/// Points of a price in a script that the page does not show.
const UNSEEN: f32 = 5.0;
/// Points for a shown price that a script confirms.
const CONFIRMED: f32 = 2.0;
/// In ten-thousandths: from here on, a whole number in a script may as well be in cents.
const MAYBE_CENTS: i64 = 1_000 * 10_000;

/// A price and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// In ten-thousandths.
    pub(super) ten_thousandths: i64,
    /// The code of the currency beside it, if it names one alone.
    pub(super) currency: Option<&'static str>,
    /// The currencies of which the sign beside it may mean any: [`Amount::among`].
    pub(super) among: &'static [&'static str],
    pub(super) points: f32,
    /// Whether it is shown as a price that no longer holds.
    pub(super) is_old: bool,
    /// The element that gave it its points; none of a price that a script alone tells.
    pub(super) tag: Option<usize>,
}

impl Candidate {
    /// Whether what stands beside it is surely another currency than this one.
    pub(super) fn is_other_than(&self, currency: &str) -> bool {
        match self.currency {
            Some(own) => own != currency,
            None => !self.among.is_empty() && !self.among.contains(&currency),
        }
    }
}

/// The prices on a page, each amount once, the best first.
pub(super) fn candidates(page: &Page<'_>, state: &State) -> Vec<Candidate> {
    let buy_controls: Vec<usize> = (0..page.tags.len())
        .filter(|tag| is_buy_control(page, *tag))
        .take(MAX_BUY_CONTROLS)
        .collect();
    let mut found: Vec<Candidate> = Vec::new();
    for tag in 0..page.tags.len() {
        if let Some(candidate) = rate(page, tag, &buy_controls) {
            add(&mut found, candidate);
        }
    }
    add_state(&mut found, state);
    found.sort_by(|one, other| other.points.total_cmp(&one.points));
    found
}

/// One amount has the points of its best place, and holds if it holds anywhere.
fn add(found: &mut Vec<Candidate>, candidate: Candidate) {
    match found.iter_mut().find(|own| own.ten_thousandths == candidate.ten_thousandths) {
        Some(own) => {
            if candidate.points > own.points {
                own.tag = candidate.tag;
            }
            own.points = own.points.max(candidate.points);
            own.currency = own.currency.or(candidate.currency);
            own.among = if own.among.is_empty() { candidate.among } else { own.among };
            own.is_old &= candidate.is_old;
        }
        None => found.push(candidate),
    }
}

/// Scripts confirm what the page shows, and tell a price that it does not show.
fn add_state(found: &mut Vec<Candidate>, state: &State) {
    for written in state.prices() {
        let Some(money) = normal::price(written, None) else { continue };
        let mut amount = money.ten_thousandths;
        let is_shown = |amount: i64| found.iter().any(|own| own.ten_thousandths == amount);
        if !written.contains('.') && !is_shown(amount) {
            if amount % 100 == 0 && is_shown(amount / 100) {
                amount /= 100;
            } else if amount >= MAYBE_CENTS {
                continue;
            }
        }
        match found.iter_mut().find(|own| own.ten_thousandths == amount) {
            Some(own) if own.is_old => {}
            Some(own) => own.points += CONFIRMED,
            None => found.push(Candidate {
                ten_thousandths: amount,
                currency: money.currency,
                among: &[],
                points: UNSEEN,
                is_old: false,
                tag: None,
            }),
        }
    }
}

/// The amount of an element and its points; none if it is no price at all.
fn rate(page: &Page<'_>, index: usize, buy_controls: &[usize]) -> Option<Candidate> {
    let tag = &page.tags[index];
    let runs = tag.end - tag.first;
    if runs == 0 || runs > MAX_RUNS || matches!(tag.name(), "select" | "option") {
        return None;
    }
    // A child with the same text says more.
    let child = page.tags.get(index + 1).filter(|child| child.parent == Some(index));
    if child.is_some_and(|child| (child.first, child.end) == (tag.first, tag.end)) {
        return None;
    }
    // What is around other products shows their prices.
    let is_others = |run: &Run| page.tags[run.tag].is_aside;
    if !tag.is_aside && page.runs[tag.first..tag.end].iter().any(is_others) {
        return None;
    }
    let text = page.text(index);
    if text.chars().nth(MAX_CHARS).is_some() {
        return None;
    }
    let mut around = tag.marks;
    for outer in page.around(index).skip(1).take(AROUND) {
        if page.is_longer(outer, AROUND_BYTES) {
            break;
        }
        around |= page.tags[outer].marks;
    }
    let amount = the_amount(&text, around.has(Marks::PRICE))?;

    let mut points: f32 = 0.0;
    points += if amount.has_currency { 3.0 } else { 0.0 };
    let is_price = around.has(Marks::PRICE);
    points += if tag.marks.has(Marks::PRICE) {
        3.0
    } else if is_price {
        2.0
    } else {
        0.0
    };
    points += if attribute(tag.element, "itemprop") == Some("price") { 2.0 } else { 0.0 };
    points += if is_price && around.has(Marks::CURRENT) { 1.0 } else { 0.0 };
    points -= match (tag.is_struck, tag.is_old) {
        (true, _) => 8.0,
        (_, true) => 5.0,
        _ if around.has(Marks::OTHER_AMOUNT) => 4.0,
        _ => 0.0,
    };
    points -= if tag.is_aside { 7.0 } else { 0.0 };
    points -= if tag.is_link { 3.0 } else { 0.0 };
    points -= if tag.is_hidden { 2.0 } else { 0.0 };
    let words = text.chars().count().saturating_sub(text[amount.start..amount.end].chars().count());
    points -= if words > 25 { 2.0 } else { 0.0 };
    points -= if is_called_otherwise(page, index, &text, &amount) { 4.0 } else { 0.0 };
    points += nearness(page, index, buy_controls);
    Some(Candidate {
        ten_thousandths: amount.ten_thousandths,
        currency: amount.currency,
        among: amount.among,
        points,
        is_old: tag.is_struck || tag.is_old,
        tag: Some(index),
    })
}

/// The one amount of a text: with a currency, or alone in an element that is a price.
pub(super) fn the_amount(text: &str, is_price: bool) -> Option<Amount> {
    let all: Vec<Amount> =
        amounts(text).into_iter().filter(|amount| amount.ten_thousandths > 0).collect();
    let mut with_currency = all.iter().filter(|amount| amount.has_currency);
    let first = match with_currency.next() {
        Some(first) => first,
        None => match all.as_slice() {
            [only] if is_price && !only.has_unit => return Some(*only),
            _ => return None,
        },
    };
    with_currency.all(|other| other.ten_thousandths == first.ten_thousandths).then_some(*first)
}

/// The page's only struck price and the one put in its place, as in `<del>30 €</del> <ins>15 €</ins>`, close behind the
/// product's name or, where no heading fits the titles, behind the only main heading. None: there is no such pair, or
/// another struck amount, which may be that of another product.
pub(super) fn only_reduction(page: &Page<'_>) -> Option<(i64, i64)> {
    let tags = &page.tags;
    let amount = |tag: usize| Some(the_amount(&page.text(tag), true)?.ten_thousandths);
    let is_outermost = |tag: &usize| {
        tags[*tag].is_struck && tags[*tag].parent.is_none_or(|parent| !tags[parent].is_struck)
    };
    let mut struck = (0..tags.len())
        .filter(is_outermost)
        .filter_map(|tag| amount(tag).map(|amount| (tag, amount)));
    let ((old, before), None) = (struck.next()?, struck.next()) else { return None };
    let parent = tags[old].parent?;
    let is_new = |tag: &usize| tags[*tag].name() == "ins" && tags[*tag].parent == Some(parent);
    let mut inserted = (tags[old].last..tags[parent].last).filter(is_new);
    let (new, None) = (inserted.next()?, inserted.next()) else { return None };
    if [old, new].iter().any(|tag| tags[*tag].is_aside || tags[*tag].is_link) {
        return None;
    }
    let mut main = (0..tags.len()).filter(|tag| tags[*tag].name() == "h1");
    let (first, second) = (main.next(), main.next());
    let heading = page.anchor.or(first.filter(|_| second.is_none()))?;
    let between = tags[old].first.checked_sub(tags[heading].end)?;
    let text = page.text(new);
    let inserted = the_amount(&text, true)?;
    let is_otherwise = is_otherwise("", &text, &inserted) || is_by_measure(&text[inserted.end..]);
    let is_sure = between <= NEAR && !is_otherwise && is_plain(page, new);
    is_sure.then_some((before, inserted.ten_thousandths))
}

/// Points for standing after the product's name, and close to it and to a buy button.
fn nearness(page: &Page<'_>, index: usize, buy_controls: &[usize]) -> f32 {
    let mut points = 0.0;
    if let Some(anchor) = page.anchor {
        let (tag, name) = (&page.tags[index], &page.tags[anchor]);
        if tag.first >= name.end {
            points += (2.0 - (tag.first - name.end) as f32 / 40.0).max(-3.0);
        } else if tag.first < name.first {
            points += (-0.5 - (name.end - tag.first) as f32 / 60.0).max(-3.0);
        }
        points += (1.5 - page.distance(index, anchor) as f32 * 0.2).max(-2.0);
    }
    let levels = buy_controls.iter().map(|control| page.distance(index, *control)).min();
    points + levels.map_or(0.0, |levels| (2.0 - levels as f32 * 0.25).max(0.0))
}

/// Whether the words before or in an element say that its amount is another than the price.
fn is_called_otherwise(page: &Page<'_>, index: usize, text: &str, amount: &Amount) -> bool {
    let tag = &page.tags[index];
    let block = page.block(index);
    let first = page.tags[block].first.max(tag.first.saturating_sub(2));
    let before = page.text_between(first, tag.first, 200);
    let before: String = {
        let skipped = before.chars().count().saturating_sub(40);
        before.chars().skip(skipped).collect()
    };
    is_otherwise(&before, text, amount) || is_by_measure(&text[amount.end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use url::Url;

    fn best(body: &str) -> Option<(String, Option<&'static str>)> {
        let html = format!("<title>Iron pan 28 | Shop</title>{body}");
        let document = Document::parse(&html, &Url::parse("https://shop.example/").unwrap());
        let page = Page::of(&document);
        let state = State::of(&document, &page, &[]);
        let best =
            candidates(&page, &state).into_iter().next().filter(|best| best.points >= ENOUGH)?;
        Some((normal::amount_text(best.ten_thousandths), best.currency))
    }

    #[test]
    fn the_price_is_found_among_other_amounts() {
        for (body, expected) in [
            // As Shopify's, WooCommerce's, Magento's and PrestaShop's templates are built.
            (
                "<div class=product><h1>Iron pan 28</h1><div class=price--on-sale><s class='price-item price-item--regular'>\
                 €49,00</s><span class='price-item price-item--sale'>€39,00</span></div>\
                 <form action=/cart/add><button name=add>Add to cart</button></form></div>",
                "39",
            ),
            (
                "<div><h1 class=product_title>Iron pan 28</h1><p class=price><del><span class=amount>49,00&nbsp;€</span></del>\
                 <ins><span class=woocommerce-Price-amount>39,00&nbsp;€</span></ins></p></div><section class='related products'>\
                 <h2>Related</h2><a href=/x><span class=amount>5,00&nbsp;€</span></a></section>",
                "39",
            ),
            (
                "<h1>Iron pan 28</h1><span class=old-price><span class=price>€ 49.00</span></span>\
                 <span class=special-price><span class=price>€ 39.00</span></span><p>Shipping: € 4.90</p>",
                "39",
            ),
            (
                "<h1>Iron pan 28</h1><div class=current-price><span>39,00 €</span><span class=discount>Save 10,00 €</span>\
                 </div><div class=unit-price>(13,00 € / kg)</div>",
                "39",
            ),
            // Decimals set apart, and an old price that is the only one.
            ("<h1>Iron pan 28</h1><div class=price>€1.239<sup>95</sup></div>", "1239.95"),
            ("<h1>Iron pan 28</h1><div class=price>€239<span>95</span></div>", "239.95"),
            ("<h1>Iron pan 28</h1><span class=price-old>€40.00</span>", "40"),
        ] {
            assert_eq!(best(body), Some((expected.to_owned(), Some("EUR"))), "{body}");
        }
    }

    #[test]
    fn other_products_have_no_say() {
        let tile = "<li class=card><a href=/1>Wok</a><span class=price>€9.00</span></li>";
        let body = format!("<h1>Iron pan 28</h1><p>Not available</p><ul>{}</ul>", tile.repeat(4));
        assert_eq!(best(&body), None);
        assert_eq!(best("<h1>Iron pan 28</h1><p>28 cm, 3 kg, PN100</p>"), None);
    }

    #[test]
    fn scripts_confirm_and_fill_in() {
        let body = "<h1>Iron pan 28</h1><script>p = {name: 'Iron pan 28', price: 3900}</script>";
        assert_eq!(best(body), None);
        let shown = format!("{body}<b>€39.00</b><b>€38.00</b>");
        assert_eq!(best(&shown), Some(("39".to_owned(), Some("EUR"))));
        let exact = body.replace("3900", "'39.00'");
        assert_eq!(best(&exact), Some(("39".to_owned(), None)));
    }
}
