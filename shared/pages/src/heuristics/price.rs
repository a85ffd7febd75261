//! The price that a page shows. Every element with an amount in it is a candidate; what is around it speaks for or
//! against it, in points. Points are given for what a person goes by: a currency, the word "price" in the element's
//! class, the closeness to the name of the product and to the buy button; they are taken for what is struck
//! through, belongs to other products, leads to other pages, or is called shipping, saving or an instalment.

use super::amounts::{Amount, amounts, is_currency};
use super::buy::is_buy_control;
use super::marks::Marks;
use super::page::{Page, Run};
use super::phrases::{Phrases, fold};
use super::state::State;
use crate::dom::attribute;
use crate::extract::normal;
use std::sync::LazyLock;

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
/// Most pieces of text on either side of an amount that say what it is, and their longest text in bytes.
const BESIDE: usize = 4;
const BESIDE_BYTES: usize = 60;
/// What stands for "times".
const TIMES: [char; 5] = ['x', 'X', '×', 'х', 'Х'];
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
fn the_amount(text: &str, is_price: bool) -> Option<Amount> {
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

/// Whether nothing in or beside an element says that its amount is a part of the price alone, comes off it or is for
/// others: `3 x 10 €`, `-10 €`, `10 € off`, `10 € deposit`, `10 € excl. VAT`, `10 € with code`. Words with another number
/// are about that one: `Save 20%`.
pub(super) fn is_plain(page: &Page<'_>, index: usize) -> bool {
    let text = page.text(index);
    let Some(amount) = the_amount(&text, true) else { return true };
    let is_digit = |c: char| c.is_ascii_digit();
    let (inner_before, inner_after) = (&text[..amount.start], &text[amount.end..]);
    let (outer_before, outer_after) = beside(page, index);
    let before = format!("{outer_before} {inner_before}");
    let after = format!("{inner_after} {outer_after}");
    if is_minus(inner_before) || is_times(&before) || is_times_behind(&after) || is_by_month(&after)
    {
        return false;
    }
    let said_before = before.rsplit(is_digit).next().unwrap_or_default();
    let called = words_of(said_before);
    let is_of_percent = said_before.trim_start().starts_with('%');
    let is_no_price =
        || [&NO_PRICE, &FOR_OTHERS, &NOT_ALL].iter().any(|phrases| phrases.is_in(&called));
    if is_least(&called) || (!is_of_percent && is_no_price()) {
        return false;
    }
    let words = words_behind(&after);
    let is_off = (!inner_after.contains(is_digit) && NO_PRICE.is_in(&fold(inner_after)))
        || (!after.contains(is_digit) && NO_PRICE.begin(&words));
    let is_of_next = amounts(&after).iter().any(|next| next.has_currency);
    let is_for_others =
        !is_of_next && (FOR_OTHERS.begin(&words) || FOR_OTHERS.is_in(&words_of(inner_after)));
    if is_off || is_for_others {
        return false;
    }
    let end = page.tags[index].end;
    let until = page.tags[page.block(index)].end.min(end + 2);
    let behind = page.text_between(end, until, BESIDE_BYTES);
    !NOT_ALL.begin(&words_behind(&format!("{inner_after} {behind}")))
}

/// What stands right before and right behind an element, in its block and without prices that no longer hold.
fn beside(page: &Page<'_>, index: usize) -> (String, String) {
    let (first, end) = (page.tags[index].first, page.tags[index].end);
    let block = page.block(index);
    let around = &page.tags[block];
    let belongs = |run: &usize| {
        let index = page.runs[*run].tag;
        let tag = &page.tags[index];
        !tag.is_struck && !tag.is_old && page.block(index) == block
    };
    // A long text before it is a sentence about something else.
    let is_short = |run: &usize| page.runs[*run].text.len() <= BESIDE_BYTES;
    let said = |run: &usize| belongs(run) && is_short(run);
    let start = (around.first..first).rev().take(BESIDE).take_while(said).last();
    let last = (end..around.end).take(BESIDE).take_while(belongs).last();
    let before = page.text_between(start.unwrap_or(first), first, BESIDE * BESIDE_BYTES);
    let behind = page.text_between(end, last.map_or(end, |last| last + 1), BESIDE_BYTES);
    (before, behind)
}

/// Whether what stands before an amount takes it off: `-`, `(-`, `€ -`. A dash behind words, as in `Now – 10 €`, does not.
fn is_minus(before: &str) -> bool {
    const SIGNS: [char; 3] = ['-', '−', '–'];
    let is_of_amount = |head: &str| head.split_whitespace().next_back().is_none_or(is_currency);
    before.trim_start_matches([' ', '(']).starts_with(SIGNS)
        || before.ends_with(SIGNS)
        || before.trim_end().strip_suffix(SIGNS).is_some_and(is_of_amount)
}

/// Whether what stands before an amount takes it several times: `3 x`, `x 3`.
fn is_times(before: &str) -> bool {
    let counted = before.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
    let is_count = counted.len() < before.trim_end().len();
    let sign_before = counted.trim_end().strip_suffix(TIMES);
    let is_counted_behind =
        is_count && sign_before.is_some_and(|head| !head.ends_with(char::is_alphanumeric));
    is_counted_behind
        || before.char_indices().any(|(place, c)| {
            let goes_on = before[place + c.len_utf8()..].starts_with(char::is_alphanumeric);
            let is_counted = || before[..place].trim_end().ends_with(|c: char| c.is_ascii_digit());
            TIMES.contains(&c) && !goes_on && is_counted()
        })
}

/// Whether what stands behind an amount takes it several times: `€ x 3`, `€ (3x)`. With numbers on both sides it does not:
/// `€ (28 x 30 cm)`, `€ (3 x 5 €)`.
fn is_times_behind(after: &str) -> bool {
    let is_filler = |c: char| !c.is_alphanumeric() && !TIMES.contains(&c);
    let is_digit = |c: char| c.is_ascii_digit();
    let text = after.trim_start_matches(is_filler);
    let word = &text[..text.len() - text.trim_start_matches(char::is_alphabetic).len()];
    let text =
        if is_currency(word) { text[word.len()..].trim_start_matches(is_filler) } else { text };
    if let Some(behind) = text.strip_prefix(TIMES) {
        return behind.trim_start().starts_with(is_digit);
    }
    let behind = text.trim_start_matches(is_digit);
    let is_count = behind.len() < text.len();
    let ends = |behind: &str| {
        !behind.starts_with(char::is_alphanumeric) && !behind.trim_start().starts_with(is_digit)
    };
    is_count && behind.trim_start().strip_prefix(TIMES).is_some_and(ends)
}

/// Whether the words before an amount make it the least of several: `ab`, `from`, with or without a currency.
fn is_least(words: &str) -> bool {
    let words = match words.rsplit_once(' ') {
        Some((head, last)) if is_currency(last) => head,
        _ => words,
    };
    LEAST.iter().any(|phrase| {
        let head = words.strip_suffix(*phrase);
        head.is_some_and(|head| head.is_empty() || head.ends_with(' '))
    })
}

/// The words of a text, in lower case, with one space between them.
fn words_of(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The words behind an amount and its currency, in lower case and without numbers; none where a number comes first.
fn words_behind(text: &str) -> String {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let text = text.replace('+', " plus ");
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut first = words.next().unwrap_or_default();
    if is_currency(first) {
        first = words.next().unwrap_or_default();
    }
    if is_number(first) {
        return String::new();
    }
    let mut behind = first.to_lowercase();
    for word in words.filter(|word| !is_number(word)) {
        behind.push(' ');
        behind.push_str(&word.to_lowercase());
    }
    behind
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

/// Whether the words before an element or in it call its amount something else. That shipping is not in it, or is, makes
/// it no other amount: `20 € zzgl. Versand`.
fn is_otherwise(before: &str, text: &str, amount: &Amount) -> bool {
    if !OTHERWISE.is_in(&fold(&format!("{before} {text}"))) {
        return false;
    }
    let words = format!(" {} ", words_behind(&text[amount.end..]));
    let cut = |words: String, note: &&str| words.replace(&format!(" {note} "), " ");
    let rest = SHIPPING_NOTES.iter().fold(words.clone(), cut);
    let head = &text[..amount.start];
    rest == words || OTHERWISE.is_in(&fold(&format!("{before} {head} {rest}")))
}

/// Whether what follows an amount says that it is for a measure or a time: `€/kg`, `€ / 100 ml`, `€/mo`.
fn is_by_measure(after: &str) -> bool {
    const MEASURES: [&str; 7] = ["kg", "g", "l", "ml", "cl", "lb", "oz"];
    is_by_month(after) || MEASURES.contains(&measure(after).as_str())
}

/// Whether what follows an amount says that it is for a month: `€/mo`.
fn is_by_month(after: &str) -> bool {
    matches!(measure(after).as_str(), "mo" | "month" | "monat" | "mois" | "mes" | "mese")
}

/// The word behind an amount, its currency and a `/`, in lower case; none where there is no such thing.
fn measure(after: &str) -> String {
    let Some((sign, measure)) = after.split_once('/') else { return String::new() };
    if sign.chars().count() > 6 {
        return String::new();
    }
    measure
        .chars()
        .skip_while(|c| c.is_whitespace() || c.is_ascii_digit())
        .take_while(|c| c.is_alphabetic())
        .flat_map(char::to_lowercase)
        .collect()
}

/// What shops call amounts that are not the price.
static OTHERWISE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "save|was|rrp|msrp|list price|you save|shipping|delivery|from|per month|month|points|cashback|coupon",
        "free|excl|ex vat|ex tax|ex gst|plus tax|deposit",
        "statt|uvp|versand|ersparnis|sparen|mtl|monat|punkte|netto|zzgl|ohne mwst",
        "au lieu de|prix conseill*|livraison|économi*|mois|hors taxe*",
        "risparmi*|spedizione|consigliato|mese|iva esclusa",
        "antes|ahorr*|envío|gastos|cuotas|mensual*|sin iva|economize|frete|entrega|parcela*",
        "było|dostawa|wysył*|dopravn*|doprava|původní|frakt|verzend*|adviesprijs|bespaar",
        "bez dph|bez vat|bez pdv|brez ddv|exkl|ekskl|áfa nélkül|kargo",
        "месяц*|мес|доставк*|скидк*|экономи*|кредит*|рассрочк*|без ндс",
        "建議售價|建议售价|定價|原價|市價|市场价|参考价|吊牌价|每期|運費|运费|メーカー希望|定価|参考価格|送料",
        "정가|소비자가|배송비|משלוח",
    ])
});

/// What reductions, deposits and instalments are called in the element of their amount.
static NO_PRICE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "off|discount|save|saved|savings|deposit|payments of|instalments of|installments of",
        "down payment|downpayment|prepayment|sparen|spare|gespart|ersparnis|rabatt|pfand|anzahlung|raten",
        "rabais|réduction|remise|économi*|caution|consigne|mensualité*|acompte|arrhes",
        "risparmi*|sconto|cauzione|acconto|ahorr*|descuento|fianza|cuotas|desconto|economize|parcela*",
        "bespaar*|korting|statiegeld|aanbetaling|rabat|rabatu|kaucj*|zaliczk*|zadatek|sleva|záloha",
        "скидк*|экономи*|рассрочк*|предоплат*",
    ])
});

/// What stands right behind an amount that is not all that is to be paid, or no price at all.
static NOT_ALL: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "off|deposit|pfand|statiegeld|excl vat|excluding vat|exc vat|ex vat|plus vat|without vat",
        "excl tax|excluding tax|exc tax|ex tax|plus tax|before tax|excl gst|excluding gst|ex gst|plus gst",
        "zzgl mwst|zzgl ust|zzgl mehrwertsteuer|zzgl gesetzlicher mwst|zzgl ges mwst|zuzüglich mwst",
        "exkl mwst|exkl ust|ohne mwst|ohne ust|plus mwst|netto|hors taxe*|hors tva|sans tva|ht|h t",
        "iva esclusa|più iva|plus iva|sin iva|bez dph|bez vat|bez pdv|brez ddv|excl btw|ex btw",
        "exkl moms|ekskl moms|ekskl mva|áfa nélkül|без ндс",
    ])
});

/// What stands beside an amount that is not asked of everybody, for the new product, or at once.
static FOR_OTHERS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "per month|a month|monthly|per instalment|per installment|each month|pro monat|im monat|monatlich",
        "mtl|pro rate|je rate|in raten|als anzahlung|par mois|al mese|al mes|por mes|mensual*",
        "in instalments|in installments|as deposit|as down payment|miesięcznie|měsíčně|в месяц",
        "refurbished|renewed|used|second hand|open box|generalüberholt|gebraucht|reconditionné*|occasion",
        "d occasion|ricondizionat*|usato|usata|reacondicionad*|recondicionad*|usado|usada|tweedehands",
        "with code|with coupon|with voucher|with promo code|with trade in|mit code|mit gutschein*",
        "mit rabattcode|avec code|avec le code|con codice|con código|con cupón|com cupom|met code|z kodem",
        "for members|for club members|members only|member price|für mitglieder|nur für mitglieder",
        "mitgliederpreis|pour les membres|per i soci|para socios|para miembros",
        "each when|each if|when you buy|if you buy|je stück ab|pro stück ab|bei abnahme",
    ])
});

/// What stands right before the least of several amounts.
const LEAST: [&str; 16] = [
    "from",
    "starting at",
    "starts at",
    "as low as",
    "ab",
    "ab nur",
    "à partir de",
    "dès",
    "a partire da",
    "desde",
    "a partir de",
    "od",
    "vanaf",
    "från",
    "alkaen",
    "от",
];

/// What stands behind a price of shipping, in the words of [`words_behind`].
const SHIPPING_NOTES: [&str; 28] = [
    "zzgl versand",
    "zzgl versandkosten",
    "zzgl porto",
    "zzgl lieferung",
    "zuzüglich versand",
    "zuzüglich versandkosten",
    "plus versand",
    "plus versandkosten",
    "exkl versand",
    "exkl versandkosten",
    "inkl versand",
    "inkl versandkosten",
    "plus shipping",
    "plus delivery",
    "plus postage",
    "excl shipping",
    "excl delivery",
    "excluding shipping",
    "incl shipping",
    "incl delivery",
    "including shipping",
    "including delivery",
    "hors livraison",
    "plus livraison",
    "più spedizione",
    "spedizione esclusa",
    "más envío",
    "más gastos de envío",
];

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
