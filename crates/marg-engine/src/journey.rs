//! What happens in which order when an environment that serves is changed, and what visitors
//! notice of it. Pure; printed by `plan`.

use marg_model::Fleet;
use marg_resources::{Action, HostPlan, Role};

use crate::cloud::situation::Situation;
use crate::cloud::transition::Entry;
use crate::handover::{Carry, carries};

/// The order, one sentence each; empty when nothing exists yet or nothing moves.
pub fn journey(
    fleet: &Fleet,
    roles: &[&dyn Role],
    situation: &Situation,
    hosts: &[HostPlan],
) -> Vec<String> {
    let blueprint = &fleet.blueprint;
    if situation.by_host.is_empty() && situation.leaving.is_empty() {
        return Vec::new();
    }
    let mut order = Vec::new();
    let missing: Vec<&str> = names(situation.missing(blueprint).map(|host| host.name.as_str()));
    if !missing.is_empty() {
        let new = missing.join(", ");
        order.push(format!(
            "{new}: created and set up, while everything else serves on"
        ));
        let serving = |name: &&str| {
            blueprint
                .host(name)
                .is_some_and(|host| host.has_role("app"))
        };
        let apps = names(missing.iter().copied().filter(serving)).join(", ");
        if !apps.is_empty() {
            order.push(format!(
                "{apps}: the releases that are live now are put there"
            ));
        }
    }
    order.extend(hosts.iter().filter_map(interruption));
    let carried: Vec<String> = carries(blueprint, situation, roles, &fleet.leaders)
        .iter()
        .map(Carry::name)
        .collect();
    if !carried.is_empty() {
        order.push(format!(
            "an interruption: the applications answer 503 while data is carried over ({}); some \
             seconds, and about a minute for each GB",
            carried.join(", ")
        ));
    }
    if let Some(Entry::Move { ip, to }) = situation.entry_move(blueprint) {
        order.push(format!(
            "the entry address {ip} moves to {to} when that serves; connections that are open at \
             that moment end, new ones are answered"
        ));
    }
    let going = names(situation.going(&[]).map(|one| one.host.name.as_str())).join(", ");
    if !going.is_empty() {
        order.push(format!(
            "{going}: finish their jobs and requests, at most 15 minutes, and are destroyed"
        ));
    }
    if situation.is_moving(blueprint) {
        order.push("last, firewalls close for what has left".to_owned());
    }
    order
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    all.collect()
}

/// Restarts of what everybody uses.
fn interruption(host: &HostPlan) -> Option<String> {
    const SHARED: [&str; 4] = [
        "service redis-server",
        "service mariadb",
        "service mysql",
        "service haproxy",
    ];
    let restarts: Vec<&str> = host
        .changes
        .iter()
        .filter(|change| change.action == Action::Run && change.summary.contains("restart"))
        .filter_map(|change| SHARED.into_iter().find(|name| *name == change.resource))
        .filter_map(|name| name.strip_prefix("service "))
        .collect();
    (!restarts.is_empty()).then(|| {
        format!(
            "{}: {} restarts; what needs it waits or fails for about a second",
            host.name,
            restarts.join(" and ")
        )
    })
}
