//! Addresses that a call must not reach, by who chose the host. No socket here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a host is trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The operator chose it: it may be anywhere.
    #[default]
    Open,
    /// A document chose it: anywhere but where clouds keep the credentials of their machines.
    Document,
    /// An upstream chose it: out in the public only.
    Public,
}

/// Where clouds keep the credentials of their machines, where that is not a link-local address.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl Guard {
    /// Whether a call may go to an address.
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        let address = plain(address);
        match self {
            Self::Open => true,
            Self::Document => !is_metadata(address),
            Self::Public => !is_metadata(address) && !is_private(address),
        }
    }

    /// What is said of an address that it does not admit.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Open => "",
            Self::Document => "the document leads to a link-local address, which only baseUrl may name",
            Self::Public => "the upstream leads to an address that is not public",
        }
    }
}

/// An IPv4 address that is dressed as another, undressed.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        // NAT64 and 6to4 lead to the IPv4 address within.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => v6.to_ipv4().map_or(address, |v4| if v6 == Ipv6Addr::LOCALHOST { address } else { v4.into() }),
    }
}

/// Link-local, or known to be a cloud's.
fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        }
}

/// Not out in the public.
fn is_private(address: IpAddr) -> bool {
    let is_nobody = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    is_nobody
        || match address {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                let is_shared = a == 100 && (64..128).contains(&b);
                let is_test = a == 198 && (18..20).contains(&b);
                v4.is_private() || v4.is_documentation() || is_shared || is_test || a == 0 || a >= 240
            }
            IpAddr::V6(v6) => v6.is_unique_local(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who admits an address: everybody's `Open` left out.
    fn admitted(address: &str) -> (bool, bool) {
        let address = address.parse().unwrap();
        assert!(Guard::Open.admits(address));
        (Guard::Document.admits(address), Guard::Public.admits(address))
    }

    #[test]
    fn addresses_are_judged_by_who_chose_them() {
        for address in ["93.184.216.34", "2606:4700::1111"] {
            assert_eq!(admitted(address), (true, true), "{address}");
        }
        for address in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.0.1",
            "0.0.0.0",
            "::",
            "fc00::1",
            "100.64.0.1",
            "::ffff:10.0.0.1",
            "2002:0a00:0001::",
            "224.0.0.1",
        ] {
            assert_eq!(admitted(address), (true, false), "{address}");
        }
        for address in [
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert_eq!(admitted(address), (false, false), "{address}");
        }
    }
}
