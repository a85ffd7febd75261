//! From a file's tables to the checked types, one file here for each part of the configuration.

mod cluster;
mod fleet;
mod guard;
mod images;
mod login;
mod map;
mod pipe;
mod place;
mod queue;
mod site;
mod source;
mod supplements;
mod transform;

pub(crate) use fleet::fleet;
pub use fleet::{hosts, leases, scheduler, workers};
pub(crate) use pipe::pipe;

use crate::value::Value;

/// An ISO 4217 code.
fn currency(value: &Value<'_>) -> Option<String> {
    let code = value.plain()?;
    if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Some(code);
    }
    value.text()?.refuse("a currency", "expected three capital letters, such as 'EUR'")
}

/// A zone of the IANA database.
fn timezone(value: &Value<'_>) -> Option<chrono_tz::Tz> {
    let text = value.text()?;
    if let Ok(zone) = text.value.parse() {
        return Some(zone);
    }
    let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let near = if text.variable { None } else { crate::suggest::nearest(&text.value, names) };
    let expected = match near {
        Some(name) => format!("did you mean '{name}'?"),
        None => "expected a name of the IANA database, such as 'Europe/Berlin'".to_owned(),
    };
    text.refuse("a timezone", &expected)
}
