//! Why a machine is not resized.

use thiserror::Error;

use crate::error::ErrorKind;

/// Why a machine is not resized.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ResizeError {
    /// No such size, or not in this region.
    #[error("there is no size {size} in {region}; there are: {known}")]
    NoSize {
        /// What was asked for.
        size: String,
        /// The region.
        region: String,
        /// Sizes near it in price.
        known: String,
    },
    /// A disk never shrinks.
    #[error(
        "{host} has a disk of {has} GiB and {size} one of {wants} GiB: a disk never shrinks; take a \
         size with at least {has} GiB"
    )]
    SmallerDisk {
        /// Host name.
        host: String,
        /// What was asked for.
        size: String,
        /// Disk that it has, in GiB.
        has: u64,
        /// Disk of the size, in GiB.
        wants: u64,
    },
    /// The others follow it, and none of them can lead instead.
    #[error(
        "{host} leads {service} and is not switched off, because no other host can lead now: \
         {reason}"
    )]
    Leads {
        /// Host name.
        host: String,
        /// `mysql`, `redis`.
        service: String,
        /// Why the last of the others cannot.
        reason: String,
    },
    /// Nobody knows whether the others follow it.
    #[error("it is not known who leads {service}, so {host} is not switched off: {reason}")]
    Undecided {
        /// Host name.
        host: String,
        /// `mysql`, `redis`.
        service: String,
        /// Why it is not known.
        reason: String,
    },
}

impl ResizeError {
    /// Which kind it is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}
