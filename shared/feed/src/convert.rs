//! Single values as columns hold them: true or false, and words of known lists.

use feedfleet_model::{ColumnId, columns};

/// Reads yes or no in the ways feeds write it. None: neither.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["y", "yes", "true", "1", "1.0", "t", "on"].iter().any(is) {
        Some(true)
    } else if ["n", "no", "false", "0", "0.0", "f", "off"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

/// The word that the column uses for what the text says, or the text when that is unknown. `scratch` is
/// working memory.
pub(crate) fn known_word<'a>(column: ColumnId, text: &'a str, scratch: &mut String) -> &'a str {
    let is_known = if column == columns::AVAILABILITY {
        matches!(text, "in_stock" | "out_of_stock" | "preorder" | "backorder")
    } else {
        matches!(text, "new" | "refurbished" | "used")
    };
    if is_known {
        return text;
    }
    let word = text.rsplit('/').next().unwrap_or(text);
    scratch.clear();
    scratch.extend(word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
    let known =
        if column == columns::AVAILABILITY { availability(scratch) } else { condition(scratch) };
    known.unwrap_or(text)
}

/// From lower-case letters without anything between them.
fn availability(word: &str) -> Option<&'static str> {
    Some(match word {
        "instock" | "availablefororder" | "available" => "in_stock",
        "outofstock" | "soldout" | "discontinued" | "unavailable" => "out_of_stock",
        "preorder" | "presale" => "preorder",
        "backorder" | "backordered" => "backorder",
        _ => return None,
    })
}

fn condition(word: &str) -> Option<&'static str> {
    Some(match word {
        "new" | "newcondition" | "신상품" => "new",
        "refurbished" | "refurbishedcondition" | "리퍼" => "refurbished",
        "used" | "usedcondition" | "중고" => "used",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_made_one() {
        let word = |column, text: &str| known_word(column, text, &mut String::new()).to_owned();
        for text in ["in stock", "In Stock", "in_stock", "InStock", "https://schema.org/InStock"] {
            assert_eq!(word(columns::AVAILABILITY, text), "in_stock");
        }
        assert_eq!(word(columns::AVAILABILITY, "out of stock"), "out_of_stock");
        assert_eq!(word(columns::AVAILABILITY, "3 Tage"), "3 Tage");
        // What the column uses itself stays.
        for (column, words) in [
            (columns::AVAILABILITY, &["in_stock", "out_of_stock", "preorder", "backorder"][..]),
            (columns::CONDITION, &["new", "refurbished", "used"][..]),
        ] {
            for &text in words {
                assert_eq!(word(column, text), text);
                assert_eq!(word(column, &text.to_uppercase()), text);
            }
        }
        assert_eq!(word(columns::CONDITION, "New"), "new");
        assert_eq!(word(columns::CONDITION, "중고"), "used");
    }

    #[test]
    fn yes_and_no() {
        assert_eq!(["Y", "TRUE", "1"].map(parse_boolean), [Some(true); 3]);
        assert_eq!(["n", "no", "0"].map(parse_boolean), [Some(false); 3]);
        assert_eq!(parse_boolean("maybe"), None);
    }
}
