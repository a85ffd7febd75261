//! TLS for FTP: the system's certificates, and names that must fit.

use crate::clock::Clock;
use crate::error::RemoteErrorKind;
use feedfleet_http::Phase;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// A connection, whatever is below it.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection, whatever is below it.
pub(crate) type AnyConnection = Box<dyn Connection>;

/// Encrypts the connections to one server. Those of one file share their session: servers ask for that as a proof that
/// both ends are the same.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For a server of this name. `extra_roots` are trusted besides the system's certificates.
    pub(crate) fn to(
        host: &str,
        extra_roots: &[CertificateDer<'static>],
    ) -> Result<Self, RemoteErrorKind> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(io::Error::other("no certificate can be made for this name")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra_roots.to_vec(), provider.clone());
        let verifier = verifier.map_err(|e| failed(io::Error::other(e)))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(io::Error::other(e)))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Encrypts a connection.
    pub(crate) async fn wrap(
        &self,
        connection: AnyConnection,
        clock: Clock,
    ) -> Result<AnyConnection, RemoteErrorKind> {
        let shaking = self.connector.connect(self.name.clone(), connection);
        let stream = clock.answer(Phase::Connect, shaking).await?.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

fn failed(source: io::Error) -> RemoteErrorKind {
    RemoteErrorKind::Tls { source }
}
