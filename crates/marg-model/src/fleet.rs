//! The blueprint's hosts bound to real machines.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use crate::blueprint::{Blueprint, Host};

/// A blueprint whose hosts have machines, or will have.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// What it realises.
    pub blueprint: Blueprint,
    /// Machine of every host, by the host's name.
    pub machines: BTreeMap<String, Machine>,
    /// The public entry address.
    pub entry: Address,
    /// Host to which the entry address leads now; `None` before it leads anywhere. On the way
    /// from one phase to another that is not yet, or no longer, the blueprint's own.
    pub entry_at: Option<String>,
    /// Hosts that the blueprint no longer has and that still serve: until they are gone, others
    /// let them in as before. Their machines are in `machines`.
    pub leaving: Vec<Host>,
    /// Whether the data of those who leave has yet to be carried here. Until then nothing here
    /// works of its own accord: what it did would be lost with what the data replaces.
    pub awaits_data: bool,
    /// Who leads now, by role: the primary of `mysql`, the master of `redis`. A role that
    /// nobody leads, or whose hosts were not asked, is not in it.
    pub leaders: BTreeMap<String, String>,
    /// Address of the cloud's API as hosts reach it; DigitalOcean's own when there is none.
    pub api_url: Option<String>,
    /// What becomes of what an earlier version of marg made.
    pub earlier: EarlierForm,
}

/// What becomes of what an earlier version of marg made on hosts, and others may still use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlierForm {
    /// A host that has it keeps it; it is asked.
    #[default]
    AsFound,
    /// The host that is looked at has it, and keeps it for now.
    Kept,
    /// Nobody needs it any more: it goes.
    Gone,
}

/// A machine behind a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Droplet id; `None` before it is created.
    pub droplet: Option<u64>,
    /// The droplet's own public address.
    pub public: Address,
    /// Its address in the VPC.
    pub private: Address,
    /// Memory of its size, in MiB.
    pub memory_mib: u64,
    /// Virtual processors of its size.
    pub vcpus: u32,
    /// Disk, in GiB.
    pub disk_gib: u64,
}

/// An address that may not exist before the machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A known address.
    Known(Ipv4Addr),
    /// Known once this has been created; shown in plans.
    Pending(String),
}

impl Address {
    /// The address, if it is known.
    pub fn known(&self) -> Option<Ipv4Addr> {
        match self {
            Address::Known(address) => Some(*address),
            Address::Pending(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Known(address) => address.fmt(f),
            Address::Pending(what) => write!(f, "<{what}>"),
        }
    }
}

impl Fleet {
    /// A fleet in which nothing exists yet: addresses are pending, memory is read from the size
    /// slugs. For planning without a cloud.
    pub fn pending(blueprint: &Blueprint) -> Fleet {
        let machines = blueprint
            .hosts
            .iter()
            .map(|host| (host.name.clone(), Machine::pending(host)))
            .collect();
        Fleet {
            blueprint: blueprint.clone(),
            machines,
            entry: Address::Pending("entry address".to_owned()),
            entry_at: None,
            leaving: Vec::new(),
            awaits_data: false,
            leaders: BTreeMap::new(),
            api_url: None,
            earlier: EarlierForm::default(),
        }
    }

    /// Hosts that others must let in: the blueprint's, and those on their way out.
    pub fn peers(&self) -> impl Iterator<Item = &Host> {
        self.blueprint.hosts.iter().chain(&self.leaving)
    }

    /// Whether fellows of the host that are on their way out have a role that it no longer has:
    /// until they are gone, what they need of it stays.
    pub fn lingers(&self, role: &str, host: &Host) -> bool {
        let fellow = |other: &&Host| other.group == host.group && other.has_role(role);
        !host.has_role(role) && self.leaving.iter().any(|other| fellow(&other))
    }

    /// Whether the host leads its fellows of that role. A host that is alone does; of several
    /// that were not asked (in a plan without a fleet) the first does.
    pub fn leads(&self, role: &str, host: &str) -> bool {
        match self.leaders.get(role) {
            Some(leader) => leader == host,
            None => self
                .blueprint
                .with_role(role)
                .next()
                .is_some_and(|first| first.name == host),
        }
    }

    /// Hosts with their machines, in the blueprint's order.
    pub fn hosts(&self) -> impl Iterator<Item = (&Host, &Machine)> {
        self.blueprint
            .hosts
            .iter()
            .filter_map(|host| self.machines.get(&host.name).map(|machine| (host, machine)))
    }

    /// Hosts of a role with their machines.
    pub fn with_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = (&'a Host, &'a Machine)> {
        self.hosts().filter(move |(host, _)| host.has_role(role))
    }

    /// The machine of a host.
    pub fn machine(&self, host: &str) -> Option<&Machine> {
        self.machines.get(host)
    }
}

impl Machine {
    /// A machine that does not exist yet, with what its size slug says.
    pub fn pending(host: &Host) -> Machine {
        let (vcpus, memory_mib) = slug_capacity(&host.size).unwrap_or((1, 1024));
        Machine {
            droplet: None,
            public: Address::Pending(format!("{}'s public address", host.name)),
            private: Address::Pending(format!("{}'s private address", host.name)),
            memory_mib,
            vcpus,
            disk_gib: 0,
        }
    }
}

/// Processors and memory in MiB as a slug such as `s-2vcpu-4gb` or `s-1vcpu-512mb-10gb` says.
fn slug_capacity(slug: &str) -> Option<(u32, u64)> {
    let mut parts = slug.split('-').skip(1);
    let vcpus = parts.next()?.strip_suffix("vcpu")?.parse().ok()?;
    let memory = parts.next()?;
    let mib = match memory.strip_suffix("mb") {
        Some(mb) => mb.parse().ok()?,
        None => memory.strip_suffix("gb")?.parse::<u64>().ok()? * 1024,
    };
    Some((vcpus, mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_slug_tells_processors_and_memory() {
        for (slug, expected) in [
            ("s-1vcpu-512mb-10gb", Some((1, 512))),
            ("s-2vcpu-4gb", Some((2, 4096))),
            ("s-1vcpu-1gb-amd", Some((1, 1024))),
            ("c-2", None),
        ] {
            assert_eq!(slug_capacity(slug), expected, "{slug}");
        }
    }
}
