//! What the words in an element's class, id and test attributes say of it: `class="product-price old"` is a price
//! that no longer holds. Words of shop templates the world over, none of a shop.

use std::ops::{BitOr, BitOrAssign};

/// Longest word looked at, in bytes.
const WORD_BYTES: usize = 32;

/// A set of hints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    /// A price.
    pub(super) const PRICE: Self = Self(1);
    /// The price that holds.
    pub(super) const CURRENT: Self = Self(1 << 1);
    /// Another amount than the price: what is saved, shipping, a price by weight.
    pub(super) const OTHER_AMOUNT: Self = Self(1 << 2);
    /// With [`Self::PRICE`]: a price that no longer holds.
    pub(super) const OLD: Self = Self(1 << 3);
    /// A price that no longer holds, by one word.
    pub(super) const OLD_PRICE: Self = Self(1 << 4);
    /// Other products, or no product at all.
    pub(super) const ASIDE: Self = Self(1 << 5);
    /// Decimals set apart from their amount.
    pub(super) const CENTS: Self = Self(1 << 6);
    /// A name or heading.
    pub(super) const NAME: Self = Self(1 << 7);
    /// The product.
    pub(super) const PRODUCT: Self = Self(1 << 8);
    /// A brand.
    pub(super) const BRAND: Self = Self(1 << 9);
    /// To put or to buy.
    pub(super) const ADD: Self = Self(1 << 10);
    /// With [`Self::ADD`]: what a buy button says.
    pub(super) const CART: Self = Self(1 << 11);
    /// A buy button, by one word.
    pub(super) const ADD_TO_CART: Self = Self(1 << 12);
    /// Stock or availability.
    pub(super) const STOCK: Self = Self(1 << 13);
    /// A choice of variants, shops or deliveries, each with an availability of its own; or a hidden text.
    pub(super) const CHOICE: Self = Self(1 << 14);
    /// The label of a value.
    pub(super) const LABEL: Self = Self(1 << 15);

    /// Whether any of the hints is there.
    pub(super) fn has(self, hints: Self) -> bool {
        self.0 & hints.0 != 0
    }

    /// Adds what the words of an attribute say. Words end where letters and digits meet, and before a capital
    /// after a small letter: `productPrice2` is `product`, `price`, `2`.
    pub(super) fn read(&mut self, attribute: &str) {
        let mut word = String::with_capacity(WORD_BYTES);
        let mut previous = ' ';
        for c in attribute.chars() {
            let is_new_word = (previous.is_lowercase() && c.is_uppercase())
                || previous.is_numeric() != c.is_numeric();
            if is_new_word || !c.is_alphanumeric() {
                *self |= of_word(&word);
                word.clear();
            }
            if c.is_alphabetic() && word.len() < WORD_BYTES {
                word.extend(c.to_lowercase());
            }
            previous = c;
        }
        *self |= of_word(&word);
    }
}

impl BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

fn of_word(word: &str) -> Marks {
    match word {
        "" => Marks::default(),
        "price" | "prices" | "pricing" | "prix" | "preis" | "preise" | "precio" | "precios"
        | "preco" | "precos" | "prezzo" | "prezzi" | "cena" | "ceny" | "cene" | "cenovka"
        | "cijena" | "hinta" | "prijs" | "pris" | "priser" | "fiyat" | "kaina" | "pret"
        | "tsena" | "prc" | "amount" => Marks::PRICE,
        "saleprice" | "ourprice" | "currentprice" | "finalprice" | "productprice" => {
            Marks::PRICE | Marks::CURRENT
        }
        "our" | "final" | "sale" | "sales" | "current" | "special" | "now" | "offer" | "buying"
        | "actual" | "promo" | "discount" | "discounted" | "deal" | "selling" | "main"
        | "buybox" | "today" | "pdp" | "net" | "new" => {
            let also = match word {
                "pdp" => Marks::PRODUCT,
                "now" => Marks::CART,
                _ => Marks::default(),
            };
            Marks::CURRENT | also
        }
        "product" | "detail" | "details" => Marks::PRODUCT | Marks::CURRENT,
        "goods" | "item" => Marks::PRODUCT,
        "name" | "title" | "heading" | "headline" => Marks::NAME,
        "was" | "old" | "rrp" | "uvp" | "msrp" | "original" | "before" | "previous" => {
            Marks::OLD | Marks::OTHER_AMOUNT
        }
        "regular" | "standard" | "del" | "instead" | "stroke" | "lined" | "anterior" | "normal"
        | "barre" | "list" => Marks::OLD,
        "strike" | "crossed" | "strikethrough" | "strikeout" | "linethrough" | "oldprice"
        | "wasprice" | "listprice" | "regularprice" | "crossedout" | "striked" => Marks::OLD_PRICE,
        "cross" => Marks::OLD | Marks::ASIDE,
        "save" | "saving" | "savings" | "saved" | "unit" | "per" | "installment"
        | "installments" | "instalment" | "month" | "monthly" | "credit" | "tax" | "vat"
        | "coupon" | "range" | "filter" | "min" | "max" | "minimum" | "points" | "point"
        | "bonus" | "reward" | "cashback" | "deposit" | "financing" | "rate" | "rates"
        | "lease" | "klarna" | "afterpay" | "paypal" | "kg" | "threshold" | "competitor"
        | "refund" | "used" | "warranty" | "insurance" | "protection" | "difference" | "free"
        | "kilo" | "litre" | "liter" | "ecotax" | "voucher" | "gift" | "percent" | "percentage" => {
            Marks::OTHER_AMOUNT
        }
        "shipping" | "delivery" | "ship" => Marks::OTHER_AMOUNT | Marks::CHOICE,
        "related" | "relacionados" | "recommended" | "recommendation" | "recommendations"
        | "recommend" | "recommends" | "reco" | "recos" | "similar" | "similars"
        | "similarities" | "upsell" | "upsells" | "crosssell" | "crosssells" | "carousel"
        | "sims" | "also" | "recently" | "viewed" | "recent" | "nav" | "navbar" | "navigation"
        | "menu" | "megamenu" | "minicart" | "footer" | "sponsored" | "accessories"
        | "accessory" | "bundle" | "suggestions" | "suggestion" | "suggested" | "review"
        | "reviews" | "comment" | "comments" | "comparison" | "sidebar" | "toolbar"
        | "alternative" | "alternatives" | "history" | "combo" | "bestseller" | "bestsellers"
        | "popular" | "trending" | "featured" | "newsletter" | "advert" | "ads" | "banner"
        | "aside" | "bought" | "together" => Marks::ASIDE,
        "compare" => Marks::ASIDE | Marks::OTHER_AMOUNT,
        "cents" | "cent" | "decimal" | "decimals" | "fraction" | "centimes" | "cts" => Marks::CENTS,
        "brand" | "brands" | "marca" | "marque" | "marke" | "manufacturer" | "hersteller"
        | "merk" | "brandname" | "productbrand" | "designer" => Marks::BRAND,
        "add" | "buy" => Marks::ADD | Marks::CURRENT,
        "cart" | "basket" | "bag" => Marks::CART,
        "addtocart" | "buynow" | "addtobasket" | "addtobag" => Marks::ADD_TO_CART,
        "stock" | "availability" | "availibility" | "available" | "disponibilita"
        | "disponibilidad" | "verfuegbarkeit" | "lieferstatus" | "inventory" | "dispo" | "sold"
        | "soldout" | "outofstock" | "instock" | "status" | "unavailable" | "nalichie"
        | "dostupnost" => Marks::STOCK,
        "swatch" | "swatches" | "variant" | "variants" | "option" | "options" | "store"
        | "stores" | "legend" | "tooltip" | "modal" | "popup" | "dialog" | "template" | "faq" => {
            Marks::CHOICE
        }
        "label" | "key" | "caption" | "term" => Marks::LABEL,
        _ if word.contains("price") => Marks::PRICE,
        _ => Marks::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(attribute: &str) -> Marks {
        let mut marks = Marks::default();
        marks.read(attribute);
        marks
    }

    #[test]
    fn words_are_found_in_every_way_of_writing_them() {
        for name in [
            "price",
            "product-price",
            "productPrice",
            "x_price2",
            "PRICE",
            "a price-box",
            "mainprices",
        ] {
            assert!(marks(name).has(Marks::PRICE), "{name}");
        }
        assert!(!marks("enterprise").has(Marks::PRICE));
        assert!(marks("btn-add-to-cart").has(Marks::CART) && marks("addToCart").has(Marks::ADD));
        assert!(marks("old-price").has(Marks::OLD) && !marks("bold-price").has(Marks::OLD));
    }
}
