//! Why the catalog failed.

use crate::files::FilePlace;
use delta_kernel::KernelError;
use parquet::errors::ParquetError;
use std::path::Path;

/// A failure of the catalog: what was tried, on what, and what the library or system said.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} '{subject}': {source}")]
pub struct CatalogError {
    /// What was tried.
    pub action: &'static str,
    /// The table or file.
    pub subject: String,
    /// What was said.
    pub source: Cause,
}

/// Who said it.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The Delta log.
    #[error(transparent)]
    Delta(delta_kernel::KernelError),
    /// A data file.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Columns in memory.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The object store.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// Others were faster, again and again.
    #[error("{0}")]
    Contended(String),
    /// The table is not one that this build can use.
    #[error("{0}")]
    Unusable(String),
}

impl From<KernelError> for Cause {
    /// Without the backtrace, which is no text for operators.
    fn from(mut error: KernelError) -> Self {
        while let KernelError::Backtraced { source, .. } = error {
            error = *source;
        }
        Self::Delta(error)
    }
}

impl CatalogError {
    /// Whether the same work may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.source, Cause::Unusable(_))
    }

    /// Whether an object store refused or failed, as opposed to a log in which something is not, or not yet, as it
    /// should be.
    pub(crate) fn is_failure_of_store(&self) -> bool {
        let is_failure =
            |e: &object_store::Error| !matches!(e, object_store::Error::NotFound { .. });
        let Cause::Delta(e) = &self.source else { return false };
        match e.without_backtrace() {
            KernelError::ObjectStore(e) => is_failure(e),
            KernelError::Parquet(ParquetError::External(e)) => {
                e.downcast_ref::<object_store::Error>().is_some_and(is_failure)
            }
            _ => false,
        }
    }
}

/// Adds what was tried, and on what, to a library's error.
pub(crate) trait Context<T> {
    fn context(self, action: &'static str, subject: &str) -> Result<T, CatalogError>;

    fn at(self, action: &'static str, path: &Path) -> Result<T, CatalogError>
    where
        Self: Sized,
    {
        self.context(action, &path.display().to_string())
    }

    fn with(self, action: &'static str, place: &FilePlace) -> Result<T, CatalogError>
    where
        Self: Sized,
    {
        self.context(action, &place.to_string())
    }
}

impl<T, E: Into<Cause>> Context<T> for Result<T, E> {
    fn context(self, action: &'static str, subject: &str) -> Result<T, CatalogError> {
        self.map_err(|e| CatalogError { action, subject: subject.to_owned(), source: e.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::backtrace::Backtrace;

    #[test]
    fn a_backtrace_is_not_told() {
        let inner = Box::new(KernelError::generic("no JSON"));
        let backtrace = Box::new(Backtrace::force_capture());
        let traced = KernelError::Backtraced { source: inner, backtrace };
        let read: Result<(), KernelError> = Err(traced);
        let told = read.context("read the log of table", "products").unwrap_err().to_string();
        assert!(told.contains("no JSON") && !told.contains('\n'), "{told}");
    }
}
