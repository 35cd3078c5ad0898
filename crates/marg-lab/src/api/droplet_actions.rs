//! `/v2/droplets/{id}/actions`.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::actions::view;
use super::answer::{Answer, ApiError, created, ok, page};
use super::ask::{Ask, Body};
use super::catalog::find_size;
use crate::cloud::Cloud;
use crate::faults::ApiFaultKind;
use crate::lifecycle::{self, Power};
use crate::store::{Action, ActionStatus, Droplet, Records, Status};

#[derive(Deserialize)]
pub(super) struct Order {
    #[serde(rename = "type")]
    kind: String,
    size: Option<String>,
    #[serde(default)]
    disk: bool,
    name: Option<String>,
}

pub(super) async fn list(State(cloud): Shared, Path(id): Path<u64>, ask: Ask) -> Answer {
    let actions = cloud.store.read(|records| {
        records.droplet(id).ok_or_else(ApiError::not_found)?;
        Ok::<_, ApiError>(of(records, id).rev().map(view).collect())
    })?;
    page(&ask, "actions", actions)
}

pub(super) async fn show(State(cloud): Shared, Path((id, action)): Path<(u64, u64)>) -> Answer {
    let found = cloud
        .store
        .read(|records| of(records, id).find(|known| known.id == action).map(view));
    ok(json!({ "action": found.ok_or_else(ApiError::not_found)? }))
}

fn of(records: &Records, id: u64) -> impl DoubleEndedIterator<Item = &Action> {
    records
        .actions
        .iter()
        .filter(move |action| action.resource_type == "droplet" && action.resource_id == id)
}

pub(super) async fn create(
    State(cloud): Shared,
    Path(id): Path<u64>,
    Body(order): Body<Order>,
) -> Answer {
    if cloud
        .faults
        .strike(ApiFaultKind::PendingEvent, "/")
        .is_some()
    {
        return Err(ApiError::pending_event());
    }
    let power = power(&order.kind);
    let action = cloud.store.change(|records| {
        let droplet = records.droplet_mut(id).ok_or_else(ApiError::not_found)?;
        check(droplet, &order)?;
        if power.is_some() || order.kind == "snapshot" {
            droplet.locked = true;
        } else {
            change(droplet, &order)?;
        }
        let region = droplet.region.clone();
        Ok::<_, ApiError>(records.begin(&order.kind, "droplet", id, &region))
    })?;
    carry_out(&cloud, id, &action, power, &order)?;
    created(json!({ "action": view(&action) }))
}

fn power(kind: &str) -> Option<Power> {
    match kind {
        "power_on" => Some(Power::On),
        "power_off" => Some(Power::Off),
        "shutdown" => Some(Power::Shutdown),
        "reboot" => Some(Power::Reboot),
        "power_cycle" => Some(Power::Cycle),
        _ => None,
    }
}

fn check(droplet: &Droplet, order: &Order) -> Result<(), ApiError> {
    if droplet.locked {
        return Err(ApiError::pending_event());
    }
    match (order.kind.as_str(), droplet.status) {
        ("power_off" | "shutdown", Status::Off) => {
            Err(ApiError::unprocessable("Droplet is already powered off"))
        }
        ("power_on", Status::Active) => {
            Err(ApiError::unprocessable("Droplet is already powered on"))
        }
        ("reboot", Status::Off) => Err(ApiError::unprocessable("Droplet is powered off")),
        ("resize", Status::Active) => Err(ApiError::unprocessable(
            "Droplet must be powered off before resizing",
        )),
        _ => Ok(()),
    }
}

fn snapshot_name(order: &Order) -> &str {
    order.name.as_deref().unwrap_or("snapshot")
}

/// Changes that need no machine.
fn change(droplet: &mut Droplet, order: &Order) -> Result<(), ApiError> {
    match order.kind.as_str() {
        "rename" => {
            let name = order.name.clone().filter(|name| !name.is_empty());
            droplet.name = name.ok_or_else(|| ApiError::unprocessable("name is required"))?;
        }
        "resize" => {
            let size = order.size.as_deref().and_then(find_size);
            let size = size.ok_or_else(|| ApiError::unprocessable("size is invalid"))?;
            if size.disk < droplet.disk {
                return Err(ApiError::unprocessable(
                    "Size can not decrease size of Droplet's disk image",
                ));
            }
            droplet.size = size.slug.to_owned();
            droplet.memory_mb = size.memory;
            if order.disk {
                droplet.disk = size.disk;
            }
        }
        other => {
            return Err(ApiError::unprocessable(format!(
                "the lab does not know the action {other}"
            )));
        }
    }
    Ok(())
}

fn carry_out(
    cloud: &Arc<Cloud>,
    id: u64,
    action: &Action,
    power: Option<Power>,
    order: &Order,
) -> Result<(), ApiError> {
    let fails = cloud
        .faults
        .strike(ApiFaultKind::ActionErrored, "/")
        .is_some();
    match power {
        Some(power) if !fails => {
            tokio::spawn(lifecycle::switch(Arc::clone(cloud), id, action.id, power));
            Ok(())
        }
        None if order.kind == "snapshot" && !fails => {
            let name = snapshot_name(order).to_owned();
            tokio::spawn(lifecycle::snapshot(Arc::clone(cloud), id, action.id, name));
            Ok(())
        }
        _ => cloud.store.change(|records| {
            let status = if fails {
                ActionStatus::Errored
            } else {
                ActionStatus::Completed
            };
            records.end(action.id, status);
            if let Some(droplet) = records.droplet_mut(id) {
                droplet.locked = false;
            }
            Ok(())
        }),
    }
}
