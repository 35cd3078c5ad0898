//! `ufw`: the host's own firewall, made from what all its roles open. Everything else is
//! refused.

use std::collections::BTreeSet;

use marg_model::{EarlierForm, RoleSchema};
use marg_resources::kinds::{Package, UfwPolicy, UfwRule};
use marg_resources::{Check, Context, OtherOpening, Peer, Resource, Role, RoleError};

use crate::network;

const ANYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The role.
pub struct Ufw;

impl Role for Ufw {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "ufw",
            doc: "The host's firewall: refuses what no role of the host opens.",
            settings: &[],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let tcp = allowed(context).into_iter().map(rule);
        let rules: Vec<UfwRule> = tcp.chain(others(context)).collect();
        let mut resources = vec![Package::new("ufw").into()];
        resources.extend(rules.iter().cloned().map(Resource::from));
        // Last: port 22 is open before everything else closes.
        resources.push(UfwPolicy::new(rules).into());
        Ok(resources)
    }

    fn checks(&self, _context: &Context) -> Vec<Check> {
        vec![Check {
            name: "the firewall is active".to_owned(),
            script: "LC_ALL=C ufw status | grep -q '^Status: active'".to_owned(),
            deadline_seconds: 10,
        }]
    }
}

/// A port and one who may reach it; `None` is everybody.
type Allowed = (u16, Option<String>);

fn rule((port, from): Allowed) -> UfwRule {
    match from {
        Some(from) => UfwRule::allow(port).from(from),
        None => UfwRule::allow(port).from_any(),
    }
}

/// What the roles of this host open beside TCP ports.
fn others(context: &Context) -> Vec<UfwRule> {
    let own = context.roles.iter();
    let own = own.filter(|role| opens(context, role.schema().name));
    let openings = own.flat_map(|role| role.other_openings(context.blueprint()));
    let rules = openings.map(|opening| match opening {
        OtherOpening::Vrrp { from } => vec![UfwRule::allow_vrrp().from(from)],
        OtherOpening::Udp { port, from } => {
            let peers = peers(context, &from).into_iter();
            let rule = |peer| match peer {
                Some(peer) => UfwRule::allow_udp(port).from(peer),
                None => UfwRule::allow_udp(port).from_any(),
            };
            peers.map(rule).collect()
        }
    });
    rules.flatten().collect()
}

/// Whether the host has the role, or had it and has fellows with it that have not left yet.
fn opens(context: &Context, role: &str) -> bool {
    context.host.has_role(role) || context.fleet.lingers(role, context.host)
}

/// What the roles of this host open, with addresses for names.
fn allowed(context: &Context) -> BTreeSet<Allowed> {
    let own = context.roles.iter();
    let own = own.filter(|role| opens(context, role.schema().name));
    let openings: BTreeSet<_> = own
        .flat_map(|role| {
            let mut openings = role.openings(context.blueprint());
            if context.fleet.earlier == EarlierForm::Kept {
                openings.extend(role.earlier().into_iter().flat_map(|one| (one.openings)()));
            }
            openings
        })
        .collect();
    let mut allowed: BTreeSet<Allowed> = openings
        .iter()
        .flat_map(|opening| {
            let peers = peers(context, &opening.from).into_iter();
            peers.map(|peer| (opening.port, peer))
        })
        .collect();
    // A port that everybody may reach needs no further rules.
    let open: BTreeSet<u16> = allowed
        .iter()
        .filter(|(_, from)| from.is_none())
        .map(|(port, _)| *port)
        .collect();
    allowed.retain(|(port, from)| from.is_none() || !open.contains(port));
    allowed
}

fn peers(context: &Context, peer: &Peer) -> Vec<Option<String>> {
    let others = |role: Option<&str>| -> Vec<Option<String>> {
        let hosts = context.fleet.peers();
        hosts
            .filter(|host| role.is_none_or(|role| host.has_role(role)))
            .filter(|host| host.name != context.host.name)
            .map(|host| Some(network::private(context.fleet, host).to_string()))
            .collect()
    };
    match peer {
        Peer::Internet => vec![None],
        Peer::Entry if context.fleet.entry_at.as_ref() == Some(&context.host.name) => vec![None],
        Peer::Entry => Vec::new(),
        Peer::Operators => operators(&context.blueprint().environment.ssh_from),
        Peer::Role(role) => others(Some(role)),
        Peer::Fleet => others(None),
    }
}

fn operators(networks: &[String]) -> Vec<Option<String>> {
    let everywhere = |network: &str| networks.iter().any(|own| own == network);
    if ANYWHERE.into_iter().all(everywhere) {
        return vec![None];
    }
    networks.iter().cloned().map(Some).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::World;

    fn rules(world: &World, host: &str) -> Vec<String> {
        let allowed = allowed(&world.context(host, "debian-13"));
        let text = |(port, from): Allowed| format!("{port} {}", from.as_deref().unwrap_or("any"));
        allowed.into_iter().map(text).collect()
    }

    #[test]
    fn the_matrix() {
        let two = World::new(2);
        for (host, expected) in [
            ("http1", vec!["22 any", "80 any", "443 any"]),
            (
                "redis1",
                vec![
                    "22 any",
                    "6379 10.20.0.2",
                    "6379 10.20.0.5",
                    "6477 10.20.0.2",
                    "6477 10.20.0.5",
                    "7328 10.20.0.2",
                    "7328 10.20.0.5",
                ],
            ),
            ("mysql1", vec!["22 any", "3306 10.20.0.2", "3306 10.20.0.5"]),
            ("worker1", vec!["22 any"]),
        ] {
            assert_eq!(rules(&two, host), expected, "phase 2, {host}");
        }
        // On one machine everything is reached by loopback.
        let one = World::new(1);
        assert_eq!(rules(&one, "app1"), ["22 any", "80 any", "443 any"]);
        // Behind a balancer the web servers are not public.
        let three = World::new(3);
        assert_eq!(rules(&three, "http1"), ["22 any", "80 10.20.0.2"]);
    }

    #[test]
    fn on_the_way_between_phases_nobody_is_shut_out() {
        let mut three = World::new(3);
        three.fleet.entry_at = Some("http1".to_owned());
        assert_eq!(rules(&three, "http1"), ["22 any", "80 any", "443 any"]);
        assert_eq!(rules(&three, "http2"), ["22 any", "80 10.20.0.2"]);
        // A worker on its way out still finishes its jobs.
        let mut two = World::new(2);
        let gone = two.fleet.blueprint.hosts.pop().unwrap();
        assert_eq!(rules(&two, "mysql1"), ["22 any", "3306 10.20.0.2"]);
        two.fleet.leaving.push(gone);
        let open = ["22 any", "3306 10.20.0.2", "3306 10.20.0.5"];
        assert_eq!(rules(&two, "mysql1"), open);
    }

    #[test]
    fn operators_may_be_few() {
        let mut world = World::new(2);
        world.fleet.blueprint.environment.ssh_from = vec!["198.18.5.0/24".to_owned()];
        assert_eq!(rules(&world, "worker1"), ["22 198.18.5.0/24"]);
        world.fleet.blueprint.environment.ssh_from = vec!["0.0.0.0/0".to_owned()];
        assert_eq!(rules(&world, "worker1"), ["22 0.0.0.0/0"]);
    }

    #[test]
    fn what_fellows_need_that_leave_stays_open_until_they_are_gone() {
        let four = World::new(4);
        let mut three = World::new(3);
        assert_eq!(
            rules(&three, "mysql1").len(),
            7,
            "22, three http, three workers"
        );
        let leaving = four.fleet.blueprint.host("mysql2").unwrap().clone();
        let machine = four.fleet.machine("mysql2").unwrap().clone();
        three.fleet.machines.insert("mysql2".to_owned(), machine);
        three.fleet.leaving.push(leaving);
        let rules = rules(&three, "mysql1").join(" ");
        let address = three.fleet.machine("mysql2").unwrap().private.to_string();
        assert!(rules.contains(&format!("3306 {address}")), "{rules}");
        assert!(rules.contains("9201 "), "{rules}");
    }

    #[test]
    fn an_address_to_come_is_shown() {
        let mut world = World::new(2);
        world.fleet = marg_model::Fleet::pending(&world.fleet.blueprint);
        let rules = rules(&world, "mysql1");
        assert_eq!(rules[1], "3306 <http1's private address>");
    }
}
