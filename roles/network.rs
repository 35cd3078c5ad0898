//! Where things are: names and addresses by which hosts reach each other.

use marg_model::{Address, Blueprint, Fleet, Host};
use marg_resources::Context;

/// Name below the internal domain, for example `redis.marg.internal`.
pub fn internal(blueprint: &Blueprint, name: &str) -> String {
    format!("{name}.{}", blueprint.environment.internal_domain)
}

/// The name by which everybody reaches a role: the group's own name of that kind, which stays
/// the same in every phase, else the first host with the role.
pub fn service(blueprint: &Blueprint, role: &str) -> Option<String> {
    let named = blueprint.phase.groups.iter().any(|group| {
        group.roles.iter().any(|own| own == role) && group.names.iter().any(|name| name == role)
    });
    if named {
        return Some(internal(blueprint, role));
    }
    let first = blueprint.with_role(role).next()?;
    Some(internal(blueprint, &first.name))
}

/// Whether everything is on one machine.
pub fn is_single(blueprint: &Blueprint) -> bool {
    blueprint.hosts.len() == 1
}

/// Private address of a host.
pub fn private(fleet: &Fleet, host: &Host) -> Address {
    let machine = fleet.machine(&host.name);
    machine.map_or_else(
        || Address::Pending(format!("{}'s private address", host.name)),
        |machine| machine.private.clone(),
    )
}

/// Addresses on which a service of this host listens for its fleet: loopback, and the private
/// address unless it is alone.
pub fn listen(context: &Context) -> Vec<String> {
    let mut addresses = vec!["127.0.0.1".to_owned()];
    if !is_single(context.blueprint()) {
        addresses.push(context.machine.private.to_string());
    }
    addresses
}

/// Hosts from which a database user may come, as SQL patterns.
pub fn sql_hosts(context: &Context) -> Vec<String> {
    if is_single(context.blueprint()) {
        return vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    }
    let range = context.blueprint().environment.vpc_range.as_deref();
    let first = match &context.machine.private {
        Address::Known(address) => Some(address.to_string()),
        Address::Pending(_) => range.map(str::to_owned),
    };
    let pattern = match first.as_deref().map(first_two_octets) {
        Some(Some(octets)) => format!("{octets}.%"),
        _ => format!("<private network of {}>", context.host.name),
    };
    vec![pattern]
}

fn first_two_octets(address: &str) -> Option<String> {
    let mut octets = address.split('.');
    Some(format!("{}.{}", octets.next()?, octets.next()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::World;

    #[test]
    fn services_keep_their_names_in_every_phase() {
        for phase in 1..=4 {
            let world = World::new(phase);
            let blueprint = &world.fleet.blueprint;
            for role in ["redis", "mysql"] {
                let name = service(blueprint, role).unwrap();
                assert_eq!(name, format!("{role}.marg.internal"), "phase {phase}");
            }
            assert_eq!(service(blueprint, "elasticsearch"), None);
        }
    }

    #[test]
    fn database_users_come_from_the_private_network() {
        let (two, one) = (World::new(2), World::new(1));
        assert_eq!(sql_hosts(&two.context("mysql1", "debian-13")), ["10.20.%"]);
        let loopback = ["127.0.0.1", "localhost"];
        assert_eq!(sql_hosts(&one.context("app1", "debian-13")), loopback);
        let mut pending = World::new(2);
        pending.fleet = Fleet::pending(&pending.fleet.blueprint);
        let unknown = ["<private network of mysql1>"];
        assert_eq!(sql_hosts(&pending.context("mysql1", "debian-13")), unknown);
    }
}
