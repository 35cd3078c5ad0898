//! What happens after the API has answered: droplets are made, switched and removed.

use std::sync::Arc;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::error::{LabError, LabResult};
use crate::faults::ApiFaultKind;
use crate::machine_fault::MachineFault;
use crate::machines::Stop;
use crate::store::{ActionStatus, Droplet, Records, Snapshot, Status, now};

/// How often machines are looked after.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How often the removal of a machine is tried.
const REMOVE_TRIES: u32 = 10;

/// A change of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    Shutdown,
    Reboot,
    Cycle,
}

/// Makes the machine of a new droplet.
pub(crate) async fn create(cloud: Arc<Cloud>, id: u64, action: u64) {
    let made = make(&cloud, id).await;
    let vanishes = cloud
        .faults
        .strike(ApiFaultKind::VanishAfterCreate, "/")
        .is_some();
    if let Err(error) = &made {
        tracing::error!(droplet = id, "the machine could not be made: {error}");
    }
    if made.is_err() || vanishes {
        // The real cloud takes such a droplet away, too.
        finish(&cloud, id, action, ActionStatus::Errored, |_| {});
        delete(cloud, id).await;
        return;
    }
    let hidden = cloud
        .faults
        .strike(ApiFaultKind::ActiveWithoutAddresses, "/");
    finish(&cloud, id, action, ActionStatus::Completed, |droplet| {
        droplet.status = Status::Active;
        droplet.addresses_known = hidden.is_none();
    });
    if let Some(fault) = hidden {
        tokio::time::sleep(Duration::from_secs(fault.seconds)).await;
        note(&cloud, |records| {
            if let Some(droplet) = records.droplet_mut(id) {
                droplet.addresses_known = true;
            }
        });
    }
}

async fn make(cloud: &Cloud, id: u64) -> LabResult<()> {
    let Some(spec) = cloud
        .store
        .read(|records| records.droplet(id).map(Droplet::machine))
    else {
        return Ok(());
    };
    let for_boot = spec.clone();
    cloud
        .with_machines(move |machines| machines.create(&spec))
        .await?;
    // The firewall stands before the machine can be reached.
    cloud.apply_rules().await?;
    cloud
        .with_machines(move |machines| machines.boot(&for_boot))
        .await
}

/// Switches a machine and notes how that ended.
pub(crate) async fn switch(cloud: Arc<Cloud>, id: u64, action: u64, power: Power) {
    let switched = turn(&cloud, id, power).await;
    let status = match &switched {
        Ok(()) => ActionStatus::Completed,
        Err(error) => {
            tracing::error!(droplet = id, "{power:?} failed: {error}");
            ActionStatus::Errored
        }
    };
    let running = cloud
        .with_machines(move |machines| machines.running(id))
        .await
        .unwrap_or(false);
    finish(&cloud, id, action, status, |droplet| {
        droplet.note_power(running)
    });
    rewire(cloud, None).await;
}

async fn turn(cloud: &Cloud, id: u64, power: Power) -> LabResult<()> {
    let how = match power {
        Power::On => None,
        Power::Shutdown | Power::Reboot => Some(Stop::Shutdown),
        Power::Off | Power::Cycle => Some(Stop::PowerOff),
    };
    if how == Some(Stop::PowerOff) {
        // Dead at once: the end of its processes must not close connections politely.
        note(cloud, |records| {
            if let Some(droplet) = records.droplet_mut(id) {
                droplet.note_power(false);
            }
        });
        cloud.apply_rules().await?;
    }
    if let Some(how) = how {
        cloud
            .with_machines(move |machines| machines.stop(id, how))
            .await?;
    }
    if matches!(power, Power::On | Power::Reboot | Power::Cycle) {
        start(cloud, id).await?;
    }
    Ok(())
}

/// Boots a droplet's machine, with the network that it had.
pub(crate) async fn start(cloud: &Cloud, id: u64) -> LabResult<()> {
    let found = cloud.store.read(|records| {
        let droplet = records.droplet(id)?;
        Some((
            droplet.machine(),
            droplet.faults.contains(&MachineFault::Slow),
        ))
    });
    let Some((spec, slow)) = found else {
        return Ok(());
    };
    cloud
        .with_machines(move |machines| {
            machines.boot(&spec)?;
            if slow {
                machines.slow(id, true)
            } else {
                Ok(())
            }
        })
        .await
}

/// Keeps a droplet's disk as an image.
pub(crate) async fn snapshot(cloud: Arc<Cloud>, id: u64, action: u64, name: String) {
    let _turn = cloud.snapshots_turn.lock().await;
    let Ok(number) = cloud
        .store
        .change(|records| Ok::<_, LabError>(records.new_id()))
    else {
        return finish(&cloud, id, action, ActionStatus::Errored, |_| {});
    };
    let taken = cloud
        .with_machines(move |machines| machines.snapshot(id, number))
        .await;
    let status = match &taken {
        Ok(_) => ActionStatus::Completed,
        Err(error) => {
            tracing::error!(droplet = id, "the snapshot failed: {error}");
            ActionStatus::Errored
        }
    };
    if let Ok(bytes) = taken {
        note(&cloud, |records| {
            add_snapshot(records, id, number, name, bytes)
        });
    }
    finish(&cloud, id, action, status, |_| {});
}

fn add_snapshot(records: &mut Records, id: u64, number: u64, name: String, bytes: u64) {
    let Some(droplet) = records.droplet(id) else {
        return;
    };
    let base = records
        .snapshot(&droplet.image)
        .map_or_else(|| droplet.image.clone(), |below| below.base.clone());
    let snapshot = Snapshot {
        id: number,
        name,
        droplet_id: id,
        region: droplet.region.clone(),
        base,
        min_disk: droplet.disk,
        bytes,
        created_at: now(),
        tags: Vec::new(),
    };
    records.snapshots.push(snapshot);
}

/// Removes files of snapshots that nothing needs any more.
pub(crate) async fn sweep_snapshots(cloud: Arc<Cloud>) {
    let _turn = cloud.snapshots_turn.lock().await;
    let kept: Vec<u64> = cloud.store.read(|records| {
        records
            .snapshots
            .iter()
            .map(|snapshot| snapshot.id)
            .collect()
    });
    let swept = cloud
        .with_machines(move |machines| machines.sweep_snapshots(&kept))
        .await;
    if let Err(error) = swept {
        tracing::error!("the files of old snapshots could not be removed: {error}");
    }
}

/// Removes a droplet that is marked as deleted, and everything of it.
pub(crate) async fn delete(cloud: Arc<Cloud>, id: u64) {
    if let Some(fault) = cloud.faults.strike(ApiFaultKind::SlowDelete, "/") {
        tokio::time::sleep(Duration::from_secs(fault.seconds)).await;
    }
    for attempt in 1..=REMOVE_TRIES {
        match cloud
            .with_machines(move |machines| machines.remove(id))
            .await
        {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(
                    droplet = id,
                    attempt,
                    "the machine could not be removed: {error}"
                );
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
        }
    }
    note(&cloud, |records| forget(records, id));
    if let Err(error) = cloud.apply_rules().await {
        tracing::error!("the router's rules could not be applied: {error}");
    }
    // It may have stood on a snapshot that is gone from the records.
    sweep_snapshots(cloud).await;
}

fn forget(records: &mut Records, id: u64) {
    records.droplets.retain(|droplet| droplet.id != id);
    for firewall in &mut records.firewalls {
        firewall.droplet_ids.retain(|member| *member != id);
    }
    for reserved in &mut records.reserved_ips {
        if reserved.droplet_id == Some(id) {
            reserved.droplet_id = None;
        }
    }
}

/// Applies changed rules and then ends `action`, if there is one. Addresses that the action
/// locked are unlocked.
pub(crate) async fn rewire(cloud: Arc<Cloud>, action: Option<u64>) {
    let status = match cloud.apply_rules().await {
        Ok(()) => ActionStatus::Completed,
        Err(error) => {
            tracing::error!("the router's rules could not be applied: {error}");
            ActionStatus::Errored
        }
    };
    note(&cloud, |records| {
        let Some(action) = action else { return };
        records.end(action, status);
        let address = records
            .actions
            .iter()
            .find(|known| known.id == action)
            .map(|a| a.resource_id);
        for reserved in &mut records.reserved_ips {
            if Some(u64::from(u32::from(reserved.ip))) == address {
                reserved.locked = false;
            }
        }
    });
}

/// Notices machines that were switched off from inside, or killed.
pub(crate) async fn watch(cloud: Arc<Cloud>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let active: Vec<u64> = cloud.store.read(|records| {
            records
                .droplets
                .iter()
                .filter(|droplet| droplet.status == Status::Active && !droplet.locked)
                .map(|droplet| droplet.id)
                .collect()
        });
        for id in active {
            look_after(&cloud, id).await;
        }
    }
}

/// Notes a machine's end, unless an action is switching it just now.
pub(crate) async fn look_after(cloud: &Cloud, id: u64) {
    match cloud
        .with_machines(move |machines| machines.running(id))
        .await
    {
        Ok(true) => {}
        Ok(false) => {
            note(cloud, |records| {
                if let Some(droplet) = records.droplet_mut(id).filter(|droplet| !droplet.locked) {
                    droplet.note_power(false);
                }
            });
            if let Err(error) = cloud.apply_rules().await {
                tracing::error!("the router's rules could not be applied: {error}");
            }
        }
        Err(error) => tracing::error!(droplet = id, "cannot tell whether it runs: {error}"),
    }
}

/// Ends an action on a droplet, and unlocks the droplet.
pub(crate) fn finish(
    cloud: &Cloud,
    id: u64,
    action: u64,
    status: ActionStatus,
    change: impl FnOnce(&mut Droplet),
) {
    note(cloud, |records| {
        records.end(action, status);
        if let Some(droplet) = records.droplet_mut(id) {
            droplet.locked = droplet.deleting;
            change(droplet);
        }
    });
}

/// Changes the records when nobody waits for an answer.
fn note(cloud: &Cloud, change: impl FnOnce(&mut Records)) {
    let stored = cloud.store.change(|records| -> LabResult<()> {
        change(records);
        Ok(())
    });
    if let Err(error) = stored {
        tracing::error!("the records could not be stored: {error}");
    }
}
