//! What must happen in order when an environment moves: from phase to phase, or to fewer hosts.
//! Everything new is opened first; what is no longer wanted closes last. Pure.

use std::net::Ipv4Addr;

use marg_cloud::{Firewall, FirewallSpec, Rule};
use marg_model::{Blueprint, Host};
use marg_resources::Role;

use super::leaving::{Leaving, phase_of};
use super::situation::Situation;
use crate::error::EngineError;

/// Where the entry address has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It leads to a host of the entry group already.
    Stays,
    /// It leads nowhere yet, or does not exist: it can be had at once.
    Take {
        /// The host that it will lead to.
        to: String,
    },
    /// Visitors arrive elsewhere: it moves when the new host serves.
    Move {
        /// The address.
        ip: Ipv4Addr,
        /// The host that it will lead to.
        to: String,
    },
}

impl Situation {
    /// Where the entry address has to go. Any host of the entry group may hold it: two balancers
    /// hand it to each other.
    pub fn entry_move(&self, blueprint: &Blueprint) -> Option<Entry> {
        let first = blueprint.entry()?;
        let to = first.name.clone();
        let Some(reserved) = &self.entry else {
            return Some(Entry::Take { to });
        };
        let holder = reserved.droplet;
        let in_group = |host: &&Host| host.group == first.group;
        let mut group = blueprint.hosts.iter().filter(in_group);
        let held = |host: &Host| {
            let droplet = self.by_host.get(&host.name);
            droplet.is_some_and(|droplet| holder == Some(droplet.id))
        };
        if group.any(held) {
            return Some(Entry::Stays);
        }
        Some(match self.entry_at() {
            Some(_) => Entry::Move {
                ip: reserved.ip,
                to,
            },
            None => Entry::Take { to },
        })
    }

    /// Whether hosts leave or visitors are led elsewhere: then everything opens before anything
    /// closes.
    pub fn is_moving(&self, blueprint: &Blueprint) -> bool {
        let moves = matches!(self.entry_move(blueprint), Some(Entry::Move { .. }));
        moves || !self.leaving.is_empty()
    }

    /// Hosts that go with this run: those without data, and those with data that are named.
    pub fn going<'a>(&'a self, named: &'a [String]) -> impl Iterator<Item = &'a Leaving> {
        self.leaving
            .iter()
            .filter(|one| !one.host.holds_data || named.contains(&one.host.name))
    }

    /// Whether a host of the blueprint comes from the same phase as one that leaves: it has
    /// served until now, and is not a host that was made for the move.
    pub fn comes_with(&self, blueprint: &Blueprint, host: &Host, leaving: &Leaving) -> bool {
        let environment = &blueprint.environment.name;
        let from = phase_of(environment, &leaving.droplet);
        let droplet = self.by_host.get(&host.name);
        droplet.is_some_and(|droplet| phase_of(environment, droplet) == from)
    }

    /// Refuses a move that would lose data: hosts that hold it leave, no fellow of theirs stays,
    /// and it cannot be handed over with the entry address; or an old copy would be taken for it.
    pub fn refuse_losses(
        &self,
        blueprint: &Blueprint,
        roles: &[&dyn Role],
    ) -> Result<(), EngineError> {
        if !self.left_behind.is_empty() {
            return Err(EngineError::LeftBehind {
                hosts: self.left_behind.clone(),
                phase: blueprint.phase.number,
            });
        }
        let moves = matches!(self.entry_move(blueprint), Some(Entry::Move { .. }));
        let kept = |role: &&&dyn Role| {
            let mut heirs = blueprint.with_role(role.schema().name);
            // Without a move of the entry address the heirs have it already, if they are there.
            heirs.any(|host| moves || self.by_host.contains_key(&host.name))
        };
        let is_lost = |host: &Host| {
            let roles = roles
                .iter()
                .filter(|role| host.has_role(role.schema().name));
            let mut with_data = roles.filter(|role| role.handover().is_some());
            host.holds_data && !with_data.all(|role| kept(&role))
        };
        let hosts = self.leaving.iter().map(|one| &one.host);
        let lost: Vec<&str> = hosts
            .filter(|host| is_lost(host))
            .map(|host| host.name.as_str())
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        Err(EngineError::OnlyCopy {
            hosts: lost.join(", "),
            phase: blueprint.phase.number,
        })
    }
}

/// A firewall that lets in both whom it lets in now and whom it will let in.
/// Who may log in changes at once: whether the operator still can is seen before a host is touched.
pub fn widened(spec: FirewallSpec, found: &[Firewall]) -> FirewallSpec {
    let Some(present) = found.iter().find(|firewall| firewall.name == spec.name) else {
        return spec;
    };
    let mut spec = spec;
    let others = present
        .inbound_rules
        .iter()
        .filter(|rule| rule.ports != SSH);
    for rule in others {
        widen(&mut spec.inbound, rule);
    }
    spec
}

fn widen(rules: &mut Vec<Rule>, more: &Rule) {
    let same = |rule: &&mut Rule| {
        rule.protocol.eq_ignore_ascii_case(&more.protocol) && rule.ports == more.ports
    };
    let Some(rule) = rules.iter_mut().find(same) else {
        rules.push(more.clone());
        return;
    };
    for (own, other) in [
        (&mut rule.peers.addresses, &more.peers.addresses),
        (&mut rule.peers.tags, &more.peers.tags),
    ] {
        own.extend(other.iter().cloned());
        own.sort();
        own.dedup();
    }
}

/// Where operators log in.
const SSH: &str = "22";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn firewalls_open_before_they_close() {
        let rule = |port: &str, tags: &[&str], addresses: &[&str]| json!({"protocol": "tcp", "ports": port, "sources": {"tags": tags, "addresses": addresses}});
        let present = json!({"id": "f", "name": "marg-shop-http", "status": "succeeded", "tags": [],
            "inbound_rules": [rule("80", &[], &["0.0.0.0/0"]), rule("443", &[], &["0.0.0.0/0"]),
                rule("22", &[], &["0.0.0.0/0"])]});
        let present: Firewall = serde_json::from_value(present).unwrap();
        let wanted: Rule = serde_json::from_value(rule("80", &["lb"], &[])).unwrap();
        let spec = FirewallSpec {
            name: "marg-shop-http".to_owned(),
            inbound: vec![wanted],
            ..FirewallSpec::default()
        };
        let inbound = widened(spec, &[present]).inbound;
        let seen: Vec<_> = inbound
            .iter()
            .map(|rule| {
                (
                    rule.ports.as_str(),
                    rule.peers.tags.len(),
                    rule.peers.addresses.len(),
                )
            })
            .collect();
        assert_eq!(seen, [("80", 1, 1), ("443", 0, 1)]);
    }
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod moves;
