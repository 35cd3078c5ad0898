//! What is an environment's own, and how that is proved. Whatever changes or deletes a thing asks
//! for such a proof, so nothing in the account can be touched for its name alone.
//!
//! | kind | proof |
//! |---|---|
//! | droplet, image, snapshot | it carries the environment's tag |
//! | firewall | it covers the environment's group tags and nothing else, under that group's name |
//! | private network | its description says so ([`Claim`]) |
//! | SSH key | the environment's own material, under the environment's name |
//! | reserved address | it leads to one of its droplets, or its network's description names it |

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::claim::Claim;
use crate::error::{CloudError, CloudResult};
use crate::tag::Tag;
use crate::types::{
    Droplet, DropletId, Firewall, FirewallId, Image, ImageId, ReservedIp, SshKey, SshKeyId, Vpc,
    VpcId,
};

/// The group under whose name machines that make images are closed.
const BUILDERS: &str = "bake";

/// An environment that claims what is its own.
#[derive(Clone, Debug)]
pub struct Owner {
    environment: String,
    tag: Tag,
    droplets: BTreeSet<DropletId>,
    claim: Option<Claim>,
    entry: Option<Ipv4Addr>,
}

impl Owner {
    /// The environment of that name, of which nothing is known yet.
    pub fn new(environment: &str) -> CloudResult<Owner> {
        Ok(Owner {
            environment: environment.to_owned(),
            tag: Tag::environment(environment)?,
            droplets: BTreeSet::new(),
            claim: None,
            entry: None,
        })
    }

    /// With those of these droplets that carry its tag, and what its network says.
    pub fn knowing(mut self, droplets: &[Droplet], vpcs: &[Vpc]) -> CloudResult<Owner> {
        for droplet in droplets {
            self.droplets.insert(self.droplet(droplet)?.id);
        }
        let name = self.name();
        let own = vpcs.iter().filter(|vpc| vpc.name == name);
        let mut proved = own.filter_map(|vpc| self.vpc(vpc).ok());
        self.claim = proved.next().map(|vpc| vpc.claim);
        Ok(self)
    }

    /// With the reserved address that its folder remembers.
    #[must_use]
    pub fn remembering(mut self, entry: Option<Ipv4Addr>) -> Owner {
        self.entry = entry;
        self
    }

    /// The tag of its droplets.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Name of what it has once: its network, its key.
    pub fn name(&self) -> String {
        format!("marg-{}", self.environment)
    }

    /// Name of the firewall of a group. Two environments can come to the same name (`shop` with
    /// `eu-http`, `shop-eu` with `http`): the name proves nothing.
    pub fn firewall_name(&self, group: &str) -> String {
        format!("{}-{group}", self.name())
    }

    /// Claims a droplet.
    pub fn droplet(&self, droplet: &Droplet) -> CloudResult<Owned> {
        Owned::claim(droplet, &self.tag)
    }

    /// Claims a firewall: all that it covers are this environment's group tags, or droplets.
    pub fn firewall(&self, firewall: &Firewall) -> CloudResult<OwnedFirewall> {
        let prefix = format!("marg-group:{}:", self.environment).to_ascii_lowercase();
        let bake = Tag::bake(&self.environment)?;
        let group = |tag: &String| {
            let tag = tag.to_ascii_lowercase();
            let builders = (tag == bake.as_str()).then(|| BUILDERS.to_owned());
            builders.or_else(|| tag.strip_prefix(&prefix).map(str::to_owned))
        };
        let foreign = firewall.tags.iter().find(|tag| group(tag).is_none());
        let strange = firewall.droplet_ids.iter();
        let strange = strange.into_iter().find(|id| !self.droplets.contains(id));
        let named = |group: String| self.firewall_name(&group) == firewall.name;
        let why = match (foreign, strange) {
            (Some(tag), _) => format!("it covers {tag}"),
            (None, Some(id)) => format!("it covers droplet {id}"),
            (None, None) if firewall.tags.is_empty() => "it covers no group of it".to_owned(),
            (None, None) if !firewall.tags.iter().filter_map(group).any(named) => {
                "it covers a group of it under another name".to_owned()
            }
            (None, None) => {
                return Ok(OwnedFirewall {
                    id: firewall.id.clone(),
                    name: firewall.name.clone(),
                });
            }
        };
        Err(self.stranger(
            "firewall",
            &firewall.name,
            why,
            "Rename it, or rename the environment or its group".to_owned(),
        ))
    }

    /// Claims a private network: its description names this environment.
    pub fn vpc(&self, vpc: &Vpc) -> CloudResult<OwnedVpc> {
        let own = Claim {
            environment: self.environment.clone(),
            ..Claim::default()
        };
        match Claim::read(&vpc.description) {
            Some(claim) if claim.environment == self.environment => Ok(OwnedVpc {
                id: vpc.id.clone(),
                name: vpc.name.clone(),
                claim,
            }),
            _ => Err(self.stranger(
                "VPC",
                &vpc.name,
                format!("its description is {:?}", vpc.description),
                format!(
                    "Rename it, or rename the environment; if it should be, write {:?} there",
                    own.to_string()
                ),
            )),
        }
    }

    /// Claims a key: it is the environment's own (`fingerprint` is that of the folder's, or of
    /// the one that the network names), registered under the environment's name. One that the
    /// operator registered under another name is used, and stays when the environment goes.
    pub fn ssh_key(&self, key: &SshKey, fingerprint: &str) -> CloudResult<OwnedKey> {
        if key.fingerprint == fingerprint && key.name == self.name() {
            return Ok(OwnedKey {
                id: key.id,
                name: key.name.clone(),
            });
        }
        Err(self.stranger(
            "SSH key",
            &key.name,
            format!(
                "it is not the environment's own under the name {}",
                self.name()
            ),
            "Delete it yourself if nobody needs it".to_owned(),
        ))
    }

    /// Claims a reserved address.
    pub fn reserved_ip(&self, reserved: &ReservedIp) -> CloudResult<OwnedIp> {
        let claimed = self.claim.as_ref().and_then(|claim| claim.entry);
        let named = [claimed, self.entry].contains(&Some(reserved.ip));
        let why = match reserved.droplet {
            Some(id) if self.droplets.contains(&id) => return Ok(OwnedIp(reserved.ip)),
            Some(id) => format!("it leads to droplet {id}"),
            None if named => return Ok(OwnedIp(reserved.ip)),
            None => "nothing says whose it is".to_owned(),
        };
        Err(self.stranger(
            "reserved IP",
            &reserved.ip.to_string(),
            why,
            "Delete it yourself if nobody needs it".to_owned(),
        ))
    }

    /// What the environment's network says, when there is one.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    fn stranger(&self, what: &'static str, name: &str, why: String, remedy: String) -> CloudError {
        CloudError::Stranger {
            what,
            name: name.to_owned(),
            environment: self.environment.clone(),
            why,
            remedy,
        }
    }
}

/// Proof that a droplet carries an environment's tag. Whatever changes or deletes a droplet asks
/// for this proof, so nothing can touch a machine by its name or id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    id: DropletId,
    name: String,
}

impl Owned {
    /// Claims the droplet for the environment, if it carries the tag.
    pub fn claim(droplet: &Droplet, environment: &Tag) -> CloudResult<Owned> {
        if !droplet.has_tag(environment)? {
            return Err(CloudError::NotOurs {
                id: droplet.id,
                name: droplet.name.clone(),
                tag: environment.to_string(),
            });
        }
        Ok(Owned {
            id: droplet.id,
            name: droplet.name.clone(),
        })
    }

    /// The droplet's id.
    pub fn id(&self) -> DropletId {
        self.id
    }

    /// The droplet's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that an image carries an environment's tag for baked images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedImage {
    id: ImageId,
    name: String,
}

impl OwnedImage {
    /// Claims the image, if it carries the tag.
    pub fn claim(image: &Image, bake: &Tag) -> CloudResult<OwnedImage> {
        if !image.has_tag(bake)? {
            return Err(CloudError::ImageNotOurs {
                id: image.id,
                name: image.name.clone(),
                tag: bake.to_string(),
            });
        }
        Ok(OwnedImage {
            id: image.id,
            name: image.name.clone(),
        })
    }

    /// The image's number.
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// The image's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that a firewall is an environment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFirewall {
    id: FirewallId,
    name: String,
}

impl OwnedFirewall {
    /// The firewall's id.
    pub fn id(&self) -> &FirewallId {
        &self.id
    }

    /// The firewall's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that a private network is an environment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedVpc {
    id: VpcId,
    name: String,
    claim: Claim,
}

impl OwnedVpc {
    /// The network's id.
    pub fn id(&self) -> &VpcId {
        &self.id
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its description says.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }
}

/// Proof that a registered key is an environment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedKey {
    id: SshKeyId,
    name: String,
}

impl OwnedKey {
    /// The key's number.
    pub fn id(&self) -> SshKeyId {
        self.id
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that a reserved address is an environment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedIp(Ipv4Addr);

impl OwnedIp {
    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.0
    }

    /// The address that has just been made for a droplet of the environment.
    pub(crate) fn made_for(_droplet: &Owned, ip: Ipv4Addr) -> OwnedIp {
        OwnedIp(ip)
    }
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;
