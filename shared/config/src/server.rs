//! Sources on servers of files, and who the fleet is to them.

use crate::secret::Secret;

/// A file on a server, over SFTP or FTP.
#[derive(Debug, Clone)]
pub struct Server {
    /// `sftp://`, `ftp://`, `ftps://` or `ftpes://`, with the user and without a password. May hold secrets.
    pub url: Secret,
    /// How the user proves to be one.
    pub login: ServerLogin,
    /// SFTP: fingerprints, as in `SHA256:…`, of which the server's host key must have one. Empty: the first run is
    /// refused, and tells the key that it met.
    pub host_keys: Vec<String>,
}

/// How the user of a server proves to be one.
#[derive(Debug, Clone)]
pub enum ServerLogin {
    /// Not at all: FTP's `anonymous`.
    Anonymous,
    /// By a password.
    Password(Secret),
    /// SFTP: by a private key.
    Key {
        /// The key, as its file has it.
        key: Secret,
        /// What it is encrypted with, if it is.
        passphrase: Option<Secret>,
    },
}
