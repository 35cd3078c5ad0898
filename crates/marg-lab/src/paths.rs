//! Where the lab keeps its things, and the names by which it finds them again.
//!
//! Everything that the lab leaves in the kernel or on disk carries one of these names, so that
//! `down` finds it without trusting any record.

use std::path::{Path, PathBuf};

/// Prefix of network namespaces, control groups and nspawn machines.
pub(crate) const PREFIX: &str = "marg-";
/// The namespace in which all traffic of the lab is routed and filtered.
pub(crate) const ROUTER: &str = "marg-router";
/// The control group that holds every process of the lab.
pub(crate) const CGROUP: &str = "marg-lab";
/// The host's side of the link to the router.
pub(crate) const UPLINK: &str = "marg0";
/// Routes of the lab in the host's table carry this protocol number.
pub(crate) const ROUTE_PROTOCOL: &str = "77";

/// Images and machines; images survive `down`.
pub(crate) fn state_dir() -> PathBuf {
    PathBuf::from("/var/lib/marg-lab")
}

/// The apt cache; survives `down`.
pub(crate) fn cache_dir() -> PathBuf {
    PathBuf::from("/var/cache/marg-lab")
}

/// What only lives while the lab is up.
pub(crate) fn run_dir() -> PathBuf {
    PathBuf::from("/run/marg-lab")
}

/// Built images.
pub(crate) fn images_dir() -> PathBuf {
    state_dir().join("images")
}

/// One folder per machine.
pub(crate) fn machines_dir() -> PathBuf {
    state_dir().join("machines")
}

/// One folder per snapshot.
pub(crate) fn snapshots_dir() -> PathBuf {
    state_dir().join("snapshots")
}

/// The folder of one machine.
pub(crate) fn machine_dir(id: u64) -> PathBuf {
    machines_dir().join(id.to_string())
}

/// What the machine printed on its console.
pub(crate) fn console_log(id: u64) -> PathBuf {
    machine_dir(id).join("console.log")
}

/// Address and token of the API.
pub(crate) fn endpoint_file() -> PathBuf {
    run_dir().join("endpoint.json")
}

/// The cloud's records: droplets, firewalls and so on.
pub(crate) fn state_file() -> PathBuf {
    run_dir().join("state.json")
}

/// What `up` was asked for, for the daemon.
pub(crate) fn config_file() -> PathBuf {
    run_dir().join("config.json")
}

/// What the daemon says.
pub(crate) fn daemon_log() -> PathBuf {
    run_dir().join("daemon.log")
}

/// The network namespace of one machine.
pub(crate) fn machine_namespace(id: u64) -> String {
    format!("{PREFIX}m-{id}")
}

/// Path by which a namespace is handed to other programs.
pub(crate) fn namespace_path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}
