//! A network in CIDR notation, such as `127.0.0.0/8` or `::1/128`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses that share a prefix. Written `address/bits`; a bare address stands for
/// itself alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpNet {
    base: IpAddr,
    prefix_bits: u8,
}

impl IpNet {
    /// Whether `ip` lies in this network. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                u32::from(base) == u32::from(ip) & mask_v4(self.prefix_bits)
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                u128::from(base) == u128::from(ip) & mask_v6(self.prefix_bits)
            }
            _ => false,
        }
    }
}

/// A network that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a network: {reason}")]
pub struct IpNetError {
    text: String,
    reason: &'static str,
}

impl FromStr for IpNet {
    type Err = IpNetError;

    fn from_str(text: &str) -> Result<Self, IpNetError> {
        parse(text).map_err(|reason| IpNetError { text: text.to_owned(), reason })
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

fn parse(text: &str) -> Result<IpNet, &'static str> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let base: IpAddr = address
        .parse()
        .map_err(|_| "expected an IPv4 or IPv6 address, as in 10.0.0.0/8 or fd00::/8")?;
    let width = if base.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits {
        None => width,
        Some(bits) => match bits.parse::<u8>() {
            Ok(bits) if bits <= width => bits,
            _ if width == 32 => return Err("expected a prefix length from 0 to 32"),
            _ => return Err("expected a prefix length from 0 to 128"),
        },
    };
    let has_host_bits = match base {
        IpAddr::V4(base) => u32::from(base) & !mask_v4(prefix_bits) != 0,
        IpAddr::V6(base) => u128::from(base) & !mask_v6(prefix_bits) != 0,
    };
    if has_host_bits {
        return Err("the address has bits set beyond the prefix length");
    }
    Ok(IpNet { base, prefix_bits })
}

fn mask_v4(prefix_bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0)
}

fn mask_v6(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn membership_follows_the_prefix() {
        assert!(net("127.0.0.0/8").contains(ip("127.255.0.1")));
        assert!(!net("127.0.0.0/8").contains(ip("128.0.0.1")));
        assert!(net("10.1.2.3").contains(ip("10.1.2.3")));
        assert!(!net("10.1.2.3").contains(ip("10.1.2.4")));
        assert!(net("0.0.0.0/0").contains(ip("8.8.8.8")));
        assert!(!net("0.0.0.0/0").contains(ip("::1")));
        assert!(net("::1/128").contains(ip("::1")));
        assert!(!net("::1/128").contains(ip("::2")));
        assert!(net("fd00::/8").contains(ip("fdff::1")));
        assert!(net("::/0").contains(ip("2001:db8::1")));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4() {
        assert!(net("127.0.0.0/8").contains(ip("::ffff:127.0.0.1")));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, wanted) in [
            ("", "expected an IPv4 or IPv6 address"),
            ("localhost/8", "expected an IPv4 or IPv6 address"),
            ("10.0.0.0/33", "0 to 32"),
            ("10.0.0.0/", "0 to 32"),
            ("::1/129", "0 to 128"),
            ("127.0.0.1/8", "bits set beyond"),
            ("fd00::1/8", "bits set beyond"),
        ] {
            let error = text.parse::<IpNet>().expect_err(text).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn displays_as_it_is_written() {
        assert_eq!(net("127.0.0.0/8").to_string(), "127.0.0.0/8");
        assert_eq!(net("::1").to_string(), "::1/128");
    }
}
