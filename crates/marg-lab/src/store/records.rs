//! The cloud's records.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::machine_fault::MachineFault;
use crate::machines::{MachineSpec, Place};

/// Everything that the cloud remembers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Records {
    next_id: u64,
    pub(super) next_public: u32,
    pub(super) next_reserved: u32,
    /// How many droplets the account may have.
    pub droplet_limit: usize,
    /// The account's SSH keys.
    pub keys: Vec<Key>,
    /// Tags by their first spelling.
    pub tags: Vec<String>,
    /// Private networks.
    pub vpcs: Vec<Vpc>,
    /// Droplets, the oldest first.
    pub droplets: Vec<Droplet>,
    /// Everything that was or is being done.
    pub actions: Vec<Action>,
    /// Cloud firewalls.
    pub firewalls: Vec<Firewall>,
    /// Reserved addresses.
    pub reserved_ips: Vec<ReservedIp>,
    /// Images that were made of droplets, the oldest first.
    #[serde(default)]
    pub snapshots: Vec<Snapshot>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            // Ids look like the real ones: no client may rely on small numbers.
            next_id: 400_000_001,
            next_public: 0,
            next_reserved: 0,
            // A new account has fewer; three whole fleets side by side need this many.
            droplet_limit: 60,
            keys: Vec::new(),
            tags: Vec::new(),
            vpcs: Vec::new(),
            droplets: Vec::new(),
            actions: Vec::new(),
            firewalls: Vec::new(),
            reserved_ips: Vec::new(),
            snapshots: Vec::new(),
        }
    }
}

/// An SSH key of the account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub id: u64,
    pub name: String,
    pub fingerprint: String,
    pub public_key: String,
}

/// A private network.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub id: String,
    pub name: String,
    pub description: String,
    pub region: String,
    pub range: Ipv4Net,
    pub default: bool,
    pub created_at: String,
    /// The next address to try, as an offset from the range's first one.
    pub next_host: u32,
}

/// Whether a droplet's power is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    New,
    Active,
    Off,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Off => "off",
        }
    }
}

/// A droplet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Droplet {
    pub id: u64,
    pub name: String,
    pub status: Status,
    /// An event runs: other actions are refused.
    pub locked: bool,
    /// It was deleted and is only readable for a moment more.
    pub deleting: bool,
    /// Addresses appear some time after the droplet.
    pub addresses_known: bool,
    pub created_at: String,
    pub region: String,
    /// Slug of an image, or id of a snapshot.
    pub image: String,
    pub size: String,
    /// Gigabytes; differs from the size's after a resize without disk.
    pub disk: u64,
    pub tags: Vec<String>,
    pub vpc: String,
    pub place_public: Ipv4Addr,
    pub place_private: Ipv4Addr,
    pub range: Ipv4Net,
    pub features: Vec<String>,
    pub public_keys: Vec<String>,
    pub memory_mb: u64,
    /// What has befallen its machine.
    #[serde(default)]
    pub faults: BTreeSet<MachineFault>,
    /// May hold host keys; the file of the records is root's alone.
    pub user_data: String,
}

impl Droplet {
    /// Its place in the network.
    pub(crate) fn place(&self) -> Place {
        Place {
            id: self.id,
            public: self.place_public,
            private: self.place_private,
            vpc: self.range,
        }
    }

    /// What its machine is made from.
    pub(crate) fn machine(&self) -> MachineSpec {
        MachineSpec {
            id: self.id,
            name: self.name.clone(),
            image: self.image.clone(),
            memory_mb: self.memory_mb,
            user_data: self.user_data.clone(),
            public_keys: self.public_keys.clone(),
            place: self.place(),
        }
    }

    /// Whether no packet reaches its machine or leaves it.
    pub(crate) fn is_silent(&self) -> bool {
        self.status == Status::Off || self.faults.contains(&MachineFault::Cut)
    }

    /// Notes whether its machine runs. What only a running machine can have ends with it.
    pub(crate) fn note_power(&mut self, running: bool) {
        self.status = if running { Status::Active } else { Status::Off };
        self.faults.remove(if running {
            &MachineFault::Kill
        } else {
            &MachineFault::Freeze
        });
    }

    /// Whether it carries a tag, whatever the case of its letters.
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own.eq_ignore_ascii_case(tag))
    }
}

/// An image that was made of a droplet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub id: u64,
    pub name: String,
    /// The droplet that it was made of.
    pub droplet_id: u64,
    pub region: String,
    /// Slug of the image below everything.
    pub base: String,
    /// Gigabytes that a droplet's disk must have at least.
    pub min_disk: u64,
    /// Bytes that it takes on top of what is below it.
    pub bytes: u64,
    pub created_at: String,
    pub tags: Vec<String>,
}

/// How far an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ActionStatus {
    InProgress,
    Completed,
    Errored,
}

/// Something that is done to a resource.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Action {
    pub id: u64,
    pub status: ActionStatus,
    #[serde(rename = "type")]
    pub kind: String,
    pub started_at: String,
    pub completed_at: Option<String>,
    pub resource_id: u64,
    pub resource_type: String,
    pub region: String,
}

/// A cloud firewall.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Firewall {
    pub id: String,
    pub name: String,
    pub created_at: String,
    pub inbound: Vec<Rule>,
    pub outbound: Vec<Rule>,
    pub droplet_ids: Vec<u64>,
    pub tags: Vec<String>,
    /// Counts the changes.
    pub revision: u64,
    /// The change that the router holds.
    pub applied: u64,
}

/// A firewall's rule: traffic with these others may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub protocol: String,
    /// As the API returns it: `"0"`, `"80"`, `"8000-9000"`.
    pub ports: String,
    pub peers: Peers,
}

/// The other side of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Peers {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub droplet_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_uids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_ids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A reserved address.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ReservedIp {
    pub ip: Ipv4Addr,
    pub region: String,
    pub droplet_id: Option<u64>,
    pub locked: bool,
    pub project_id: String,
}

/// Now, as the API writes it.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Records {
    /// A fresh id.
    pub(crate) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The droplet of that id.
    pub(crate) fn droplet(&self, id: u64) -> Option<&Droplet> {
        self.droplets.iter().find(|droplet| droplet.id == id)
    }

    /// The droplet of that id, to change it.
    pub(crate) fn droplet_mut(&mut self, id: u64) -> Option<&mut Droplet> {
        self.droplets.iter_mut().find(|droplet| droplet.id == id)
    }

    /// Notes a new action and returns it.
    pub(crate) fn begin(
        &mut self,
        kind: &str,
        resource_type: &str,
        resource_id: u64,
        region: &str,
    ) -> Action {
        let action = Action {
            id: self.new_id(),
            status: ActionStatus::InProgress,
            kind: kind.to_owned(),
            started_at: now(),
            completed_at: None,
            resource_id,
            resource_type: resource_type.to_owned(),
            region: region.to_owned(),
        };
        self.actions.push(action.clone());
        action
    }

    /// Notes how an action ended.
    pub(crate) fn end(&mut self, action: u64, status: ActionStatus) {
        if let Some(action) = self.actions.iter_mut().find(|known| known.id == action) {
            action.status = status;
            action.completed_at = Some(now());
        }
    }

    /// The tag in its first spelling; a new one is remembered.
    pub(crate) fn tag(&mut self, name: &str) -> String {
        match self
            .tags
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name))
        {
            Some(known) => known.clone(),
            None => {
                self.tags.push(name.to_owned());
                name.to_owned()
            }
        }
    }

    /// The snapshot of that id.
    pub(crate) fn snapshot(&self, id: &str) -> Option<&Snapshot> {
        self.snapshots
            .iter()
            .find(|snapshot| snapshot.id.to_string() == id)
    }
}
