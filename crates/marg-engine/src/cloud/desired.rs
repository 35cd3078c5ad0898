//! What an environment wants of the cloud. Pure: the firewalls come from the same list of
//! openings as the hosts' own.

use std::collections::BTreeSet;

use marg_cloud::{FirewallSpec, Peers, Rule, Tag};
use marg_model::Blueprint;
use marg_resources::{Opening, OtherOpening, Peer, Role};

/// Everybody.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Name of things that an environment has once: its VPC, its SSH key.
pub fn name(blueprint: &Blueprint) -> String {
    format!("marg-{}", blueprint.environment.name)
}

/// One firewall per group, attached by the group's tag so that a droplet is closed before it
/// first boots.
pub fn firewalls(blueprint: &Blueprint, roles: &[&dyn Role]) -> Vec<FirewallSpec> {
    groups(blueprint)
        .into_iter()
        .map(|group| firewall(blueprint, roles, group))
        .collect()
}

/// Groups that have hosts.
pub fn groups(blueprint: &Blueprint) -> BTreeSet<&str> {
    let hosts = blueprint.hosts.iter();
    hosts.map(|host| host.group.as_str()).collect()
}

/// Name of a group's firewall.
pub fn firewall_name(blueprint: &Blueprint, group: &str) -> String {
    format!("{}-{group}", name(blueprint))
}

/// Name of the firewall of machines on which images are made.
pub fn builders_firewall_name(blueprint: &Blueprint) -> String {
    firewall_name(blueprint, "bake")
}

/// Machines on which images are made serve nobody: only operators get in.
pub fn builders_firewall(blueprint: &Blueprint, tag: &Tag) -> FirewallSpec {
    let mut operators = Peers::default();
    add_peer(&mut operators, blueprint, &Peer::Operators);
    FirewallSpec {
        name: builders_firewall_name(blueprint),
        inbound: vec![Rule {
            protocol: "tcp".to_owned(),
            ports: "22".to_owned(),
            peers: operators,
        }],
        outbound: everywhere(),
        tags: vec![tag.to_string()],
        droplet_ids: Vec::new(),
    }
}

fn firewall(blueprint: &Blueprint, roles: &[&dyn Role], group: &str) -> FirewallSpec {
    let openings = openings(blueprint, roles, group);
    let ports: BTreeSet<(&str, u16)> = openings.iter().map(|(what, _)| *what).collect();
    let inbound = ports.into_iter().filter_map(|(protocol, port)| {
        let mut peers = Peers::default();
        for (_, from) in openings
            .iter()
            .filter(|(what, _)| *what == (protocol, port))
        {
            add_peer(&mut peers, blueprint, from);
        }
        let empty = peers.addresses.is_empty() && peers.tags.is_empty();
        (!empty).then(|| Rule {
            protocol: protocol.to_owned(),
            ports: port.to_string(),
            peers,
        })
    });
    FirewallSpec {
        name: firewall_name(blueprint, group),
        inbound: inbound.collect(),
        outbound: everywhere(),
        tags: vec![blueprint.group_tag(group)],
        droplet_ids: Vec::new(),
    }
}

/// What a group's hosts open: protocol and port, and to whom.
fn openings(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    group: &str,
) -> BTreeSet<((&'static str, u16), Peer)> {
    let Some(host) = blueprint.hosts.iter().find(|host| host.group == group) else {
        return BTreeSet::new();
    };
    let own = roles
        .iter()
        .filter(|role| host.has_role(role.schema().name));
    own.flat_map(|role| {
        let tcp = role.openings(blueprint).into_iter();
        let tcp = tcp.map(|Opening { port, from }| (("tcp", port), from));
        let other = role.other_openings(blueprint).into_iter();
        tcp.chain(other.filter_map(|opening| match opening {
            OtherOpening::Udp { port, from } => Some((("udp", port), from)),
            OtherOpening::Vrrp { .. } => None,
        }))
        .collect::<Vec<_>>()
    })
    .collect()
}

fn add_peer(peers: &mut Peers, blueprint: &Blueprint, peer: &Peer) {
    match peer {
        // The rules that are there stay until the entry address has moved.
        Peer::Entry => {}
        Peer::Internet => peers.addresses.extend(ANYWHERE.map(str::to_owned)),
        Peer::Operators => peers
            .addresses
            .extend(blueprint.environment.ssh_from.iter().cloned()),
        Peer::Role(role) => {
            let groups: BTreeSet<&str> = blueprint
                .with_role(role)
                .map(|host| host.group.as_str())
                .collect();
            peers
                .tags
                .extend(groups.into_iter().map(|group| blueprint.group_tag(group)));
        }
        Peer::Fleet => peers.tags.push(blueprint.tag()),
    }
    peers.addresses.sort();
    peers.addresses.dedup();
    peers.tags.sort();
    peers.tags.dedup();
}

fn everywhere() -> Vec<Rule> {
    ["tcp", "udp", "icmp"].map(everything_out).to_vec()
}

fn everything_out(protocol: &str) -> Rule {
    let addresses = ANYWHERE.map(str::to_owned).to_vec();
    Rule {
        protocol: protocol.to_owned(),
        ports: "0".to_owned(),
        peers: Peers {
            addresses,
            ..Peers::default()
        },
    }
}
