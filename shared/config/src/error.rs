//! Mistakes in configuration files, as their author needs to see them.

use std::fmt;
use std::path::PathBuf;

/// One mistake. Trying again does not help: the file has to change, or the environment it refers
/// to.
///
/// Prints as `pipes/acme.toml:12:1: unknown column 'prize' in [map]; did you mean 'price'?`, and
/// below it the line with a mark. Neither shows the value of a variable, a header, or an address
/// with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, relative to the configuration's folder.
    pub file: PathBuf,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// The variable that is not set, where that is all that is wrong.
    pub unset: Option<String>,
    /// The line as it stands in the file and a mark below the column, with secrets struck out.
    pub excerpt: Option<String>,
}

impl ConfigError {
    /// The same on one line, without the excerpt: for a log, and for a reason.
    pub fn one_line(&self) -> String {
        Self { excerpt: None, ..self.clone() }.to_string().replace('\n', " ")
    }

    /// A mistake of the file as a whole.
    pub(crate) fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            message: message.into(),
            expected: None,
            unset: None,
            excerpt: None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; {expected}")?;
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Every mistake found in one go, file by file and line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many mistakes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The mistakes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// All of them on one line, without their excerpts: for a log, and for a reason.
    pub fn one_line(&self) -> String {
        self.iter().map(ConfigError::one_line).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn extend(&mut self, more: ConfigErrors) {
        self.0.extend(more.0);
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let error = ConfigError {
            line: 7,
            column: 1,
            expected: Some("did you mean 'price'?".to_owned()),
            excerpt: Some("    prize = \"price\"\n    ^".to_owned()),
            ..ConfigError::of_file("pipes/acme.toml", "unknown column 'prize' in [map]")
        };
        let line = "pipes/acme.toml:7:1: unknown column 'prize' in [map]; did you mean 'price'?";
        assert_eq!(error.one_line(), line);
        assert!(error.to_string().lines().count() == 3);
        let other = ConfigError::of_file("pipes/acme.toml", "not TOML:\nno end");
        let errors = ConfigErrors::from(vec![error, other]);
        assert_eq!(errors.one_line(), format!("{line}; pipes/acme.toml: not TOML: no end"));
    }
}
