//! From the cloud's records to the router's rules: tags and ids become addresses. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Droplet, Firewall, Peers, Records, Rule};
use crate::machine_fault::MachineFault;
use crate::machines::nft::{Pass, Protocol, Rules, Wall};

impl Records {
    /// What the router's rules have to be.
    pub(crate) fn rules(&self) -> Rules {
        let ids = |which: &dyn Fn(&Droplet) -> bool| -> Vec<u64> {
            let found = self.droplets.iter().filter(|droplet| which(droplet));
            found.map(|droplet| droplet.id).collect()
        };
        Rules {
            silent: ids(&Droplet::is_silent),
            lossy: ids(&|droplet| droplet.faults.contains(&MachineFault::Slow)),
            api_port: None,
            places: self.droplets.iter().map(Droplet::place).collect(),
            walls: self
                .droplets
                .iter()
                .filter_map(|droplet| self.wall(droplet))
                .collect(),
            reserved: self
                .reserved_ips
                .iter()
                .filter_map(|reserved| {
                    let droplet = self.droplet(reserved.droplet_id?)?;
                    Some((reserved.ip, droplet.place_public))
                })
                .collect(),
        }
    }

    /// The firewalls that a droplet is under.
    pub(crate) fn firewalls_of<'a>(
        &'a self,
        droplet: &'a Droplet,
    ) -> impl Iterator<Item = &'a Firewall> {
        self.firewalls.iter().filter(move |firewall| {
            firewall.droplet_ids.contains(&droplet.id)
                || firewall.tags.iter().any(|tag| droplet.has_tag(tag))
        })
    }

    fn wall(&self, droplet: &Droplet) -> Option<Wall> {
        let mut wall = None;
        for firewall in self.firewalls_of(droplet) {
            let wall = wall.get_or_insert(Wall {
                id: droplet.id,
                inbound: Vec::new(),
                outbound: Vec::new(),
            });
            wall.inbound
                .extend(firewall.inbound.iter().filter_map(|rule| self.pass(rule)));
            wall.outbound
                .extend(firewall.outbound.iter().filter_map(|rule| self.pass(rule)));
        }
        wall
    }

    fn pass(&self, rule: &Rule) -> Option<Pass> {
        let protocol = match rule.protocol.as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "icmp" => Protocol::Icmp,
            _ => return None,
        };
        let ports = match rule.ports.as_str() {
            "0" => None,
            text => Some(ports(text)?),
        };
        Some(Pass {
            protocol,
            ports,
            peers: self.addresses(&rule.peers),
        })
    }

    fn addresses(&self, peers: &Peers) -> Vec<Ipv4Net> {
        // Addresses of IPv6 are valid but no machine of the lab has one.
        let mut nets: Vec<Ipv4Net> = peers
            .addresses
            .iter()
            .filter_map(|text| address_or_range(text))
            .collect();
        let members = self.droplets.iter().filter(|droplet| {
            peers.droplet_ids.contains(&droplet.id)
                || peers.tags.iter().any(|tag| droplet.has_tag(tag))
        });
        for droplet in members {
            nets.push(droplet.place_public.into());
            nets.push(droplet.place_private.into());
        }
        nets
    }
}

/// `80` or `8000-9000`.
pub(crate) fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

fn address_or_range(text: &str) -> Option<Ipv4Net> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}
