//! What would change in the cloud, in order. Pure.

use std::collections::BTreeSet;

use marg_cloud::{Droplet, FirewallSpec};
use marg_model::{Blueprint, Host};
use marg_resources::{Action, Role};

use super::desired;
use super::leaving::Leaving;
use super::situation::{Found, Situation};
use super::transition::Entry;
use crate::environment::{CloudChange, CloudKind, Monthly};

/// Everything, in the order in which it is done.
pub fn changes(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    situation: &Situation,
) -> Vec<CloudChange> {
    let found = &situation.found;
    let mut changes = Vec::new();
    let mut add = |kind, name: String, action, details| {
        changes.push(CloudChange {
            kind,
            name,
            action,
            details,
        });
    };
    let name = desired::name(blueprint);
    if found.ssh_key.is_none() {
        add(CloudKind::SshKey, name.clone(), Action::Create, Vec::new());
    }
    if found.network().is_none() {
        let range = blueprint.environment.vpc_range.clone();
        let details = vec![format!(
            "{} {}",
            blueprint.environment.region,
            range.unwrap_or_else(|| "range chosen by DigitalOcean".to_owned())
        )];
        add(CloudKind::Vpc, name.clone(), Action::Create, details);
    }
    for (spec, differences) in firewall_changes(blueprint, roles, found) {
        let exists = found
            .firewalls
            .iter()
            .any(|firewall| firewall.name == spec.name);
        let action = if exists {
            Action::Update
        } else {
            Action::Create
        };
        add(CloudKind::Firewall, spec.name, action, differences);
    }
    for (host, _) in untagged(blueprint, situation) {
        let details = vec![format!("+ tag {}", blueprint.group_tag(&host.group))];
        add(
            CloudKind::Droplet,
            blueprint.droplet_name(&host.name),
            Action::Update,
            details,
        );
    }
    for host in situation.missing(blueprint) {
        let price = found.sizes.iter().find(|size| size.slug == host.size);
        let price = price.map_or("unknown price".to_owned(), |s| {
            format!("${}/month", s.price_monthly)
        });
        let image = match situation.bake_for(blueprint, host) {
            Some(bake) => format!("{} (baked {})", host.image, bake.day()),
            None => host.image.clone(),
        };
        let details = vec![format!(
            "{} {image} {} {price}",
            host.size, blueprint.environment.region
        )];
        add(
            CloudKind::Droplet,
            blueprint.droplet_name(&host.name),
            Action::Create,
            details,
        );
    }
    changes.extend(entry_change(blueprint, situation));
    changes.extend(closing(blueprint, situation));
    changes
}

/// What comes last: hosts that leave, firewalls that nobody is behind any more, the phase.
fn closing(blueprint: &Blueprint, situation: &Situation) -> Vec<CloudChange> {
    let change = |kind, name: &str, action, details: Vec<String>| CloudChange {
        kind,
        name: name.to_owned(),
        action,
        details,
    };
    // Those with data go only when they are named: see the notes.
    let leaving = situation.going(&[]).map(|one| {
        let why = format!("phase {} does not have it", blueprint.phase.number);
        change(
            CloudKind::Droplet,
            &one.droplet.name,
            Action::Delete,
            vec![why],
        )
    });
    let firewalls = obsolete_firewalls(blueprint, situation, |one| one.host.holds_data);
    let firewalls =
        firewalls.map(|name| change(CloudKind::Firewall, name, Action::Delete, Vec::new()));
    let tag = phase_tag(blueprint);
    let phases = not_of_the_phase(blueprint, situation);
    let phases = phases.map(|droplet| {
        let details = vec![format!("+ tag {tag}")];
        change(CloudKind::Droplet, &droplet.name, Action::Update, details)
    });
    leaving.chain(firewalls).chain(phases).collect()
}

/// Tag that tells in which phase an environment stands.
pub fn phase_tag(blueprint: &Blueprint) -> String {
    format!(
        "marg-phase:{}:{}",
        blueprint.environment.name, blueprint.phase.number
    )
}

/// Droplets that do not say yet that they stand in the blueprint's phase; those that stay although
/// they leave, because they hold data, are among them.
pub fn not_of_the_phase<'a>(
    blueprint: &'a Blueprint,
    situation: &'a Situation,
) -> impl Iterator<Item = &'a Droplet> {
    let wanted = phase_tag(blueprint);
    let leaving = situation.leaving.iter().map(|one| &one.droplet);
    let leaving = leaving.filter(|_| situation.going(&[]).next().is_none());
    situation
        .by_host
        .values()
        .chain(leaving)
        .filter(move |droplet| {
            let tags = droplet.tags.as_ref();
            tags.is_some_and(|tags| !tags.iter().any(|tag| tag.eq_ignore_ascii_case(&wanted)))
        })
}

/// The environment's firewalls for groups that the blueprint does not have, and that no leaving
/// host that `stays` is behind.
pub fn obsolete_firewalls<'a>(
    blueprint: &'a Blueprint,
    situation: &'a Situation,
    stays: impl Fn(&Leaving) -> bool,
) -> impl Iterator<Item = &'a str> {
    let stays = situation.leaving.iter().filter(|one| stays(one));
    let wanted: BTreeSet<String> = desired::groups(blueprint)
        .into_iter()
        .chain(stays.map(|one| one.host.group.as_str()))
        .map(|group| desired::firewall_name(blueprint, group))
        .collect();
    let builders = desired::builders_firewall_name(blueprint);
    let found = &situation.found;
    let names = found
        .firewalls
        .iter()
        .map(|firewall| firewall.name.as_str());
    names.filter(move |name| !wanted.contains(*name) && *name != builders)
}

/// Droplets without their group's tag: the group's firewall does not cover them.
pub fn untagged<'a>(
    blueprint: &'a Blueprint,
    situation: &'a Situation,
) -> impl Iterator<Item = (&'a Host, &'a Droplet)> {
    blueprint.hosts.iter().filter_map(|host| {
        let droplet = situation.by_host.get(&host.name)?;
        let wanted = blueprint.group_tag(&host.group);
        // Tags that the token may not read are not known to be missing.
        let tags = droplet.tags.as_ref()?;
        let has = tags.iter().any(|tag| tag.eq_ignore_ascii_case(&wanted));
        (!has).then_some((host, droplet))
    })
}

/// Firewalls that are missing or differ, with what differs.
pub fn firewall_changes(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    found: &Found,
) -> Vec<(FirewallSpec, Vec<String>)> {
    let specs = desired::firewalls(blueprint, roles).into_iter();
    let differing = spec_differences(specs, found);
    differing
        .filter(|(_, differences)| !differences.is_empty())
        .collect()
}

fn spec_differences<'a>(
    specs: impl Iterator<Item = FirewallSpec> + 'a,
    found: &'a Found,
) -> impl Iterator<Item = (FirewallSpec, Vec<String>)> + 'a {
    specs.map(|spec| {
        let present = found
            .firewalls
            .iter()
            .find(|firewall| firewall.name == spec.name);
        let differences = match present {
            Some(firewall) => spec.differences(firewall),
            None => vec![format!("{} inbound rules", spec.inbound.len())],
        };
        (spec, differences)
    })
}

fn entry_change(blueprint: &Blueprint, situation: &Situation) -> Option<CloudChange> {
    let (name, action, to) = match (situation.entry_move(blueprint)?, &situation.entry) {
        (Entry::Stays, _) => return None,
        (Entry::Move { ip, to }, _) => (ip.to_string(), Action::Update, to),
        (Entry::Take { to }, Some(reserved)) => (reserved.ip.to_string(), Action::Update, to),
        (Entry::Take { to }, None) => ("entry address".to_owned(), Action::Create, to),
    };
    Some(CloudChange {
        kind: CloudKind::ReservedIp,
        name,
        action,
        details: vec![format!("leads to {to}")],
    })
}

/// What the droplets cost, now and when everything is done.
pub fn monthly(blueprint: &Blueprint, situation: &Situation) -> Monthly {
    let found = &situation.found;
    let price = |slug: &str| {
        found
            .sizes
            .iter()
            .find(|size| size.slug == slug)
            .map_or(0.0, |size| size.price_monthly)
    };
    let before: f64 = found
        .droplets
        .iter()
        .map(|droplet| price(&droplet.size_slug))
        // Not `sum`: an empty one is minus zero.
        .fold(0.0, |sum, price| sum + price);
    let created: f64 = blueprint
        .hosts
        .iter()
        .filter(|host| {
            let name = blueprint.droplet_name(&host.name);
            !found.droplets.iter().any(|droplet| droplet.name == name)
        })
        .map(|host| price(&host.size))
        .sum();
    let gone: f64 = situation
        .going(&[])
        .map(|one| price(&one.droplet.size_slug))
        .sum();
    Monthly {
        before,
        after: before + created - gone,
    }
}
