//! Sources that are not HTTP: files on SFTP and FTP servers, and objects in a partner's bucket.
//!
//! All of them are read in one way: [`Remote`] opens a source for an [`Ask`], which says what is known of it already,
//! and answers with [`Found`]: nothing has changed, or a [`Transfer`] that begins where it was asked to, if the file is
//! still the same. Every connection goes where the guard of `feedfleet_http` lets it, to the address that was checked. A
//! transfer is bounded in bytes, time and speed by its [`Limits`], and one that stops early, or whose file changed on
//! the way, is an error, never a silent end.
//!
//! [`Limits`]: feedfleet_http::Limits

#![warn(missing_docs)]

mod address;
mod ask;
mod buckets;
mod client;
mod clock;
mod connect;
mod error;
mod ftp;
mod sftp;
mod tls;
mod transfer;
mod version;

pub use address::{Address, AddressError, Scheme};
pub use ask::{Ask, Found, Head, Resume};
pub use buckets::{Buckets, NoBuckets};
pub use client::{Login, Remote, Server};
pub use error::{RemoteError, RemoteErrorKind};
pub use rustls::pki_types::CertificateDer;
pub use transfer::{Chunks, Transfer};
