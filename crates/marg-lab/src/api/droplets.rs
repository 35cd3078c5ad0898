//! `/v2/droplets`: reading and deleting.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, no_content, ok, page};
use super::ask::Ask;
use super::catalog::{find_size, image_of, region_view, size_view};
use super::{firewalls, snapshots};
use crate::cloud::Cloud;
use crate::faults::ApiFaultKind;
use crate::lifecycle;
use crate::machines::network::{GATEWAY, PUBLIC_PREFIX, netmask};
use crate::store::{Droplet, Records};

/// How many droplets the account may have now.
pub(super) fn limit(cloud: &Cloud, records: &Records) -> usize {
    let fault = cloud.faults.strike(ApiFaultKind::DropletLimit, "/");
    fault.map_or(records.droplet_limit, |fault| fault.limit)
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let (tag, name) = (ask.text("tag_name"), ask.text("name"));
    if tag.is_some() && (name.is_some() || ask.text("type").is_some()) {
        return Err(ApiError::unprocessable(
            "tag_name cannot be combined with name or type",
        ));
    }
    let hidden = cloud
        .faults
        .strike(ApiFaultKind::ListLag, "/v2/droplets")
        .map(|fault| fault.seconds);
    let gpus_only = ask.text("type") == Some("gpus");
    let droplets = cloud.store.read(|records| {
        records
            .droplets
            .iter()
            .filter(|_| !gpus_only)
            .filter(|droplet| tag.is_none_or(|tag| droplet.has_tag(tag)))
            .filter(|droplet| name.is_none_or(|name| droplet.name.eq_ignore_ascii_case(name)))
            .filter(|droplet| hidden.is_none_or(|seconds| is_older(droplet, seconds)))
            .map(|droplet| view(records, droplet))
            .collect()
    });
    page(&ask, "droplets", droplets)
}

fn is_older(droplet: &Droplet, seconds: u64) -> bool {
    let created: Timestamp = droplet.created_at.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let age = Timestamp::now().duration_since(created);
    Duration::try_from(age).is_ok_and(|age| age >= Duration::from_secs(seconds))
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    let droplet = cloud
        .store
        .read(|records| records.droplet(id).map(|droplet| view(records, droplet)));
    ok(json!({ "droplet": droplet.ok_or_else(ApiError::not_found)? }))
}

pub(super) async fn remove(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    mark_deleted(&cloud, id)?;
    no_content()
}

/// Marks a droplet as deleted; it stays readable until its machine is gone.
pub(super) fn mark_deleted(cloud: &Arc<Cloud>, id: u64) -> Result<(), ApiError> {
    let begins = cloud.store.change(|records| {
        let droplet = records.droplet_mut(id).ok_or_else(ApiError::not_found)?;
        if droplet.deleting {
            return Ok(false);
        }
        if droplet.locked {
            return Err(ApiError::pending_event());
        }
        droplet.deleting = true;
        droplet.locked = true;
        Ok(true)
    })?;
    if begins {
        tokio::spawn(lifecycle::delete(Arc::clone(cloud), id));
    }
    Ok(())
}

/// Every droplet with the tag, as dangerous as on the real cloud.
pub(super) async fn remove_by_tag(State(cloud): Shared, ask: Ask) -> Answer {
    let tag = ask
        .text("tag_name")
        .ok_or_else(|| ApiError::unprocessable("tag_name is required"))?;
    let ids: Vec<u64> = cloud.store.read(|records| {
        let tagged = records
            .droplets
            .iter()
            .filter(|droplet| droplet.has_tag(tag));
        tagged.map(|droplet| droplet.id).collect()
    });
    for id in ids {
        mark_deleted(&cloud, id)?;
    }
    no_content()
}

pub(super) async fn firewalls(State(cloud): Shared, Path(id): Path<u64>, ask: Ask) -> Answer {
    let views = cloud.store.read(|records| {
        let droplet = records.droplet(id).ok_or_else(ApiError::not_found)?;
        let firewalls = records.firewalls_of(droplet);
        let views = firewalls
            .map(|firewall| firewalls::view(records, firewall))
            .collect();
        Ok::<_, ApiError>(views)
    })?;
    page(&ask, "firewalls", views)
}

/// The lab takes no backups.
pub(super) async fn backups(State(cloud): Shared, Path(id): Path<u64>, ask: Ask) -> Answer {
    if cloud.store.read(|records| records.droplet(id).is_none()) {
        return Err(ApiError::not_found());
    }
    page(&ask, "backups", Vec::new())
}

pub(super) fn view(records: &Records, droplet: &Droplet) -> Value {
    let size = find_size(&droplet.size);
    json!({
        "id": droplet.id,
        "name": droplet.name,
        "memory": droplet.memory_mb,
        "vcpus": size.map_or(1, |size| size.vcpus),
        "disk": droplet.disk,
        "disk_info": [{ "type": "local", "size": { "amount": droplet.disk, "unit": "gib" } }],
        "locked": droplet.locked,
        "status": droplet.status.word(),
        "kernel": null,
        "created_at": droplet.created_at,
        "features": droplet.features,
        "backup_ids": [],
        "next_backup_window": null,
        "snapshot_ids": snapshots::ids_of(records, droplet.id),
        "volume_ids": [],
        "image": image_of(records, &droplet.image),
        "size": size.map(size_view),
        "size_slug": droplet.size,
        "networks": networks(records, droplet),
        "region": region_view(&droplet.region),
        "tags": droplet.tags,
        "vpc_uuid": droplet.vpc,
    })
}

fn networks(records: &Records, droplet: &Droplet) -> Value {
    if !droplet.addresses_known {
        return json!({ "v4": [], "v6": [] });
    }
    let public_mask = ipnet::Ipv4Net::new(droplet.place_public, PUBLIC_PREFIX)
        .map_or_else(|_| String::new(), |net| netmask(net).to_string());
    let mut v4 = vec![
        json!({
            "ip_address": droplet.place_private,
            "netmask": netmask(droplet.range),
            "gateway": first_host(droplet),
            "type": "private",
        }),
        json!({
            "ip_address": droplet.place_public,
            "netmask": public_mask,
            "gateway": GATEWAY,
            "type": "public",
        }),
    ];
    // An assigned reserved address looks like a second public one.
    let reserved = records
        .reserved_ips
        .iter()
        .filter(|ip| ip.droplet_id == Some(droplet.id));
    v4.extend(reserved.map(|reserved| {
        json!({
            "ip_address": reserved.ip,
            "netmask": public_mask,
            "gateway": GATEWAY,
            "type": "public",
        })
    }));
    json!({ "v4": v4, "v6": [] })
}

fn first_host(droplet: &Droplet) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from(u32::from(droplet.range.network()) + 1)
}
