//! What the cloud says, as types.
//!
//! Decoding is lenient where the API is free to grow (unknown fields and words never fail) and
//! strict where marg depends on the answer (ids, names). `null` reads like an absent field.

use crate::error::{CloudError, CloudResult};
use crate::tag::Tag;

mod catalog;
mod decode;
mod droplet;
mod firewall;
mod ids;
mod network;
#[cfg(test)]
pub(crate) mod tests;

pub use catalog::{Account, AccountStatus, Image, Region, Size, Snapshot};
pub use droplet::{
    Action, ActionStatus, Addresses, Droplet, DropletAction, DropletStatus, NotReady,
};
pub use firewall::{Firewall, FirewallSpec, FirewallStatus, Peers, Rule};
pub use ids::{ActionId, DropletId, FirewallId, ImageId, SshKeyId, VpcId};
pub use network::{NewVpc, ReservedIp, ReservedIpPlace, SshKey, TagUse, Vpc, VpcChange};

/// Whether the tag is among those that the cloud shows of a thing.
fn tagged(tags: Option<&[String]>, tag: &Tag) -> CloudResult<bool> {
    let Some(tags) = tags else {
        return Err(CloudError::ScopeMissing {
            field: "tags",
            scope: "tag:read",
        });
    };
    let is_it = |name: &String| name.eq_ignore_ascii_case(tag.as_str());
    Ok(tags.iter().any(is_it))
}

/// An enum of words that the cloud may extend: every other word is kept as `Other`.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
        #[serde(from = "String")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A word that marg does not know.
            Other(String),
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                })
            }
        }
    };
}
pub(crate) use open_enum;
