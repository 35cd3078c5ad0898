//! How another host of a replicated role is made to lead: the words of the role, in the order in
//! which the engine says them.

use marg_model::{Fleet, Host};

use crate::role::{Context, HostAnswers, RoleError};
use crate::script::Shell;

/// How a replicated role switches over. Each script runs on the host of its context, holds no
/// secret, may be run again at any time, and ends with status 0 when it did what it says.
#[derive(Clone, Copy)]
pub struct Promotion {
    /// The service that is led, as [`Fleet::leaders`] names it.
    pub of: &'static str,
    /// Decides from what the hosts said whether that host may lead, and what has to be done.
    pub judge: fn(&Fleet, &HostAnswers, &str) -> Result<Succession, RoleError>,
    /// On every host that answers, before anything stops: who is to lead. May take as long as it needs.
    pub prepare: Option<fn(&Context, &Host) -> Shell>,
    /// On the leader that lives: it takes no more writes. Prints `position …`: all that it has.
    pub retire: fn(&Context) -> Shell,
    /// On the leader that was retired, when the switch-over cannot go on: it leads again.
    pub reinstate: fn(&Context) -> Shell,
    /// On the candidate: waits until it has everything up to that position.
    pub catch_up: fn(&Context, &str) -> Shell,
    /// On the candidate, when there is nobody to catch up with: executes all that it received.
    pub drain: fn(&Context) -> Shell,
    /// On the other replicas: they stop following whom they followed.
    pub release: fn(&Context) -> Shell,
    /// On the candidate: it leads.
    pub take_over: fn(&Context) -> Shell,
    /// On everybody else: it follows that host. May take as long as a copy of all data.
    pub follow: fn(&Context, &Host) -> Shell,
}

/// What has to be done so that another host leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// The candidate leads already: only the others have to follow it.
    pub done: bool,
    /// The leader until now, if it lives: it stops writing first, and nothing is lost.
    pub retiring: Option<String>,
    /// Replicas that answer, without the candidate.
    pub others: Vec<String>,
    /// Hosts that do not answer; they join when they are provisioned.
    pub away: Vec<String>,
    /// What the operator must know before it is done; nothing where nothing can be lost.
    pub risks: Vec<String>,
}
