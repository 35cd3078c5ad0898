//! Machines that only remember what they were told: for the tests of the API.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use super::nft::Rules;
use super::{MachineSpec, Machines, Place, Stop};
use crate::error::{LabError, LabResult};

/// Machines in memory.
#[derive(Default)]
pub(crate) struct FakeMachines {
    running: Mutex<BTreeSet<u64>>,
    rules: Mutex<Rules>,
    held: Mutex<bool>,
    released: Condvar,
    broken_name: Option<String>,
}

impl FakeMachines {
    /// Machines of which those cannot be made whose name starts so.
    #[cfg(test)]
    pub(crate) fn breaking(name: &str) -> Self {
        Self {
            broken_name: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// The rules that were applied last.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> Rules {
        self.rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on nothing is started, stopped or removed until [`FakeMachines::release`].
    #[cfg(test)]
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Lets everything go on.
    #[cfg(test)]
    pub(crate) fn release(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.released.notify_all();
    }

    fn wait_for_release(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.released.wait_while(held, |held| *held));
    }

    /// The machine ends by itself.
    pub(crate) fn halt(&self, id: u64) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}

impl Machines for FakeMachines {
    fn create(&self, spec: &MachineSpec) -> LabResult<()> {
        match &self.broken_name {
            Some(name) if spec.name.starts_with(name) => Err(LabError::HostDown {
                host: spec.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn reconnect(&self, _place: &Place) -> LabResult<()> {
        Ok(())
    }

    fn boot(&self, spec: &MachineSpec) -> LabResult<()> {
        self.wait_for_release();
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spec.id);
        Ok(())
    }

    fn stop(&self, id: u64, _how: Stop) -> LabResult<()> {
        self.wait_for_release();
        self.halt(id);
        Ok(())
    }

    fn remove(&self, id: u64) -> LabResult<()> {
        self.wait_for_release();
        self.halt(id);
        Ok(())
    }

    fn running(&self, id: u64) -> LabResult<bool> {
        Ok(self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&id))
    }

    fn freeze(&self, _id: u64, _on: bool) -> LabResult<()> {
        Ok(())
    }

    fn slow(&self, _id: u64, _on: bool) -> LabResult<()> {
        Ok(())
    }

    fn snapshot(&self, _id: u64, _snapshot: u64) -> LabResult<u64> {
        self.wait_for_release();
        Ok(200_000_000)
    }

    fn sweep_snapshots(&self, _kept: &[u64]) -> LabResult<()> {
        Ok(())
    }

    fn apply_rules(&self, rules: &Rules) -> LabResult<()> {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules.clone();
        Ok(())
    }
}
