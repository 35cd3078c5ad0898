//! What can be had: sizes, regions, images.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, ok, page};
use super::ask::Ask;
use super::snapshots;
use crate::machines::recipe::{IMAGES, Image};
use crate::store::Records;

/// A droplet size, with the prices of the contract.
pub(super) struct Size {
    pub slug: &'static str,
    pub memory: u64,
    pub vcpus: u64,
    pub disk: u64,
    transfer: f64,
    monthly: f64,
    hourly: f64,
}

const fn size(
    slug: &'static str,
    (memory, vcpus, disk): (u64, u64, u64),
    transfer: f64,
    (monthly, hourly): (f64, f64),
) -> Size {
    Size {
        slug,
        memory,
        vcpus,
        disk,
        transfer,
        monthly,
        hourly,
    }
}

const SIZES: [Size; 6] = [
    size("s-1vcpu-512mb-10gb", (512, 1, 10), 0.5, (4.0, 0.00595)),
    size("s-1vcpu-1gb", (1024, 1, 25), 1.0, (6.0, 0.00893)),
    size("s-1vcpu-2gb", (2048, 1, 50), 2.0, (12.0, 0.01786)),
    size("s-2vcpu-2gb", (2048, 2, 60), 3.0, (18.0, 0.02679)),
    size("s-2vcpu-4gb", (4096, 2, 80), 4.0, (24.0, 0.03571)),
    size("s-4vcpu-8gb", (8192, 4, 160), 5.0, (48.0, 0.07143)),
];

/// Gigabytes of disk that the lab's own images need.
pub(super) const MIN_DISK: u64 = 7;

/// Slug and name of every region; all are the same lab.
pub(super) const REGIONS: [(&str, &str); 10] = [
    ("fra1", "Frankfurt 1"),
    ("nyc1", "New York 1"),
    ("nyc3", "New York 3"),
    ("ams3", "Amsterdam 3"),
    ("lon1", "London 1"),
    ("sfo3", "San Francisco 3"),
    ("sgp1", "Singapore 1"),
    ("blr1", "Bangalore 1"),
    ("tor1", "Toronto 1"),
    ("syd1", "Sydney 1"),
];

pub(super) async fn sizes(ask: Ask) -> Answer {
    page(&ask, "sizes", SIZES.iter().map(size_view).collect())
}

pub(super) async fn regions(ask: Ask) -> Answer {
    page(
        &ask,
        "regions",
        REGIONS.iter().map(|(slug, _)| region_view(slug)).collect(),
    )
}

pub(super) async fn images(State(cloud): Shared, ask: Ask) -> Answer {
    let public = ask.text("private") != Some("true") && ask.text("tag_name").is_none();
    let distribution = ask.text("type").is_none_or(|kind| kind == "distribution");
    let public = IMAGES
        .iter()
        .filter(|_| public && distribution)
        .map(image_view);
    let own: Vec<Value> = cloud.store.read(|records| {
        let snapshots = records.snapshots.iter();
        snapshots
            .filter(|_| ask.text("type").is_none())
            .filter(|one| {
                let tag = ask.text("tag_name");
                tag.is_none_or(|tag| one.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
            })
            .map(snapshots::image_view)
            .collect()
    });
    page(&ask, "images", public.chain(own).collect())
}

pub(super) async fn image(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    let image = cloud.store.read(|records| image_of(records, &id));
    ok(json!({ "image": image.ok_or_else(ApiError::not_found)? }))
}

/// The image of that slug or id, be it the lab's or a snapshot.
pub(super) fn image_of(records: &Records, slug_or_id: &str) -> Option<Value> {
    let snapshot = records.snapshot(slug_or_id).map(snapshots::image_view);
    snapshot.or_else(|| find_image(slug_or_id).map(image_view))
}

/// The lab's own image of that slug or id.
pub(super) fn find_image(slug_or_id: &str) -> Option<&'static Image> {
    IMAGES
        .iter()
        .find(|image| image.slug == slug_or_id || image.id.to_string() == slug_or_id)
}

/// The size of that slug.
pub(super) fn find_size(slug: &str) -> Option<&'static Size> {
    SIZES.iter().find(|size| size.slug == slug)
}

/// The region of a slug, or the first whose slug begins so; the first of all without one.
pub(super) fn find_region(wanted: Option<&str>) -> Option<&'static str> {
    let wanted = wanted.unwrap_or("");
    let exact = REGIONS.iter().find(|(slug, _)| *slug == wanted);
    exact
        .or_else(|| REGIONS.iter().find(|(slug, _)| slug.starts_with(wanted)))
        .map(|(slug, _)| *slug)
}

pub(super) fn slugs() -> Vec<&'static str> {
    REGIONS.iter().map(|(slug, _)| *slug).collect()
}

pub(super) fn size_view(size: &Size) -> Value {
    json!({
        "slug": size.slug,
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "transfer": size.transfer,
        "price_monthly": size.monthly,
        "price_hourly": size.hourly,
        "regions": slugs(),
        "available": true,
        "description": "Basic",
        "networking_throughput": 2000,
        "disk_info": [{ "type": "local", "size": { "amount": size.disk, "unit": "gib" } }],
    })
}

pub(super) fn region_view(slug: &str) -> Value {
    let name = REGIONS
        .iter()
        .find(|(known, _)| *known == slug)
        .map_or(slug, |(_, name)| *name);
    json!({
        "slug": slug,
        "name": name,
        "features": ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
        "available": true,
        "sizes": SIZES.iter().map(|size| size.slug).collect::<Vec<_>>(),
    })
}

pub(super) fn image_view(image: &Image) -> Value {
    json!({
        "id": image.id,
        "name": image.title,
        "type": "base",
        "distribution": "Debian",
        "slug": image.slug,
        "public": true,
        "regions": slugs(),
        "created_at": "2025-08-09T12:00:00Z",
        "min_disk_size": MIN_DISK,
        "size_gigabytes": 0.5,
        "description": format!("Debian {}", image.title),
        "tags": [],
        "status": "available",
        "error_message": "",
    })
}
