//! `/v2/reserved_ips`. Traffic to such an address reaches the droplet that it is assigned to.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::actions::view as action_view;
use super::answer::{Answer, ApiError, accepted, created, no_content, ok, page};
use super::ask::{Ask, Body};
use super::catalog::{find_region, region_view};
use super::droplets;
use crate::lifecycle;
use crate::store::{Action, Records, ReservedIp};

/// The kind of resource that actions name.
const KIND: &str = "reserved_ip";

#[derive(Deserialize)]
pub(super) struct Order {
    region: Option<String>,
    droplet_id: Option<u64>,
    project_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ActionOrder {
    #[serde(rename = "type")]
    kind: String,
    droplet_id: Option<u64>,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let addresses = cloud.store.read(|records| {
        records
            .reserved_ips
            .iter()
            .map(|reserved| view(records, reserved))
            .collect()
    });
    page(&ask, "reserved_ips", addresses)
}

pub(super) async fn show(State(cloud): Shared, Path(ip): Path<Ipv4Addr>) -> Answer {
    let found = cloud.store.read(|records| {
        let reserved = records
            .reserved_ips
            .iter()
            .find(|reserved| reserved.ip == ip);
        reserved.map(|reserved| view(records, reserved))
    });
    ok(json!({ "reserved_ip": found.ok_or_else(ApiError::not_found)? }))
}

pub(super) async fn create(State(cloud): Shared, ask: Ask, Body(order): Body<Order>) -> Answer {
    let (view, action) = cloud.store.change(|records| {
        let region = match (&order.region, order.droplet_id) {
            (_, Some(id)) => records
                .droplet(id)
                .map(|droplet| droplet.region.clone())
                .ok_or_else(ApiError::not_found)?,
            (Some(region), None) => find_region(Some(region))
                .map(str::to_owned)
                .ok_or_else(|| ApiError::unprocessable("region is invalid"))?,
            (None, None) => {
                return Err(ApiError::unprocessable("region or droplet_id is required"));
            }
        };
        let ip = records.new_reserved()?;
        let project_id = order.project_id.clone();
        records.reserved_ips.push(ReservedIp {
            ip,
            region,
            droplet_id: None,
            locked: false,
            project_id: project_id
                .unwrap_or_else(|| "00000000-0000-4000-8000-000000000003".to_owned()),
        });
        let action = match order.droplet_id {
            Some(id) => Some(begin(records, ip, Some(id))?),
            None => None,
        };
        let reserved = records
            .reserved_ips
            .last()
            .map(|reserved| view(records, reserved));
        Ok((reserved, action))
    })?;
    let mut answer = json!({ "reserved_ip": view });
    if let Some(action) = action {
        answer["links"] = links(&ask, &action, order.droplet_id);
        tokio::spawn(lifecycle::rewire(Arc::clone(&cloud), Some(action.id)));
    }
    accepted(answer)
}

fn links(ask: &Ask, action: &Action, droplet: Option<u64>) -> Value {
    let droplets: Vec<Value> = droplet
        .into_iter()
        .map(|id| {
            json!({ "id": id, "rel": "droplet", "href": ask.link(&format!("/v2/droplets/{id}")) })
        })
        .collect();
    let href = ask.link(&format!("/v2/actions/{}", action.id));
    json!({
        "droplets": droplets,
        "actions": [{ "id": action.id, "rel": "assign_ip", "href": href }],
    })
}

pub(super) async fn remove(State(cloud): Shared, Path(ip): Path<Ipv4Addr>) -> Answer {
    cloud.store.change(|records| {
        let reserved = records
            .reserved_ips
            .iter()
            .find(|reserved| reserved.ip == ip);
        if reserved.ok_or_else(ApiError::not_found)?.locked {
            return Err(ApiError::unprocessable(
                "The reserved IP already has a pending event.",
            ));
        }
        records.reserved_ips.retain(|reserved| reserved.ip != ip);
        Ok(())
    })?;
    tokio::spawn(lifecycle::rewire(cloud, None));
    no_content()
}

pub(super) async fn act(
    State(cloud): Shared,
    Path(ip): Path<Ipv4Addr>,
    Body(order): Body<ActionOrder>,
) -> Answer {
    let target = match (order.kind.as_str(), order.droplet_id) {
        ("assign", Some(id)) => Some(id),
        ("assign", None) => return Err(ApiError::unprocessable("droplet_id is required")),
        ("unassign", _) => None,
        _ => return Err(ApiError::unprocessable("type must be assign or unassign")),
    };
    let action = cloud.store.change(|records| begin(records, ip, target))?;
    tokio::spawn(lifecycle::rewire(Arc::clone(&cloud), Some(action.id)));
    created(json!({ "action": action_view(&action) }))
}

/// Notes where the address leads from now on; the router follows.
fn begin(records: &mut Records, ip: Ipv4Addr, target: Option<u64>) -> Result<Action, ApiError> {
    if let Some(id) = target {
        let droplet = records.droplet(id).ok_or_else(ApiError::not_found)?;
        if droplet.locked {
            return Err(ApiError::pending_event());
        }
        let taken = |reserved: &ReservedIp| reserved.droplet_id == Some(id) && reserved.ip != ip;
        if records.reserved_ips.iter().any(taken) {
            return Err(ApiError::unprocessable(
                "The Droplet already has a reserved IP.",
            ));
        }
    }
    let reserved = records
        .reserved_ips
        .iter_mut()
        .find(|reserved| reserved.ip == ip);
    let reserved = reserved.ok_or_else(ApiError::not_found)?;
    if reserved.locked {
        return Err(ApiError::unprocessable(
            "The reserved IP already has a pending event.",
        ));
    }
    if target.is_none() && reserved.droplet_id.is_none() {
        return Err(ApiError::unprocessable(
            "The reserved IP is not assigned to a Droplet.",
        ));
    }
    reserved.droplet_id = target;
    reserved.locked = true;
    let region = reserved.region.clone();
    let kind = if target.is_some() {
        "assign_ip"
    } else {
        "unassign_ip"
    };
    Ok(records.begin(kind, KIND, u64::from(u32::from(ip)), &region))
}

pub(super) async fn actions(State(cloud): Shared, Path(ip): Path<Ipv4Addr>, ask: Ask) -> Answer {
    let actions = cloud
        .store
        .read(|records| of(records, ip).rev().map(action_view).collect());
    page(&ask, "actions", actions)
}

pub(super) async fn action(State(cloud): Shared, Path((ip, id)): Path<(Ipv4Addr, u64)>) -> Answer {
    let found = cloud.store.read(|records| {
        of(records, ip)
            .find(|action| action.id == id)
            .map(action_view)
    });
    ok(json!({ "action": found.ok_or_else(ApiError::not_found)? }))
}

fn of(records: &Records, ip: Ipv4Addr) -> impl DoubleEndedIterator<Item = &Action> {
    let id = u64::from(u32::from(ip));
    records
        .actions
        .iter()
        .filter(move |action| action.resource_type == KIND && action.resource_id == id)
}

fn view(records: &Records, reserved: &ReservedIp) -> Value {
    let droplet = reserved.droplet_id.and_then(|id| records.droplet(id));
    json!({
        "ip": reserved.ip,
        "region": region_view(&reserved.region),
        "droplet": droplet.map(|droplet| droplets::view(records, droplet)),
        "locked": reserved.locked,
        "project_id": reserved.project_id,
    })
}
