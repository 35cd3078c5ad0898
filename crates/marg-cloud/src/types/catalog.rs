//! What the account may do and what there is to buy.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::{lenient_time, null_as_default};
use super::{ImageId, open_enum, tagged};
use crate::error::CloudResult;
use crate::tag::Tag;

open_enum! {
    /// State of the account.
    AccountStatus {
        /// Everything is allowed.
        Active = "active",
        /// Still working; the cloud wants something from its owner.
        Warning = "warning",
        /// Nothing can be created.
        Locked = "locked",
    }
}

/// The account behind the token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// Most droplets it may have at once; absent for tokens with narrow scopes.
    pub droplet_limit: Option<u64>,
    /// Most reserved IPs it may have; the API still calls them floating.
    #[serde(rename = "floating_ip_limit")]
    pub reserved_ip_limit: Option<u64>,
    /// Its state; absent for tokens with narrow scopes.
    pub status: Option<AccountStatus>,
    /// The cloud's words on the state.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status_message: String,
}

/// A droplet size with its price.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Size {
    /// For example `s-1vcpu-1gb`.
    pub slug: String,
    /// Memory in MiB.
    pub memory: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// Disk in GiB.
    pub disk: u64,
    /// US dollars for a whole month.
    pub price_monthly: f64,
    /// US dollars for an hour.
    pub price_hourly: f64,
    /// Regions that offer it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub regions: Vec<String>,
    /// Whether it can be had at all.
    #[serde(default, deserialize_with = "null_as_default")]
    pub available: bool,
}

impl Size {
    /// Whether a droplet of this size can be created in the region now.
    pub fn offered_in(&self, region: &str) -> bool {
        self.available && self.regions.iter().any(|slug| slug == region)
    }
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Region {
    /// For example `fra1`.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Whether new things can be created in it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub available: bool,
    /// Slugs of the sizes it offers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sizes: Vec<String>,
    /// What it can do (`backups`, `metadata`, …).
    #[serde(default, deserialize_with = "null_as_default")]
    pub features: Vec<String>,
}

/// A machine image: one of the cloud's own, or a snapshot of the account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Number; a slug moves on to newer numbers.
    pub id: ImageId,
    /// For people; a snapshot's own name, which need not be unique.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// For example `debian-13-x64`; private images have none.
    pub slug: Option<String>,
    /// For example `Debian`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub distribution: String,
    /// Regions that have it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub regions: Vec<String>,
    /// Smallest disk in GiB that it fits on.
    #[serde(default, deserialize_with = "null_as_default")]
    pub min_disk_size: u64,
    /// What is billed of a snapshot, in GB.
    #[serde(default, deserialize_with = "null_as_default")]
    pub size_gigabytes: f64,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient_time")]
    pub created_at: Option<Timestamp>,
    /// Its tags. `None`: the token may not see them, which is not the same as none.
    pub tags: Option<Vec<String>>,
}

impl Image {
    /// Whether it carries the tag, whatever the case it was first spelled in. Fails when the
    /// token may not see tags.
    pub fn has_tag(&self, tag: &Tag) -> CloudResult<bool> {
        tagged(self.tags.as_deref(), tag)
    }

    /// Whether droplets of the region can start from it.
    pub fn offered_in(&self, region: &str) -> bool {
        self.regions.iter().any(|slug| slug == region)
    }
}

/// An image that was taken of a droplet's disk, as the droplet's own list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Number, the same as the image's.
    pub id: ImageId,
    /// Its name; not unique.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
}
