//! Connections under the guard: the address that is checked is the address that is connected.

use crate::clock::Clock;
use crate::error::RemoteErrorKind;
use feedfleet_http::{GuardError, GuardPolicy, Phase, ResolveError, ResolveName, resolve_allowed};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest wait for a connection, over all addresses of a host.
const CONNECT: Duration = Duration::from_secs(10);
/// The least time that each of a host's addresses gets.
const LEAST: Duration = Duration::from_secs(2);

/// Connects to a host, once the guard has passed all of its addresses.
pub(crate) async fn connect(
    policy: &GuardPolicy,
    resolver: &dyn ResolveName,
    host: &str,
    port: u16,
    clock: Clock,
) -> Result<TcpStream, RemoteErrorKind> {
    let looked_up = resolve_allowed(policy, resolver, host);
    let addresses = clock.within(CONNECT, Phase::Connect, looked_up).await?.map_err(of_resolve)?;
    let share = CONNECT / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = None;
    for address in addresses {
        match connect_to(address, port, share.max(LEAST), clock).await {
            Ok(stream) => return Ok(stream),
            Err(kind) if clock.is_over() => return Err(kind),
            Err(kind) => last = Some(kind),
        }
    }
    let source = io::Error::from(io::ErrorKind::AddrNotAvailable);
    Err(last.unwrap_or(RemoteErrorKind::Connect { source }))
}

/// Connects to an address that the guard has passed already.
pub(crate) async fn connect_to(
    address: IpAddr,
    port: u16,
    wait: Duration,
    clock: Clock,
) -> Result<TcpStream, RemoteErrorKind> {
    let connecting = TcpStream::connect(SocketAddr::new(address, port));
    let stream = clock.within(wait, Phase::Connect, connecting).await?;
    let stream = stream.map_err(|source| RemoteErrorKind::Connect { source })?;
    // Commands are short, and each waits for its answer. Where it can't be set they are only slower.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets wait for each other");
    }
    Ok(stream)
}

fn of_resolve(error: ResolveError) -> RemoteErrorKind {
    match error {
        ResolveError::Refused(reason) => RemoteErrorKind::Refused(reason),
        ResolveError::Lookup { source, .. } => RemoteErrorKind::Resolve { source },
        ResolveError::Empty { .. } => {
            let source = io::Error::new(io::ErrorKind::NotFound, "it has no address");
            RemoteErrorKind::Resolve { source }
        }
    }
}

impl From<GuardError> for RemoteErrorKind {
    fn from(reason: GuardError) -> Self {
        Self::Refused(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_http::{Limits, SystemResolver};

    /// Promise 14: nothing connects to an address that is not public.
    #[tokio::test]
    async fn an_address_inside_is_refused_in_every_spelling() {
        let clock = Clock::start(&Limits::default());
        let policy = GuardPolicy::default();
        for host in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1"] {
            let refused = connect(&policy, &SystemResolver, host, 22, clock).await.unwrap_err();
            assert!(matches!(refused, RemoteErrorKind::Refused(_)), "{host}: {refused}");
        }
        // Whatever the system's resolver makes of these, it is nothing that is connected to.
        for host in ["localhost", "2130706433", "0x7f.1"] {
            let refused = connect(&policy, &SystemResolver, host, 22, clock).await.unwrap_err();
            let is_refused =
                matches!(refused, RemoteErrorKind::Refused(_) | RemoteErrorKind::Resolve { .. });
            assert!(is_refused, "{host}: {refused}");
        }
    }
}
