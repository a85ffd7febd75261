//! What the words and signs in an amount's element and beside it say of it: that it is the price, or a part of it, comes
//! off it, or is for others.

use super::amounts::{Amount, amounts, is_currency};
use super::page::Page;
use super::phrases::{Phrases, fold};
use super::price::the_amount;
use std::sync::LazyLock;

/// Most pieces of text on either side of an amount that say what it is, and their longest text in bytes.
const BESIDE: usize = 4;
const BESIDE_BYTES: usize = 60;
/// What stands for "times".
const TIMES: [char; 5] = ['x', 'X', '×', 'х', 'Х'];
/// Words for it, between a number and an amount: `4 fois 10 €`.
const TIMES_WORDS: [&str; 7] = ["times", "mal", "fois", "veces", "vezes", "volte", "keer"];
/// What stands for "less".
const MINUS: [char; 3] = ['-', '−', '–'];

/// Whether nothing in or beside an element says that its amount is a part of the price alone, comes off it or is for
/// others: `3 x 10 €`, `-10 €`, `10 € off`, `10 € deposit`, `10 €/mo`, `10 € excl. VAT`, `10 € with code`. Words with
/// another number are about that one: `Save 20%`.
pub(super) fn is_plain(page: &Page<'_>, index: usize) -> bool {
    let text = page.text(index);
    let Some(amount) = the_amount(&text, true) else { return true };
    let is_digit = |c: char| c.is_ascii_digit();
    let (inner_before, inner_after) = (&text[..amount.start], &text[amount.end..]);
    let (outer_before, outer_after) = beside(page, index);
    let before = format!("{outer_before} {inner_before}");
    let after = format!("{inner_after} {outer_after}");
    let is_taken_off = is_minus(inner_before) || is_minus_before(page, index);
    if is_taken_off || is_times(&before) || is_times_behind(&after) || is_by_month(&after) {
        return false;
    }
    let said_before = before.rsplit(is_digit).next().unwrap_or_default();
    let called = words_of(said_before);
    let is_of_percent = said_before.trim_start().starts_with('%');
    let is_no_price = || {
        let all = [&NO_PRICE, &FOR_OTHERS, &FOR_SOME, &NOT_ALL];
        all.iter().any(|phrases| phrases.is_in(&called))
            || CREDIT.end(without_currency(&called))
            || CALLED.contains(&called.as_str())
    };
    let is_counted = said_before.len() < before.len() && TIMES_WORDS.contains(&called.as_str());
    if is_counted || is_least(&called) || (!is_of_percent && is_no_price()) {
        return false;
    }
    let words = words_behind(&after);
    let inner = fold(inner_after);
    let is_off = [&NO_PRICE, &CREDIT].iter().any(|phrases| {
        (!inner_after.contains(is_digit) && phrases.is_in(&inner))
            || (!after.contains(is_digit) && phrases.begin(&words))
    });
    let is_of_next = amounts(&after).iter().any(|next| next.has_currency);
    // `First order 10 % off` is about what comes off besides; `per month, 0 % APR` is not.
    let is_of_share = is_of_next || after.contains('%') || NO_PRICE.is_in(&words);
    let inner_words = words_of(inner_after);
    let says = |phrases: &Phrases| phrases.begin(&words) || phrases.is_in(&inner_words);
    let is_for_others = (!is_of_next && says(&FOR_OTHERS)) || (!is_of_share && says(&FOR_SOME));
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
    let is_of_amount = |head: &str| head.split_whitespace().next_back().is_none_or(is_currency);
    before.trim_start_matches([' ', '(']).starts_with(MINUS)
        || before.ends_with(MINUS)
        || before.trim_end().strip_suffix(MINUS).is_some_and(is_of_amount)
}

/// Whether a sign right before an element takes its amount off: ` -<ins>10 €</ins>`. Between spaces, or behind words, as in
/// `Now –<ins>10 €</ins>`, it is a dash.
fn is_minus_before(page: &Page<'_>, index: usize) -> bool {
    let first = page.tags[index].first;
    let Some(amount) = page.runs.get(first) else { return false };
    let Some(place) = first.checked_sub(1) else { return false };
    let sign = &page.runs[place];
    let Some(head) = sign.text.strip_suffix(MINUS) else { return false };
    let is_set_off = if head.is_empty() { sign.has_gap } else { head.ends_with([' ', '(']) };
    if !is_set_off || amount.has_gap || page.tags[sign.tag].is_struck {
        return false;
    }
    let head = head.trim_end_matches([' ', '(']);
    let start = page.tags[page.block(index)].first;
    let said = match place.checked_sub(1) {
        Some(previous) if head.is_empty() && previous >= start => page.runs[previous].text.as_str(),
        _ => head,
    };
    let last = said.split([' ', '(']).next_back().unwrap_or_default();
    let currency = last.rsplit(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
    said.is_empty() || is_currency(currency)
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
    let words = without_currency(words);
    LEAST.iter().any(|phrase| {
        let head = words.strip_suffix(*phrase);
        head.is_some_and(|head| head.is_empty() || head.ends_with(' '))
    })
}

/// Words without the currency at their end.
fn without_currency(words: &str) -> &str {
    match words.rsplit_once(' ') {
        Some((head, last)) if is_currency(last) => head,
        _ => words,
    }
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

/// Whether the words before an element or in it call its amount something else. That shipping is not in it, or is, makes
/// it no other amount: `20 € zzgl. Versand`.
pub(super) fn is_otherwise(before: &str, text: &str, amount: &Amount) -> bool {
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
pub(super) fn is_by_measure(after: &str) -> bool {
    const MEASURES: [&str; 7] = ["kg", "g", "l", "ml", "cl", "lb", "oz"];
    is_by_month(after) || MEASURES.contains(&measure(after).as_str())
}

/// Whether what follows an amount says that it is for a month: `€/mo`.
fn is_by_month(after: &str) -> bool {
    matches!(measure(after).as_str(), "mo" | "month" | "monat" | "mois" | "mes" | "mese" | "maand")
}

/// The word behind an amount, its currency and a `/`, in lower case; none where there is no such thing.
fn measure(after: &str) -> String {
    let Some((sign, measure)) = after.split_once('/') else { return String::new() };
    // With a number before it, it is about that one.
    if sign.chars().count() > 6 || sign.contains(|c: char| c.is_ascii_digit()) {
        return String::new();
    }
    let measure = measure.trim_start_matches(|c: char| c.is_whitespace() || c.is_ascii_digit());
    let rest = measure.trim_start_matches(char::is_alphabetic);
    // `/ l'unité` is not by the litre.
    if rest.starts_with(['\'', '’']) {
        return String::new();
    }
    measure[..measure.len() - rest.len()].to_lowercase()
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
        "de rabais|de réduction|de remise|d économi*|de caution|de consigne|d acompte",
        "di sconto|di cauzione|de descuento|de fianza|de desconto",
    ])
});

/// What is given back later. Further before an amount it may be a campaign: `Cashback-Aktion! 20 €`.
static CREDIT: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["cashback|cash back|store credit|guthaben|gutscheinwert|bonusguthaben|tegoed"])
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
        "per maand|per månad|i månaden|pr måned|i måneden|kuukaudessa|havonta|aylık|pe lună",
    ])
});

/// What stands beside an amount that some alone are asked for. Behind it, with a percentage or what comes off, it tells of
/// one more reduction.
static FOR_SOME: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "for students|students only|student price|für studenten|für studierende|studentenpreis",
        "pour les étudiants|per studenti|para estudiantes|para estudantes|voor studenten|dla studentów",
        "for new customers|new customers only|for first time customers|für neukunden|nur für neukunden",
        "neukundenpreis|pour les nouveaux clients|per nuovi clienti|per i nuovi clienti",
        "para nuevos clientes|para clientes nuevos|para novos clientes|voor nieuwe klanten",
        "dla nowych klientów|on first order|on your first order|for your first order",
        "with first order|with your first order|bei erstbestellung|bei inzahlungnahme",
        "pour la première commande|sur la première commande|sul primo ordine",
        "en el primer pedido|en tu primer pedido|en tu primera compra|na primeira compra",
        "bij je eerste bestelling",
        "only with app|only with the app|only with our app|only in app|only in the app|only in our app",
        "app only|app price|nur mit app|nur mit der app|nur in der app|app preis",
        "solo nell app|solo en la app|alleen in de app",
        "with subscription|with a subscription|on subscription|subscription price|for subscribers",
        "when you subscribe|if you subscribe|im abo|im abonnement|mit abo|abo preis|abopreis|nur im abo",
        "en abonnement|avec abonnement|par abonnement|in abbonamento|con abbonamento|con suscripción",
        "por suscripción|com assinatura|met abonnement|w abonamencie|w subskrypcji",
    ])
});

/// What makes an amount no price for everybody where it is all that stands before it. Behind one it may be about
/// something else: `In der App öffnen`, `en 3 fois sans frais`.
const CALLED: [&str; 24] = [
    "en plusieurs fois",
    "fois sans frais",
    "en cuotas",
    "em parcelas",
    "w ratach",
    "trade in",
    "first order",
    "erstbestellung",
    "erste bestellung",
    "première commande",
    "primo ordine",
    "primer pedido",
    "primera compra",
    "primeira compra",
    "eerste bestelling",
    "in the app",
    "in our app",
    "in der app",
    "dans l appli",
    "dans l application",
    "nell app",
    "en la app",
    "in de app",
    "w aplikacji",
];

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
