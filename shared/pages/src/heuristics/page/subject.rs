//! Finds where on a page the product's name stands.

use super::Page;
use crate::document::Document;
use crate::heuristics::marks::Marks;
use crate::product::{common_percent, words};

/// Longest name of a product, in bytes.
const NAME_BYTES: usize = 400;
/// In per cent of words in common with a title: what a heading needs, what any other text, and what a main heading
/// has on top.
const HEADING_PERCENT: u32 = 15;
const TEXT_PERCENT: u32 = 50;
const MAIN_HEADING_BONUS: u32 = 30;

impl Page<'_> {
    /// The heading that has most in common with the page's titles; without a heading, any short text that has.
    pub(super) fn find_name(&self, document: &Document) -> Option<usize> {
        let graph = document.open_graph();
        let mut titles: Vec<Vec<String>> = ["og:title", "twitter:title"]
            .iter()
            .filter_map(|name| graph.first(name))
            .map(words)
            .collect();
        titles.extend(document.title().map(|title| words(&title)));
        let closeness = |tag: usize, bonus: u32| {
            let own =
                words(&self.text_between(self.tags[tag].first, self.tags[tag].end, NAME_BYTES));
            let most = titles.iter().map(|title| common_percent(&own, title)).max().unwrap_or(0);
            if most == 0 { 0 } else { most + bonus }
        };
        let is_shown = |tag: &usize| {
            let tag = &self.tags[*tag];
            !tag.is_hidden && tag.first < tag.end
        };
        let headings = (0..self.tags.len())
            .filter(is_shown)
            .filter(|tag| self.is_heading(*tag) && !self.is_longer(*tag, NAME_BYTES))
            .map(|tag| (closeness(tag, self.bonus(tag)), tag));
        if let Some((percent, tag)) = best(headings)
            && percent >= HEADING_PERCENT
        {
            return Some(tag);
        }
        let short = (0..self.tags.len())
            .filter(is_shown)
            .filter(|tag| {
                let tag = &self.tags[*tag];
                tag.end - tag.first == 1
            })
            .map(|tag| (closeness(tag, 0), tag));
        best(short).filter(|(percent, _)| *percent >= TEXT_PERCENT).map(|(_, tag)| tag)
    }

    fn bonus(&self, tag: usize) -> u32 {
        if self.tags[tag].name() == "h1" { MAIN_HEADING_BONUS } else { 0 }
    }

    fn is_heading(&self, tag: usize) -> bool {
        let tag = &self.tags[tag];
        match tag.name() {
            "h1" => true,
            "h2" | "h3" | "div" | "span" | "p" | "td" | "strong" | "b" | "font" => {
                tag.marks.has(Marks::NAME) && tag.marks.has(Marks::PRODUCT)
            }
            _ => false,
        }
    }
}

/// The greatest of rated elements, the first where several are.
fn best(ratings: impl DoubleEndedIterator<Item = (u32, usize)>) -> Option<(u32, usize)> {
    ratings.rev().max_by_key(|(rating, _)| *rating)
}
