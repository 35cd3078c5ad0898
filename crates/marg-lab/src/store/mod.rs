//! The cloud's memory: its records, stored whole after every change, so that a killed daemon
//! goes on where it was.

mod addresses;
mod records;
mod rules;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

pub(crate) use addresses::{NoRoom, private_range_problem};
pub(crate) use records::*;
pub(crate) use rules::ports;

use crate::error::{LabError, LabResult};
use crate::files;

/// The records behind one lock.
pub(crate) struct Store {
    records: Mutex<Records>,
    file: Option<PathBuf>,
}

impl Store {
    /// Records that are kept in a file; those of an earlier daemon are taken over.
    pub(crate) fn open(file: PathBuf) -> LabResult<Self> {
        let records = files::load_json(&file)?.unwrap_or_default();
        Ok(Self {
            records: Mutex::new(records),
            file: Some(file),
        })
    }

    /// Records in memory alone.
    #[cfg(any(test, feature = "memory"))]
    pub(crate) fn in_memory() -> Self {
        Self {
            records: Mutex::default(),
            file: None,
        }
    }

    /// Looks at the records.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Records) -> T) -> T {
        look(&self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the records: all of the change is kept and stored, or none of it.
    pub(crate) fn change<T, E: From<LabError>>(
        &self,
        change: impl FnOnce(&mut Records) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = records.clone();
        let result = change(&mut next)?;
        if let Some(file) = &self.file {
            files::store_json(file, &next)?;
        }
        *records = next;
        Ok(result)
    }
}
