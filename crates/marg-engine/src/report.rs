//! What happened, and what is still owed.

use std::net::Ipv4Addr;

use serde::Serialize;

/// The outcome of `provision`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the environment.
    pub environment: String,
    /// The public entry address.
    pub entry: Option<Ipv4Addr>,
    /// Pages to open: host names of the applications.
    pub hostnames: Vec<String>,
    /// Changes made in the cloud.
    pub cloud_changed: usize,
    /// Every host.
    pub hosts: Vec<HostReport>,
    /// Applications deployed in this run.
    pub deployed: Vec<DeployReport>,
}

/// One host's part of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostReport {
    /// Host name.
    pub name: String,
    /// Public address, where it is known.
    pub public_ip: Option<Ipv4Addr>,
    /// Changes made.
    pub changed: usize,
    /// TCP connections opened to it.
    pub connections: usize,
    /// Commands started over them.
    pub execs: usize,
    /// Milliseconds from the first connection attempt to the end.
    pub millis: u64,
    /// What went wrong, with the next step; `None` when the host is as it should be.
    pub error: Option<String>,
}

/// One application's deploy or rollback.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeployReport {
    /// Application.
    pub app: String,
    /// Release that is live now.
    pub release: String,
    /// Commit it was built from.
    pub commit: String,
    /// Release that was live before.
    pub previous: Option<String>,
    /// Hosts that serve or work it.
    pub hosts: Vec<String>,
    /// Milliseconds from the start to the last check.
    pub millis: u64,
}

impl Report {
    /// Whether every host is as it should be.
    pub fn is_success(&self) -> bool {
        self.hosts.iter().all(|host| host.error.is_none())
    }

    /// Changes made on hosts and in the cloud.
    pub fn changed(&self) -> usize {
        self.cloud_changed + self.hosts.iter().map(|host| host.changed).sum::<usize>()
    }
}
