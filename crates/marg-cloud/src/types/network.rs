//! Private networks, reserved addresses and SSH keys.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::decode::{id_of_object, null_as_default, slug_of_object};
use super::{DropletId, SshKeyId, VpcId};

/// A private network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Vpc {
    /// Its UUID.
    pub id: VpcId,
    /// Unique in the account.
    pub name: String,
    /// Slug of its region.
    pub region: String,
    /// Its range in CIDR form.
    pub ip_range: String,
    /// Whether it is its region's default; such a network can never be deleted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub default: bool,
    /// For people, and for [`Claim`](crate::Claim).
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
}

/// What is to be changed of a private network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VpcChange {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Only ever true: the one that was the region's default is it no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

/// A tag, and on how many things it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "TagAnswer")]
#[non_exhaustive]
pub struct TagUse {
    /// Its name.
    pub name: String,
    /// How many things of any kind carry it.
    pub resources: u64,
    /// How many of them are neither droplets nor images: marg makes no such things.
    pub others: u64,
}

#[derive(Deserialize)]
struct TagAnswer {
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    resources: TagResources,
}

#[derive(Default, Deserialize)]
struct TagResources {
    #[serde(default, deserialize_with = "null_as_default")]
    count: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    droplets: TagCount,
    #[serde(default, deserialize_with = "null_as_default")]
    images: TagCount,
}

#[derive(Default, Deserialize)]
struct TagCount {
    #[serde(default, deserialize_with = "null_as_default")]
    count: u64,
}

impl From<TagAnswer> for TagUse {
    fn from(answer: TagAnswer) -> TagUse {
        let TagResources {
            count,
            droplets,
            images,
        } = answer.resources;
        TagUse {
            name: answer.name,
            resources: count,
            others: count.saturating_sub(droplets.count + images.count),
        }
    }
}

/// A private network to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewVpc {
    /// Letters, digits, `-` and `.`; unique in the account.
    pub name: String,
    /// Slug of the region.
    pub region: String,
    /// RFC 1918 range of /16 to /28; `None` lets the cloud choose a free /20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// For people.
    pub description: String,
}

/// A public address that can move between droplets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ReservedIp {
    /// The address; it is also the id.
    pub ip: Ipv4Addr,
    /// Slug of its region.
    #[serde(default, deserialize_with = "slug_of_object")]
    pub region: Option<String>,
    /// The droplet it leads to.
    #[serde(default, deserialize_with = "id_of_object")]
    pub droplet: Option<DropletId>,
    /// Whether it is being moved right now.
    #[serde(default, deserialize_with = "null_as_default")]
    pub locked: bool,
}

/// Where a new reserved address is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservedIpPlace {
    /// In a region, leading nowhere yet (and costing money until it does).
    Region(String),
    /// For a droplet, assigned at once. Asking twice cannot make two: a droplet has one.
    Droplet(DropletId),
}

/// A public key known to the account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SshKey {
    /// Its number.
    pub id: SshKeyId,
    /// MD5 of the key in hexadecimal pairs with colons.
    pub fingerprint: String,
    /// For people; not unique.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
}
