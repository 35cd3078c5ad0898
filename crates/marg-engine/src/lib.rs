//! The engine: looks at the cloud and the hosts, plans, applies, verifies and deploys. It is the
//! only part of marg that acts, and it prints nothing: it emits events and returns reports.

mod apply;
mod bake;
pub mod cloud;
mod collisions;
mod converge;
mod crew;
pub mod deploy;
mod desired;
mod destroy;
mod earlier;
mod engine;
pub mod environment;
mod error;
mod gates;
mod handover;
pub mod host;
mod journey;
mod leaders;
mod needs;
mod plan;
mod promote;
mod provision;
pub mod report;
mod resize;
mod retire;
mod run;
mod status;
mod traffic;
mod vault;

pub use bake::image::{Bake, DOLLARS_PER_GB};
pub use bake::{BakeError, BakePreview, BakeReport, Baked, BakedImage, Bakes};
pub use cloud::situation::Situation;
pub use collisions::collisions;
pub use deploy::{AppReleases, DeployError, HostReleases, Manner, Record, Release};
pub use destroy::{DestroyPreview, DestroyReport};
pub use engine::{Engine, Options};
pub use environment::{CloudChange, CloudKind, EnvironmentPlan, Monthly, Summary, Unseen};
pub use error::{EngineError, ErrorKind};
pub use host::HostError;
pub use plan::plan_offline;
pub use promote::{PromotePreview, PromoteReport};
pub use report::{DeployReport, HostReport, Report};
pub use resize::{HandOver, ResizeError, ResizePreview, ResizeReport};
pub use run::RunOutput;
pub use status::{FleetStatus, HostStatus, Led};
pub use vault::{Vault, VaultError};

#[cfg(test)]
mod messages_tests;
