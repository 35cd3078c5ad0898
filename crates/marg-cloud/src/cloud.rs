//! The `Cloud` trait: single requests in the words of the domain.
//!
//! What takes several requests and time (creating without doubles, waiting, deleting until gone)
//! is built once on top of it, in [`crate::converge`], for every implementation.

use std::net::Ipv4Addr;

use async_trait::async_trait;

use crate::error::CloudResult;
use crate::new_droplet::{CreatedDroplet, NewDroplet};
use crate::ownership::{Owned, OwnedFirewall, OwnedImage, OwnedIp, OwnedKey, OwnedVpc};
use crate::pace::Pace;
use crate::tag::Tag;
use crate::types::{
    Account, Action, ActionId, Droplet, DropletAction, DropletId, Firewall, FirewallId,
    FirewallSpec, Image, NewVpc, Region, ReservedIp, ReservedIpPlace, Size, Snapshot, SshKey,
    TagUse, Vpc, VpcChange,
};

/// A cloud that can be asked for machines and networks.
///
/// Lists are complete (all pages). Reads of one thing give `None` for one that is not there;
/// deletions of a thing that is already gone succeed. A request that creates is sent at most once
/// per call: when its answer is lost, the call fails with
/// [`CloudError::OutcomeUnknown`](crate::CloudError::OutcomeUnknown).
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Intervals and deadlines for whoever waits for this cloud.
    fn pace(&self) -> &Pace;

    /// The account behind the token.
    async fn account(&self) -> CloudResult<Account>;
    /// How many droplets the whole account has, to be compared with its limit.
    async fn droplet_count(&self) -> CloudResult<u64>;
    /// All sizes with their prices.
    async fn sizes(&self) -> CloudResult<Vec<Size>>;
    /// All regions.
    async fn regions(&self) -> CloudResult<Vec<Region>>;
    /// All public distribution images.
    async fn images(&self) -> CloudResult<Vec<Image>>;
    /// The public image with this slug.
    async fn find_image(&self, slug: &str) -> CloudResult<Option<Image>>;
    /// All images of the account with the tag.
    async fn images_tagged(&self, tag: &Tag) -> CloudResult<Vec<Image>>;
    /// Deletes an image; droplets that were made from it keep their disks.
    async fn delete_image(&self, image: &OwnedImage) -> CloudResult<()>;

    /// The key with this MD5 fingerprint (see [`crate::md5_fingerprint`]).
    async fn find_ssh_key(&self, fingerprint: &str) -> CloudResult<Option<SshKey>>;
    /// Registers a public key. The same key twice is refused.
    async fn create_ssh_key(&self, name: &str, public_key: &str) -> CloudResult<SshKey>;
    /// Forgets a key; droplets that have it keep it.
    async fn delete_ssh_key(&self, key: &OwnedKey) -> CloudResult<()>;

    /// All tags of the account, whether anything carries them or not.
    async fn tags(&self) -> CloudResult<Vec<TagUse>>;
    /// Makes the tag exist.
    async fn create_tag(&self, tag: &Tag) -> CloudResult<()>;
    /// Removes the tag from everything and forgets it.
    async fn delete_tag(&self, tag: &Tag) -> CloudResult<()>;
    /// Puts an existing tag on droplets.
    async fn tag_droplets(&self, tag: &Tag, droplets: &[Owned]) -> CloudResult<()>;
    /// Takes a tag off droplets.
    async fn untag_droplets(&self, tag: &Tag, droplets: &[Owned]) -> CloudResult<()>;

    /// All private networks.
    async fn vpcs(&self) -> CloudResult<Vec<Vpc>>;
    /// Makes a private network.
    async fn create_vpc(&self, vpc: &NewVpc) -> CloudResult<Vpc>;
    /// Changes a private network; what is `None` stays.
    async fn update_vpc(&self, vpc: &OwnedVpc, change: &VpcChange) -> CloudResult<Vpc>;
    /// Deletes a private network; refused while it has members.
    async fn delete_vpc(&self, vpc: &OwnedVpc) -> CloudResult<()>;

    /// All droplets with the tag. The list may lag some seconds behind creations.
    async fn droplets_tagged(&self, tag: &Tag) -> CloudResult<Vec<Droplet>>;
    /// All droplets of the account with exactly this name, whoever they belong to.
    async fn droplets_named(&self, name: &str) -> CloudResult<Vec<Droplet>>;
    /// One droplet.
    async fn droplet(&self, id: DropletId) -> CloudResult<Option<Droplet>>;
    /// Asks for a droplet that carries the `operation` tag besides its own. Prefer
    /// [`crate::ensure_droplet`], which survives a lost answer.
    async fn create_droplet(
        &self,
        droplet: &NewDroplet,
        operation: &Tag,
    ) -> CloudResult<CreatedDroplet>;
    /// Asks for a deletion and returns at once. Prefer [`crate::destroy_droplet`], which waits
    /// until the droplet is gone.
    async fn delete_droplet(&self, droplet: &Owned) -> CloudResult<()>;
    /// Starts an action; refused while another one runs on the droplet.
    async fn start_action(&self, droplet: &Owned, action: &DropletAction) -> CloudResult<Action>;
    /// Snapshots that were taken of a droplet.
    async fn snapshots_of(&self, droplet: &Owned) -> CloudResult<Vec<Snapshot>>;
    /// Puts an existing tag on a snapshot.
    async fn tag_snapshot(&self, tag: &Tag, snapshot: &Snapshot) -> CloudResult<()>;
    /// An action's state. A fresh one may be unknown for a moment.
    async fn action(&self, id: ActionId) -> CloudResult<Option<Action>>;

    /// All firewalls.
    async fn firewalls(&self) -> CloudResult<Vec<Firewall>>;
    /// One firewall.
    async fn firewall(&self, id: &FirewallId) -> CloudResult<Option<Firewall>>;
    /// Makes a firewall. Its tags must exist.
    async fn create_firewall(&self, firewall: &FirewallSpec) -> CloudResult<Firewall>;
    /// Replaces everything that a firewall says.
    async fn update_firewall(
        &self,
        own: &OwnedFirewall,
        firewall: &FirewallSpec,
    ) -> CloudResult<Firewall>;
    /// Deletes a firewall.
    async fn delete_firewall(&self, firewall: &OwnedFirewall) -> CloudResult<()>;

    /// All reserved addresses of the account.
    async fn reserved_ips(&self) -> CloudResult<Vec<ReservedIp>>;
    /// One reserved address.
    async fn reserved_ip(&self, ip: Ipv4Addr) -> CloudResult<Option<ReservedIp>>;
    /// Makes a reserved address.
    async fn create_reserved_ip(&self, place: &ReservedIpPlace) -> CloudResult<ReservedIp>;
    /// Begins to move the address to a droplet. Prefer [`crate::assign_reserved_ip`].
    async fn start_assign(&self, ip: &OwnedIp, droplet: &Owned) -> CloudResult<Action>;
    /// Begins to take the address off its droplet. Prefer [`crate::unassign_reserved_ip`].
    async fn start_unassign(&self, ip: &OwnedIp) -> CloudResult<Action>;
    /// Gives the address back. It must lead nowhere.
    async fn delete_reserved_ip(&self, ip: &OwnedIp) -> CloudResult<()>;
}
