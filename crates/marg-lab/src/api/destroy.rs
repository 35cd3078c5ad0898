//! `/v2/droplets/{id}/destroy_with_associated_resources`.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, accepted_without_body, ok};
use super::ask::Body;
use super::droplets::mark_deleted;

/// What an unassigned reserved address costs per month, in dollars.
const RESERVED_IP_COST: &str = "5.00";

#[derive(Deserialize)]
pub(super) struct Selection {
    #[serde(default)]
    reserved_ips: Vec<String>,
    #[serde(default)]
    floating_ips: Vec<String>,
}

pub(super) async fn associated(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    let addresses: Vec<Value> = cloud.store.read(|records| {
        records.droplet(id).ok_or_else(ApiError::not_found)?;
        let own = records
            .reserved_ips
            .iter()
            .filter(|reserved| reserved.droplet_id == Some(id));
        Ok::<_, ApiError>(
            own.map(|reserved| {
                json!({
                    "id": reserved.ip.to_string(),
                    "name": reserved.ip.to_string(),
                    "cost": RESERVED_IP_COST,
                })
            })
            .collect(),
        )
    })?;
    ok(json!({
        "reserved_ips": addresses,
        "floating_ips": addresses,
        "snapshots": [],
        "volumes": [],
        "volume_snapshots": [],
    }))
}

pub(super) async fn selective(
    State(cloud): Shared,
    Path(id): Path<u64>,
    Body(selection): Body<Selection>,
) -> Answer {
    mark_deleted(&cloud, id)?;
    cloud.store.change(|records| {
        records.reserved_ips.retain(|reserved| {
            let ip = reserved.ip.to_string();
            let chosen =
                selection.reserved_ips.contains(&ip) || selection.floating_ips.contains(&ip);
            reserved.droplet_id != Some(id) || !chosen
        });
        Ok::<_, ApiError>(())
    })?;
    accepted_without_body()
}
