//! What can go wrong between the fleet's parts and whoever runs the machines.

use std::error::Error as StdError;

/// A request to the fleet's backend that failed. Whether it took effect is unknown; each may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {subject}: {source}")]
pub struct FleetError {
    /// What was tried, as in "could not ...".
    pub action: &'static str,
    /// To what: a group, an instance, a namespace.
    pub subject: String,
    /// What the backend said.
    pub source: Box<dyn StdError + Send + Sync>,
    /// Whether the same request may succeed a little later.
    pub retryable: bool,
}

impl FleetError {
    /// An error that may be gone a little later.
    pub fn passing(
        action: &'static str,
        subject: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { action, subject: subject.into(), source: source.into(), retryable: true }
    }

    /// An error that somebody has to see to.
    pub fn lasting(
        action: &'static str,
        subject: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { retryable: false, ..Self::passing(action, subject, source) }
    }

    /// Whether the same request may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_subject_and_the_cause() {
        let error = FleetError::passing("describe", "group night", "throttled");
        assert_eq!(error.to_string(), "could not describe group night: throttled");
        assert!(error.is_retryable());
        assert!(!FleetError::lasting("describe", "group night", "no such group").is_retryable());
    }
}
