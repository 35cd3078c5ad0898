//! The rules of the lab's router as nftables text. Pure.
//!
//! Every packet between machines, public or private, and between the host and machines passes
//! the router's `forward` chain. That is where cloud firewalls hold, where VPCs are kept apart
//! and where nothing gets out of the lab.

use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Place;
use super::network::LOSS_PERCENT;
use super::network::{CACHE_PORT, GATEWAY, OPERATOR, private_link, public_link};

/// Everything that the router's rules follow from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// All machines.
    pub places: Vec<Place>,
    /// Machines with at least one cloud firewall, with the union of their rules. All others
    /// are open, as on the real cloud.
    pub walls: Vec<Wall>,
    /// Machines that are off or cut off from every network.
    pub silent: Vec<u64>,
    /// Machines that lose packets.
    pub lossy: Vec<u64>,
    /// The API's port on the host, when machines may reach it.
    pub api_port: Option<u16>,
    /// Reserved addresses and the public address that each leads to.
    pub reserved: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// The cloud firewalls of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wall {
    /// The droplet's id.
    pub id: u64,
    /// What may come in.
    pub inbound: Vec<Pass>,
    /// What may go out.
    pub outbound: Vec<Pass>,
}

/// Traffic that a firewall lets pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: Protocol,
    /// First and last port; `None` is all of them.
    pub ports: Option<(u16, u16)>,
    /// The other side. Empty means nobody.
    pub peers: Vec<Ipv4Net>,
}

/// A protocol of firewall rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
}

/// The whole ruleset, to be loaded in one transaction.
pub(crate) fn ruleset(rules: &Rules) -> String {
    let mut text = String::from("table inet marg\ndelete table inet marg\ntable inet marg {\n");
    for wall in &rules.walls {
        chain(
            &mut text,
            &format!("in_{}", wall.id),
            &wall_lines(&wall.inbound, "saddr", "accept"),
        );
        chain(
            &mut text,
            &format!("out_{}", wall.id),
            &wall_lines(&wall.outbound, "daddr", "return"),
        );
    }
    chain(&mut text, "guests", &guest_lines(rules));
    chain(&mut text, "forward", &forward_lines(rules));
    chain(&mut text, "input", &input_lines(rules));
    chain(&mut text, "reserved", &reserved_lines(&rules.reserved));
    chain(&mut text, "hairpin", &hairpin_lines(&rules.reserved));
    text.push_str("}\n");
    text
}

fn chain(text: &mut String, name: &str, lines: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\tchain {name} {{");
    for line in lines {
        let _ = writeln!(text, "\t\t{line}");
    }
    text.push_str("\t}\n");
}

/// One line per rule, and the end: what no rule names is dropped.
fn wall_lines(passes: &[Pass], side: &str, verdict: &str) -> Vec<String> {
    let mut lines: Vec<String> = passes
        .iter()
        .filter(|pass| !pass.peers.is_empty())
        .map(|pass| {
            format!(
                "{}{} {verdict}",
                peer_match(&pass.peers, side),
                traffic_match(pass)
            )
        })
        .collect();
    lines.push("drop".to_owned());
    lines
}

fn traffic_match(pass: &Pass) -> String {
    match (pass.protocol, pass.ports) {
        (Protocol::Icmp, _) => "meta l4proto icmp".to_owned(),
        (Protocol::Tcp, None) => "meta l4proto tcp".to_owned(),
        (Protocol::Udp, None) => "meta l4proto udp".to_owned(),
        (Protocol::Tcp, Some((first, last))) => format!("tcp dport {first}-{last}"),
        (Protocol::Udp, Some((first, last))) => format!("udp dport {first}-{last}"),
    }
}

fn peer_match(peers: &[Ipv4Net], side: &str) -> String {
    let peers = without_covered(peers);
    if peers.iter().any(|peer| peer.prefix_len() == 0) {
        return String::new();
    }
    let list: Vec<String> = peers.iter().map(ToString::to_string).collect();
    format!("ip {side} {{ {} }} ", list.join(", "))
}

/// nft refuses sets whose members overlap, so a range that lies in another one is left out.
fn without_covered(peers: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let mut kept: Vec<Ipv4Net> = peers.iter().map(Ipv4Net::trunc).collect();
    kept.sort_unstable();
    kept.dedup();
    let all = kept.clone();
    kept.retain(|peer| {
        !all.iter()
            .any(|other| other != peer && other.contains(peer))
    });
    kept
}

/// What applies to traffic of machines once it is known to stay in the lab.
fn guest_lines(rules: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(jump_map(rules, "iifname", "jump out_"));
    lines.push(match rules.api_port {
        None => format!("oifname \"uplink\" tcp dport {CACHE_PORT} accept"),
        Some(port) => format!("oifname \"uplink\" tcp dport {{ {CACHE_PORT}, {port} }} accept"),
    });
    lines.push("oifname \"uplink\" drop".to_owned());
    lines.extend(jump_map(rules, "oifname", "goto in_"));
    lines.push("accept".to_owned());
    lines
}

fn jump_map(rules: &Rules, side: &str, verdict: &str) -> Option<String> {
    let members: Vec<String> = rules
        .walls
        .iter()
        .flat_map(|wall| {
            [public_link(wall.id), private_link(wall.id)]
                .map(|link| format!("\"{link}\" : {verdict}{}", wall.id))
        })
        .collect();
    (!members.is_empty()).then(|| format!("{side} vmap {{ {} }}", members.join(", ")))
}

fn forward_lines(rules: &Rules) -> Vec<String> {
    let mut lines = vec![
        "type filter hook forward priority filter; policy drop;".to_owned(),
        "meta nfproto != ipv4 drop".to_owned(),
    ];
    lines.extend(mishaps(rules));
    lines.extend(no_spoofing(&rules.places));
    lines.extend([
        "ct state established,related accept".to_owned(),
        "ct state invalid drop".to_owned(),
        format!("iifname \"uplink\" ip saddr != {OPERATOR} drop"),
        format!("oifname \"uplink\" ip daddr != {OPERATOR} drop"),
    ]);
    let mut ranges: Vec<Ipv4Net> = rules.places.iter().map(|place| place.vpc).collect();
    ranges.sort_unstable();
    ranges.dedup();
    lines.extend(ranges.iter().map(|range| {
        format!("iifname \"prv*\" oifname \"prv*\" ip saddr {range} ip daddr {range} goto guests")
    }));
    lines.extend([
        "iifname \"prv*\" drop".to_owned(),
        "oifname \"prv*\" drop".to_owned(),
        "goto guests".to_owned(),
    ]);
    lines
}

/// Before anything else, connections that are already open included: machines that nobody
/// reaches, and bad lines.
fn mishaps(rules: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    for (ids, verdict) in [
        (&rules.silent, "drop".to_owned()),
        (
            &rules.lossy,
            format!("numgen random mod 100 < {LOSS_PERCENT} drop"),
        ),
    ] {
        let links: Vec<String> = ids
            .iter()
            .flat_map(|id| [public_link(*id), private_link(*id)])
            .map(|link| format!("\"{link}\""))
            .collect();
        if !links.is_empty() {
            let links = links.join(", ");
            lines.push(format!("iifname {{ {links} }} {verdict}"));
            lines.push(format!("oifname {{ {links} }} {verdict}"));
        }
    }
    lines
}

/// A machine may only send from its own addresses.
fn no_spoofing(places: &[Place]) -> Option<String> {
    let own: Vec<String> = places
        .iter()
        .flat_map(|place| {
            [
                format!("\"{}\" . {}", public_link(place.id), place.public),
                format!("\"{}\" . {}", private_link(place.id), place.private),
            ]
        })
        .collect();
    (!own.is_empty()).then(|| {
        format!(
            "iifname != \"uplink\" iifname . ip saddr != {{ {} }} drop",
            own.join(", ")
        )
    })
}

fn input_lines(rules: &Rules) -> Vec<String> {
    let mut lines = vec!["type filter hook input priority filter; policy drop;".to_owned()];
    lines.extend(
        mishaps(rules)
            .into_iter()
            .filter(|line| line.starts_with("iifname")),
    );
    lines.push("meta l4proto icmp accept".to_owned());
    lines
}

fn reserved_lines(reserved: &[(Ipv4Addr, Ipv4Addr)]) -> Vec<String> {
    let mut lines = vec!["type nat hook prerouting priority dstnat; policy accept;".to_owned()];
    if !reserved.is_empty() {
        let members: Vec<String> = reserved
            .iter()
            .map(|(address, target)| format!("{address} : {target}"))
            .collect();
        lines.push(format!(
            "dnat ip to ip daddr map {{ {} }}",
            members.join(", ")
        ));
    }
    lines
}

/// A machine that calls its own reserved address gets its packet back from the router, not
/// from itself, or its kernel would refuse it.
fn hairpin_lines(reserved: &[(Ipv4Addr, Ipv4Addr)]) -> Vec<String> {
    let mut lines = vec!["type nat hook postrouting priority srcnat; policy accept;".to_owned()];
    if !reserved.is_empty() {
        let mut pairs: Vec<String> = reserved
            .iter()
            .map(|(_, target)| format!("{target} . {target}"))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        lines.push(format!(
            "ct status dnat ip saddr . ip daddr {{ {} }} snat ip to {GATEWAY}",
            pairs.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
#[path = "nft_tests.rs"]
mod tests;
