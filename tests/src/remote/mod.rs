//! Servers of files on the loopback address: SFTP by russh and OpenSSH's `sftp-server`, which nobody here wrote, and a
//! small FTP server, with and without TLS. What they have, and what befalls a transfer, a test decides.

mod ftp;
mod sftp;

pub use ftp::{FtpServer, FtpTls, FtpTraits, root_certificate};
pub use sftp::SftpServer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The user whom both servers know.
pub const USER: &str = "partner";
/// Its password.
pub const PASSWORD: &str = "open-sesame-2209";

/// The files that a server has. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    files: HashMap<String, File>,
    transfers: Vec<u64>,
    logins: Vec<bool>,
    /// The next transfer breaks after so many bytes.
    cut_after: Option<u64>,
    /// Before each piece.
    pause: Duration,
}

/// A file.
#[derive(Debug, Clone)]
pub struct File {
    /// What is in it.
    pub bytes: Arc<[u8]>,
    /// When it was changed, in seconds since 1970.
    pub modified_secs: u32,
}

impl Shelf {
    /// Puts a file there, or another in its place.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>, modified_secs: u32) {
        let file = File { bytes: Arc::from(bytes.into()), modified_secs };
        self.inside().files.insert(path.to_owned(), file);
    }

    /// Breaks the next transfer, and it alone, after so many bytes.
    pub fn cut_next_after(&self, bytes: u64) {
        self.inside().cut_after = Some(bytes);
    }

    /// Waits so long before each piece of a file.
    pub fn pause(&self, pause: Duration) {
        self.inside().pause = pause;
    }

    /// Where the transfers so far began.
    pub fn transfers(&self) -> Vec<u64> {
        self.inside().transfers.clone()
    }

    /// The logins so far, and whether each was let in.
    pub fn logins(&self) -> Vec<bool> {
        self.inside().logins.clone()
    }

    fn file(&self, path: &str) -> Option<File> {
        self.inside().files.get(path).cloned()
    }

    fn files(&self) -> Vec<(String, File)> {
        self.inside().files.iter().map(|(path, file)| (path.clone(), file.clone())).collect()
    }

    fn login(&self, is_let_in: bool) -> bool {
        self.inside().logins.push(is_let_in);
        is_let_in
    }

    /// A transfer begins; after how many bytes it is to break.
    fn transfer(&self, from: u64) -> Option<u64> {
        let mut inside = self.inside();
        inside.transfers.push(from);
        inside.cut_after.take()
    }

    fn pause_now(&self) -> Duration {
        self.inside().pause
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
