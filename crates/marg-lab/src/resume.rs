//! Taking up what an earlier daemon left: machines that run keep running, work that it had begun
//! is done or given up.

use std::sync::Arc;

use crate::cloud::Cloud;
use crate::error::{LabError, LabResult};
use crate::lifecycle::{create, delete, finish, rewire};
use crate::store::{Action, ActionStatus, Droplet, Status};

/// Puts machines and records in step again.
pub(crate) async fn resume(cloud: &Arc<Cloud>) -> LabResult<()> {
    for (id, place) in cloud.store.read(|records| {
        let places = records
            .droplets
            .iter()
            .map(|droplet| (droplet.id, droplet.place()));
        places.collect::<Vec<_>>()
    }) {
        let joined = cloud
            .with_machines(move |machines| machines.reconnect(&place))
            .await;
        if let Err(error) = joined {
            tracing::error!(
                droplet = id,
                "the machine cannot be joined to the network: {error}"
            );
        }
    }
    cloud.apply_rules().await?;
    let (actions, deleting) = cloud.store.read(|records| {
        let open = records
            .actions
            .iter()
            .filter(|one| one.status == ActionStatus::InProgress);
        let deleting = records.droplets.iter().filter(|droplet| droplet.deleting);
        let ids: Vec<u64> = deleting.map(|droplet| droplet.id).collect();
        (open.cloned().collect::<Vec<_>>(), ids)
    });
    for action in actions {
        take_up(cloud, action).await;
    }
    for id in deleting {
        tokio::spawn(delete(Arc::clone(cloud), id));
    }
    cloud.store.change(|records| {
        for droplet in &mut records.droplets {
            droplet.addresses_known |= droplet.status != Status::New;
        }
        Ok::<_, LabError>(())
    })?;
    // Machines that were found running or off meanwhile are heard or silent accordingly.
    cloud.apply_rules().await
}

async fn take_up(cloud: &Arc<Cloud>, action: Action) {
    let (id, number) = (action.resource_id, action.id);
    match (action.resource_type.as_str(), action.kind.as_str()) {
        ("droplet", "create") => {
            tokio::spawn(create(Arc::clone(cloud), id, number));
        }
        ("droplet", _) => settle(cloud, id, number).await,
        // Addresses lead where the records say, since the rules were applied anew.
        _ => rewire(Arc::clone(cloud), Some(number)).await,
    }
}

/// Nobody knows how far a change of power came: it is given up, and the machine says how it is.
async fn settle(cloud: &Arc<Cloud>, id: u64, action: u64) {
    let running = cloud
        .with_machines(move |machines| machines.running(id))
        .await
        .unwrap_or(false);
    finish(
        cloud,
        id,
        action,
        ActionStatus::Errored,
        |droplet: &mut Droplet| {
            droplet.note_power(running);
        },
    );
}
