//! Walks through a page's elements once and writes down what each is and what it says.

use super::{Page, Run, Tag, is_block};
use crate::heuristics::marks::Marks;
use scraper::ElementRef;

impl<'a> Page<'a> {
    pub(super) fn walk(&mut self, root: ElementRef<'a>) {
        let mut writer = Writer { has_gap: true, is_cents: false };
        let mut open: Option<usize> = None;
        // A stack of its own: pages nest deeper than a thread's stack.
        let mut stack = vec![Step::Enter(root)];
        while let Some(step) = stack.pop() {
            match step {
                Step::Text(text) => {
                    if let Some(tag) = open {
                        writer.write(text, tag, &mut self.runs);
                    }
                }
                Step::Leave(tag) => {
                    writer.has_gap |= is_block(self.tags[tag].name());
                    self.tags[tag].end = self.runs.len();
                    self.tags[tag].last = self.tags.len();
                    open = self.tags[tag].parent;
                }
                Step::Enter(element) => {
                    let name = element.value().name();
                    if is_skipped(name) {
                        continue;
                    }
                    let index = self.tags.len();
                    let tag = self.tag(element, open);
                    writer.has_gap |= is_block(name);
                    writer.is_cents = name == "sup" || tag.marks.has(Marks::CENTS);
                    self.tags.push(tag);
                    open = Some(index);
                    stack.push(Step::Leave(index));
                    stack.extend(element.children().rev().filter_map(|child| {
                        ElementRef::wrap(child)
                            .map(Step::Enter)
                            .or_else(|| child.value().as_text().map(|text| Step::Text(text)))
                    }));
                }
            }
        }
    }

    fn tag(&self, element: ElementRef<'a>, parent: Option<usize>) -> Tag<'a> {
        let mut marks = Marks::default();
        let mut is_hidden = false;
        let mut is_struck = false;
        let mut is_link = false;
        let name = element.value().name();
        for (attribute, value) in element.value().attrs() {
            match attribute {
                "class" | "id" | "itemprop" | "data-testid" | "data-test-id" | "data-test"
                | "data-qa" | "data-role" => marks.read(value),
                "style" => {
                    let style: String = value.chars().filter(|c| !c.is_whitespace()).collect();
                    is_hidden |= style.contains("display:none");
                    is_struck |= style.contains("line-through");
                }
                "hidden" => is_hidden = true,
                "href" if name == "a" => is_link = leads_away(value),
                _ => {}
            }
        }
        let above = parent.map(|parent| &self.tags[parent]);
        Tag {
            element,
            parent,
            depth: above.map_or(0, |above| above.depth + 1),
            marks,
            first: self.runs.len(),
            end: self.runs.len(),
            last: self.tags.len() + 1,
            is_hidden: is_hidden || above.is_some_and(|above| above.is_hidden),
            is_struck: is_struck
                || matches!(name, "s" | "del" | "strike")
                || above.is_some_and(|above| above.is_struck),
            is_old: false,
            is_aside: false,
            is_link: is_link || above.is_some_and(|above| above.is_link),
        }
    }
}

/// What is left to do in a walk.
enum Step<'a> {
    Enter(ElementRef<'a>),
    Text(&'a str),
    Leave(usize),
}

/// What is between the last text and the next.
struct Writer {
    has_gap: bool,
    is_cents: bool,
}

impl Writer {
    fn write(&mut self, text: &str, tag: usize, runs: &mut Vec<Run>) {
        let starts_with_gap = text.starts_with(char::is_whitespace);
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if joined.is_empty() {
            self.has_gap |= !text.is_empty();
            return;
        }
        let has_gap = self.has_gap || starts_with_gap;
        runs.push(Run { text: joined, tag, has_gap, is_cents: self.is_cents });
        self.has_gap = text.ends_with(char::is_whitespace);
        self.is_cents = false;
    }
}

fn leads_away(href: &str) -> bool {
    let href = href.trim();
    let scheme = href.split(':').next().unwrap_or_default();
    !href.is_empty() && !href.starts_with('#') && !scheme.eq_ignore_ascii_case("javascript")
}

fn is_skipped(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "noscript"
            | "template"
            | "svg"
            | "iframe"
            | "object"
            | "head"
            | "textarea"
    )
}
