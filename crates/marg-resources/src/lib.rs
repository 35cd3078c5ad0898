//! Resources: one thing on a host in its desired state. Each kind is one file that holds its
//! desired state, its probe, its parser, its difference and its commands, side by side.
//! Everything here is pure: text in, text out.
//!
//! Adding a kind: a file in `kinds/` and one line in `kinds/mod.rs`.

pub mod answer;
pub mod artisan;
pub mod change;
pub mod fpm;
pub mod kind;
pub mod kinds;
pub mod plan;
#[cfg(test)]
mod planted_tests;
pub mod promotion;
pub mod quote;
pub mod role;
pub mod script;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod validator_tests;

pub use answer::{Answer, Facts, Misread, SAID, framed};
pub use change::{
    Action, Change, Guarded, Install, Notice, OwedAction, Place, Status, TextDiff, Validator,
    Verdict, Work,
};
pub use kind::{Before, Kind, Notify, Resource};
pub use kinds::{
    AptRepository, Block, Command, Database, DatabaseUser, Directory, File, Group, Link, Package,
    Release, Service, SshdConfig, State, Strays, SupervisorProgram, Swap, Sysctl, Timer, UfwPolicy,
    UfwRule, User,
};
pub use plan::{HostPlan, PlannedChange, Step, plan, plan_fresh};
pub use promotion::{Promotion, Succession};
pub use quote::quote;
pub use role::{
    Check, Context, Earlier, Handover, HostAnswer, HostAnswers, Leadership, Opening, OtherOpening,
    Peer, Role, RoleError, Traffic,
};
pub use script::{FRAME, PLACES, PRELUDE, Shell, apply_script, probe_script, section};
