//! Addresses and networks in an inventory.

use std::net::{IpAddr, Ipv4Addr};

use super::reader::Refusal;
use super::rules::{Checked, require};

/// An address or network from which somebody may come.
pub(crate) fn network(text: &str) -> Checked {
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(Refusal::new(
            format!("`{text}` is no address or network"),
            "write it as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32",
        ));
    };
    let (bits, value) = match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    if !text.contains('/') {
        return Ok(());
    }
    let Some(length) = prefix.parse::<u32>().ok().filter(|length| *length <= bits) else {
        return Err(Refusal::new(
            format!("`{text}` has no valid prefix length"),
            format!("write a number from 0 to {bits} behind the slash"),
        ));
    };
    let host = match length {
        0 => value,
        length if length == bits => 0,
        length => value & ((1 << (bits - length)) - 1),
    };
    let first = value - host;
    let first = match address {
        // The value came from 32 bits, so the cut keeps all of it.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(first as u32)),
        IpAddr::V6(_) => IpAddr::V6(first.into()),
    };
    require(
        host == 0,
        format!("`{text}` is an address inside a network"),
        format!("write the network as {first}/{length}, or the address without a slash"),
    )
}

/// The range of a VPC: private, and as large as DigitalOcean takes it.
pub(crate) fn vpc_range(text: &str) -> Checked {
    network(text)?;
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        Some((
            address.parse::<Ipv4Addr>().ok()?,
            prefix.parse::<u8>().ok()?,
        ))
    });
    let fits =
        parsed.is_some_and(|(address, prefix)| address.is_private() && (16..=28).contains(&prefix));
    require(
        fits,
        format!("`{text}` is no range for a private network"),
        "take a private IPv4 network from /16 to /28, such as 10.20.0.0/20",
    )
}

#[cfg(test)]
mod tests {
    use super::super::reader::Rule;
    use super::*;

    #[rustfmt::skip]
    const CASES: &[(Rule, &[&str], &[&str])] = &[
        (network,
            &["0.0.0.0/0", "198.18.0.0/15", "203.0.113.7", "::/0", "2001:db8::/32", "10.0.0.1/32"],
            &["", "10.0.0.0/33", "10.0.0.1/24", "10.0.0/8", "2001:db8::1/32", "10.0.0.1/0", "10.0.0.0/"]),
        (vpc_range,
            &["10.20.0.0/20", "192.168.0.0/16"],
            &["10.0.0.0/8", "8.8.8.0/24", "10.0.0.0", "fd00::/20", "10.0.0.0/29", "10.0.0.1/24"]),
    ];

    #[test]
    fn networks_are_written_exactly() {
        for (rule, right, wrong) in CASES {
            for text in *right {
                assert!(rule(text).is_ok(), "{text:?} is right");
            }
            for text in *wrong {
                assert!(rule(text).is_err(), "{text:?} is wrong");
            }
        }
    }

    #[test]
    fn an_address_inside_a_network_names_the_network() {
        for (text, expected) in [
            ("10.0.0.1/24", "write the network as 10.0.0.0/24"),
            ("2001:db8::1/32", "write the network as 2001:db8::/32"),
        ] {
            let help = network(text).err().map(|refusal| refusal.help);
            assert!(
                help.is_some_and(|help| help.starts_with(expected)),
                "{text}"
            );
        }
    }
}
