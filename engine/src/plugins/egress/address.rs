//! Which addresses may be dialled. The resolver here hands out only such
//! addresses, so what is checked is what is dialled.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How far a call may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The public internet.
    Public,
    /// Also loopback and private networks: an admin consented for this channel's own URL.
    Private,
}

impl Reach {
    /// May this address be dialled? Link-local, metadata, multicast, reserved and translated
    /// addresses never may.
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => match kind_v4(address) {
                Kind::Public => true,
                Kind::Private => self == Self::Private,
                Kind::Never => false,
            },
            IpAddr::V6(address) => match kind_v6(address) {
                Kind::Public => true,
                Kind::Private => self == Self::Private,
                Kind::Never => false,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Never,
}

/// Ranges of the IANA IPv4 special-purpose registry. 100.100.100.200 and 192.0.0.192 are metadata services.
fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [100, 100, 100, 200] => Kind::Never,
        [127 | 10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Kind::Private,
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 31, 196, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _]
        | [192, 175, 48, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Kind::Never,
        _ => Kind::Public,
    }
}

/// Public is only 2000::/3 without its special blocks: Teredo, ORCHID, benchmarking (2001::/23),
/// documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16). fd00:ec2::254 is a metadata service.
fn kind_v6(address: Ipv6Addr) -> Kind {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private,
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => Kind::Never,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => {
            Kind::Never
        }
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never,
    }
}

/// Looks names up. The system's resolver in production, a table in tests.
pub trait Lookup: Send + Sync {
    /// All addresses of a host name.
    fn addresses(&self, name: String) -> LookupFuture;
}

/// What [`Lookup::addresses`] gives.
pub type LookupFuture = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// The system's resolver.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: String) -> LookupFuture {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

/// The name has addresses, and none of them may be dialled.
#[derive(Debug)]
pub(super) struct ForbiddenAddress(pub(super) Reach);

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every address of this host is in a range that may not be called")
    }
}

impl Error for ForbiddenAddress {}

/// Hands out only addresses within reach.
pub(super) struct CheckedResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) reach: Reach,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.addresses(name.as_str().to_owned());
        let reach = self.reach;
        Box::pin(async move {
            let found = found.await?;
            let known = !found.is_empty();
            let within: Vec<SocketAddr> =
                found.into_iter().filter(|a| reach.allows(*a)).map(|a| SocketAddr::new(a, 0)).collect();
            if within.is_empty() && known {
                return Err(ForbiddenAddress(reach).into());
            }
            Ok(Box::new(within.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, public: bool, private: bool| {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Reach::Public.allows(address), public, "{text} from outside");
            assert_eq!(Reach::Private.allows(address), private, "{text} with consent");
        };
        for text in ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111"] {
            check(text, true, true);
        }
        for text in ["127.0.0.1", "127.255.0.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"] {
            check(text, false, true);
        }
        for text in ["100.64.0.1", "::1", "fc00::1", "fd12:3456::1"] {
            check(text, false, true);
        }
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "5f00::1",
        ] {
            check(text, false, false);
        }
    }
}
