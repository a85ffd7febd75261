//! Errors inside the backend, and how they look from outside.

use std::error::Error as StdError;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::error::QueueError;

/// Why an operation failed, before it is known which queue to name.
#[derive(Debug, Error)]
pub(super) enum OpError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the receipt has expired")]
    ReceiptExpired,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("schema version {found} is newer than {supported}")]
    SchemaTooNew { found: i64, supported: i64 },
    #[error("the file can't be switched to write-ahead logging; its journal mode is {0}")]
    NoWriteAheadLog(String),
}

impl OpError {
    /// The error a caller sees: `label` names the queue, `action` what was tried.
    pub(super) fn about(self, label: &str, action: &'static str) -> QueueError {
        let queue = label.to_owned();
        match self {
            Self::ReceiptExpired => QueueError::ReceiptExpired { queue },
            Self::Invalid(what) => QueueError::Invalid { queue, what: what.to_owned() },
            Self::SchemaTooNew { found, supported } => {
                QueueError::SchemaTooNew { queue, found, supported }
            }
            Self::Sqlite(error) => QueueError::Backend {
                queue,
                action,
                retryable: is_retryable(&error),
                cause: Box::new(SqliteError { source: error }),
            },
            error @ Self::NoWriteAheadLog(_) => {
                QueueError::Backend { queue, action, retryable: false, cause: Box::new(error) }
            }
        }
    }
}

/// What SQLite says, and the way out where that is known.
#[derive(Debug, Error)]
#[error("{source}{}", way_out(.source))]
struct SqliteError {
    source: rusqlite::Error,
}

fn way_out(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        _ if is_busy(error) => {
            "; another process holds the queue's file: look for it (fuser names those that have the file open), \
             such as a copy being made or a process that is stopped, and try again when it has let go"
        }
        Some(ErrorCode::DiskFull) => "; no space is left: free some, and try again",
        // SQLite says no more where there is not a byte for the files beside the queue's.
        Some(ErrorCode::SystemIoFailure) => {
            "; no space may be left on the file's disk: see df, free some, and try again"
        }
        Some(ErrorCode::CannotOpen) => {
            "; see that its folder is there, that this user may write in it, and that the process may open more files \
             (ulimit -n)"
        }
        _ => "",
    }
}

/// The error of a handle whose thread can't be had.
pub(super) fn thread_error<E>(label: &str, action: &'static str, source: E) -> QueueError
where
    E: StdError + Send + Sync + 'static,
{
    QueueError::Backend {
        queue: label.to_owned(),
        action,
        cause: Box::new(source),
        retryable: false,
    }
}

/// Whether another process holds the file.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// Busy and locked pass by themselves; a full disk passes when somebody makes room, and jobs
/// should then go on. A disk that is full for its user, or has no room for the files beside the queue's, fails as any
/// disk does, and a process without descriptors cannot open them.
fn is_retryable(error: &rusqlite::Error) -> bool {
    let passes = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::OutOfMemory
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
        )
    );
    passes || is_busy(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: std::os::raw::c_int) -> QueueError {
        let error = rusqlite::ffi::Error::new(code);
        OpError::from(rusqlite::Error::SqliteFailure(error, None)).about("crawl", "count messages")
    }

    #[test]
    fn a_busy_or_full_database_is_worth_a_retry() {
        assert!(sqlite(rusqlite::ffi::SQLITE_BUSY).is_retryable());
        assert!(sqlite(rusqlite::ffi::SQLITE_FULL).is_retryable());
        assert!(sqlite(rusqlite::ffi::SQLITE_IOERR_WRITE).is_retryable());
        assert!(sqlite(rusqlite::ffi::SQLITE_IOERR_SHMSIZE).is_retryable());
        assert!(sqlite(rusqlite::ffi::SQLITE_CANTOPEN).is_retryable());
        assert!(!sqlite(rusqlite::ffi::SQLITE_CORRUPT).is_retryable());
        assert!(!sqlite(rusqlite::ffi::SQLITE_NOTADB).is_retryable());
    }

    #[test]
    fn what_an_operator_can_do_is_told() {
        for (code, told) in [
            (
                rusqlite::ffi::SQLITE_BUSY,
                "database is locked; another process holds the queue's file",
            ),
            (rusqlite::ffi::SQLITE_FULL, "; no space is left: free some"),
            (rusqlite::ffi::SQLITE_IOERR_SHMSIZE, "disk I/O error; no space may be left"),
        ] {
            let text = sqlite(code).to_string();
            assert!(text.starts_with("queue crawl: could not count messages: "), "{text}");
            assert!(text.contains(told) && text.contains("try again"), "{text}");
        }
        assert!(!sqlite(rusqlite::ffi::SQLITE_CORRUPT).to_string().contains(';'));
    }
}
