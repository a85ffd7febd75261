//! The rules bound to a feed's fields. A name is looked up once, when it first occurs; records are then
//! mapped by field numbers alone.

use crate::fields::{Names, Record};
use crate::header::{plain, without_prefixes};
use crate::rule::{Action, Combine, Part, Rule};
use feedfleet_model::ColumnId;
use std::collections::HashMap;

/// How the mapping's names are compared with the feed's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matching {
    /// As written; failing that, whatever the case and the word separators.
    Loose,
    /// As written. `list[0]` is also the first plain value of `list`.
    Json,
    /// Without prefixes.
    Xml,
    /// Without prefixes, whatever the case and the word separators.
    LooseXml,
}

impl Matching {
    fn is_loose(self) -> bool {
        matches!(self, Self::Loose | Self::LooseXml)
    }
}

/// A rule's source, bound or not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot {
    field: Option<u32>,
    /// Only this one of the field's values.
    nth: Option<usize>,
    is_exact: bool,
}

impl Slot {
    /// The value of this source in a record.
    pub(crate) fn value<'r>(&self, record: &'r Record) -> Option<&'r str> {
        match self.nth {
            None => record.first(self.field?),
            Some(nth) => record.values(self.field?).nth(nth),
        }
    }

    /// The field, when all of its values are meant.
    pub(crate) fn whole_field(&self) -> Option<u32> {
        self.field.filter(|_| self.nth.is_none())
    }
}

/// A rule that has something to do, with its sources.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'p> {
    pub(crate) rule: &'p Rule,
    pub(crate) slots: &'p [Slot],
    /// The field whose first value the rule takes, where that is all there is to it; not for the id, nor for what
    /// says the kind of change.
    pub(crate) simple: Option<u32>,
}

/// A rule that has something to do, in a few bytes: most rules are done with them, and the rules themselves stay out
/// of the processor's cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    rule: u32,
    simple: Option<u32>,
    /// The field of a rule that gives one value and is [simple](Bound::simple).
    pub(crate) single: Option<u32>,
    /// The column of such a rule that takes text as it is.
    pub(crate) text: Option<ColumnId>,
}

/// Where a name is wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    rule: usize,
    source: usize,
    nth: Option<usize>,
}

/// The rules of a feed.
pub(crate) struct Plan {
    rules: Vec<Rule>,
    /// By rule, by source.
    slots: Vec<Vec<Slot>>,
    /// The rules that have something to do.
    active: Vec<Step>,
    /// By field: how many rules take it.
    taken: Vec<u32>,
    /// Whether rules take all of the fields.
    is_all_taken: bool,
    /// By field: whether it is part of the id.
    identity: Vec<bool>,
    matching: Matching,
    exact: HashMap<String, Vec<Wanted>>,
    loose: HashMap<String, Vec<Wanted>>,
}

impl Plan {
    /// Rules none of whose fields is known yet; in the order in which they are to be applied.
    pub(crate) fn new(rules: Vec<Rule>, matching: Matching) -> Self {
        let mut exact: HashMap<String, Vec<Wanted>> = HashMap::new();
        let mut loose: HashMap<String, Vec<Wanted>> = HashMap::new();
        for (rule, facts) in rules.iter().enumerate() {
            for (source, name) in facts.sources.iter().enumerate() {
                let wanted = Wanted { rule, source, nth: None };
                let name = match matching {
                    Matching::Xml | Matching::LooseXml => without_prefixes(name),
                    Matching::Loose | Matching::Json => name.clone(),
                };
                if let Some((list, nth)) = list_item(&name).filter(|_| matching == Matching::Json) {
                    let wanted = Wanted { nth: Some(nth), ..wanted };
                    exact.entry(list.to_owned()).or_default().push(wanted);
                }
                if matching.is_loose() {
                    loose.entry(plain(&name)).or_default().push(wanted);
                }
                exact.entry(name).or_default().push(wanted);
            }
        }
        let slots = rules.iter().map(|rule| vec![Slot::default(); rule.sources.len()]).collect();
        let mut plan = Self {
            rules,
            slots,
            active: Vec::new(),
            taken: Vec::new(),
            is_all_taken: true,
            identity: Vec::new(),
            matching,
            exact,
            loose,
        };
        plan.activate();
        plan
    }

    /// The first source of every rule of the pipe's own that no field has been bound to.
    pub(crate) fn unbound(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().zip(&self.slots);
        rules.filter_map(|(rule, slots)| {
            let is_idle = rule.is_own
                && !matches!(rule.action, Action::Ignore)
                && slots.iter().all(|slot| slot.field.is_none());
            rule.sources.first().filter(|_| is_idle).map(String::as_str)
        })
    }

    /// Whether each rule that takes this field takes all of its values; no, where none does.
    pub(crate) fn takes_all(&self, field: u32) -> bool {
        let rules = self.rules.iter().zip(&self.slots);
        let mut takers = rules
            .filter(|(_, slots)| slots.iter().any(|slot| slot.field == Some(field)))
            .map(|(rule, _)| matches!(rule.action, Action::List { .. }))
            .peekable();
        takers.peek().is_some() && takers.all(|takes_all| takes_all)
    }

    /// Binds the names that are new since the last call.
    pub(crate) fn grow(&mut self, names: &Names) {
        if self.taken.len() == names.len() {
            return;
        }
        for field in self.taken.len()..names.len() {
            self.taken.push(0);
            self.identity.push(false);
            let name = names.name(field as u32);
            for wanted in self.exact.get(name).cloned().unwrap_or_default() {
                self.bind(wanted, field, true);
            }
            if self.matching.is_loose() {
                for wanted in self.loose.get(&plain(name)).cloned().unwrap_or_default() {
                    self.bind(wanted, field, false);
                }
            }
        }
        self.activate();
    }

    fn bind(&mut self, wanted: Wanted, field: usize, is_exact: bool) {
        let slot = &mut self.slots[wanted.rule][wanted.source];
        let is_better = is_exact && !slot.is_exact;
        if slot.field.is_some() && !is_better {
            return;
        }
        if let Some(old) = slot.whole_field() {
            self.taken[old as usize] -= 1;
        }
        *slot = Slot { field: Some(field as u32), nth: wanted.nth, is_exact };
        if wanted.nth.is_none() {
            self.taken[field] += 1;
        }
        if matches!(self.rules[wanted.rule].action, Action::Id) {
            self.identity[field] = true;
        }
    }

    fn activate(&mut self) {
        let is_active = |rule: &usize| {
            let is_constant = matches!(self.rules[*rule].combine, Combine::Constant(_));
            let has_field = self.slots[*rule].iter().any(|slot| slot.field.is_some());
            let does_something = !matches!(self.rules[*rule].action, Action::Ignore);
            does_something && (is_constant || has_field)
        };
        let step = |rule: usize| {
            let simple = simple_field(&self.rules[rule], &self.slots[rule]);
            let (single, text) = match self.rules[rule].action {
                Action::List { .. } => (None, None),
                Action::Text(column) => (simple, simple.map(|_| column)),
                _ => (simple, None),
            };
            Step { rule: rule as u32, simple, single, text }
        };
        self.active = (0..self.rules.len()).filter(is_active).map(step).collect();
        self.is_all_taken = self.taken.iter().all(|rules| *rules > 0);
    }

    /// The rules that have something to do, for [`Plan::bound`].
    pub(crate) fn steps(&self) -> &[Step] {
        &self.active
    }

    /// The rule of a step.
    pub(crate) fn rule(&self, step: Step) -> &Rule {
        &self.rules[step.rule as usize]
    }

    /// The rule of a step, with its sources.
    pub(crate) fn bound(&self, step: Step) -> Bound<'_> {
        let place = step.rule as usize;
        Bound { rule: &self.rules[place], slots: &self.slots[place], simple: step.simple }
    }

    /// The rules that have something to do, with their sources.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&Rule, &[Slot])> {
        self.active.iter().map(|step| self.bound(*step)).map(|bound| (bound.rule, bound.slots))
    }

    /// Whether rules take all of the fields that the feed has shown.
    pub(crate) fn is_all_taken(&self) -> bool {
        self.is_all_taken
    }

    /// Whether a rule takes the field.
    pub(crate) fn is_taken(&self, field: u32) -> bool {
        self.taken.get(field as usize).is_some_and(|rules| *rules > 0)
    }

    /// Whether several rules take the field.
    pub(crate) fn is_shared(&self, field: u32) -> bool {
        self.taken.get(field as usize).is_some_and(|rules| *rules > 1)
    }

    /// Whether the field is part of the id.
    pub(crate) fn is_identity(&self, field: u32) -> bool {
        self.identity.get(field as usize).copied().unwrap_or_default()
    }

    /// The names of fields that the id needs and the feed has not shown yet; empty when it has them.
    pub(crate) fn missing_for_id(&self) -> Vec<&str> {
        let mut missing = Vec::new();
        for (rule, slots) in self.rules.iter().zip(&self.slots) {
            if !matches!(rule.action, Action::Id) || rule.sources.is_empty() {
                continue;
            }
            let one = [Part { sources: rule.sources.len(), is_needed: true }];
            let parts = if let Combine::Key(parts) = &rule.combine { &parts[..] } else { &one[..] };
            let mut place = 0;
            for part in parts {
                let of_part = place..place + part.sources;
                place = of_part.end;
                let is_absent = slots[of_part.clone()].iter().all(|slot| slot.field.is_none());
                if part.is_needed && is_absent {
                    missing.extend(rule.sources[of_part].iter().map(String::as_str));
                }
            }
        }
        missing
    }
}

/// The field whose first value the rule takes as it is, if it does no more than that with its sources.
fn simple_field(rule: &Rule, slots: &[Slot]) -> Option<u32> {
    let is_plain = matches!(rule.combine, Combine::First)
        && rule.lookup.is_none()
        && !matches!(rule.action, Action::Id | Action::Change(_));
    match slots {
        [slot] if is_plain => slot.whole_field(),
        _ => None,
    }
}

/// `list[2]` as `list` and 2.
fn list_item(name: &str) -> Option<(&str, usize)> {
    let (list, number) = name.strip_suffix(']')?.rsplit_once('[')?;
    Some((list, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::field;
    use feedfleet_config::{From as MapFrom, MapEntry};
    use feedfleet_model::columns;

    fn plan(fields: &[&str], matching: Matching) -> Plan {
        let rules =
            fields.iter().map(|name| Rule::compile(&field(columns::ID, name), None).unwrap());
        Plan::new(rules.collect(), matching)
    }

    fn names(list: &[&str]) -> Names {
        let mut names = Names::default();
        list.iter().for_each(|name| {
            names.intern(name);
        });
        names
    }

    fn bound(plan: &Plan) -> Vec<Option<u32>> {
        plan.slots.iter().map(|slots| slots[0].field).collect()
    }

    #[test]
    fn exact_names_beat_similar_ones() {
        let mut plan = plan(&["Price"], Matching::Loose);
        plan.grow(&names(&["price"]));
        assert_eq!(bound(&plan), [Some(0)]);
        plan.grow(&names(&["price", "PRICE", "Price"]));
        assert_eq!(bound(&plan), [Some(2)]);
        assert_eq!([0, 1, 2].map(|field| plan.is_taken(field)), [false, false, true]);
        assert!(!plan.is_all_taken());
        plan.grow(&names(&["price", "PRICE", "Price", "x"]));
        assert!(!plan.is_all_taken());
    }

    #[test]
    fn simple_rules_are_told() {
        let text = |source: MapFrom| {
            let entry = MapEntry { from: source, ..field(columns::TITLE, "") };
            Rule::compile(&entry, None).unwrap()
        };
        let rules = vec![
            Rule::compile(&field(columns::ID, "a"), None).unwrap(),
            text(MapFrom::Field("b".to_owned())),
            text(MapFrom::Field("c[1]".to_owned())),
            text(MapFrom::FirstOf(vec!["b".to_owned(), "c".to_owned()])),
        ];
        let mut plan = Plan::new(rules, Matching::Json);
        plan.grow(&names(&["a", "b"]));
        assert!(plan.is_all_taken());
        plan.grow(&names(&["a", "b", "c"]));
        let simple: Vec<_> = plan.steps().iter().map(|step| step.simple).collect();
        assert_eq!(simple, [None, Some(1), None, None]);
    }

    #[test]
    fn names_are_as_the_format_has_them() {
        let mut xml = plan(&["g:shipping/g:price", "Other"], Matching::Xml);
        xml.grow(&names(&["shipping/price", "other"]));
        assert_eq!(bound(&xml), [Some(0), None]);
        let mut json = plan(&["images[1]"], Matching::Json);
        json.grow(&names(&["images"]));
        let mut record = Record::default();
        record.push(0, "a");
        record.push(0, "b");
        let (_, slots) = json.active().next().unwrap();
        assert_eq!(slots[0].value(&record), Some("b"));
        assert!(!json.is_taken(0));
    }

    #[test]
    fn an_id_out_of_parts_needs_them_all() {
        let key = Rule::key(&["a".to_owned(), "b".to_owned()]);
        let mut plan = Plan::new(vec![key], Matching::Json);
        plan.grow(&names(&["a"]));
        assert_eq!(plan.missing_for_id(), ["b"]);
        plan.grow(&names(&["a", "b"]));
        assert!(plan.missing_for_id().is_empty() && plan.is_identity(1));
    }
}
