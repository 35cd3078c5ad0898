//! Droplets, their addresses, and the actions on them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::{lenient_address, lenient_time, null_as_default, slug_of_object};
use super::{ActionId, DropletId, VpcId, open_enum, tagged};
use crate::error::CloudResult;
use crate::tag::Tag;

open_enum! {
    /// Power state of a droplet. `active` means that the power is on, not that it has booted.
    DropletStatus {
        /// Being made.
        New = "new",
        /// Powered on.
        Active = "active",
        /// Powered off, and still billed.
        Off = "off",
        /// Stored away.
        Archive = "archive",
    }
}

open_enum! {
    /// State of an action.
    ActionStatus {
        /// Still running.
        InProgress = "in-progress",
        /// Ended well.
        Completed = "completed",
        /// Ended badly; the cloud never says why.
        Errored = "errored",
    }
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Droplet {
    /// Its number; never used again after its end.
    pub id: DropletId,
    /// Its name; **not** unique.
    pub name: String,
    /// Power state.
    #[serde(default = "unknown_status")]
    pub status: DropletStatus,
    /// Whether an event is running, so that no other can start.
    #[serde(default, deserialize_with = "null_as_default")]
    pub locked: bool,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// Its tags. `None`: the token may not see them, which is not the same as none.
    pub tags: Option<Vec<String>>,
    /// Slug of its size.
    #[serde(default, deserialize_with = "null_as_default")]
    pub size_slug: String,
    /// Slug of its region.
    #[serde(default, deserialize_with = "slug_of_object")]
    pub region: Option<String>,
    /// Slug of its image, as it was when the droplet was made. Slugs move: do not compare.
    #[serde(default, deserialize_with = "slug_of_object")]
    pub image: Option<String>,
    /// Its private network.
    pub vpc_uuid: Option<VpcId>,
    /// Memory in MiB.
    #[serde(default, deserialize_with = "null_as_default")]
    pub memory: u64,
    /// Virtual processors.
    #[serde(default, deserialize_with = "null_as_default")]
    pub vcpus: u32,
    /// Disk in GiB as it is now; it may be smaller than the size's after a flexible resize.
    #[serde(default, deserialize_with = "null_as_default")]
    pub disk: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    networks: Networks,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Networks {
    #[serde(default, deserialize_with = "null_as_default")]
    v4: Vec<NetworkV4>,
}

/// One IPv4 address of a droplet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct NetworkV4 {
    /// `None` while the cloud is still choosing it.
    #[serde(default, deserialize_with = "lenient_address")]
    ip_address: Option<Ipv4Addr>,
    /// `public` or `private`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    kind: String,
}

/// The two addresses of a droplet that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its own public address, never a reserved one.
    pub public: Ipv4Addr,
    /// Its address in the VPC.
    pub private: Ipv4Addr,
}

/// Why a droplet is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// Its status is not `active`.
    Status(DropletStatus),
    /// An event is still running.
    Locked,
    /// It has no public address of its own yet.
    NoPublicAddress,
    /// It has no private address yet.
    NoPrivateAddress,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Locked => f.write_str("an event is running"),
            Self::NoPublicAddress => f.write_str("no public address yet"),
            Self::NoPrivateAddress => f.write_str("no private address yet"),
        }
    }
}

fn unknown_status() -> DropletStatus {
    DropletStatus::Other("unknown".to_owned())
}

impl Droplet {
    /// Whether it carries the tag, whatever the case it was first spelled in. Fails when the
    /// token may not see tags.
    pub fn has_tag(&self, tag: &Tag) -> CloudResult<bool> {
        tagged(self.tags.as_deref(), tag)
    }

    /// Its own public address. `reserved` are the account's reserved IPs: an assigned one is
    /// listed like a second public address, in no promised order.
    pub fn public_v4(&self, reserved: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        self.addresses_of("public")
            .find(|address| !reserved.contains(address))
    }

    /// Its address in the VPC.
    pub fn private_v4(&self) -> Option<Ipv4Addr> {
        self.addresses_of("private").next()
    }

    fn addresses_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = Ipv4Addr> + 'a {
        self.networks
            .v4
            .iter()
            .filter(move |network| network.kind == kind)
            .filter_map(|network| network.ip_address)
    }

    /// Its addresses when it is active, unlocked and has both; else what is missing. Whether
    /// sshd answers and cloud-init has ended is for others to see.
    pub fn readiness(&self, reserved: &BTreeSet<Ipv4Addr>) -> Result<Addresses, NotReady> {
        if self.status != DropletStatus::Active {
            return Err(NotReady::Status(self.status.clone()));
        }
        if self.locked {
            return Err(NotReady::Locked);
        }
        Ok(Addresses {
            public: self.public_v4(reserved).ok_or(NotReady::NoPublicAddress)?,
            private: self.private_v4().ok_or(NotReady::NoPrivateAddress)?,
        })
    }

    /// Sorts the oldest first; ids grow with time and settle ties.
    pub(crate) fn age_key(&self) -> (Option<Timestamp>, DropletId) {
        (self.created_at, self.id)
    }
}

/// Something that runs on a droplet or a reserved address for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// Its number.
    pub id: ActionId,
    /// Its state.
    pub status: ActionStatus,
    /// For example `power_off` or `assign_ip`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub kind: String,
}

/// What marg asks a droplet to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropletAction {
    /// Asks the guest to shut down; it may never do so.
    Shutdown,
    /// Cuts the power.
    PowerOff,
    /// Switches it on.
    PowerOn,
    /// Cuts the power and switches it on again.
    PowerCycle,
    /// Asks the guest to restart.
    Reboot,
    /// Changes the size of a droplet that is off.
    Resize {
        /// Slug of the new size.
        size: String,
        /// Whether the disk grows too, which can never be undone.
        disk: bool,
    },
    /// Keeps the disk as an image of that name.
    Snapshot {
        /// Name of the image.
        name: String,
    },
}
