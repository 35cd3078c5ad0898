//! Identifiers: numbers for droplets, keys and actions, UUIDs for networks and firewalls.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$meta:meta])* $name:ident($inner:ty) $($derive:ident)*) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, $($derive),*)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A droplet's number.
    DropletId(u64) Copy
);
id!(
    /// An action's number.
    ActionId(u64) Copy
);
id!(
    /// An image's number; a snapshot is an image, and has the same.
    ImageId(u64) Copy
);
id!(
    /// An SSH key's number.
    SshKeyId(u64) Copy
);
id!(
    /// A VPC's UUID.
    VpcId(String)
);
id!(
    /// A firewall's UUID.
    FirewallId(String)
);
