//! Addresses, masks and names as text. Called by the readers; what passes here is fit for a line of networkd's files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest id of a card that is matched; ids become file names.
const MAX_ID: usize = 64;

/// `address/length`.
pub fn is_prefix(text: &str) -> bool {
    parse(text).is_some()
}

/// An address of either family.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// An IPv4 address.
pub(super) fn is_ip4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// An IPv6 address.
pub(super) fn is_ip6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// Whether an address lies in the network of `address/length`.
pub fn is_within(prefix: &str, address: IpAddr) -> bool {
    let Some((network, length)) = parse(prefix) else { return false };
    let masked = |bits: u128, width: u32| bits.checked_shr(width - length).unwrap_or(0);
    match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            masked(u128::from(one.to_bits()), 32) == masked(u128::from(other.to_bits()), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => masked(one.to_bits(), 128) == masked(other.to_bits(), 128),
        _ => false,
    }
}

fn parse(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address = address.parse::<IpAddr>().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    (length <= longest).then_some((address, length))
}

/// An address with the length that it carries itself (`/24`, `/255.255.255.0`), or that a mask says.
pub(super) fn with_length(address: &str, mask: Option<&str>) -> Option<String> {
    let (address, mask) = address.split_once('/').map_or((address, mask), |(address, mask)| (address, Some(mask)));
    let address: IpAddr = address.parse().ok()?;
    let length = mask_length(mask?, address.is_ipv4())?;
    Some(format!("{address}/{length}"))
}

/// `24`, `255.255.255.0`, `64` or `ffff:ffff:ffff:ffff::` as a length; a mask with holes is none.
fn mask_length(mask: &str, is_ipv4: bool) -> Option<u32> {
    let (bits, width) = match mask.parse::<IpAddr>() {
        Ok(IpAddr::V4(mask)) if is_ipv4 => (u128::from(mask.to_bits()) << 96, 32),
        Ok(IpAddr::V6(mask)) if !is_ipv4 => (mask.to_bits(), 128),
        Ok(_) => return None,
        Err(_) => {
            let width = if is_ipv4 { 32 } else { 128 };
            let digits = mask.bytes().all(|byte| byte.is_ascii_digit());
            return mask.parse().ok().filter(|length| digits && *length <= width);
        }
    };
    let length = bits.leading_ones();
    (bits.checked_shl(length).unwrap_or(0) == 0 && length <= width).then_some(length)
}

/// A name the kernel takes for an interface, and that is no pattern.
pub fn is_interface(name: &str) -> bool {
    is_pattern(name) && is_id(name)
}

/// A name of an interface inside a document: an interface name, or anything like it for a card that is matched.
pub(super) fn is_id(name: &str) -> bool {
    (1..=MAX_ID).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte))
}

/// An interface name with `*`, `?` and `[…]`.
pub(super) fn is_pattern(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.*?[]!@".contains(&byte))
}

/// Whether a pattern can mean more than one name.
pub(super) fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '!'])
}

/// What dockerd calls its own interfaces: networkd never touches them.
pub(super) fn is_engines(name: &str) -> bool {
    let is_bridge = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(name, "docker0" | "docker_gwbridge")
        || name.starts_with("veth")
        || name.strip_prefix("br-").is_some_and(is_bridge)
}

/// Six hexadecimal octets.
pub(super) fn is_mac(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    octets.len() == 6
        && octets.iter().all(|octet| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_many_spellings() {
        for (address, mask, expected) in [
            ("192.0.2.5", Some("255.255.255.0"), Some("192.0.2.5/24")),
            ("192.0.2.5", Some("24"), Some("192.0.2.5/24")),
            ("192.0.2.5/255.255.255.255", None, Some("192.0.2.5/32")),
            ("192.0.2.5/16", Some("24"), Some("192.0.2.5/16")),
            ("192.0.2.5", Some("0.0.0.0"), Some("192.0.2.5/0")),
            ("2001:db8::5", Some("ffff:ffff:ffff:ffff::"), Some("2001:db8::5/64")),
            ("2001:db8::5", Some("128"), Some("2001:db8::5/128")),
            ("::", Some("::"), Some("::/0")),
            ("192.0.2.5", None, None),
            ("192.0.2.5", Some("255.0.255.0"), None),
            ("192.0.2.5", Some("33"), None),
            ("192.0.2.5", Some("+8"), None),
            ("192.0.2.5", Some("ffff::"), None),
            ("2001:db8::5", Some("255.255.0.0"), None),
            ("192.0.2.5\n", Some("24"), None),
        ] {
            assert_eq!(with_length(address, mask).as_deref(), expected, "{address} {mask:?}");
        }
    }

    #[test]
    fn networks_hold_addresses() {
        for (prefix, address, expected) in [
            ("192.0.2.5/24", "192.0.2.1", true),
            ("192.0.2.5/32", "192.0.2.1", false),
            ("192.0.2.5/0", "10.0.0.1", true),
            ("2001:db8::5/64", "2001:db8::1", true),
            ("2001:db8::5/64", "2001:db8:1::1", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.5/24", "2001:db8::1", false),
            ("nonsense", "192.0.2.1", false),
        ] {
            assert_eq!(is_within(prefix, address.parse().unwrap()), expected, "{prefix} {address}");
        }
    }
}
