//! What would change in a whole environment: the cloud's part and every host's.

use marg_resources::{Action, HostPlan, Status};
use serde::Serialize;

use crate::error::ErrorKind;

/// A plan for an environment. `plan` prints it; `provision` executes it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EnvironmentPlan {
    /// Counts over everything below.
    pub summary: Summary,
    /// Changes in the cloud, in order.
    pub cloud: Vec<CloudChange>,
    /// What happens in which order, and what visitors notice, when an environment that serves is
    /// changed.
    pub order: Vec<String>,
    /// Changes on hosts, in the blueprint's order; hosts without changes are listed too.
    pub hosts: Vec<HostPlan>,
    /// Hosts that exist and could not be looked at: what would change on them is not known.
    pub unseen: Vec<Unseen>,
    /// Cost of the droplets per month in US dollars, now and afterwards; `None` where prices are
    /// not known (offline).
    pub monthly: Option<Monthly>,
    /// What the operator should know, one sentence each.
    pub notes: Vec<String>,
    /// Names of secrets that only the operator can give and that are not there: `provision` stops
    /// before anything is made.
    pub missing_secrets: Vec<String>,
}

/// A host that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// Host name.
    pub name: String,
    /// Why.
    pub error: String,
    /// Which kind of failure that is.
    #[serde(skip)]
    pub kind: ErrorKind,
}

/// Cost per month, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Monthly {
    /// Of the droplets that exist.
    pub before: f64,
    /// Of the droplets as planned.
    pub after: f64,
}

/// Counts: droplets to create and destroy, changes on hosts by how sure they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Droplets to create.
    pub create: usize,
    /// Droplets to destroy.
    pub destroy: usize,
    /// Changes that will happen, the cloud's other changes included.
    pub will: usize,
    /// Changes that happen only if something before them changes.
    pub may: usize,
    /// Changes whose subject does not exist yet.
    pub unknown: usize,
}

/// One change in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudChange {
    /// `vpc`, `firewall`, `droplet`, `ssh key`, `reserved ip`, …
    pub kind: CloudKind,
    /// Its name in the cloud.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// One line per detail: a size and an image, or rules that come and go.
    pub details: Vec<String>,
}

/// Kinds of things in the cloud that marg keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudKind {
    /// Public half of the operator's key.
    SshKey,
    /// Private network.
    Vpc,
    /// Firewall of a group.
    Firewall,
    /// Machine.
    Droplet,
    /// Public entry address.
    ReservedIp,
}

impl CloudKind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            CloudKind::SshKey => "ssh key",
            CloudKind::Vpc => "vpc",
            CloudKind::Firewall => "firewall",
            CloudKind::Droplet => "droplet",
            CloudKind::ReservedIp => "reserved ip",
        }
    }
}

impl EnvironmentPlan {
    /// Counts the changes. Called once, when the plan is complete.
    #[must_use]
    pub fn summed(mut self) -> Self {
        let mut summary = Summary::default();
        for change in &self.cloud {
            match (change.kind, change.action) {
                (CloudKind::Droplet, Action::Create) => summary.create += 1,
                (CloudKind::Droplet, Action::Delete) => summary.destroy += 1,
                _ => summary.will += 1,
            }
        }
        for change in self.hosts.iter().flat_map(|host| &host.changes) {
            match change.status {
                Status::Will => summary.will += 1,
                Status::May => summary.may += 1,
                Status::Unknown(_) => summary.unknown += 1,
            }
        }
        self.summary = summary;
        self
    }

    /// Whether nothing is to be done, as far as hosts could be looked at.
    pub fn is_empty(&self) -> bool {
        self.summary == Summary::default()
    }
}
