//! What the cloud has of an environment, and what it lacks. Looking is one round of requests;
//! comparing is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use marg_cloud::{
    Cloud, CloudError, Droplet, Firewall, FirewallSpec, ReservedIp, Size, SshKey, Tag, Vpc,
    md5_fingerprint,
};
use marg_model::{Address, Blueprint, Fleet, Host, Machine};
use marg_resources::{Action, Role};

use super::desired;
use crate::environment::{CloudChange, CloudKind, Monthly};

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Droplets that carry the environment's tag.
    pub droplets: Vec<Droplet>,
    /// Reserved addresses of the account.
    pub reserved: Vec<ReservedIp>,
    /// Private networks of the account.
    pub vpcs: Vec<Vpc>,
    /// Firewalls of the account.
    pub firewalls: Vec<Firewall>,
    /// Sizes and their prices.
    pub sizes: Vec<Size>,
    /// The operator's key in the account.
    pub ssh_key: Option<SshKey>,
}

impl Found {
    /// Asks for everything at once.
    pub async fn look(
        cloud: &dyn Cloud,
        blueprint: &Blueprint,
        public_key: &str,
    ) -> Result<Found, CloudError> {
        let tag = Tag::new(&blueprint.tag())?;
        let fingerprint = md5_fingerprint(public_key)?;
        let (droplets, reserved, vpcs, firewalls, sizes, ssh_key) = tokio::try_join!(
            cloud.droplets_tagged(&tag),
            cloud.reserved_ips(),
            cloud.vpcs(),
            cloud.firewalls(),
            cloud.sizes(),
            cloud.find_ssh_key(&fingerprint),
        )?;
        Ok(Found {
            droplets,
            reserved,
            vpcs,
            firewalls,
            sizes,
            ssh_key,
        })
    }

    /// Asks for what a fleet that exists needs to be reached: two requests instead of six.
    pub async fn machines(cloud: &dyn Cloud, blueprint: &Blueprint) -> Result<Found, CloudError> {
        let tag = Tag::new(&blueprint.tag())?;
        let (droplets, reserved) =
            tokio::try_join!(cloud.droplets_tagged(&tag), cloud.reserved_ips())?;
        Ok(Found {
            droplets,
            reserved,
            vpcs: Vec::new(),
            firewalls: Vec::new(),
            sizes: Vec::new(),
            ssh_key: None,
        })
    }

    /// The reserved addresses themselves: they show up among a droplet's public ones.
    pub fn reserved_addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.reserved.iter().map(|reserved| reserved.ip).collect()
    }
}

/// What was found beside what is wanted.
#[derive(Clone, Debug)]
pub struct Situation {
    /// What was found.
    pub found: Found,
    /// Droplet of each host that has one.
    pub by_host: BTreeMap<String, Droplet>,
    /// What would change in the cloud, in order.
    pub changes: Vec<CloudChange>,
    /// Cost of this environment's droplets.
    pub monthly: Monthly,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The entry address, if this environment has one.
    pub entry: Option<ReservedIp>,
    /// Names of droplets that carry the environment's tag and are no host of the blueprint.
    pub strangers: Vec<String>,
}

impl Situation {
    /// Compares. `hint` is the entry address as last seen.
    pub fn compare(
        blueprint: &Blueprint,
        roles: &[&dyn Role],
        found: Found,
        hint: Option<Ipv4Addr>,
    ) -> Situation {
        let mut situation = Situation::bind(blueprint, found, hint);
        situation.monthly = monthly(blueprint, &situation.found);
        situation.changes = changes(blueprint, roles, &situation);
        situation
    }

    /// Binds droplets to hosts without asking what would change.
    pub fn bind(blueprint: &Blueprint, found: Found, hint: Option<Ipv4Addr>) -> Situation {
        let (by_host, notes) = bind(blueprint, &found);
        let strangers = strangers(blueprint, &found);
        let entry = entry(&found, hint);
        let monthly = Monthly::default();
        Situation {
            found,
            by_host,
            changes: Vec::new(),
            monthly,
            notes,
            entry,
            strangers,
        }
    }

    /// Whether the environment stands in another phase: machines that this blueprint does not
    /// know, while hosts that it wants are missing. Moving there would lead visitors away from
    /// the machines that hold the data.
    pub fn is_other_phase(&self, blueprint: &Blueprint) -> bool {
        !self.strangers.is_empty() && self.missing(blueprint).next().is_some()
    }

    /// Hosts of the blueprint that have no droplet yet.
    pub fn missing<'a>(&'a self, blueprint: &'a Blueprint) -> impl Iterator<Item = &'a Host> {
        blueprint
            .hosts
            .iter()
            .filter(|host| !self.by_host.contains_key(&host.name))
    }

    /// The fleet as it is: machines that exist have addresses, others are pending.
    pub fn fleet(&self, blueprint: &Blueprint) -> Fleet {
        let reserved = self.found.reserved_addresses();
        let machines = blueprint.hosts.iter().map(|host| {
            let size = self.found.sizes.iter().find(|size| size.slug == host.size);
            let pending = Machine::pending(host);
            let machine = match self.by_host.get(&host.name) {
                Some(droplet) => machine(droplet, &reserved, pending),
                None => Machine {
                    memory_mib: size.map_or(pending.memory_mib, |size| size.memory),
                    vcpus: size.map_or(pending.vcpus, |size| size.vcpus),
                    disk_gib: size.map_or(pending.disk_gib, |size| size.disk),
                    ..pending
                },
            };
            (host.name.clone(), machine)
        });
        let entry = match &self.entry {
            Some(reserved) => Address::Known(reserved.ip),
            None => Address::Pending("entry address".to_owned()),
        };
        Fleet {
            blueprint: blueprint.clone(),
            machines: machines.collect(),
            entry,
            ..Fleet::pending(blueprint)
        }
    }
}

fn machine(droplet: &Droplet, reserved: &BTreeSet<Ipv4Addr>, pending: Machine) -> Machine {
    let address = |known: Option<Ipv4Addr>, pending| known.map_or(pending, Address::Known);
    Machine {
        droplet: Some(droplet.id.0),
        public: address(droplet.public_v4(reserved), pending.public),
        private: address(droplet.private_v4(), pending.private),
        memory_mib: droplet.memory,
        vcpus: droplet.vcpus,
        disk_gib: droplet.disk,
    }
}

/// Binds droplets to hosts by name. What carries the tag but has no host is only reported.
fn bind(blueprint: &Blueprint, found: &Found) -> (BTreeMap<String, Droplet>, Vec<String>) {
    let mut by_host: BTreeMap<String, Droplet> = BTreeMap::new();
    let mut notes = Vec::new();
    for droplet in &found.droplets {
        let host = blueprint
            .hosts
            .iter()
            .find(|host| blueprint.droplet_name(&host.name) == droplet.name);
        let Some(host) = host else {
            notes.push(format!(
                "droplet {} ({}) carries {} but is no host of phase {}; it is left alone",
                droplet.name,
                droplet.id,
                blueprint.tag(),
                blueprint.phase.number
            ));
            continue;
        };
        if droplet.size_slug != host.size {
            notes.push(format!(
                "{} has size {}, the inventory says {}; marg does not resize by itself",
                host.name, droplet.size_slug, host.size
            ));
        }
        // The oldest droplet of a name is the host; a younger one is a stray.
        let stray = match by_host.get(&host.name) {
            Some(other) if other.id <= droplet.id => Some(droplet.clone()),
            _ => by_host.insert(host.name.clone(), droplet.clone()),
        };
        if let Some(stray) = stray {
            notes.push(format!(
                "there are several droplets named {}; {} is not used: delete it if it is not yours",
                stray.name, stray.id
            ));
        }
    }
    (by_host, notes)
}

fn strangers(blueprint: &Blueprint, found: &Found) -> Vec<String> {
    let known = |name: &String| {
        blueprint
            .hosts
            .iter()
            .any(|host| blueprint.droplet_name(&host.name) == *name)
    };
    found
        .droplets
        .iter()
        .map(|droplet| droplet.name.clone())
        .filter(|name| !known(name))
        .collect()
}

/// The reserved address that a droplet of this environment holds, or the one last seen if
/// nobody holds it.
fn entry(found: &Found, hint: Option<Ipv4Addr>) -> Option<ReservedIp> {
    let held = |reserved: &&ReservedIp| {
        reserved
            .droplet
            .is_some_and(|id| found.droplets.iter().any(|droplet| droplet.id == id))
    };
    let free = |reserved: &&ReservedIp| reserved.droplet.is_none() && Some(reserved.ip) == hint;
    found
        .reserved
        .iter()
        .find(held)
        .or_else(|| found.reserved.iter().find(free))
        .cloned()
}

fn monthly(blueprint: &Blueprint, found: &Found) -> Monthly {
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
    Monthly {
        before,
        after: before + created,
    }
}

fn changes(blueprint: &Blueprint, roles: &[&dyn Role], situation: &Situation) -> Vec<CloudChange> {
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
    if !found.vpcs.iter().any(|vpc| vpc.name == name) {
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
        let details = vec![format!(
            "{} {} {} {price}",
            host.size, host.image, blueprint.environment.region
        )];
        add(
            CloudKind::Droplet,
            blueprint.droplet_name(&host.name),
            Action::Create,
            details,
        );
    }
    if let Some(change) = entry_change(blueprint, situation) {
        changes.push(change);
    }
    changes
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
    let host = blueprint.entry()?;
    let holder = situation.by_host.get(&host.name).map(|droplet| droplet.id);
    let (name, action) = match &situation.entry {
        Some(reserved) if reserved.droplet.is_some() && reserved.droplet == holder => return None,
        Some(reserved) => (reserved.ip.to_string(), Action::Update),
        None => ("entry address".to_owned(), Action::Create),
    };
    let details = vec![format!("leads to {}", host.name)];
    Some(CloudChange {
        kind: CloudKind::ReservedIp,
        name,
        action,
        details,
    })
}

#[cfg(test)]
#[path = "situation_tests.rs"]
mod tests;
