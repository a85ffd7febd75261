//! Small things that every reader of the tree needs.

use scraper::ElementRef;

/// The value of an attribute. Cheaper than a look-up by name, which has to intern the name first.
pub(crate) fn attribute<'a>(element: ElementRef<'a>, name: &str) -> Option<&'a str> {
    element.value().attrs().find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// The value of an attribute, trimmed; none for a blank one.
pub(crate) fn filled_attribute<'a>(element: ElementRef<'a>, name: &str) -> Option<&'a str> {
    attribute(element, name).map(str::trim).filter(|value| !value.is_empty())
}

/// The element and all in it, in the document's order.
pub(crate) fn elements(root: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    root.descendants().filter_map(ElementRef::wrap)
}

/// The child elements, the last one first: what a walk pushes onto its stack.
pub(crate) fn children_reversed(element: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    element.children().rev().filter_map(ElementRef::wrap)
}

/// Whether a script's `type` is JSON-LD's.
pub(crate) fn is_json_ld(script_type: &str) -> bool {
    let essence = script_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/ld+json")
}
