//! The lab: a DigitalOcean-compatible API on loopback that boots real Debian machines, so that
//! everything can be tried before a cent is spent.
//!
//! - [`up`] brings it up on a bare host and gives its [`LabEndpoint`];
//! - [`serve`] is the daemon that `up` starts: the API, the machines, their network;
//! - [`down`] leaves nothing of it;
//! - [`status`], [`endpoint`], [`logs`] and [`shell_command`] look at it.
//!
//! Machines are systemd-nspawn containers on an overlay of one image. All their traffic passes
//! a router in a network namespace, where cloud firewalls hold, VPCs are kept apart, reserved
//! addresses are translated, and nothing leaves the lab but requests to its apt cache.

mod api;
mod cloud;
mod command;
mod disk;
mod down;
mod endpoint;
mod error;
mod event;
mod faults;
mod files;
mod host_packages;
mod inspect;
mod lifecycle;
mod limits;
mod machine_fault;
mod machines;
#[cfg(feature = "memory")]
mod memory;
mod mirror;
mod mishap;
mod paths;
mod rehearse;
mod resume;
mod serve;
mod store;
mod up;

pub use down::{DownOptions, down};
pub use endpoint::{LabEndpoint, endpoint};
pub use error::{LabError, LabResult};
pub use event::{LabEvent, LabSink, LabStep};
pub use faults::{ApiFault, ApiFaultKind};
pub use inspect::{LabMachine, LabStatus, logs, shell_command, status};
pub use machine_fault::MachineFault;
#[cfg(feature = "memory")]
pub use memory::serve_in_memory;
pub use rehearse::{api_faults, arm, disarm, heal, strike};
pub use serve::{Config, serve};
pub use up::{UpOptions, up};
