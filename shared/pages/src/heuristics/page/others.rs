//! Tells a page's own product from the others on it, and the prices that hold from those that no longer do.

use super::Page;
use crate::dom::attribute;
use crate::heuristics::amounts::amounts;
use crate::heuristics::marks::Marks;
use std::collections::HashMap;

/// Longest text of a tile in a list of products, in bytes.
const TILE_BYTES: usize = 600;
/// Fewest neighbours of one kind that are a list of products.
const TILES: usize = 3;
/// Longest text of an old price, in bytes.
const OLD_PRICE_BYTES: usize = 60;

impl Page<'_> {
    /// Marks what belongs to other products and what is an old price.
    pub(super) fn mark_others(&mut self) {
        let mut is_around_anchor = vec![false; self.tags.len()];
        if let Some(anchor) = self.anchor {
            for tag in self.around(anchor) {
                is_around_anchor[tag] = true;
            }
        }
        let is_tile = self.tiles(&is_around_anchor);
        for index in 0..self.tags.len() {
            let tag = &self.tags[index];
            let above = tag.parent.map(|parent| &self.tags[parent]);
            let is_own = matches!(tag.name(), "nav" | "footer" | "aside")
                || tag.marks.has(Marks::ASIDE)
                || is_tile[index];
            let is_aside =
                (is_own && !is_around_anchor[index]) || above.is_some_and(|above| above.is_aside);
            let is_old = above.is_some_and(|above| above.is_old) || self.has_old_price(index);
            self.tags[index].is_aside = is_aside;
            self.tags[index].is_old = is_old;
        }
    }

    fn has_old_price(&self, tag: usize) -> bool {
        let marks = self.tags[tag].marks;
        let is_named =
            marks.has(Marks::OLD_PRICE) || (marks.has(Marks::OLD) && marks.has(Marks::PRICE));
        // What holds several prices is not itself one of them.
        is_named && !self.is_longer(tag, OLD_PRICE_BYTES) && {
            let found = amounts(&self.text(tag));
            found.windows(2).all(|pair| pair[0].ten_thousandths == pair[1].ten_thousandths)
        }
    }

    /// Whether these pieces of text, or one of them, name an amount with its currency.
    fn has_price(&self, first: usize, end: usize) -> bool {
        let names_one = |text: &str| amounts(text).iter().any(|amount| amount.has_currency);
        // A name directly before an amount reads as one word with it.
        self.runs[first..end].iter().any(|run| names_one(&run.text))
            || names_one(&self.text_between(first, end, TILE_BYTES))
    }

    /// Finds lists of products: several neighbours of one kind, each with a link and a price.
    fn tiles(&self, is_around_anchor: &[bool]) -> Vec<bool> {
        let mut links_before = Vec::with_capacity(self.tags.len() + 1);
        let mut links: usize = 0;
        for tag in &self.tags {
            links_before.push(links);
            links += usize::from(tag.is_link && tag.name() == "a");
        }
        links_before.push(links);
        let mut groups: HashMap<(usize, &str, &str), Vec<usize>> = HashMap::new();
        for (index, tag) in self.tags.iter().enumerate() {
            let Some(parent) = tag.parent else { continue };
            if !is_around_anchor[index] && tag.end - tag.first >= 2 {
                let class = attribute(tag.element, "class").unwrap_or_default();
                let class = class.split_whitespace().next().unwrap_or_default();
                groups.entry((parent, tag.name(), class)).or_default().push(index);
            }
        }
        let mut is_tile = vec![false; self.tags.len()];
        for group in groups.into_values().filter(|group| group.len() >= TILES) {
            let is_offer = |index: &usize| {
                let tag = &self.tags[*index];
                links_before[tag.last] > links_before[*index]
                    && !self.is_longer(*index, TILE_BYTES)
                    && self.has_price(tag.first, tag.end)
            };
            let offers: Vec<usize> = group.iter().copied().filter(is_offer).collect();
            if offers.len() >= TILES && offers.len() * 2 >= group.len() {
                for index in offers {
                    is_tile[index] = true;
                }
            }
        }
        is_tile
    }
}
