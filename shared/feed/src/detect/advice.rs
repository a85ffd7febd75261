//! Whether a pipe's ids are ids, and what would make better ones.

use super::RECORDS;
use super::keys::Keys;
use crate::error::FeedError;
use crate::reader::{FeedReader, Hints, Step};
use crate::rule::{Action, Combine, Rule};
use crate::settings::Settings;
use feedfleet_model::Row;
use feedfleet_model::report::KeyAdvice;
use std::io::Read;

/// Whether the fields that make a source's ids do so, from its first records, and which would. `settings` are the
/// pipe's.
///
/// # Errors
///
/// As [`FeedReader::open`]; what can't be read behind the first records ends the look, and is no error.
pub fn advise_on_key(
    input: Box<dyn Read + Send>,
    settings: &Settings,
    hints: Hints,
) -> Result<KeyAdvice, FeedError> {
    let mut reader = FeedReader::open(input, settings, hints)?;
    let (mut keys, mut row) = (Keys::default(), Row::new());
    let mut records = 0;
    while records < RECORDS {
        match reader.next(&mut row) {
            Ok(Step::Row(_) | Step::Refused(_)) => {
                records += 1;
                let (record, names) = reader.record();
                keys.add(record, names);
            }
            Ok(Step::Known) => {}
            Ok(Step::End) | Err(_) => break,
        }
    }
    let ids = settings.rules.iter().filter(|rule| matches!(rule.action, Action::Id));
    let current: Vec<String> = ids.flat_map(|rule| id_fields(rule, &keys)).collect();
    let lost = keys.repeated(&current);
    let better = if lost > 0 { keys.unique(&current) } else { Vec::new() };
    Ok(KeyAdvice { records: keys.records(), lost, better })
}

/// The fields of a source that its id is made of; of several that stand in for each other, the first that is there.
fn id_fields(rule: &Rule, keys: &Keys) -> Vec<String> {
    let first = |sources: &[String]| keys.present(sources).into_iter().next();
    match &rule.combine {
        Combine::First | Combine::FirstItem(_) => first(&rule.sources).into_iter().collect(),
        Combine::Key(parts) => {
            let mut rest = rule.sources.as_slice();
            let mut fields = Vec::new();
            for part in parts {
                let (own, others) = rest.split_at(part.sources.min(rest.len()));
                fields.extend(first(own));
                rest = others;
            }
            fields
        }
        _ => keys.present(&rule.sources),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::source;
    use feedfleet_config::Format;
    use std::io::Cursor;

    fn advice(format: Format, text: &'static str) -> KeyAdvice {
        let settings = Settings::from_source(&source(format), &[]).unwrap();
        advise_on_key(Box::new(Cursor::new(text)), &settings, Hints::default()).unwrap()
    }

    #[test]
    fn fields_that_stand_in_for_each_other_are_no_combination() {
        let text = "aw_product_id,merchant_product_id,product_name,Fashion:size\n\
                    1,a-s,Coat,S\n1,a-m,Coat,M\n2,b-m,Hat,M\n2,b-m,Hat,M\n";
        let found = advice(Format::Awin, text);
        assert_eq!((found.records, found.lost), (3, 1));
        assert_eq!(found.better, ["merchant_product_id"]);
    }

    #[test]
    fn an_id_of_several_fields_is_looked_at_as_a_whole() {
        let text = "Handle,Title,Option1 Value,Variant SKU,Variant Price\n\
                    coat,Coat,S,1,5\ncoat,,M,2,5\ncoat,,M,3,6\n";
        let found = advice(Format::ShopifyCsv, text);
        assert_eq!((found.lost, found.better.as_slice()), (1, &["Variant SKU".to_owned()][..]));
        let unique = text.trim_end_matches("coat,,M,3,6\n");
        assert_eq!(advice(Format::ShopifyCsv, unique).lost, 0);
    }
}
