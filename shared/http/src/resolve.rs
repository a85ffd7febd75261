//! Name resolution under the guard.
//!
//! The HTTP stack asks [`GuardedResolver`] for a name's addresses each time it opens a connection,
//! and connects to nothing but the answer. So the address that is checked is the address that is
//! connected, and a name that changes its mind between two look-ups (rebinding) gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::BoxError;
use crate::guard::{GuardError, GuardPolicy};

/// Turns a host name into addresses. The guard judges the answer, so an implementation may lie.
pub trait ResolveName: Send + Sync {
    /// All addresses of `host`, in order of preference.
    ///
    /// # Errors
    ///
    /// The look-up failed; a retry may help.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl ResolveName for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name yielded no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name leads where the policy doesn't allow.
    #[error("{0}")]
    Refused(GuardError),
    /// The look-up failed.
    #[error("cannot look up {host}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver reported.
        source: io::Error,
    },
    /// The look-up succeeded and found nothing.
    #[error("{host} has no address")]
    Empty {
        /// The name.
        host: String,
    },
}

/// The addresses of a host, a literal one included, for connections that are not HTTP: all of them, or none where the
/// policy does not allow each. Connect to these, and do not look the name up again.
///
/// # Errors
///
/// The look-up failed or found nothing, or an address is not allowed.
pub async fn resolve_allowed(
    policy: &GuardPolicy,
    resolver: &dyn ResolveName,
    host: &str,
) -> Result<Vec<IpAddr>, ResolveError> {
    let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => Ok(vec![address]),
        Err(_) => resolver.resolve(host).await,
    };
    let passed = vetted(policy, host.to_owned(), found)?;
    Ok(passed.into_iter().map(|address| address.ip()).collect())
}

/// A resolver that passes on only what the policy allows.
pub(crate) struct GuardedResolver {
    policy: Arc<GuardPolicy>,
    inner: Arc<dyn ResolveName>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: Arc<GuardPolicy>, inner: Arc<dyn ResolveName>) -> Self {
        GuardedResolver { policy, inner }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let policy = Arc::clone(&self.policy);
        let lookup = self.inner.resolve(&host);
        Box::pin(async move {
            match vetted(&policy, host, lookup.await) {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error) => Err(BoxError::from(error)),
            }
        })
    }
}

/// The addresses of a name, if all of them are allowed. One bad address condemns the name: a
/// public name with a private record is a mistake or an attack, and which of its addresses gets
/// connected is a matter of chance.
fn vetted(
    policy: &GuardPolicy,
    host: String,
    found: io::Result<Vec<IpAddr>>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = match found {
        Ok(found) => found,
        Err(source) => return Err(ResolveError::Lookup { host, source }),
    };
    if found.is_empty() {
        return Err(ResolveError::Empty { host });
    }
    if let Some(&address) = found.iter().find(|&&address| !policy.allows(address)) {
        return Err(ResolveError::Refused(GuardError::Address { host, address }));
    }
    // Port 0: the HTTP stack puts in the URL's.
    Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(addresses: &[&str]) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        vetted(&GuardPolicy::default(), "shop.example".to_owned(), Ok(found))
    }

    #[test]
    fn public_addresses_pass_in_order() {
        let passed = judged(&["93.184.216.34", "2606:2800:220:1::1"]).expect("both are public");
        assert_eq!(passed[0].to_string(), "93.184.216.34:0");
        assert_eq!(passed.len(), 2);
    }

    #[test]
    fn one_private_address_condemns_the_name() {
        let error = judged(&["93.184.216.34", "10.0.0.7"]).expect_err("one is private");
        assert!(
            matches!(&error, ResolveError::Refused(GuardError::Address { address, .. })
                if address.to_string() == "10.0.0.7"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn literal_addresses_are_judged_without_a_look_up() {
        let policy = GuardPolicy::default();
        let judged = |host| resolve_allowed(&policy, &SystemResolver, host);
        let found = judged("[2606:2800:220:1::1]").await.expect("it is public");
        assert_eq!(found[0].to_string(), "2606:2800:220:1::1");
        for host in ["127.0.0.1", "::ffff:10.0.0.7", "[::1]"] {
            let refused = judged(host).await;
            assert!(matches!(refused, Err(ResolveError::Refused(_))), "{host}: {refused:?}");
        }
    }

    #[test]
    fn no_address_is_an_error() {
        assert!(matches!(judged(&[]), Err(ResolveError::Empty { .. })));
    }
}
