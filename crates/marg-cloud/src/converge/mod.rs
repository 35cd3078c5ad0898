//! What takes several requests and time: creating without doubles, waiting, deleting until gone.
//!
//! Everything here works against any [`Cloud`](crate::Cloud), goes on where an interrupted run
//! stopped when it is called again, and ends by a deadline of [`Pace`](crate::Pace).

mod action;
mod create;
mod destroy;
mod named;
mod power;
mod ready;
mod reserved;
mod snapshot;

pub use action::{run_action, wait_for_action};

pub use create::{Ensured, How, ensure_droplet};
pub use destroy::{destroy_droplet, destroy_vpc};
pub use named::{ensure_firewall, ensure_ssh_key, ensure_vpc, wait_until_enforced};
pub use power::{resize_and_start, shut_down};
pub use ready::{Ready, wait_until_ready};
pub use reserved::{
    assign_reserved_ip, ensure_reserved_ip, release_reserved_ip, unassign_reserved_ip,
};
pub use snapshot::{keep_snapshot, snapshots_at_rest, take_snapshot};
