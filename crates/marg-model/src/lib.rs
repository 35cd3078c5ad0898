//! The words of marg as types: inventory, phase, blueprint, fleet, event. No network, no
//! clocks, no tokio; parsing and validation are pure functions of their text.

pub mod blueprint;
pub mod builtin;
pub mod capacity;
pub mod cost;
pub mod diagnostic;
pub mod distro;
pub mod event;
pub mod fleet;
pub mod guard;
pub mod inventory;
pub mod parse;
pub mod phase;
pub mod resolve;
pub mod schema;
pub mod secret;
#[cfg(test)]
mod testing;

pub use blueprint::{Blueprint, Host, HostEnv};
pub use capacity::{Component, Load};
pub use cost::{Cost, CostRow};
pub use diagnostic::{Diagnostic, Diagnostics, Span};
pub use distro::{Distro, SqlEngine};
pub use event::{Event, EventSink, StepStatus};
pub use fleet::{Address, EarlierForm, Fleet, Machine};
pub use inventory::{
    App, Database, DatabaseUser, Env, EnvValue, Environment, GroupInPhase, GroupOverride,
    HostOverride, Inventory, OnFailure, PhaseOverride, Settings, Tls,
};
pub use phase::{Capacity, Group, Limit, Phase};
pub use resolve::{ResolveError, ResolveErrors};
pub use schema::{RoleSchema, Setting, SettingKind, SettingValue};
pub use secret::{Secret, SecretKind, SecretSpec, Secrets};
