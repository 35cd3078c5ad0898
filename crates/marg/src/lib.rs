//! marg as a library: from an inventory file and a phase to running Laravel applications.
//!
//! The façade over the workspace's rooms. A program needs four words:
//!
//! - [`Project`]: an inventory file, found and read; gives a [`Blueprint`] for a phase.
//! - [`Endpoint`]: which cloud is asked, and with which token; DigitalOcean or the lab.
//! - [`Engine`]: looks, plans, provisions, deploys. It prints nothing.
//! - [`Event`]: what the engine says meanwhile, to an [`EventSink`] of yours.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use marg::{Endpoint, Event, Project};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let project = Project::open(None, Path::new("."))?;
//! let blueprint = project.blueprint(Some(2))?;
//! let listener = Arc::new(|event: Event| eprintln!("{event:?}"));
//! let engine = project.engine(&Endpoint::from_env()?, listener)?;
//! let plan = engine.plan(&blueprint).await?;
//! if !plan.is_empty() {
//!     engine.provision(&blueprint, &[]).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Planning without a network or a token is [`Project::plan_offline`]:
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let project = marg::Project::open(None, std::path::Path::new("."))?;
//! let plan = project.plan_offline(&project.blueprint(Some(4))?)?;
//! println!("{} droplets to create", plan.summary.create);
//! # Ok(())
//! # }
//! ```
//!
//! # The lab
//!
//! [`lab::up`] brings the local cloud up and returns its address and token, from which an
//! [`Endpoint`] is made; from there on nothing differs.
//!
//! # Errors
//!
//! Every error says what failed, why, and what to do next. [`Error::kind`] and
//! [`EngineError::kind`] sort them into a few [`ErrorKind`]s; the program's exit codes are made
//! from these.
//!
//! The book in `book/` has a tutorial, an operating guide and the architecture.

/// The example in the README compiles, too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod endpoint;
mod error;
mod names;
mod project;

pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, ErrorKind};
pub use project::{Edited, Project};

pub use marg_engine::{
    AppReleases, Bake, BakeError, BakePreview, BakeReport, Baked, BakedImage, Bakes, CloudChange,
    CloudKind, DOLLARS_PER_GB, DeployReport, DestroyPreview, DestroyReport, Engine, EngineError,
    EnvironmentPlan, FleetStatus, HandOver, HostReleases, HostReport, HostStatus, Led, Manner,
    Monthly, PromotePreview, PromoteReport, Record, Release, Report, ResizeError, ResizePreview,
    ResizeReport, RunOutput, Situation, Summary, Unseen, VaultError,
};
pub use marg_model::{
    App, Blueprint, Capacity, Component, Cost, CostRow, Diagnostic, Diagnostics, Environment,
    Event, EventSink, Group, Host, HostEnv, Inventory, Limit, Load, Phase, Secret, StepStatus,
};
pub use marg_resources::{Action, HostPlan, PlannedChange, Status, Step, TextDiff, quote};

/// The script that would make a host's planned changes, with `<secret>` in place of secrets.
pub fn script(plan: &HostPlan) -> String {
    // The real word that marks a step's output is drawn anew for every run.
    marg_resources::apply_script(plan, "MARK").to_string()
}

/// The local cloud: a DigitalOcean-compatible API on loopback that boots real machines.
pub mod lab {
    pub use marg_lab::*;
}
