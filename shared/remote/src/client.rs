//! The client: one file of a server or a bucket, opened for whoever asks.

use crate::address::{Address, Scheme};
use crate::ask::{Ask, Found};
use crate::buckets::{Buckets, NoBuckets};
use crate::clock::Clock;
use crate::connect::connect;
use crate::error::{RemoteError, RemoteErrorKind};
use crate::transfer::Transfer;
use crate::{ftp, sftp};
use feedfleet_http::{GuardPolicy, ResolveName, SystemResolver};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;

/// How a user proves to be one.
#[derive(Clone, Copy)]
pub enum Login<'a> {
    /// Not at all: FTP's `anonymous`.
    Anonymous,
    /// By a password.
    Password(&'a str),
    /// By a private key, as `ssh-keygen` or PuTTY writes it.
    Key {
        /// The key's file.
        key: &'a str,
        /// What it is encrypted with, if it is.
        passphrase: Option<&'a str>,
    },
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password(_) => "Password(***)",
            Self::Key { .. } => "Key(***)",
        })
    }
}

/// A file on a server.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// How the source is shown in messages.
    pub place: &'a str,
    /// Where the file is.
    pub address: &'a Address,
    /// How the user of the address proves to be one.
    pub login: Login<'a>,
    /// SFTP: fingerprints, as in `SHA256:…`, of which the server's host key must have one.
    pub host_keys: &'a [String],
}

/// Opens files on servers and in buckets. Clones are cheap.
#[derive(Clone)]
pub struct Remote {
    policy: Arc<GuardPolicy>,
    resolver: Arc<dyn ResolveName>,
    extra_roots: Arc<[CertificateDer<'static>]>,
    buckets: Arc<dyn Buckets>,
}

impl Remote {
    /// A client that connects to nothing that the policy doesn't allow, by the system's resolver, and knows no buckets.
    pub fn new(policy: GuardPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            resolver: Arc::new(SystemResolver),
            extra_roots: Arc::from(Vec::new()),
            buckets: Arc::new(NoBuckets),
        }
    }

    /// The same client, which reads buckets by these means. The guard has no say there: the configuration of the
    /// machine says where a store is, and no address of a source does.
    #[must_use]
    pub fn with_buckets(self, buckets: Arc<dyn Buckets>) -> Self {
        Self { buckets, ..self }
    }

    /// The same client, with another resolver. The guard judges its answers.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn ResolveName>) -> Self {
        Self { resolver, ..self }
    }

    /// The same client, which trusts these certificates besides the system's.
    #[must_use]
    pub fn with_roots(self, roots: Vec<CertificateDer<'static>>) -> Self {
        Self { extra_roots: Arc::from(roots), ..self }
    }

    /// Opens a file of a server. None: it is as it was known.
    ///
    /// # Errors
    ///
    /// See [`RemoteErrorKind`].
    pub async fn open(
        &self,
        server: &Server<'_>,
        ask: &Ask<'_>,
    ) -> Result<Option<Transfer>, RemoteError> {
        let clock = Clock::start(&ask.limits);
        let found = self.find(server, ask, clock).await;
        transfer(server.place, found, ask, clock)
    }

    /// Opens an object of a bucket. `place`: how it is shown in messages. None: it is as it was known.
    ///
    /// # Errors
    ///
    /// See [`RemoteErrorKind`].
    pub async fn open_object(
        &self,
        place: &str,
        bucket: &str,
        key: &str,
        ask: &Ask<'_>,
    ) -> Result<Option<Transfer>, RemoteError> {
        let clock = Clock::start(&ask.limits);
        let found = self.buckets.open(bucket, key, ask).await;
        transfer(place, found, ask, clock)
    }

    async fn find(
        &self,
        server: &Server<'_>,
        ask: &Ask<'_>,
        clock: Clock,
    ) -> Result<Found, RemoteErrorKind> {
        let address = server.address;
        address.check_port(&self.policy)?;
        let resolver = self.resolver.as_ref();
        let stream = connect(&self.policy, resolver, &address.host, address.port, clock).await?;
        match address.scheme {
            Scheme::Sftp => sftp::open(stream, server, ask, clock).await,
            Scheme::Ftp | Scheme::Ftps | Scheme::Ftpes => {
                ftp::open(stream, server, &self.extra_roots, ask, clock).await
            }
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("policy", &self.policy).finish_non_exhaustive()
    }
}

fn transfer(
    place: &str,
    found: Result<Found, RemoteErrorKind>,
    ask: &Ask<'_>,
    clock: Clock,
) -> Result<Option<Transfer>, RemoteError> {
    match found.map_err(|kind| kind.of(place))? {
        Found::NotModified => Ok(None),
        Found::Body { head, chunks } => {
            let limit_bytes = ask.limits.max_bytes;
            if head.length_bytes.is_some_and(|length| length > limit_bytes) {
                return Err(RemoteErrorKind::TooLarge { limit_bytes }.of(place));
            }
            Ok(Some(Transfer::new(place.to_owned(), head, chunks, ask.limits, clock)))
        }
    }
}
