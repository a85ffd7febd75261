//! Why the catalog failed.

use crate::files::FilePlace;
use arrow::error::ArrowError;
use delta_kernel::KernelError;
use parquet::errors::ParquetError;
use std::error::Error;
use std::io;
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
    Arrow(#[from] ArrowError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The object store.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// Others were faster, again and again, or have left something in the way.
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

    /// Whether a file that was read is not there, or not as it was written: as opposed to a disk or an object store that
    /// refused or failed, and to what this build cannot use.
    pub fn is_damage(&self) -> bool {
        let of_store = |e: &object_store::Error| matches!(e, object_store::Error::NotFound { .. });
        // What a disk says has a number; without one it is a decoder's word.
        let of_disk =
            |e: &io::Error| e.kind() == io::ErrorKind::NotFound || e.raw_os_error().is_none();
        let mut cause: Option<&(dyn Error + 'static)> = match &self.source {
            Cause::Contended(_) | Cause::Unusable(_) => return false,
            Cause::Io(e) => return of_disk(e),
            Cause::Store(e) => return of_store(e),
            Cause::Delta(e) => match e.without_backtrace() {
                KernelError::ObjectStore(e) => return of_store(e),
                KernelError::IOError(e) => return of_disk(e),
                KernelError::Unsupported(_) => return false,
                e => Some(e),
            },
            Cause::Parquet(e) => Some(e),
            // The decoder keeps the words of the disk, and not the error itself.
            Cause::Arrow(ArrowError::ParquetError(text)) => return !text.contains("(os error "),
            Cause::Arrow(e) => Some(e),
        };
        while let Some(e) = cause {
            if let Some(e) = e.downcast_ref::<object_store::Error>() {
                return of_store(e);
            }
            if let Some(e) = e.downcast_ref::<io::Error>() {
                return of_disk(e);
            }
            cause = e.source();
        }
        true
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

    #[test]
    fn a_disk_that_refuses_is_no_damage() {
        let is_damage = |cause: Cause| {
            CatalogError { action: "read", subject: "a file".into(), source: cause }.is_damage()
        };
        let disk = |number| io::Error::from_raw_os_error(number);
        let (gone, denied, failed) = (2, 13, 5);
        assert!(is_damage(disk(gone).into()));
        assert!(!is_damage(disk(denied).into()));
        assert!(is_damage(ParquetError::EOF("cut off".into()).into()));
        assert!(is_damage(ParquetError::External(Box::new(io::Error::other("zstd"))).into()));
        assert!(!is_damage(ParquetError::External(Box::new(disk(failed))).into()));
        let of_a_page = |e: ParquetError| ArrowError::from(e).into();
        assert!(!is_damage(of_a_page(ParquetError::External(Box::new(disk(failed))))));
        assert!(is_damage(of_a_page(ParquetError::EOF("cut off".into()))));
        let inner = Box::new(KernelError::IOError(disk(denied)));
        let backtrace = Box::new(Backtrace::force_capture());
        assert!(!is_damage(KernelError::Backtraced { source: inner, backtrace }.into()));
        assert!(is_damage(KernelError::DeletionVector("too short".into()).into()));
        let refused = || object_store::Error::Generic { store: "S3", source: "SlowDown".into() };
        assert!(!is_damage(refused().into()));
        assert!(!is_damage(ParquetError::External(Box::new(refused())).into()));
        assert!(!is_damage(Cause::Unusable("a column is of another type".into())));
    }
}
