//! The machines behind the API: real ones, or none in the tests of the API.

pub(crate) mod boot;
pub(crate) mod cache;
pub(crate) mod cgroup;
#[cfg(any(test, feature = "memory"))]
pub(crate) mod fake;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod nft;
pub(crate) mod recipe;
pub(crate) mod seed;
pub(crate) mod snapshot;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::LabResult;

/// What a machine is made from.
#[derive(Clone)]
pub(crate) struct MachineSpec {
    /// The droplet's id.
    pub id: u64,
    /// The droplet's name: the machine's first hostname.
    pub name: String,
    /// Slug of the image, or id of the snapshot.
    pub image: String,
    /// Memory that the machine is to believe it has.
    pub memory_mb: u64,
    /// cloud-init's user data, exactly as given.
    pub user_data: String,
    /// Public keys for root, one line each.
    pub public_keys: Vec<String>,
    /// Its place in the network.
    pub place: Place,
}

/// A machine's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The droplet's id.
    pub id: u64,
    /// Address on the public side.
    pub public: Ipv4Addr,
    /// Address in its VPC.
    pub private: Ipv4Addr,
    /// The VPC's range.
    pub vpc: Ipv4Net,
}

/// How a machine is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It may end its services.
    Shutdown,
    /// As if the plug were pulled.
    PowerOff,
}

/// The operations on machines that the API needs. All of them block: call them from a thread
/// that may wait.
pub(crate) trait Machines: Send + Sync {
    /// Prepares disk, first-boot data and network of a machine. May be repeated.
    fn create(&self, spec: &MachineSpec) -> LabResult<()>;
    /// Joins a running machine to the network again when something cut it off.
    fn reconnect(&self, place: &Place) -> LabResult<()>;
    /// Starts a machine; one that runs is left alone.
    fn boot(&self, spec: &MachineSpec) -> LabResult<()>;
    /// Stops a machine; one that is off is left alone.
    fn stop(&self, id: u64, how: Stop) -> LabResult<()>;
    /// Stops a machine and removes everything of it.
    fn remove(&self, id: u64) -> LabResult<()>;
    /// Whether the machine runs.
    fn running(&self, id: u64) -> LabResult<bool>;
    /// Lets everything in a running machine stand still, or go on.
    fn freeze(&self, id: u64, on: bool) -> LabResult<()>;
    /// Makes the machine's network a narrow one, or a good one again.
    fn slow(&self, id: u64, on: bool) -> LabResult<()>;
    /// Keeps what the machine's disk holds now as a snapshot, and gives its size in bytes. A
    /// machine that runs stands still meanwhile.
    fn snapshot(&self, id: u64, snapshot: u64) -> LabResult<u64>;
    /// Removes the snapshots' files that are neither in `kept` nor below a machine or one of
    /// those.
    fn sweep_snapshots(&self, kept: &[u64]) -> LabResult<()>;
    /// Makes the network's rules these, all at once.
    fn apply_rules(&self, rules: &nft::Rules) -> LabResult<()>;
}
