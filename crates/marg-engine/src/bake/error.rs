//! Why nothing is baked.

use thiserror::Error;

use crate::error::ErrorKind;

/// Why nothing is baked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BakeError {
    /// A database's package gives each machine an identity of its own.
    #[error(
        "`{group}` holds data: its hosts do not come and go with the load, and copies of one \
         database server would share its identity. Bake groups without data"
    )]
    HoldsData {
        /// The group.
        group: String,
    },
    /// A phase in which everything is on one host.
    #[error(
        "phase {phase} has no group that comes and goes with the load; name one of its groups \
         without data, or another phase with --phase"
    )]
    NothingScales {
        /// The phase.
        phase: u8,
    },
    /// The cloud does not have the group's size.
    #[error(
        "the cloud names no size {sizes}, which {group} has in the inventory; correct it there"
    )]
    NoSize {
        /// The group.
        group: String,
        /// The sizes of its hosts.
        sizes: String,
    },
}

impl BakeError {
    /// Which kind it is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}
