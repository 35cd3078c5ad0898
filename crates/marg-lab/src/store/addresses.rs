//! Handing out addresses. Freed ones are not given again until all others were, so that a
//! client which remembers an old machine never meets a new one.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Records, Vpc, now};

/// Where machines begin; what is below belongs to the host and the router.
const PUBLIC_FIRST: u32 = 0xc612_000a;
/// The machines' own part of the public range: a /20.
const PUBLIC_COUNT: u32 = 4080;
/// Reserved addresses: 198.18.240.0/24.
const RESERVED_FIRST: u32 = 0xc612_f001;
const RESERVED_COUNT: u32 = 254;
/// Where ranges for VPCs are taken from when none is asked for.
const VPC_FIRST: u32 = 0x0a72_0000;
const VPC_COUNT: u32 = 256;
const VPC_PREFIX: u8 = 20;

/// A range has no free address left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Records {
    /// A public address for a new droplet.
    pub(crate) fn new_public(&mut self) -> Result<Ipv4Addr, NoRoom> {
        let used: Vec<Ipv4Addr> = self
            .droplets
            .iter()
            .map(|droplet| droplet.place_public)
            .collect();
        next_free(PUBLIC_FIRST, PUBLIC_COUNT, &mut self.next_public, &used)
    }

    /// A reserved address.
    pub(crate) fn new_reserved(&mut self) -> Result<Ipv4Addr, NoRoom> {
        let used: Vec<Ipv4Addr> = self
            .reserved_ips
            .iter()
            .map(|reserved| reserved.ip)
            .collect();
        next_free(
            RESERVED_FIRST,
            RESERVED_COUNT,
            &mut self.next_reserved,
            &used,
        )
    }

    /// A private address in a VPC. The first address is the gateway's and the second is kept,
    /// too; so is the last, which is the broadcast address.
    pub(crate) fn new_private(&mut self, vpc_id: &str) -> Result<Ipv4Addr, NoRoom> {
        let used: Vec<Ipv4Addr> = self
            .droplets
            .iter()
            .filter(|droplet| droplet.vpc == vpc_id)
            .map(|droplet| droplet.place_private)
            .collect();
        let vpc = self
            .vpcs
            .iter_mut()
            .find(|vpc| vpc.id == vpc_id)
            .ok_or(NoRoom)?;
        let size = 1_u32 << (32 - vpc.range.prefix_len());
        let first = u32::from(vpc.range.network()) + 2;
        next_free(first, size - 3, &mut vpc.next_host, &used)
    }

    /// The default VPC of a region, made when the first droplet asks for it.
    pub(crate) fn default_vpc(&mut self, region: &str) -> Result<Vpc, NoRoom> {
        let known = self
            .vpcs
            .iter()
            .find(|vpc| vpc.region == region && vpc.default);
        if let Some(vpc) = known {
            return Ok(vpc.clone());
        }
        let range = self.free_range()?;
        let vpc = Vpc {
            id: uuid::Uuid::new_v4().to_string(),
            name: format!("default-{region}"),
            description: String::new(),
            region: region.to_owned(),
            range,
            default: true,
            created_at: now(),
            next_host: 0,
        };
        self.vpcs.push(vpc.clone());
        Ok(vpc)
    }

    /// A range for a VPC that overlaps no other.
    pub(crate) fn free_range(&self) -> Result<Ipv4Net, NoRoom> {
        (0..VPC_COUNT)
            .filter_map(|number| {
                Ipv4Net::new(
                    Ipv4Addr::from(VPC_FIRST + (number << (32 - VPC_PREFIX))),
                    VPC_PREFIX,
                )
                .ok()
            })
            .find(|range| !self.overlaps(*range))
            .ok_or(NoRoom)
    }

    /// Whether a range overlaps that of a VPC.
    pub(crate) fn overlaps(&self, range: Ipv4Net) -> bool {
        self.vpcs
            .iter()
            .any(|vpc| vpc.range.contains(&range.network()) || range.contains(&vpc.range.network()))
    }
}

fn next_free(
    first: u32,
    count: u32,
    next: &mut u32,
    used: &[Ipv4Addr],
) -> Result<Ipv4Addr, NoRoom> {
    for _ in 0..count {
        let address = Ipv4Addr::from(first + *next % count);
        *next = (*next + 1) % count;
        if !used.contains(&address) {
            return Ok(address);
        }
    }
    Err(NoRoom)
}

/// Why a range cannot be a VPC's, or `None` when it can.
pub(crate) fn private_range_problem(range: Ipv4Net) -> Option<&'static str> {
    if !(16..=28).contains(&range.prefix_len()) {
        return Some("IP range must be between /16 and /28");
    }
    if range.trunc() != range {
        return Some("IP range must start at its network address");
    }
    (!range.network().is_private()).then_some("IP range must be private: RFC 1918")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_not_given_again_at_once() {
        let mut next = 0;
        let first = next_free(10, 3, &mut next, &[]).unwrap();
        let second = next_free(10, 3, &mut next, &[]).unwrap();
        assert_ne!(first, second);
        assert_eq!(
            next_free(10, 3, &mut next, &[second]).unwrap(),
            Ipv4Addr::from(12)
        );
        assert_eq!(
            next_free(10, 1, &mut next, &[Ipv4Addr::from(10)]),
            Err(NoRoom)
        );
    }

    #[test]
    fn ranges_of_vpcs_do_not_overlap() {
        let mut records = Records::default();
        let first = records.default_vpc("fra1").unwrap();
        assert_eq!(records.default_vpc("fra1").unwrap().id, first.id);
        let second = records.default_vpc("nyc3").unwrap();
        assert_eq!(first.range.to_string(), "10.114.0.0/20");
        assert_eq!(second.range.to_string(), "10.114.16.0/20");
        assert!(records.overlaps("10.114.0.0/16".parse().unwrap()));
        assert_eq!(
            records.new_private(&first.id).unwrap(),
            Ipv4Addr::new(10, 114, 0, 2)
        );
    }

    #[test]
    fn only_private_ranges_of_the_right_size_are_taken() {
        let cases = [
            ("10.10.0.0/20", true),
            ("192.168.5.0/24", true),
            ("10.0.0.0/8", false),
            ("10.10.0.0/29", false),
            ("10.10.0.1/20", false),
            ("198.18.0.0/20", false),
        ];
        for (range, fine) in cases {
            assert_eq!(
                private_range_problem(range.parse().unwrap()).is_none(),
                fine,
                "{range}"
            );
        }
    }
}
