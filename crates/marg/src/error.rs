//! Everything that can go wrong before the engine starts, and the kinds of all failures.

use std::path::PathBuf;

use marg_model::Diagnostics;
use thiserror::Error;

use crate::endpoint::EndpointError;

pub use marg_engine::ErrorKind;

/// Why a project cannot be opened, resolved or connected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No inventory was named and none was found.
    #[error(
        "no inventory: neither {folder} nor a folder above it has an `inventories` folder; go \
         into your project, or name the file with --inventory FILE", folder = folder.display()
    )]
    NoInventory {
        /// Where the search began.
        folder: PathBuf,
    },
    /// The folder for inventories has none.
    #[error(
        "no inventory: {folder} has no .toml file; write one there, or name the file with \
         --inventory FILE", folder = folder.display()
    )]
    EmptyFolder {
        /// The `inventories` folder.
        folder: PathBuf,
    },
    /// More than one inventory: marg does not guess which fleet is meant.
    #[error(
        "{folder} has several inventories: {names}; name the one you mean with --inventory FILE",
        folder = folder.display(), names = names.join(", ")
    )]
    SeveralInventories {
        /// The `inventories` folder.
        folder: PathBuf,
        /// Their file names.
        names: Vec<String>,
    },
    /// A file cannot be read.
    #[error(
        "cannot read {path}: {source}; check the path and that you may read it",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The phase has no such group.
    #[error("phase {phase} has no group `{group}`; {hint}")]
    NoGroup {
        /// What was asked for.
        group: String,
        /// Number of the phase.
        phase: u8,
        /// The nearest word, or all of them.
        hint: String,
    },
    /// The group's number of hosts is the phase's own.
    #[error(
        "`{group}` holds data: its hosts do not come and go, phase {phase} is made for {count} of \
         it. A larger machine is `marg resize {group}1 SIZE`; replicas come with a phase that has \
         them"
    )]
    FixedGroup {
        /// The group.
        group: String,
        /// Number of the phase.
        phase: u8,
        /// Number of hosts that the phase gives it.
        count: u16,
    },
    /// Fewer or more hosts than a group can have.
    #[error(
        "`{group}` cannot have {count} hosts: a group has 1 to {most}. `marg destroy` takes a \
         whole environment down"
    )]
    Count {
        /// The group.
        group: String,
        /// What was asked for; it may be below zero.
        count: i64,
        /// Most hosts of a group.
        most: u16,
    },
    /// The inventory cannot be written. It is as it was.
    #[error(
        "cannot write {path}: {source}; the file is as it was. See that you may write there, or \
         make the change yourself: {change}", path = path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What was to be written, for example `phases.3.groups.http.count = 4`.
        change: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The inventory is no longer what was read.
    #[error(
        "{path} was changed by somebody else meanwhile, so nothing was written to it; look at it \
         and run the same command again", path = path.display()
    )]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// The inventory is written in a way that marg cannot edit.
    #[error("marg cannot edit {inventory} here ({reason}); write it there yourself: {change}")]
    Uneditable {
        /// The inventory file.
        inventory: String,
        /// What was to be written, for example `phases.3.groups.http.count = 4`.
        change: String,
        /// What is in the way.
        reason: String,
    },
    /// Inventory or phase say something that marg does not understand.
    #[error("{0}")]
    Invalid(Diagnostics),
    /// There is no such phase.
    #[error(
        "there is no phase {number}; there are {known}; one of your own is a file \
         phases/phase-{number}.toml beside the inventories", known = known.join(", ")
    )]
    NoPhase {
        /// What was asked for.
        number: u8,
        /// Numbers that there are.
        known: Vec<String>,
    },
    /// Two environments would have the same name in the cloud.
    #[error(
        "{own} and {other} would have the same names in the cloud, {name} for one; rename an \
         environment or a group"
    )]
    NamesMeet {
        /// The name.
        name: String,
        /// The environment that is meant, with its group.
        own: String,
        /// The other one, with its group and file.
        other: String,
    },
    /// A group has the name under which machines that make images are closed.
    #[error(
        "a group of phase {phase} is called `{group}`, as machines that make images are in the cloud; rename it"
    )]
    NameOfBuilders {
        /// The group.
        group: String,
        /// Number of the phase.
        phase: u8,
    },
    /// Neither the command nor the inventory names a phase.
    #[error("which phase? Add --phase N, or write `phase = N` below [environment] in {inventory}")]
    PhaseNotChosen {
        /// The inventory file.
        inventory: String,
    },
    /// No usable endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The environment's folder cannot be used.
    #[error(transparent)]
    Vault(#[from] marg_engine::VaultError),
    /// The engine cannot start.
    #[error(transparent)]
    Engine(#[from] marg_engine::EngineError),
    /// The client cannot be made.
    #[error(transparent)]
    Cloud(#[from] marg_cloud::CloudError),
}

impl Error {
    /// The kind, from which programs derive an exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Cloud(_) => ErrorKind::Cloud,
            Error::Engine(error) => error.kind(),
            _ => ErrorKind::Config,
        }
    }
}
