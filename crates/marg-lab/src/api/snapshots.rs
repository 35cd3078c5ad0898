//! `/v2/snapshots`, and the same things as private images: `/v2/images`.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, no_content, ok, page};
use super::ask::{Ask, Body};
use super::catalog::slugs;
use crate::lifecycle;
use crate::store::{Records, Snapshot};

#[derive(Deserialize)]
pub(super) struct Rename {
    name: Option<String>,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let droplets = ask
        .text("resource_type")
        .is_none_or(|kind| kind == "droplet");
    let found = cloud.store.read(|records| {
        let snapshots = records.snapshots.iter().filter(|_| droplets);
        snapshots.map(view).collect()
    });
    page(&ask, "snapshots", found)
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    let found = cloud.store.read(|records| records.snapshot(&id).map(view));
    ok(json!({ "snapshot": found.ok_or_else(ApiError::not_found)? }))
}

pub(super) async fn of_droplet(State(cloud): Shared, Path(id): Path<u64>, ask: Ask) -> Answer {
    let found = cloud.store.read(|records| {
        records.droplet(id).ok_or_else(ApiError::not_found)?;
        let own = records.snapshots.iter().filter(|one| one.droplet_id == id);
        Ok::<_, ApiError>(own.map(own_view).collect())
    })?;
    page(&ask, "snapshots", found)
}

pub(super) async fn remove(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    cloud.store.change(|records| {
        let id = records.snapshot(&id).ok_or_else(ApiError::not_found)?.id;
        records.snapshots.retain(|snapshot| snapshot.id != id);
        Ok::<_, ApiError>(())
    })?;
    tokio::spawn(lifecycle::sweep_snapshots(cloud));
    no_content()
}

pub(super) async fn rename(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(order): Body<Rename>,
) -> Answer {
    let view = cloud.store.change(|records| {
        let mut snapshots = records.snapshots.iter_mut();
        let found = snapshots.find(|one| one.id.to_string() == id);
        let snapshot = found.ok_or_else(ApiError::not_found)?;
        if let Some(name) = order.name {
            snapshot.name = name;
        }
        Ok::<_, ApiError>(image_view(snapshot))
    })?;
    ok(json!({ "image": view }))
}

/// Ids of a droplet's snapshots.
pub(super) fn ids_of(records: &Records, droplet: u64) -> Vec<u64> {
    let own = records.snapshots.iter();
    own.filter(|one| one.droplet_id == droplet)
        .map(|one| one.id)
        .collect()
}

/// As an image from which droplets start.
pub(super) fn image_view(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id,
        "name": snapshot.name,
        "type": "snapshot",
        "distribution": "Debian",
        "slug": null,
        "public": false,
        "regions": slugs(),
        "created_at": snapshot.created_at,
        "min_disk_size": snapshot.min_disk,
        "size_gigabytes": gigabytes(snapshot),
        "description": "",
        "tags": snapshot.tags,
        "status": "available",
        "error_message": "",
    })
}

/// Among all snapshots, the id is a text; among those of a droplet it is a number.
fn view(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id.to_string(),
        "name": snapshot.name,
        "created_at": snapshot.created_at,
        "regions": slugs(),
        "min_disk_size": snapshot.min_disk,
        "size_gigabytes": gigabytes(snapshot),
        "resource_id": snapshot.droplet_id.to_string(),
        "resource_type": "droplet",
        "tags": snapshot.tags,
    })
}

fn own_view(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id,
        "name": snapshot.name,
        "created_at": snapshot.created_at,
        "regions": slugs(),
        "min_disk_size": snapshot.min_disk,
        "size_gigabytes": gigabytes(snapshot),
        "type": "snapshot",
    })
}

fn gigabytes(snapshot: &Snapshot) -> f64 {
    let hundredths = snapshot.bytes.div_ceil(10_000_000);
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}
