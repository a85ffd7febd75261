//! Tells whether a feed must be read again although its bytes are the same: because its mapping
//! changed.

use crate::pipe::{Pipe, Target};
use crate::supplement::Layer;
use feedfleet_model::hash::{bytes_hash, hex};
use std::fmt::Write as _;

/// To be raised when presets, or the meaning of a setting, change so that the same feed gives other
/// rows.
pub const MAPPING_VERSION: u32 = 5;

impl Pipe {
    /// A fingerprint of all that decides which rows a feed's bytes become: 32 hexadecimal digits.
    /// Two pipes that read and map alike have the same one, wherever their sources are. It may
    /// change with a release, which costs one reading of each feed.
    pub fn mapping_fingerprint(&self) -> String {
        let source = &self.source;
        let mut text = format!("{MAPPING_VERSION}");
        let settings = (
            (source.format, source.compression, &source.encoding, source.delimiter, source.quoting),
            (&source.item, &source.items, &source.key, &source.group, &source.currency),
            source.changes_only,
        );
        write!(text, "\n{settings:?}").expect("a String takes any text");
        for entry in &self.map {
            // Columns by name: their numbers move when the schema grows.
            let target = match entry.target {
                Target::Column(column) => column.column().name,
                Target::Category => "(category)",
                Target::Ignore => "(ignore)",
            };
            let rest = (&entry.from, &entry.transform, &entry.lookup);
            write!(text, "\n{target} {rest:?}").expect("a String takes any text");
        }
        // A row is made of what its pipe's source says and its supplements do.
        for layered in self.supplements.iter().chain(self.layer.is_some().then_some(self)) {
            write!(text, "\n{:?} ", layered.name.supplement()).expect("a String takes any text");
            if let Some(Layer { columns, mode, max_age }) = &layered.layer {
                let names: Vec<&str> = columns.iter().map(|column| column.column().name).collect();
                write!(text, "{mode:?} {names:?} {max_age:?}").expect("a String takes any text");
            }
        }
        hex(bytes_hash(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::load::parse_pipe;
    use std::collections::BTreeMap;
    use std::path::Path;

    const FILE: &str = "
[source]
url = 'a.csv'
format = 'csv'
[map]
id = 'sku'
price = { field = 'cost', as = 'money', currency = 'EUR' }
";

    fn fingerprint(text: &str) -> String {
        let environment = BTreeMap::from([("T".to_owned(), "abc".to_owned())]);
        let name = "acme".parse().expect("a pipe's name");
        let pipe = parse_pipe(&name, text, Path::new("/conf"), &environment);
        pipe.unwrap_or_else(|errors| panic!("{errors}")).mapping_fingerprint()
    }

    #[test]
    fn only_what_changes_rows_changes_the_fingerprint() {
        let same = fingerprint(FILE);
        assert_eq!(same.len(), 32);
        for (from, to) in [
            ("[source]", "\n# moved down\n\n[source]"),
            ("'a.csv'", "'b.csv'"),
            ("'a.csv'", "'https://acme.example/?token=${T}'"),
            ("[map]", "headers = { Authorization = '${T}' }\n[map]"),
            ("[source]", "schedule = '0 2 * * *'\n[source]"),
        ] {
            assert_eq!(fingerprint(&FILE.replace(from, to)), same, "{to}");
        }
        for (from, to) in [
            ("'sku'", "'SKU'"),
            ("'EUR'", "'KRW'"),
            ("[map]", "delimiter = ';'\n[map]"),
            ("[map]", "key = 'sku'\n[map]"),
            ("[map]", "[map]\nignore = ['x']"),
            ("[map]", "[map]\nbrand = { field = 'b', lookup = { a = 'A' } }"),
            (
                "[map]",
                "[supplements.s]\ncolumns = 'brand'\nsource = { url = 'b', format = 'google-xml' }\n[map]",
            ),
        ] {
            assert_ne!(fingerprint(&FILE.replace(from, to)), same, "{to}");
        }
    }
}
