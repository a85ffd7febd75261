//! The buttons, links and forms by which a product is bought.

use super::marks::Marks;
use super::page::Page;
use super::phrases::{Phrases, fold};
use crate::dom::attribute;
use std::sync::LazyLock;

/// Longest text of a button, in bytes.
const BUTTON_BYTES: usize = 60;

/// Whether an element buys the page's product: by its class, name or target, or by what it says.
pub(super) fn is_buy_control(page: &Page<'_>, index: usize) -> bool {
    let tag = &page.tags[index];
    let name = tag.name();
    if !matches!(name, "button" | "input" | "a" | "form") || tag.is_aside || tag.is_hidden {
        return false;
    }
    if name == "input" && attribute(tag.element, "type") == Some("hidden") {
        return false;
    }
    let mut marks = tag.marks;
    for attribute_name in ["name", "action"] {
        if name != "a"
            && let Some(value) = attribute(tag.element, attribute_name)
        {
            marks.read(value);
        }
    }
    let is_named =
        (marks.has(Marks::ADD) && marks.has(Marks::CART)) || marks.has(Marks::ADD_TO_CART);
    is_named || (name != "form" && says_so(page, index))
}

fn says_so(page: &Page<'_>, index: usize) -> bool {
    let value = attribute(page.tags[index].element, "value").unwrap_or_default();
    !page.is_longer(index, BUTTON_BYTES)
        && value.len() <= BUTTON_BYTES
        && BUY.is_in(&fold(&format!("{} {value}", page.text(index))))
}

static BUY: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "add to cart|add to bag|add to basket|add to trolley|buy it now|buy now|buy",
        "in den warenkorb|in den einkaufs*|jetzt kaufen|kaufen|ajouter au panier|acheter",
        "aggiungi al carrello|acquista|añadir al carrito|añadir a la cesta|agregar al carr*|agrega al carro",
        "comprar|adicionar ao carrinho|do koszyka|do košíku|do košíka|kosárba",
        "in winkelwagen*|lägg i varukorg*|lägg i kundvagn*|legg i handlekurv*|læg i kurv*|lisää ostoskoriin",
        "sepete ekle|в корзину|купить|до кошика|купити|добави в|купи|adaugă în coș|adauga in cos",
        "dodaj u košaricu|dodaj v košarico|v košarico|dodaj u korpu|στο καλάθι|lisa korvi",
        "カートに|購入|加入購物車|放入購物車|立即購買|加入购物车|立即购买|장바구니|구매",
        "הוסף לסל|הוספה לסל|أضف إلى|thêm vào giỏ|mua ngay|beli sekarang|keranjang",
    ])
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use url::Url;

    #[test]
    fn buttons_are_known_by_class_and_by_text() {
        for (body, expected) in [
            ("<button class=btn-add-to-cart>+</button>", true),
            ("<a class=x href=/c>In den Warenkorb</a>", true),
            ("<input type=submit value='Acheter'>", true),
            ("<form action='/cart/add'></form>", true),
            ("<button>Subscribe</button>", false),
            ("<nav><button>Buy</button></nav>", false),
            ("<button style='display: none'>Buy</button>", false),
            ("<p>Buy</p>", false),
        ] {
            let document = Document::parse(body, &Url::parse("https://shop.example/").unwrap());
            let page = Page::of(&document);
            let any = (0..page.tags.len()).any(|tag| is_buy_control(&page, tag));
            assert_eq!(any, expected, "{body}");
        }
    }
}
