//! The guard: what a URL from outside may look like, and which addresses it may lead to.
//!
//! A host name says nothing about where it leads, so names are only judged once they are resolved
//! (see the `resolve` module). Literal addresses are judged here, after the `url` crate has turned
//! every spelling of them (`127.1`, `2130706433`, `0x7f.1`) into one.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::address::{is_public, may_be_allowed};

/// What the guard lets through. The default allows public addresses and [`PortRule::Web`].
#[derive(Debug, Clone, Default)]
pub struct GuardPolicy {
    /// Networks that are not public and may be reached all the same.
    pub allow_private: Vec<IpNet>,
    /// The ports that may be reached.
    pub allowed_ports: PortRule,
}

impl GuardPolicy {
    /// Whether a connection to `ip` is allowed: it is public, or in an allowed private network.
    pub fn allows(&self, ip: IpAddr) -> bool {
        // An IPv4 address may come mapped into an IPv6 one.
        let ip = ip.to_canonical();
        is_public(ip) || self.allow_private.iter().any(|net| net.contains(&ip))
    }
}

/// Which ports may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PortRule {
    /// 80, 443, and every port from 1024 on except those where databases, queues, caches and
    /// management interfaces listen by convention (3306, 5432, 6379, 9200, 11211, 27017, …).
    #[default]
    Web,
    /// These ports and no others.
    Only(Vec<u16>),
    /// Every port.
    Any,
}

impl PortRule {
    /// Whether this rule allows `port`.
    pub fn allows(&self, port: u16) -> bool {
        match self {
            PortRule::Web => {
                port == 80
                    || port == 443
                    || (port >= 1024 && SERVICE_PORTS.binary_search(&port).is_err())
            }
            PortRule::Only(ports) => ports.contains(&port),
            PortRule::Any => true,
        }
    }
}

/// Ports from 1024 on where other services than web servers listen by convention, in order.
const SERVICE_PORTS: [u16; 57] = [
    1080, 1099, 1433, 1434, 1521, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3260, 3306, 3389,
    4369, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 5984, 5985, 5986, 6000, 6379, 6380, 6443, 6665,
    6666, 6667, 6668, 6669, 7000, 7001, 8125, 8500, 8600, 9042, 9092, 9160, 9200, 9300, 9418,
    10250, 10255, 11211, 15672, 26379, 27017, 27018, 27019, 50070, 61616,
];

/// Why the guard refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The text is not an absolute URL.
    #[error("not a URL: {0}")]
    Malformed(url::ParseError),
    /// The scheme is neither `http` nor `https`.
    #[error("scheme {0:?} is not http or https")]
    Scheme(String),
    /// The URL carries a user name or password.
    #[error("the URL carries a user name or password")]
    UserInfo,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The port is not allowed.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// The host is, or resolves to, an address that is not allowed.
    #[error("host {host} is at {address}, which is not a public address{}", if_own(.address))]
    Address {
        /// The host as the URL names it.
        host: String,
        /// The address it stands for.
        address: IpAddr,
    },
    /// A redirect leads from https to http, and the request carries credentials.
    #[error("redirect from https to http of a request that carries credentials")]
    Downgrade,
}

/// What lets the fleet connect to an address that is not public, where somebody's server may be.
fn if_own(address: &IpAddr) -> &'static str {
    if !may_be_allowed(*address) {
        return "";
    }
    "; if it is your own: allow_private under [http] in fleet.toml"
}

/// Parses `url` and checks it: scheme http or https, no user information, an allowed port, and,
/// where the host is a literal address, an allowed address.
///
/// # Errors
///
/// The first rule that the URL breaks. None of them is worth a retry.
pub fn check_url(policy: &GuardPolicy, url: &str) -> Result<Url, GuardError> {
    let url = Url::parse(url).map_err(GuardError::Malformed)?;
    check_parsed_url(policy, &url)?;
    Ok(url)
}

/// Checks a URL that is parsed already, as [`check_url`] does.
///
/// # Errors
///
/// The first rule that the URL breaks.
pub fn check_parsed_url(policy: &GuardPolicy, url: &Url) -> Result<(), GuardError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(GuardError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(GuardError::UserInfo);
    }
    let Some(host) = url.host() else {
        return Err(GuardError::NoHost);
    };
    let port = url.port_or_known_default().unwrap_or(0);
    if !policy.allowed_ports.allows(port) {
        return Err(GuardError::Port(port));
    }
    let address = match host {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(_) => return Ok(()),
    };
    if policy.allows(address) {
        Ok(())
    } else {
        Err(GuardError::Address { host: host.to_string(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> GuardError {
        match check_url(&GuardPolicy::default(), url) {
            Ok(_) => panic!("{url} passed"),
            Err(error) => error,
        }
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://１２７.0.0.1/",
            "http://127%2e0.0.1/",
            "http:\\\\127.0.0.1\\",
            "http://100.64.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[64:ff9b:1::1]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[2001:0:7f00:1::]/",
            "http://[fd00:ec2::254]/",
            "https://[fe80::1]/",
        ] {
            let error = refusal(url);
            assert!(matches!(error, GuardError::Address { .. }), "{url}: {error}");
        }
    }

    #[test]
    fn an_exception_is_told_where_there_may_be_one() {
        for url in ["http://10.0.0.1/", "http://127.1/", "http://[::1]/", "http://[fd00::1]/"] {
            let told = refusal(url).to_string();
            let ends =
                "not a public address; if it is your own: allow_private under [http] in fleet.toml";
            assert!(told.ends_with(ends), "{told}");
        }
        for url in
            ["http://169.254.169.254/", "http://[64:ff9b::a9fe:a9fe]/", "http://[fe80::1]/feed"]
        {
            let told = refusal(url).to_string();
            assert!(told.ends_with("which is not a public address"), "{told}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in [
            "file:///etc/passwd",
            "gopher://shop.example/",
            "ftp://shop.example/feed.xml",
            "data:text/plain,x",
            "javascript:alert(1)",
        ] {
            assert!(matches!(refusal(url), GuardError::Scheme(_)), "{url}");
        }
    }

    #[test]
    fn user_information_is_refused() {
        for url in ["http://user@shop.example/", "https://:pw@shop.example/", "http://a:b@127.1/"] {
            assert_eq!(refusal(url), GuardError::UserInfo, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in ["", "shop.example", "//shop.example/", "http://", "http://[::1", "http://a b/"]
        {
            assert!(matches!(refusal(url), GuardError::Malformed(_)), "{url}");
        }
    }

    #[test]
    fn service_ports_are_refused_and_web_ports_are_not() {
        for port in [1, 22, 25, 53, 110, 445, 2375, 3306, 5432, 6379, 9200, 11211, 27017] {
            assert_eq!(refusal(&format!("http://shop.example:{port}/")), GuardError::Port(port));
        }
        for port in [80, 443, 1024, 3000, 8000, 8080, 8443, 9443, 65535] {
            assert!(PortRule::Web.allows(port), "{port}");
        }
        assert!(PortRule::Only(vec![8080]).allows(8080));
        assert!(!PortRule::Only(vec![8080]).allows(80));
        assert!(PortRule::Any.allows(22));
    }

    #[test]
    fn service_ports_are_sorted_for_the_search() {
        assert!(SERVICE_PORTS.is_sorted());
    }

    #[test]
    fn public_urls_pass() {
        for url in [
            "http://shop.example/feed.xml?key=1",
            "HTTPS://Shop.Example:8443/a",
            "https://8.8.8.8/",
            "https://[2606:2800:220:1::1]/",
            "https://상점.example/",
        ] {
            assert!(check_url(&GuardPolicy::default(), url).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_alone() {
        let policy = GuardPolicy {
            allow_private: vec!["127.0.0.0/8".parse().expect("a network")],
            ..GuardPolicy::default()
        };
        assert!(check_url(&policy, "http://127.0.0.1:8080/").is_ok());
        assert!(check_url(&policy, "http://[::ffff:127.0.0.1]/").is_ok());
        assert!(check_url(&policy, "http://10.0.0.1/").is_err());
        assert!(check_url(&policy, "http://[::1]/").is_err());
        assert!(check_url(&policy, "http://127.0.0.1:6379/").is_err());
    }
}
