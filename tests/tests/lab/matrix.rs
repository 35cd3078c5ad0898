//! The firewall matrix of phases 3 and 4, asked of every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use marg_tests::fleet::{Fleet, Machine};
use marg_tests::scan;
use marg_tests::web::runtime;

/// Ports of everything that marg sets up.
const PORTS: [u16; 12] = [
    22, 80, 443, 3306, 6379, 6380, 6477, 7328, 8404, 9100, 9201, 26379,
];

/// Whether a group may reach a port of another; `None` is the public side.
fn may(from: Option<&str>, to: &str, port: u16, phase: u8) -> bool {
    let app = matches!(from, Some("http" | "worker"));
    let replicated = phase == 4;
    match (to, port) {
        (_, 22) | ("lb", 80) => true,
        ("lb", 8404) => from.is_some(),
        ("http", 80) => from == Some("lb"),
        ("redis", 6379) => app || (replicated && from == Some("redis")),
        // The applications' caches.
        ("redis", 6477 | 7328) => app,
        ("redis", 26379) => replicated && (app || from == Some("redis")),
        ("mysql", 3306) => app || (replicated && from == Some("mysql")),
        ("mysql", 9201) => replicated && app,
        // 443 is open on balancers, but without a certificate nothing listens there.
        _ => false,
    }
}

fn group(host: &str) -> &str {
    host.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// The matrix: what answers from the public side and between every pair of groups.
#[track_caller]
pub fn assert_ports(fleet: &Fleet, phase: u8) {
    let named = |address: fn(&Machine) -> Ipv4Addr| {
        let machines = fleet.machines.values();
        machines.map(move |machine| (address(machine), machine.name.as_str()))
    };
    let mut public: Vec<_> = named(|machine| machine.public).collect();
    public.push((fleet.entry, "lb"));
    let private: Vec<_> = named(|machine| machine.private).collect();
    let addresses = |of: &[(Ipv4Addr, &str)]| of.iter().map(|(address, _)| *address).collect();
    let everywhere: Vec<Ipv4Addr> = addresses(&public);
    let found = runtime().block_on(scan::which(&everywhere, &PORTS));
    assert_eq!(found, expected(&public, None, phase), "from outside");

    let inside: Vec<Ipv4Addr> = addresses(&private);
    let mut askers = BTreeMap::new();
    for machine in fleet.machines.values() {
        // The last of a group: between two of a group something may be open, too.
        askers.insert(group(&machine.name), machine);
    }
    for (from, machine) in askers {
        let found = scan::inside(machine.droplet, |runtime| {
            runtime.block_on(scan::which(&inside, &PORTS))
        });
        let own = |pair: &(Ipv4Addr, u16)| pair.0 == machine.private;
        let found: BTreeSet<_> = found.into_iter().filter(|pair| !own(pair)).collect();
        let mut wanted = expected(&private, Some(from), phase);
        wanted.retain(|pair| !own(pair));
        assert_eq!(found, wanted, "from {from} in phase {phase}");
    }
}

fn expected(
    hosts: &[(Ipv4Addr, &str)],
    from: Option<&str>,
    phase: u8,
) -> BTreeSet<(Ipv4Addr, u16)> {
    let pairs = hosts
        .iter()
        .flat_map(|host| PORTS.map(|port| (host, port)))
        .filter(|((_, name), port)| may(from, group(name), *port, phase));
    pairs.map(|((address, _), port)| (*address, port)).collect()
}
