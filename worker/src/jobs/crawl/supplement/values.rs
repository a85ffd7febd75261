//! What a supplement says, by product, in memory: one buffer for all of it, and where each product's part begins.

use feedfleet_model::hash::{bytes_hash, id_hash};
use feedfleet_model::{ColumnId, ValueRef};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The values of a supplement, as many as fit into a budget.
pub(crate) struct Values {
    columns: Vec<ColumnId>,
    /// By the hash of the id.
    places: HashMap<u128, Place>,
    /// Parts, one after the other: see [`encode`].
    bytes: Vec<u8>,
    /// Of these bytes, the ones of parts that count no more.
    garbage_bytes: usize,
    budget_bytes: usize,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Place {
    start: usize,
    /// Whether the pipe has such a product.
    is_matched: bool,
}

/// More than the budget.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values of a supplement need more than {budget_bytes} bytes")]
pub(crate) struct TooLarge {
    pub budget_bytes: usize,
}

/// A product's place in the table, which may be half empty.
const BYTES_PER_PLACE: usize = size_of::<(u128, Place)>() + 1;
/// The buffer grows by this at least, where the budget allows it.
const LEAST_GROWTH: usize = 64 * 1024;
/// A full buffer is cleaned up, in place of growing, if this part of it is garbage: often enough that values which fit
/// into the budget stay there, and not for every product.
const GARBAGE_PART: usize = 32;

impl Values {
    /// None yet, of these columns.
    pub fn new(columns: Vec<ColumnId>, budget_bytes: usize) -> Self {
        let (places, bytes, scratch) = (HashMap::new(), Vec::new(), Vec::new());
        Self { columns, places, bytes, garbage_bytes: 0, budget_bytes, scratch }
    }

    /// The columns, in the table's order.
    pub fn columns(&self) -> &[ColumnId] {
        &self.columns
    }

    /// Products.
    pub fn len(&self) -> u64 {
        self.places.len() as u64
    }

    /// Memory that they take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * BYTES_PER_PLACE
    }

    /// Takes what is said of a product. False: it is not the first time. Then the values with the smaller hash count,
    /// whatever order they came in.
    pub fn insert<'v>(
        &mut self,
        id: &str,
        value_of: impl Fn(ColumnId) -> ValueRef<'v>,
    ) -> Result<bool, TooLarge> {
        encode(&mut self.scratch, id, self.columns.iter().map(|column| value_of(*column)));
        self.make_room();
        let start = self.bytes.len();
        let is_new = match self.places.entry(id_hash(id)) {
            Entry::Vacant(free) => {
                free.insert(Place { start, is_matched: false });
                true
            }
            Entry::Occupied(mut taken) => {
                let other = part(&self.bytes, taken.get().start);
                if bytes_hash(&self.scratch) >= bytes_hash(other) {
                    return Ok(false);
                }
                self.garbage_bytes += LENGTH_BYTES + other.len();
                taken.get_mut().start = start;
                false
            }
        };
        self.append()?;
        Ok(is_new)
    }

    /// Has what is said of a product say something else in these columns.
    pub fn fill<'v>(
        &mut self,
        id: &str,
        columns: &[ColumnId],
        value_of: impl Fn(ColumnId) -> ValueRef<'v>,
    ) -> Result<(), TooLarge> {
        let hash = id_hash(id);
        let Some(place) = self.places.get(&hash) else { return Ok(()) };
        let before = part(&self.bytes, place.start);
        let (said, garbage_bytes) = (Said::of(before), LENGTH_BYTES + before.len());
        let values =
            self.columns.iter().zip(said.values()).map(|(column, own)| {
                if columns.contains(column) { value_of(*column) } else { own }
            });
        encode(&mut self.scratch, id, values);
        let is_matched = place.is_matched;
        self.make_room();
        let start = self.bytes.len();
        self.places.insert(hash, Place { start, is_matched });
        self.garbage_bytes += garbage_bytes;
        self.append()
    }

    /// Makes room for the part that was made last. Parts may move.
    fn make_room(&mut self) {
        let needed = LENGTH_BYTES + self.scratch.len();
        let is_full = |bytes: &Vec<u8>| bytes.capacity() - bytes.len() < needed;
        if is_full(&self.bytes) && self.garbage_bytes > self.bytes.len() / GARBAGE_PART {
            self.clean_up();
        }
        if is_full(&self.bytes) {
            let left = self.budget_bytes.saturating_sub(self.memory_bytes());
            let growth = (self.bytes.len() / 8).max(LEAST_GROWTH).min(left);
            self.bytes.reserve_exact(growth.max(needed));
        }
    }

    /// Closes the gaps that parts leave which count no more.
    fn clean_up(&mut self) {
        let (mut from, mut to) = (0, 0);
        while from < self.bytes.len() {
            let next = part(&self.bytes, from);
            let (hash, end) = (id_hash(Said::of(next).id), from + LENGTH_BYTES + next.len());
            if let Some(place) = self.places.get_mut(&hash).filter(|place| place.start == from) {
                place.start = to;
                self.bytes.copy_within(from..end, to);
                to += end - from;
            }
            from = end;
        }
        self.bytes.truncate(to);
        self.garbage_bytes = 0;
    }

    /// Adds the part that was made last.
    fn append(&mut self) -> Result<(), TooLarge> {
        self.bytes.extend_from_slice(&(self.scratch.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&self.scratch);
        let budget_bytes = self.budget_bytes;
        if self.memory_bytes() > budget_bytes { Err(TooLarge { budget_bytes }) } else { Ok(()) }
    }

    /// Takes away what is said of a product, by the hash of its id.
    pub fn remove(&mut self, id_hash: u128) {
        if let Some(place) = self.places.remove(&id_hash) {
            self.garbage_bytes += LENGTH_BYTES + part(&self.bytes, place.start).len();
        }
    }

    /// Whether something is said of a product, by the hash of its id.
    pub fn has(&self, id_hash: u128) -> bool {
        self.places.contains_key(&id_hash)
    }

    /// What is said of a product.
    pub fn of(&self, id: &str) -> Option<Said<'_>> {
        let place = self.places.get(&id_hash(id))?;
        Some(Said::of(part(&self.bytes, place.start)))
    }

    /// Notes that the pipe has a product.
    pub fn mark(&mut self, id: &str) {
        if let Some(place) = self.places.get_mut(&id_hash(id)) {
            place.is_matched = true;
        }
    }

    /// The products that the pipe was not found to have.
    pub fn unmatched(&self) -> impl Iterator<Item = &str> {
        let places = self.places.values().filter(|place| !place.is_matched);
        places.map(|place| Said::of(part(&self.bytes, place.start)).id)
    }

    /// All that is said, in no order.
    pub fn all(&self) -> impl Iterator<Item = Said<'_>> {
        self.places.values().map(|place| Said::of(part(&self.bytes, place.start)))
    }
}

/// What is said of one product.
#[derive(Clone, Copy)]
pub(crate) struct Said<'v> {
    /// The product.
    pub id: &'v str,
    values: &'v [u8],
}

impl<'v> Said<'v> {
    fn of(part: &'v [u8]) -> Self {
        let read = || {
            let (length, rest) = part.split_first_chunk::<2>()?;
            let (id, values) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            Some(Self { id: std::str::from_utf8(id).ok()?, values })
        };
        // Parts are made here and nowhere else.
        read().unwrap_or(Self { id: "", values: &[] })
    }

    /// The values, in the order of the columns.
    pub fn values(self) -> impl Iterator<Item = ValueRef<'v>> {
        let mut rest = self.values;
        std::iter::from_fn(move || {
            let (value, after) = decode(rest)?;
            rest = after;
            Some(value)
        })
    }
}

/// A part's length stands before it.
const LENGTH_BYTES: usize = size_of::<u32>();

fn part(bytes: &[u8], start: usize) -> &[u8] {
    let read = || {
        let (length, rest) = bytes.get(start..)?.split_first_chunk::<LENGTH_BYTES>()?;
        rest.get(..u32::from_le_bytes(*length) as usize)
    };
    read().unwrap_or_default()
}

/// An id, with its length before it, and values.
fn encode<'v>(part: &mut Vec<u8>, id: &str, values: impl Iterator<Item = ValueRef<'v>>) {
    part.clear();
    // Ids have 255 bytes at most.
    part.extend_from_slice(&(id.len() as u16).to_le_bytes());
    part.extend_from_slice(id.as_bytes());
    for value in values {
        match value {
            ValueRef::Null | ValueRef::List(_) => part.push(0),
            ValueRef::Text(text) => {
                part.push(1);
                part.extend_from_slice(&(text.len() as u32).to_le_bytes());
                part.extend_from_slice(text.as_bytes());
            }
            ValueRef::Integer(number) => {
                part.push(2);
                part.extend_from_slice(&number.to_le_bytes());
            }
            ValueRef::Boolean(flag) => part.push(3 + u8::from(flag)),
        }
    }
}

/// The first value, and what is behind it.
fn decode(bytes: &[u8]) -> Option<(ValueRef<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    Some(match kind {
        0 => (ValueRef::Null, rest),
        1 => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            (ValueRef::Text(std::str::from_utf8(text).ok()?), rest)
        }
        2 => {
            let (number, rest) = rest.split_first_chunk::<8>()?;
            (ValueRef::Integer(i64::from_le_bytes(*number)), rest)
        }
        flag => (ValueRef::Boolean(*flag == 4), rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_model::columns::{ADULT, AVAILABILITY, PRICE, STOCK_QUANTITY};

    const ALL: [ValueRef<'static>; 4] = [
        ValueRef::Text("in_stock"),
        ValueRef::Null,
        ValueRef::Integer(i64::MIN),
        ValueRef::Boolean(true),
    ];

    fn values(budget_bytes: usize) -> Values {
        Values::new(vec![AVAILABILITY, STOCK_QUANTITY, PRICE, ADULT], budget_bytes)
    }

    fn of<'v>(values: &'v Values, id: &str) -> Vec<ValueRef<'v>> {
        values.of(id).unwrap().values().collect()
    }

    fn number(n: i64) -> impl Fn(ColumnId) -> ValueRef<'static> {
        move |_| ValueRef::Integer(n)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut values = values(1 << 20);
        let value_of = |column: ColumnId| match column {
            AVAILABILITY => ALL[0],
            PRICE => ALL[2],
            ADULT => ALL[3],
            _ => ValueRef::Null,
        };
        assert!(values.insert("전기밥솥", value_of).unwrap());
        assert!(values.insert("b", |_| ValueRef::Null).unwrap());
        assert_eq!(of(&values, "전기밥솥"), ALL);
        assert_eq!(of(&values, "b"), [ValueRef::Null; 4]);
        assert!(values.of("c").is_none());
        values.mark("b");
        values.mark("c");
        assert_eq!(values.unmatched().collect::<Vec<_>>(), ["전기밥솥"]);
        values.remove(id_hash("b"));
        assert_eq!((values.len(), values.has(id_hash("b"))), (1, false));
        assert_eq!(values.all().map(|said| said.id).collect::<Vec<_>>(), ["전기밥솥"]);
    }

    #[test]
    fn columns_are_filled_and_the_others_stay() {
        let mut values = values(1 << 20);
        values.insert("a", number(1)).unwrap();
        values.insert("b", number(2)).unwrap();
        values.mark("a");
        for id in ["a", "c"] {
            values.fill(id, &[STOCK_QUANTITY], |_| ValueRef::Integer(9)).unwrap();
        }
        let [one, nine] = [1, 9].map(ValueRef::Integer);
        let columns = values.columns().to_vec();
        let expected = columns.iter().map(|c| if *c == STOCK_QUANTITY { nine } else { one });
        assert_eq!(of(&values, "a"), expected.collect::<Vec<_>>());
        assert_eq!(of(&values, "b"), [ValueRef::Integer(2); 4]);
        assert_eq!((values.len(), values.unmatched().collect::<Vec<_>>()), (2, vec!["b"]));
    }

    /// Values that fit stay within the budget, whatever is filled, replaced and taken away.
    #[test]
    fn what_counts_no_more_takes_no_room() {
        let ids: Vec<String> = (0..2_000).map(|n| format!("product-{n}")).collect();
        let text = "x".repeat(200);
        let said = |column: ColumnId| match column {
            AVAILABILITY => ValueRef::Text(text.as_str()),
            _ => ValueRef::Integer(7),
        };
        let mut values = values(640 * 1024);
        for id in &ids {
            values.insert(id, said).unwrap();
        }
        values.mark(&ids[0]);
        for id in &ids[1_000..] {
            values.remove(id_hash(id));
            values.insert(id, said).unwrap();
        }
        for round in 0..3 {
            for id in &ids {
                values.fill(id, &[PRICE], |_| ValueRef::Integer(round)).unwrap();
            }
        }
        let place = values.columns().iter().position(|column| *column == PRICE).unwrap();
        for id in &ids {
            let expected = |at: usize| match at {
                0 => ValueRef::Text(text.as_str()),
                at if at == place => ValueRef::Integer(2),
                _ => ValueRef::Integer(7),
            };
            assert_eq!(of(&values, id), (0..4).map(expected).collect::<Vec<_>>(), "{id}");
        }
        assert_eq!((values.len(), values.unmatched().count()), (2_000, 1_999));
        assert!(values.memory_bytes() <= 640 * 1024);
    }

    #[test]
    fn of_several_the_same_wins_whatever_their_order() {
        let winner = |order: [i64; 3]| {
            let mut values = values(1 << 20);
            let new = order.map(|n| values.insert("a", number(n)).unwrap());
            assert_eq!(new, [true, false, false]);
            let ValueRef::Integer(winner) = of(&values, "a")[0] else { panic!("a number") };
            winner
        };
        let orders = [[1, 2, 3], [3, 2, 1], [2, 3, 1]].map(winner);
        assert_eq!((orders[0], orders[0]), (orders[1], orders[2]));
    }

    #[test]
    fn a_budget_is_kept() {
        let mut values = values(256 * 1024);
        let full = (0..).find(|n: &u32| values.insert(&n.to_string(), number(7)).is_err());
        assert!(full.is_some_and(|n| n > 1000), "{full:?}");
        assert!(values.memory_bytes() < 1 << 20);
    }
}
