//! The words of marg as types: inventory, phase, blueprint, fleet, event. No network, no
//! clocks, no tokio; parsing and validation are pure functions of their text.

pub mod blueprint;
pub mod distro;
pub mod event;
pub mod fleet;
pub mod inventory;
pub mod phase;
pub mod schema;
pub mod secret;

pub use blueprint::{Blueprint, Host, HostEnv};
pub use distro::{Distro, SqlEngine};
pub use event::{Event, EventSink, StepStatus};
pub use fleet::{Address, Fleet, Machine};
pub use inventory::{
    App, Database, DatabaseUser, Env, EnvValue, Environment, GroupOverride, HostOverride,
    Inventory, Settings, Tls,
};
pub use phase::{Capacity, Group, Limit, Phase};
pub use schema::{RoleSchema, Setting, SettingKind, SettingValue};
pub use secret::{Secret, SecretKind, SecretSpec, Secrets};
