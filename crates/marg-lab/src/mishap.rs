//! Faults of machines: they strike, and they are healed.

use crate::cloud::Cloud;
use crate::error::{LabError, LabResult};
use crate::lifecycle;
use crate::machine_fault::MachineFault;
use crate::machines::Stop;
use crate::store::{Droplet, Status};

/// Lets a fault strike a machine. One that it has already changes nothing.
pub(crate) async fn strike(cloud: &Cloud, id: u64, fault: MachineFault) -> LabResult<()> {
    change(cloud, id, |droplet| {
        droplet.faults.insert(fault);
        if fault == MachineFault::Kill {
            droplet.status = Status::Off;
        }
    })?;
    // Before anything else the network: a dead machine sends no farewell on its connections.
    cloud.apply_rules().await?;
    match fault {
        MachineFault::Kill => {
            let kill =
                move |machines: &dyn crate::machines::Machines| machines.stop(id, Stop::PowerOff);
            cloud.with_machines(kill).await
        }
        MachineFault::Freeze => cloud.with_machines(move |m| m.freeze(id, true)).await,
        MachineFault::Slow => cloud.with_machines(move |m| m.slow(id, true)).await,
        MachineFault::Cut => Ok(()),
    }
}

/// Undoes all faults of a machine; one that was killed boots again.
pub(crate) async fn heal(cloud: &Cloud, id: u64) -> LabResult<()> {
    let mut faults = Vec::new();
    change(cloud, id, |droplet| {
        faults = droplet.faults.iter().copied().collect();
        droplet.faults.clear();
    })?;
    if faults.contains(&MachineFault::Slow) {
        cloud.with_machines(move |m| m.slow(id, false)).await?;
    }
    if faults.contains(&MachineFault::Freeze) {
        cloud.with_machines(move |m| m.freeze(id, false)).await?;
    }
    if faults.contains(&MachineFault::Kill) {
        lifecycle::start(cloud, id).await?;
        change(cloud, id, |droplet| droplet.status = Status::Active)?;
    }
    cloud.apply_rules().await
}

fn change(cloud: &Cloud, id: u64, change: impl FnOnce(&mut Droplet)) -> LabResult<()> {
    cloud.store.change(|records| {
        let droplet = records.droplet_mut(id);
        change(droplet.ok_or_else(|| LabError::HostDown {
            host: id.to_string(),
        })?);
        Ok(())
    })
}
