//! Which fields make a product's id: whether those of a pipe do, and which would.

use crate::fields::{Names, Record};
use crate::header::plain;
use feedfleet_model::hash::bytes_hash;
use std::collections::HashSet;

/// Values that are kept; a record has as many as there are fields.
const MAX_VALUES: usize = 3 << 20;
/// Records that are kept.
const MAX_RECORDS: usize = 20_000;
/// Fields that may be a part of an id.
const MAX_FIELDS: usize = 300;
/// Fields of which pairs are tried.
const MAX_PAIRED: usize = 24;
/// Ids that are tried with two fields that tell variants apart.
const MAX_LEADS: usize = 4;
/// Fields that tell variants apart of which two are tried with an id.
const MAX_TRAITS: usize = 8;
/// Bytes that a value of an id has on average at most.
const MAX_MEAN_BYTES: u64 = 120;
/// Names of fields that are ids, the likeliest first.
const IDS: [&str; 20] = [
    "id",
    "product_id",
    "item_id",
    "offer_id",
    "variant_id",
    "variants.id",
    "aw_product_id",
    "mapid",
    "sku",
    "variant_sku",
    "article_number",
    "artikelnummer",
    "@id",
    "@sku",
    "gtin",
    "ean",
    "upc",
    "isbn",
    "link",
    "url",
];
/// Ranks from here on are of fields that have no id's name.
const NO_ID: usize = IDS.len() + MAX_FIELDS;
/// Words in the names of fields that tell a product's variants apart.
const VARIANTS: [&str; 14] = [
    "size", "color", "colour", "option", "variant", "sku", "style", "groesse", "größe", "farbe",
    "taille", "model", "material", "pattern",
];
/// Words in the names of fields whose values change: no part of an id.
const VOLATILE: [&str; 20] = [
    "price",
    "preis",
    "prix",
    "precio",
    "cost",
    "stock",
    "quantity",
    "qty",
    "inventory",
    "bestand",
    "date",
    "time",
    "updated",
    "created",
    "availability",
    "description",
    "image",
    "picture",
    "rank",
    "position",
];

/// Values of a sample, by record and field.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    names: Vec<String>,
    bytes: Vec<u64>,
    records: Vec<Box<[u64]>>,
    /// Records that were the same as one before in every field.
    repeated: HashSet<u64>,
    values: usize,
}

impl Keys {
    /// Takes a record, unless there are enough, or it says nothing new.
    pub(crate) fn add(&mut self, record: &Record, names: &Names) {
        if self.records.len() >= MAX_RECORDS || self.values >= MAX_VALUES {
            return;
        }
        while self.names.len() < names.len().min(MAX_FIELDS) {
            self.names.push(names.name(self.names.len() as u32).to_owned());
            self.bytes.push(0);
        }
        let mut values = vec![0; self.names.len()];
        let mut whole = Vec::with_capacity(values.len() * 8);
        for (field, value) in values.iter_mut().enumerate() {
            if let Some(text) = record.first(field as u32) {
                // 0 stands for no value.
                *value = (bytes_hash(text.as_bytes()) as u64).max(1);
                self.bytes[field] += text.len() as u64;
            }
            whole.extend_from_slice(&value.to_le_bytes());
        }
        while whole.ends_with(&[0; 8]) {
            whole.truncate(whole.len() - 8);
        }
        if self.repeated.insert(bytes_hash(&whole) as u64) {
            self.values += values.len();
            self.records.push(values.into());
        }
    }

    /// Records taken, each of them once.
    pub(crate) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// How many of the records would be lost if these fields made the id: those without it, and those whose id has
    /// occurred before.
    pub(crate) fn lost(&self, fields: &[String]) -> u64 {
        let places: Option<Vec<usize>> = fields.iter().map(|name| self.place(name)).collect();
        places.map_or(self.records(), |places| self.lost_at(&places, true))
    }

    /// How many of the records have the values of another one in all these fields.
    pub(crate) fn repeated(&self, fields: &[String]) -> u64 {
        let places: Vec<usize> = fields.iter().filter_map(|name| self.place(name)).collect();
        self.lost_at(&places, false)
    }

    /// Those of the names that are fields here, as the fields are called.
    pub(crate) fn present(&self, names: &[String]) -> Vec<String> {
        let mut places: Vec<usize> = names.iter().filter_map(|name| self.place(name)).collect();
        let mut seen = HashSet::new();
        places.retain(|place| seen.insert(*place));
        places.into_iter().map(|place| self.names[place].clone()).collect()
    }

    fn place(&self, name: &str) -> Option<usize> {
        let exact = self.names.iter().position(|known| known == name);
        exact.or_else(|| self.names.iter().position(|known| plain(known) == plain(name)))
    }

    fn lost_at(&self, places: &[usize], needs_all: bool) -> u64 {
        let mut seen = HashSet::with_capacity(self.records.len());
        let mut lost = 0;
        for record in &self.records {
            let mut key: u64 = 0;
            let mut is_there = !needs_all || !places.is_empty();
            for place in places {
                let value = record.get(*place).copied().unwrap_or_default();
                is_there &= value != 0 || !needs_all;
                key = key.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ value;
            }
            lost += u64::from(!is_there || !seen.insert(key));
        }
        lost
    }

    /// Fields of which no two records have the same: one, or two together, or an id and two that tell variants apart;
    /// `current` are those that the id is made of now. Empty: there are none, or too few records to tell.
    pub(crate) fn unique(&self, current: &[String]) -> Vec<String> {
        if self.records.len() < 2 {
            return Vec::new();
        }
        // Whatever the id is made of now comes first.
        let now: Vec<usize> = current.iter().filter_map(|name| self.place(name)).collect();
        let mut candidates = self.candidates();
        candidates.sort_by_key(|(rank, at)| (!now.contains(at), *rank));
        let alone = |below: usize| {
            let mut likely = candidates.iter().filter(|(rank, _)| *rank < below);
            let found = likely.find(|(_, at)| self.lost_at(&[*at], true) == 0);
            found.map(|(_, at)| vec![*at])
        };
        // A field that is no id, such as a title, may be unique by chance, and is edited: what the id is made of now,
        // with another field or two that tell variants apart, goes before it.
        let places = alone(NO_ID)
            .or_else(|| self.pair(&candidates, |at| now.contains(&at)))
            .or_else(|| self.triple(&candidates, |_, at| now.contains(&at)))
            .or_else(|| alone(usize::MAX))
            .or_else(|| self.pair(&candidates, |_| true))
            .or_else(|| self.triple(&candidates, |rank, _| rank < NO_ID));
        places.unwrap_or_default().into_iter().map(|at| self.names[at].clone()).collect()
    }

    /// Two fields of which no two records have the same, the first of them one that `may_lead`; what tells variants
    /// apart is tried first as the second.
    fn pair(
        &self,
        candidates: &[(usize, usize)],
        may_lead: impl Fn(usize) -> bool,
    ) -> Option<Vec<usize>> {
        let places: Vec<usize> = candidates.iter().map(|(_, at)| *at).take(MAX_PAIRED).collect();
        for (nth, first) in places.iter().enumerate().filter(|(_, at)| may_lead(**at)) {
            let mut others = places[nth + 1..].to_vec();
            others.sort_by_key(|at| !self.tells_variants_apart(*at));
            let second = others.into_iter().find(|at| self.lost_at(&[*first, *at], true) == 0);
            if let Some(second) = second {
                return Some(vec![*first, second]);
            }
        }
        None
    }

    /// Three fields of which no two records have the same: one that `may_lead`, by its rank and place, and two that tell
    /// variants apart.
    fn triple(
        &self,
        candidates: &[(usize, usize)],
        may_lead: impl Fn(usize, usize) -> bool,
    ) -> Option<Vec<usize>> {
        let places = candidates.iter().map(|(_, at)| *at);
        let traits: Vec<usize> =
            places.filter(|at| self.tells_variants_apart(*at)).take(MAX_TRAITS).collect();
        let leads = candidates.iter().filter(|(rank, at)| may_lead(*rank, *at));
        for (_, lead) in leads.take(MAX_LEADS) {
            for (nth, second) in traits.iter().enumerate() {
                for third in &traits[nth + 1..] {
                    let places = [*lead, *second, *third];
                    let is_own = second != lead && third != lead;
                    if is_own && self.lost_at(&places, true) == 0 {
                        return Some(places.to_vec());
                    }
                }
            }
        }
        None
    }

    fn tells_variants_apart(&self, place: usize) -> bool {
        let name = plain(&self.names[place]);
        VARIANTS.iter().any(|word| name.contains(word))
    }

    /// Fields that may be a part of an id, the likeliest first, with how likely each is.
    fn candidates(&self) -> Vec<(usize, usize)> {
        let records = self.records.len() as u64;
        let mut candidates = Vec::new();
        for (place, name) in self.names.iter().enumerate() {
            let name = plain(name);
            let known = IDS.iter().position(|id| *id == name);
            let is_volatile = VOLATILE.iter().any(|word| name.contains(word));
            let filled = self.records.iter().filter(|r| r.get(place).is_some_and(|v| *v != 0));
            let is_long = self.bytes[place] > MAX_MEAN_BYTES * records;
            let is_likely = known.is_some() || !(name.is_empty() || is_volatile || is_long);
            if !is_likely || filled.count() < self.records.len() {
                continue;
            }
            let is_id = name.ends_with("_id") || name.ends_with(".id") || name.ends_with("_number");
            let rank = match known {
                Some(rank) => rank,
                None if is_id => IDS.len() + place,
                None => NO_ID + place,
            };
            candidates.push((rank, place));
        }
        candidates.sort_unstable();
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(header: &str, rows: &[&str]) -> Keys {
        let (mut names, mut record, mut keys) =
            (Names::default(), Record::default(), Keys::default());
        let fields: Vec<u32> = header.split(',').map(|name| names.intern(name).unwrap()).collect();
        for row in rows {
            record.clear();
            fields.iter().zip(row.split(',')).for_each(|(field, value)| record.push(*field, value));
            keys.add(&record, &names);
        }
        keys
    }

    fn text(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn one_field_is_enough_where_it_is_unique() {
        let keys = keys("id,price,sku,title", &["1,5,a,x", "1,6,b,x", "2,7,c,y", "2,7,c,y"]);
        // The last record says nothing new.
        assert_eq!((keys.records(), keys.lost(&text(&["id"]))), (3, 1));
        assert_eq!(keys.unique(&text(&["id"])), ["sku"]);
        assert_eq!(keys.lost(&text(&["nothing"])), 3);
    }

    #[test]
    fn two_fields_are_tried_where_no_one_is() {
        let rows = ["1,x,red,S,5", "1,x,red,M,6", "1,x,blue,S,7", "2,x,red,S,8"];
        let keys = keys("id,brand,color,size,price", &rows[..2]);
        // Sizes differ by chance.
        assert_eq!(keys.unique(&text(&["id"])), ["id", "size"]);
        assert_eq!(keys.unique(&[]), ["size"]);
        let rows = ["1,x,S,5", "1,x,M,6", "2,x,S,7", "2,y,M,8"];
        let keys = self::keys("id,brand,size,price", &rows);
        assert_eq!(keys.unique(&text(&["id"])), ["id", "size"]);
        assert_eq!(keys.lost(&text(&["id", "size"])), 0);
    }

    #[test]
    fn an_id_with_two_fields_is_tried_where_one_more_is_not_enough() {
        let mut rows = Vec::new();
        for id in ["1", "2", "3"] {
            for color in ["red", "blue"] {
                rows.extend(["S", "M"].map(|size| format!("{id},T {id},x,{color},{size},5")));
            }
        }
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let keys = keys("id,title,brand,color,size,price", &rows);
        assert_eq!(keys.unique(&text(&["id"])), ["id", "color", "size"]);
        assert_eq!(keys.unique(&[]), ["id", "color", "size"]);
        assert_eq!(keys.lost(&text(&["id", "color", "size"])), 0);
    }

    #[test]
    fn what_changes_or_is_absent_is_no_key() {
        let keys = keys("price,maybe", &["1,a", "2,", "3,c"]);
        assert!(keys.unique(&[]).is_empty());
        assert_eq!(keys.lost(&text(&["maybe"])), 1);
    }
}
