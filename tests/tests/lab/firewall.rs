//! Every port of every machine, from the public side and from a machine that must not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use marg_tests::fleet::{Fleet, changes_of};
use marg_tests::scan::{self, Answer};
use marg_tests::web::runtime;

cases! {
    "firewall: the public side reaches 22, and 80 and 443 of the web server, and nothing else" => public,
    "firewall: a machine that must not reaches no service of another" => inside,
    "firewall: machines that must reach Redis and the database do" => wanted,
    "firewall: the cloud keeps a port closed that a machine opened itself" => outside_the_machine,
}

const WEB: &[u16] = &[22, 80, 443];

/// What anybody may reach on a host.
fn public_ports(host: &str) -> BTreeSet<u16> {
    let ports = if host == "http1" { WEB } else { &[22] };
    ports.iter().copied().collect()
}

#[track_caller]
fn assert_only(what: &str, found: &BTreeMap<u16, Answer>, allowed: &BTreeSet<u16>) {
    let surplus: Vec<_> = found
        .iter()
        .filter(|(port, _)| !allowed.contains(port))
        .collect();
    assert!(surplus.is_empty(), "{what}: these answer, too: {surplus:?}");
}

fn public() {
    let fleet = Fleet::provisioned();
    let mut addresses: Vec<(String, Ipv4Addr, BTreeSet<u16>)> = Vec::new();
    for machine in fleet.machines.values() {
        addresses.push((
            machine.name.clone(),
            machine.public,
            public_ports(&machine.name),
        ));
    }
    addresses.push(("the entry".to_owned(), fleet.entry, public_ports("http1")));
    for (name, address, allowed) in addresses {
        assert!(
            runtime().block_on(scan::opens(address, 22)),
            "{name} {address}"
        );
        assert_only(
            &name,
            &runtime().block_on(scan::all_ports(address)),
            &allowed,
        );
    }
    for address in [fleet.entry, fleet.machine("http1").public] {
        assert!(runtime().block_on(scan::opens(address, 80)), "{address}");
    }
    // The private network does not lead out of the VPC.
    for machine in fleet.machines.values() {
        assert!(
            !runtime().block_on(scan::opens(machine.private, 22)),
            "{}",
            machine.name
        );
    }
}

fn inside() {
    let fleet = Fleet::provisioned();
    for (from, addresses) in [("redis1", 2), ("mysql1", 1)] {
        let others: Vec<_> = fleet
            .machines
            .values()
            .filter(|other| other.name != from)
            .collect();
        let found = scan::inside(fleet.machine(from).droplet, |runtime| {
            let mut found = Vec::new();
            for other in &others {
                for address in [other.private, other.public].into_iter().take(addresses) {
                    let ports = runtime.block_on(scan::all_ports(address));
                    found.push((
                        format!("{from} to {} {address}", other.name),
                        &other.name,
                        ports,
                    ));
                }
            }
            found
        });
        for (what, host, ports) in found {
            assert_only(&what, &ports, &public_ports(host));
        }
    }
    // The worker may reach Redis and the database, and of the web server what everybody may.
    let worker = fleet.machine("worker1").droplet;
    let http = fleet.machine("http1").private;
    let ports = scan::inside(worker, |runtime| runtime.block_on(scan::all_ports(http)));
    assert_only("worker1 to http1", &ports, &public_ports("http1"));
}

fn wanted() {
    let fleet = Fleet::provisioned();
    for from in ["http1", "worker1"] {
        for (to, ports) in [("redis1", &[6379, 6477, 7328][..]), ("mysql1", &[3306])] {
            let address = fleet.machine(to).private;
            for port in ports {
                let opens = scan::inside(fleet.machine(from).droplet, |runtime| {
                    runtime.block_on(scan::opens(address, *port))
                });
                assert!(opens, "{from} to {to}:{port}");
            }
        }
    }
}

fn outside_the_machine() {
    let fleet = Fleet::provisioned();
    let mysql = fleet.machine("mysql1");
    let refused = || !runtime().block_on(scan::opens(mysql.public, 8099));
    fleet.on(
        "mysql1",
        "ufw --force disable >/dev/null && \
        systemd-run -q --unit=marg-test-listener python3 -m http.server 8099",
    );
    fleet.on(
        "mysql1",
        "for i in $(seq 100); do curl -fso /dev/null http://127.0.0.1:8099/ && exit 0; \
        sleep 0.1; done; exit 1",
    );
    assert!(refused(), "the cloud's firewall let 8099 pass");
    fleet.on("mysql1", "systemctl stop marg-test-listener");
    // And the machine's own firewall comes back.
    let plan = fleet.plan();
    assert!(
        changes_of(&plan).iter().any(|line| line.contains("ufw")),
        "{:?}",
        changes_of(&plan)
    );
    fleet.provision();
    assert!(fleet.on("mysql1", "ufw status").contains("Status: active"));
    fleet.assert_converged();
}
