//! `${NAME}` in a text becomes the variable's value; `$${` stands for `${` itself. This happens
//! after the file was parsed, so that no value can bring TOML of its own.

use crate::environment::Environment;

/// A text with its variables replaced.
pub(crate) struct Expanded {
    pub text: String,
    /// Whether there was a variable in it: then the text is never shown.
    pub variable: bool,
}

/// Why a text's variables can't be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// This variable is not set.
    NotSet(String),
    /// What follows `${` is not a name and `}`.
    NotAName,
}

/// Replaces the variables of a text. A value is taken as it is: `${` within it means nothing.
pub(crate) fn expand(
    written: &str,
    environment: &dyn Environment,
) -> Result<Expanded, ExpandError> {
    let mut text = String::with_capacity(written.len());
    let mut variable = false;
    let mut rest = written;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$${") {
            text.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or(ExpandError::NotAName)?;
            if !is_name(name) {
                return Err(ExpandError::NotAName);
            }
            let value = environment.get(name);
            text.push_str(&value.ok_or_else(|| ExpandError::NotSet(name.to_owned()))?);
            variable = true;
            rest = after;
        } else {
            text.push('$');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    Ok(Expanded { text, variable })
}

/// Whether a variable may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn text(written: &str) -> Result<(String, bool), ExpandError> {
        let environment = BTreeMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("NESTED".to_owned(), "${A}".to_owned()),
        ]);
        expand(written, &environment).map(|e| (e.text, e.variable))
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(text("a${A}b${A}"), Ok(("a1b1".to_owned(), true)));
        assert_eq!(text("${NESTED}"), Ok(("${A}".to_owned(), true)));
        assert_eq!(text("$5 $A $"), Ok(("$5 $A $".to_owned(), false)));
        assert_eq!(text("$${A}"), Ok(("${A}".to_owned(), false)));
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        assert_eq!(text("${B}"), Err(ExpandError::NotSet("B".to_owned())));
        for bad in ["${", "${}", "${A", "${1A}", "${A B}"] {
            assert_eq!(text(bad), Err(ExpandError::NotAName), "{bad}");
        }
    }
}
