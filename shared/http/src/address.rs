//! Which IP addresses are public: the ones that a URL from outside may lead to.
//!
//! An address that embeds an IPv4 address (IPv4-mapped, NAT64, 6to4) is judged by that one,
//! because a gateway on the way will unwrap it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `ip` is a globally reachable unicast address.
///
/// Everything in the IANA special-purpose registries is refused: loopback, private, shared
/// (carrier-grade NAT), link-local, documentation, benchmarking, multicast and reserved ranges.
/// Of IPv6, only `2000::/3` is handed out for global unicast, so all else is refused (among it
/// `::`, `::1`, `64:ff9b:1::/48`, `100::/64`, `5f00::/16`, `fc00::/7`, `fe80::/10`, `fec0::/10`
/// and `ff00::/8`), and within it `2001::/23` (Teredo included), `2001:db8::/32` and `3fff::/20`.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Base address and prefix length of each IPv4 range that is not public.
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    ([255, 255, 255, 255], 32),
];

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let bits = u32::from(ip);
    !SPECIAL_V4.iter().any(|&(base, prefix)| {
        let shift = 32 - prefix;
        bits >> shift == u32::from(Ipv4Addr::from(base)) >> shift
    })
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = embedded_v4(ip) {
        return is_public_v4(v4);
    }
    let [first, second, ..] = ip.segments();
    let global_unicast = first & 0xe000 == 0x2000;
    let protocol_assignments = first == 0x2001 && second & 0xfe00 == 0;
    let documentation =
        (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second & 0xf000 == 0);
    global_unicast && !protocol_assignments && !documentation
}

/// Where EC2's machines get their credentials over IPv6. Over IPv4 it is a link-local address.
const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether a server of a partner, or of one's own network, may be at `ip`: then it is for the operator to allow it. None is
/// at an address of one link alone, as is the service that gives a cloud's machines their credentials, at one for many
/// machines, or at one that stands for none.
pub fn may_be_allowed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(v4) => may_be_allowed(v4.into()),
            None => {
                let is_none = ip.is_unspecified() || ip == EC2_METADATA;
                !is_none && !ip.is_unicast_link_local() && !ip.is_multicast()
            }
        },
        IpAddr::V4(ip) => {
            let is_none = ip.octets()[0] == 0 || ip.is_broadcast();
            !is_none && !ip.is_link_local() && !ip.is_multicast()
        }
    }
}

/// The IPv4 address inside an IPv4-mapped, NAT64 (`64:ff9b::/96`) or 6to4 (`2002::/16`) address.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(of(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect("an address"))
    }

    #[test]
    fn special_ipv4_ranges_are_refused_to_their_last_address() {
        for ip in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.255",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!public(ip), "{ip}");
        }
    }

    #[test]
    fn neighbours_of_special_ipv4_ranges_are_public() {
        for ip in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
        ] {
            assert!(public(ip), "{ip}");
        }
    }

    #[test]
    fn special_ipv6_ranges_are_refused() {
        for ip in [
            "::",
            "::1",
            "::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:1ff:ffff::",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(ip), "{ip}");
        }
    }

    #[test]
    fn ordinary_ipv6_addresses_are_public() {
        for ip in ["2001:200::1", "2606:2800:220:1::1", "2a00:1450::5", "3ffe::1", "3fff:1000::"] {
            assert!(public(ip), "{ip}");
        }
    }

    #[test]
    fn what_no_server_is_at_is_not_to_be_allowed() {
        let may = |ip: &str| may_be_allowed(ip.parse().expect("an address"));
        for ip in ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1"]
        {
            assert!(may(ip), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:224.0.0.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!may(ip), "{ip}");
        }
    }

    #[test]
    fn an_embedded_ipv4_address_decides() {
        for ip in [
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
        ] {
            assert!(!public(ip), "{ip}");
        }
        for ip in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            assert!(public(ip), "{ip}");
        }
    }
}
