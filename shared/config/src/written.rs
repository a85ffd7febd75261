//! What a pipe's file says of where its source is, as it is written there: for a proposal that is to replace the file.

use crate::expand::is_name;
use feedfleet_model::PipeName;
use toml::{Table, Value};

/// What says where a source is and who asks for it, and not what it is.
const PLACE: [&str; 4] = ["url", "headers", "auth", "host_key"];
/// Who somebody is, in `auth`, is no secret.
const TOLD: [&str; 1] = ["user"];
/// May stand before the variable in a header.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];

/// The lines of a pipe's file, or of a supplement's part in it, that say where the source is and who asks. Variables
/// stand in them as variables; of `headers` and `auth` in which anything else stands, if only around a variable, a
/// comment says that they are there. None: the file has no such source.
pub fn written_place(text: &str, name: &PipeName) -> Option<String> {
    let file: Table = text.parse().ok()?;
    let around = match name.supplement() {
        None => &file,
        Some(own) => file.get("supplements")?.get(own)?.as_table()?,
    };
    let source = around.get("source")?.as_table()?;
    let mut lines = String::new();
    for setting in PLACE {
        let Some(value) = source.get(setting) else { continue };
        let told: &[&str] = if setting == "auth" { &TOLD } else { &[] };
        let may_be_secret = matches!(setting, "headers" | "auth");
        lines.push_str(&if may_be_secret && has_text(value, told) {
            format!("# {setting}: as in the file of {name}; values that are no variables are not shown\n")
        } else {
            format!("{setting} = {value}\n")
        });
    }
    Some(lines)
}

/// Whether a value holds anything but variables; `told`: the members that may.
fn has_text(value: &Value, told: &[&str]) -> bool {
    match value {
        Value::String(text) => !is_variable(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, told)),
        Value::Table(members) => members
            .iter()
            .any(|(name, value)| !told.contains(&name.as_str()) && has_text(value, told)),
        Value::Boolean(_) => false,
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => true,
    }
}

/// Whether a text is one variable and nothing else.
fn is_variable(text: &str) -> bool {
    let bare = SCHEMES.iter().find_map(|scheme| text.strip_prefix(*scheme)).unwrap_or(text);
    let name = bare.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, name: &str) -> Option<String> {
        written_place(text, &name.parse().unwrap())
    }

    #[test]
    fn what_says_where_a_source_is_stays_as_it_is_written() {
        let file = "schedule = '0 2 * * *'\n[source]\nurl = 'sftp://shop.example/a.csv'\nformat = 'csv'\n\
            host_key = 'SHA256:abc'\n[source.auth]\npassword = '${SHOP}'\n[map]\nid = 'id'\n\
            [supplements.stock.source]\nurl = 'https://shop.example/${KEY}'\nformat = 'csv'\n\
            auth = { basic = { user = 'me', password = '${SHOP}' } }\n";
        let expected = [
            (
                "shop",
                "url = 'sftp://shop.example/a.csv'\nauth.password = '${SHOP}'\nhost_key = 'SHA256:abc'",
            ),
            (
                "shop.stock",
                "url = 'https://shop.example/${KEY}'\nauth.basic = { user = 'me', password = '${SHOP}' }",
            ),
        ];
        for (name, expected) in expected {
            let lines = place(file, name).unwrap();
            let (lines, expected) = (lines.parse::<Table>(), expected.parse::<Table>());
            assert_eq!(lines.unwrap(), expected.unwrap(), "{name}");
        }
        assert_eq!(place(file, "shop.prices"), None);
        assert_eq!(place("schedule = 1", "shop"), None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for secret in [
            "headers = { X-Key = 'hunter2' }",
            "headers = { X-Key = 'hunter2-${SHOP}' }",
            "headers = { X-Key = '${SHOP}hunter2${SHOP}' }",
            "headers = { X-Key = '$${hunter2}' }",
            "headers = { Authorization = 'Bearer hunter2' }",
            "headers = { user = 'hunter2' }",
            "headers = { user = '${SHOP}', X-Key = 'hunter2' }",
            "auth = { bearer = 'hunter2${SHOP}' }",
            "auth = { basic = { user = 'me', password = 'hunter2' } }",
        ] {
            let file = format!("[source]\nurl = 'https://a.example/'\n{secret}\n");
            let shown = place(&file, "shop").unwrap();
            let told = format!("# {}: as in", secret.split(' ').next().unwrap());
            assert!(!shown.contains("hunter2") && shown.contains(&told), "{secret}: {shown}");
        }
        let file = "[source]\nheaders = { Authorization = 'Bearer ${SHOP}', X-Key = '${KEY}' }\n";
        let shown = place(file, "shop").unwrap();
        assert!(shown.contains("${SHOP}") && shown.contains("${KEY}"), "{shown}");
    }
}
