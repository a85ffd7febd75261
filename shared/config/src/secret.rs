//! Text that must not be printed.

use std::fmt;

/// A text from the environment, or one that holds such a text. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// The text as the file has it, `${NAME}` and all, where that differs.
    written: Option<String>,
}

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), written: None }
    }

    /// Wraps a text that variables were put into, with the form it has in its file.
    pub(crate) fn with_written(text: impl Into<String>, written: impl Into<String>) -> Self {
        Self { text: text.into(), written: Some(written.into()) }
    }

    /// The text itself: for the call that needs it and for nothing else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The text as the file has it, with the names of variables for their values. It may still hold
    /// what its author wrote out.
    pub(crate) fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
