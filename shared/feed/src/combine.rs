//! One value out of a rule's sources: the first of several, all of them, parts of an id, a text around them.

use crate::fields::Record;
use crate::links::{is_http, split_links};
use crate::plan::Slot;
use crate::rule::{Combine, Part, Rule};
use feedfleet_config::Piece;

/// A rule's value in a record, never empty.
pub(crate) fn value<'v>(
    record: &'v Record,
    rule: &'v Rule,
    slots: &[Slot],
    joined: &'v mut String,
) -> Option<&'v str> {
    let value = match &rule.combine {
        Combine::First => slots.iter().find_map(|slot| slot.value(record))?,
        Combine::Constant(text) => text.as_str(),
        Combine::Join(separator) => {
            join(slots, record, separator, joined);
            joined.as_str()
        }
        Combine::FirstItem(separator) => {
            let list = slots.iter().find_map(|slot| slot.value(record))?;
            let mut items = list.split(separator.as_str()).map(str::trim);
            if is_http(list) {
                split_links(list, separator).find(|item| !item.is_empty())?
            } else {
                items.find(|item| !item.is_empty())?
            }
        }
        // For a list, which takes each value for itself.
        Combine::All => slots.iter().find_map(|slot| slot.value(record))?,
        Combine::Template(pieces) => {
            joined.clear();
            let mut values = slots.iter().map(|slot| slot.value(record));
            for piece in pieces {
                joined.push_str(match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Field(_) => values.next()??,
                });
            }
            joined.as_str()
        }
        Combine::Key(parts) => {
            join_key(parts, slots, record, joined)?;
            joined.as_str()
        }
    };
    Some(looked_up(rule, value)).filter(|value| !value.is_empty())
}

/// Joins the parts of an id by `:`. Within a part, `:` and `\` have a `\` before them, and empty parts keep
/// their place but for those at the end: different parts never make the same id. None: a part is empty that
/// must not be, or all of them are.
fn join_key(parts: &[Part], slots: &[Slot], record: &Record, joined: &mut String) -> Option<()> {
    joined.clear();
    let mut rest = slots;
    let mut filled = 0;
    for (place, part) in parts.iter().enumerate() {
        let (own, others) = rest.split_at(part.sources.min(rest.len()));
        rest = others;
        if place > 0 {
            joined.push(':');
        }
        match own.iter().find_map(|slot| slot.value(record)) {
            Some(text) => {
                for c in text.chars() {
                    if matches!(c, ':' | '\\') {
                        joined.push('\\');
                    }
                    joined.push(c);
                }
                filled = joined.len();
            }
            None if part.is_needed => return None,
            None => {}
        }
    }
    joined.truncate(filled);
    (filled > 0).then_some(())
}

/// The values that are there, with the separator between them.
fn join(slots: &[Slot], record: &Record, separator: &str, joined: &mut String) {
    joined.clear();
    for value in slots.iter().filter_map(|slot| slot.value(record)) {
        if !joined.is_empty() {
            joined.push_str(separator);
        }
        joined.push_str(value);
    }
}

/// What the rule's table has for the value.
pub(crate) fn looked_up<'v>(rule: &'v Rule, value: &'v str) -> &'v str {
    match &rule.lookup {
        None => value,
        Some(lookup) => {
            let found = lookup.values.get(value).or(lookup.default.as_ref());
            found.map_or(value, String::as_str)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Names;
    use crate::plan::{Matching, Plan};
    use crate::rule::Action;

    /// The rule's value for a record with the values `values` of the fields `a`, `b` and so on.
    fn made(sources: &[&str], combine: Combine, values: &[&str]) -> Option<String> {
        let sources = sources.iter().map(|name| (*name).to_owned()).collect();
        let rule = Rule { sources, combine, lookup: None, action: Action::Id, is_own: true };
        let (mut names, mut record) = (Names::default(), Record::default());
        for (letter, text) in ('a'..).zip(values) {
            let field = names.intern(&letter.to_string()).unwrap();
            record.push(field, text);
        }
        let mut plan = Plan::new(vec![rule], Matching::Loose);
        plan.grow(&names);
        let mut joined = String::new();
        let (rule, slots) = plan.active().next()?;
        value(&record, rule, slots, &mut joined).map(str::to_owned)
    }

    fn key(values: &[&str]) -> Option<String> {
        let part = |is_needed| Part { sources: 1, is_needed };
        made(&["a", "b", "c"], Combine::Key(vec![part(true), part(false), part(false)]), values)
    }

    #[test]
    fn different_parts_make_different_ids() {
        assert_eq!(key(&["coat", "M", "red"]).as_deref(), Some("coat:M:red"));
        assert_eq!(key(&["coat", "", "red"]).as_deref(), Some("coat::red"));
        assert_eq!(key(&["coat", "red", ""]).as_deref(), Some("coat:red"));
        assert_eq!(key(&["coat"]).as_deref(), Some("coat"));
        assert_eq!(key(&["", "M", "red"]), None);
        assert_eq!(key(&["a:b", "c"]).as_deref(), Some("a\\:b:c"));
        assert_eq!(key(&["a", "b:c"]).as_deref(), Some("a:b\\:c"));
        assert_eq!(key(&["a\\", "b"]).as_deref(), Some("a\\\\:b"));
    }

    #[test]
    fn lists_have_a_first_item() {
        let first = |text| made(&["a"], Combine::FirstItem(",".to_owned()), &[text]);
        let links = "https://a.example/w=1,h=2.jpg, https://a.example/2.jpg";
        assert_eq!(first(links).as_deref(), Some("https://a.example/w=1,h=2.jpg"));
        assert_eq!(first("Shoes > Boots, Sale").as_deref(), Some("Shoes > Boots"));
        assert_eq!(first(" , "), None);
    }

    #[test]
    fn templates_need_all_their_values() {
        let template = || {
            Combine::Template(vec![
                Piece::Field("b".to_owned()),
                Piece::Text("/".to_owned()),
                Piece::Field("a".to_owned()),
            ])
        };
        assert_eq!(made(&["b", "a"], template(), &["1", "2"]).as_deref(), Some("2/1"));
        assert_eq!(made(&["b", "a"], template(), &["1", ""]), None);
    }
}
