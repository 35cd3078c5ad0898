//! The cloud in marg's words: the [`Cloud`] trait, the [`DigitalOcean`] client behind it, and the
//! ways to create, wait and delete that leave neither doubles nor orphans.
//!
//! Three layers, each usable on its own:
//!
//! - [`Cloud`]: single requests. Lists are complete, reads of absent things give `None`, a
//!   creation is sent at most once per call.
//! - [`converge`]: several requests and time. Creation that survives a lost answer, readiness,
//!   deletion until gone, reserved IPs, firewalls.
//! - the types with their pure rules: [`Droplet::readiness`], [`FirewallSpec::differences`],
//!   [`Tag::new`], [`Owned::claim`].
//!
//! There is no state file. A droplet belongs to an environment because it carries its tag; what
//! has no tags is proved otherwise. [`Owner`] knows how, and gives the proofs that everything
//! which changes or deletes asks for.
//!
//! ```no_run
//! use marg_cloud::{Cloud as _, DIGITALOCEAN, DigitalOcean, Options, Tag};
//! # async fn example(token: marg_model::Secret) -> marg_cloud::CloudResult<()> {
//! let cloud = DigitalOcean::new(DIGITALOCEAN, token, Options::default())?;
//! for droplet in cloud.droplets_tagged(&Tag::environment("production")?).await? {
//!     tracing::info!(name = droplet.name, private = ?droplet.private_v4());
//! }
//! # Ok(())
//! # }
//! ```

mod claim;
mod cloud;
pub mod converge;
mod digitalocean;
mod error;
mod fingerprint;
mod journal;
mod new_droplet;
mod ownership;
mod pace;
mod scrub;
mod tag;
pub mod transport;
mod types;
mod wait;

pub use claim::{Claim, Run};
pub use cloud::Cloud;
pub use converge::{
    Ensured, How, Ready, assign_reserved_ip, destroy_droplet, destroy_vpc, ensure_droplet,
    ensure_firewall, ensure_reserved_ip, ensure_ssh_key, ensure_vpc, keep_snapshot,
    release_reserved_ip, resize_and_start, run_action, shut_down, snapshots_at_rest, take_snapshot,
    unassign_reserved_ip, wait_for_action, wait_until_enforced, wait_until_ready,
};
pub use digitalocean::{DIGITALOCEAN, DigitalOcean, Options};
pub use error::{CloudError, CloudResult};
pub use fingerprint::md5_fingerprint;
pub use journal::Journal;
pub use new_droplet::{BootImage, CreatedDroplet, NewDroplet};
pub use ownership::{Owned, OwnedFirewall, OwnedImage, OwnedIp, OwnedKey, OwnedVpc, Owner};
pub use pace::Pace;
pub use tag::Tag;
pub use types::*;
pub use wait::{OnWait, Wait, WaitReason};
