//! What the cloud has of an environment, and what it lacks. Looking is one round of requests;
//! comparing is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use marg_cloud::{
    Cloud, CloudError, Droplet, Firewall, OwnedVpc, Owner, ReservedIp, Size, SshKey, Tag, Vpc,
    md5_fingerprint,
};
use marg_model::{Address, Blueprint, Fleet, Host, Machine, Phase};
use marg_resources::Role;

use super::changes::{changes, monthly};
use super::desired;
use super::leaving::{Leaving, is_left_behind, leaving};
use crate::bake::image::{Bake, newest};
use crate::environment::{CloudChange, Monthly};

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Who claims what of it.
    pub owner: Owner,
    /// Droplets that carry the environment's tag: the fleet.
    pub droplets: Vec<Droplet>,
    /// Those with the tag on which an image is made; they are no part of the fleet.
    pub builders: Vec<Droplet>,
    /// Images that were baked for the environment.
    pub bakes: Vec<Bake>,
    /// Reserved addresses of the account.
    pub reserved: Vec<ReservedIp>,
    /// Private networks of the account.
    pub vpcs: Vec<Vpc>,
    /// Firewalls that are proved to be the environment's.
    pub firewalls: Vec<Firewall>,
    /// All others of the account, whatever their names.
    pub strangers: Vec<Firewall>,
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
        hint: Option<Ipv4Addr>,
    ) -> Result<Found, CloudError> {
        let tag = Tag::new(&blueprint.tag())?;
        let fingerprint = md5_fingerprint(public_key)?;
        let environment = &blueprint.environment.name;
        let bake = Tag::bake(environment)?;
        let (droplets, reserved, vpcs, firewalls, sizes, ssh_key, images) = tokio::try_join!(
            cloud.droplets_tagged(&tag),
            cloud.reserved_ips(),
            cloud.vpcs(),
            cloud.firewalls(),
            cloud.sizes(),
            cloud.find_ssh_key(&fingerprint),
            cloud.images_tagged(&bake),
        )?;
        let owner = Owner::new(environment)?.remembering(hint);
        let owner = owner.knowing(&droplets, &vpcs)?;
        let (firewalls, strangers) = proved(&owner, firewalls);
        let (builders, droplets) = apart(droplets);
        let bakes = images.iter().map(|image| Bake::read(environment, image));
        Ok(Found {
            owner,
            droplets,
            builders,
            bakes: bakes.collect::<Result<_, _>>()?,
            reserved,
            vpcs,
            firewalls,
            strangers,
            sizes,
            ssh_key,
        })
    }

    /// Asks for what a fleet that exists needs to be reached: two requests instead of seven.
    pub async fn machines(
        cloud: &dyn Cloud,
        blueprint: &Blueprint,
        hint: Option<Ipv4Addr>,
    ) -> Result<Found, CloudError> {
        let tag = Tag::new(&blueprint.tag())?;
        let (droplets, reserved) =
            tokio::try_join!(cloud.droplets_tagged(&tag), cloud.reserved_ips())?;
        let owner = Owner::new(&blueprint.environment.name)?.remembering(hint);
        let owner = owner.knowing(&droplets, &[])?;
        let (builders, droplets) = apart(droplets);
        Ok(Found {
            owner,
            droplets,
            builders,
            bakes: Vec::new(),
            reserved,
            vpcs: Vec::new(),
            firewalls: Vec::new(),
            strangers: Vec::new(),
            sizes: Vec::new(),
            ssh_key: None,
        })
    }

    /// The environment's private network, and the proof that it is.
    pub fn network(&self) -> Option<(&Vpc, OwnedVpc)> {
        let name = self.owner.name();
        let vpc = self.vpcs.iter().find(|vpc| vpc.name == name)?;
        Some((vpc, self.owner.vpc(vpc).ok()?))
    }

    /// The reserved address that leads to the environment, or one of its own that leads nowhere.
    pub fn entry(&self) -> Option<&ReservedIp> {
        let own = |reserved: &&ReservedIp| self.owner.reserved_ip(reserved).is_ok();
        let leads = |reserved: &&ReservedIp| {
            let to = |droplet: &Droplet| reserved.droplet == Some(droplet.id);
            self.droplets.iter().any(to)
        };
        let free = |reserved: &&ReservedIp| reserved.droplet.is_none();
        let mut all = self.reserved.iter().filter(own);
        let held = all.clone().find(leads);
        held.or_else(|| all.find(free))
    }

    /// What has a name that the environment needs, and is not proved to be its own.
    pub fn takers(&self, blueprint: &Blueprint) -> Vec<CloudError> {
        let groups = desired::groups(blueprint).into_iter();
        let mut names: BTreeSet<String> = groups
            .map(|group| desired::firewall_name(blueprint, group))
            .collect();
        names.insert(desired::builders_firewall_name(blueprint));
        let firewalls = self.strangers.iter();
        let firewalls = firewalls.filter(|firewall| names.contains(&firewall.name));
        let firewalls = firewalls.filter_map(|one| self.owner.firewall(one).err());
        let network = self.owner.name();
        let vpcs = self.vpcs.iter().filter(|vpc| vpc.name == network);
        let vpcs = vpcs.filter_map(|vpc| self.owner.vpc(vpc).err());
        vpcs.chain(firewalls).collect()
    }

    /// The reserved addresses themselves: they show up among a droplet's public ones.
    pub fn reserved_addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.reserved.iter().map(|reserved| reserved.ip).collect()
    }
}

/// The environment's firewalls, and all others.
fn proved(owner: &Owner, firewalls: Vec<Firewall>) -> (Vec<Firewall>, Vec<Firewall>) {
    let is_ours = |firewall: &Firewall| owner.firewall(firewall).is_ok();
    firewalls.into_iter().partition(is_ours)
}

/// Droplets on which an image is made, and the fleet's.
fn apart(droplets: Vec<Droplet>) -> (Vec<Droplet>, Vec<Droplet>) {
    let bakes = |tag: &String| tag.to_ascii_lowercase().starts_with("marg-bake:");
    let is_builder = |droplet: &Droplet| droplet.tags.iter().flatten().any(bakes);
    droplets.into_iter().partition(is_builder)
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
    /// Hosts that the blueprint no longer has.
    pub leaving: Vec<Leaving>,
    /// Hosts of the blueprint that stayed for their data when the environment moved to the phase
    /// in which it stands: what they have is as old as that move.
    pub left_behind: Vec<String>,
    /// Address of the cloud's API as hosts reach it.
    pub api_url: Option<String>,
}

impl Situation {
    /// Compares. `phases` are all that there are, for hosts that come from another one.
    pub fn compare(
        blueprint: &Blueprint,
        (phases, roles): (&[Phase], &[&dyn Role]),
        found: Found,
    ) -> Situation {
        let mut situation = Situation::bind(blueprint, phases, found);
        situation.monthly = monthly(blueprint, &situation);
        situation.changes = changes(blueprint, roles, &situation);
        situation
    }

    /// Binds droplets to hosts without asking what would change.
    pub fn bind(blueprint: &Blueprint, phases: &[Phase], found: Found) -> Situation {
        let entry = found.entry().cloned();
        let mut situation = Situation {
            found,
            by_host: BTreeMap::new(),
            changes: Vec::new(),
            monthly: Monthly::default(),
            notes: Vec::new(),
            entry,
            leaving: Vec::new(),
            left_behind: Vec::new(),
            api_url: None,
        };
        let builders = situation.found.builders.iter();
        situation.notes = builders.map(|one| left_over(&one.name)).collect();
        for droplet in situation.found.droplets.clone() {
            situation.place(blueprint, phases, droplet);
        }
        situation
    }

    /// Finds the host of a droplet. What carries the tag but has no host is only reported.
    fn place(&mut self, blueprint: &Blueprint, phases: &[Phase], droplet: Droplet) {
        let mut hosts = blueprint.hosts.iter();
        let host = hosts.find(|host| blueprint.droplet_name(&host.name) == droplet.name);
        let Some(host) = host else {
            match leaving(blueprint, phases, &droplet) {
                Some(one) => {
                    self.notes.extend(stays(blueprint, &one.host));
                    self.leaving.push(one);
                }
                None => self.notes.push(format!(
                    "droplet {} ({}) carries {} but is no host of any phase; it is left alone",
                    droplet.name,
                    droplet.id,
                    blueprint.tag()
                )),
            }
            return;
        };
        if is_left_behind(blueprint, phases, host, &droplet) {
            self.left_behind.push(host.name.clone());
        }
        if droplet.size_slug != host.size {
            self.notes.push(format!(
                "{name} has size {}, the inventory says {size}; marg never stops a machine by \
                 itself: `marg resize {name} {size}` does it, and says for how long",
                droplet.size_slug,
                name = host.name,
                size = host.size
            ));
        }
        // The oldest droplet of a name is the host; a younger one is a stray.
        let stray = match self.by_host.get(&host.name) {
            Some(other) if other.id <= droplet.id => Some(droplet.clone()),
            _ => self.by_host.insert(host.name.clone(), droplet.clone()),
        };
        if let Some(stray) = stray {
            self.notes.push(format!(
                "there are several droplets named {}; {} is not used: delete it if it is not yours",
                stray.name, stray.id
            ));
        }
    }

    /// Host to which the entry address leads now.
    pub fn entry_at(&self) -> Option<&str> {
        let holder = self.entry.as_ref()?.droplet?;
        let staying = self.by_host.iter();
        let staying = staying.map(|(name, droplet)| (name.as_str(), droplet));
        let leaving = self.leaving.iter();
        let leaving = leaving.map(|one| (one.host.name.as_str(), &one.droplet));
        let mut all = staying.chain(leaving);
        all.find(|(_, droplet)| droplet.id == holder)
            .map(|(name, _)| name)
    }

    /// Hosts of the blueprint that have no droplet yet.
    pub fn missing<'a>(&'a self, blueprint: &'a Blueprint) -> impl Iterator<Item = &'a Host> {
        blueprint
            .hosts
            .iter()
            .filter(|host| !self.by_host.contains_key(&host.name))
    }

    /// The baked image that a new machine for the host starts from, if there is one.
    pub fn bake_for(&self, blueprint: &Blueprint, host: &Host) -> Option<&Bake> {
        let size = self
            .found
            .sizes
            .iter()
            .find(|size| size.slug == host.size)?;
        let region = &blueprint.environment.region;
        newest(&self.found.bakes, host, region, size.disk)
    }

    /// The fleet as it is: machines that exist have addresses, others are pending.
    pub fn fleet(&self, blueprint: &Blueprint) -> Fleet {
        let reserved = self.found.reserved_addresses();
        let mut machines: BTreeMap<String, Machine> = BTreeMap::new();
        for host in &blueprint.hosts {
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
            machines.insert(host.name.clone(), machine);
        }
        for Leaving { host, droplet } in &self.leaving {
            let machine = machine(droplet, &reserved, Machine::pending(host));
            machines.insert(host.name.clone(), machine);
        }
        let entry = match &self.entry {
            Some(reserved) => Address::Known(reserved.ip),
            None => Address::Pending("entry address".to_owned()),
        };
        Fleet {
            blueprint: blueprint.clone(),
            machines,
            entry,
            entry_at: self.entry_at().map(str::to_owned),
            leaving: self.leaving.iter().map(|one| one.host.clone()).collect(),
            api_url: self.api_url.clone(),
            ..Fleet::pending(blueprint)
        }
    }
}

/// Somebody may be at work with it just now.
fn left_over(builder: &str) -> String {
    format!(
        "droplet {builder} bakes an image; if nobody is baking now, `marg bake` goes on with it, \
         and `marg bake --remove` takes it away"
    )
}

/// A host with data goes only when it is named.
fn stays(blueprint: &Blueprint, host: &Host) -> Option<String> {
    let (name, phase) = (&host.name, blueprint.phase.number);
    host.holds_data.then(|| {
        format!(
            "phase {phase} does not have {name}, which holds data: it stays, and is paid for, until \
             `marg provision --phase {phase} --destroy {name}`"
        )
    })
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

#[cfg(test)]
#[path = "situation_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "bakes_tests.rs"]
mod bakes_tests;
