//! `/lab`: what only the lab has.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::answer::{Answer, ApiError, created, no_content, ok};
use super::ask::Body;
use crate::faults::ApiFault;
use crate::machine_fault::MachineFault;
use crate::mishap;
use crate::store::Status;

pub(super) async fn faults(State(cloud): Shared) -> Answer {
    ok(json!({ "faults": cloud.faults.list() }))
}

pub(super) async fn arm(State(cloud): Shared, Body(fault): Body<ApiFault>) -> Answer {
    let answer = created(json!({ "fault": fault }));
    cloud.faults.arm(fault);
    answer
}

pub(super) async fn disarm(State(cloud): Shared) -> Answer {
    cloud.faults.clear();
    no_content()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strike {
    fault: MachineFault,
}

/// Lets a fault strike a machine.
pub(super) async fn strike(
    State(cloud): Shared,
    Path(id): Path<u64>,
    Body(Strike { fault }): Body<Strike>,
) -> Answer {
    let runs = cloud.store.read(|records| {
        let droplet = records.droplet(id).ok_or_else(ApiError::not_found)?;
        Ok::<_, ApiError>(droplet.status == Status::Active)
    })?;
    if !runs && matches!(fault, MachineFault::Kill | MachineFault::Freeze) {
        return Err(ApiError::unprocessable("the machine is not running"));
    }
    mishap::strike(&cloud, id, fault).await?;
    no_content()
}

/// Undoes a machine's faults.
pub(super) async fn heal(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    if cloud.store.read(|records| records.droplet(id).is_none()) {
        return Err(ApiError::not_found());
    }
    mishap::heal(&cloud, id).await?;
    no_content()
}

/// Ends the daemon; the machines keep running until `down`.
pub(super) async fn stop(State(cloud): Shared) -> Answer {
    cloud.stop.notify_one();
    no_content()
}
