//! `/v2/tags`. Names are compared without regard to case and keep their first spelling.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, created, no_content, ok, page};
use super::ask::{Ask, Body, Id};
use crate::lifecycle;
use crate::store::Records;

#[derive(Deserialize)]
pub(super) struct NewTag {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    resource_id: Id,
    resource_type: String,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let tags = cloud
        .store
        .read(|records| records.tags.iter().map(|tag| view(records, tag)).collect());
    page(&ask, "tags", tags)
}

pub(super) async fn create(State(cloud): Shared, Body(new): Body<NewTag>) -> Answer {
    let tag = cloud.store.change(|records| {
        check(&new.name)?;
        let name = records.tag(&new.name);
        Ok::<_, ApiError>(view(records, &name))
    })?;
    created(json!({ "tag": tag }))
}

pub(super) async fn show(State(cloud): Shared, Path(name): Path<String>) -> Answer {
    let tag = cloud
        .store
        .read(|records| find(records, &name).map(|name| view(records, &name)));
    ok(json!({ "tag": tag? }))
}

pub(super) async fn remove(State(cloud): Shared, Path(name): Path<String>) -> Answer {
    cloud.store.change(|records| {
        let name = find(records, &name)?;
        records.tags.retain(|tag| *tag != name);
        for droplet in &mut records.droplets {
            droplet.tags.retain(|tag| *tag != name);
        }
        for image in &mut records.snapshots {
            image.tags.retain(|tag| *tag != name);
        }
        Ok::<_, ApiError>(())
    })?;
    tokio::spawn(lifecycle::rewire(cloud, None));
    no_content()
}

pub(super) async fn add(cloud: Shared, name: Path<String>, Body(body): Body<Resources>) -> Answer {
    change(cloud, name, body, |tags, name| {
        if !tags.iter().any(|tag| tag == name) {
            tags.push(name.to_owned());
        }
    })
}

pub(super) async fn take_off(
    cloud: Shared,
    name: Path<String>,
    Body(body): Body<Resources>,
) -> Answer {
    change(cloud, name, body, |tags, name| {
        tags.retain(|tag| tag != name)
    })
}

fn change(
    State(cloud): Shared,
    Path(name): Path<String>,
    body: Resources,
    change: impl Fn(&mut Vec<String>, &str),
) -> Answer {
    cloud.store.change(|records| {
        let name = find(records, &name)?;
        for resource in &body.resources {
            change(tags_of(records, resource)?, &name);
        }
        Ok::<_, ApiError>(())
    })?;
    // Firewalls may name the tag.
    tokio::spawn(lifecycle::rewire(cloud, None));
    no_content()
}

fn tags_of<'a>(
    records: &'a mut Records,
    resource: &Resource,
) -> Result<&'a mut Vec<String>, ApiError> {
    let id = resource.resource_id.text();
    let id: u64 = id.parse().map_err(|_| ApiError::not_found())?;
    let tags = match resource.resource_type.as_str() {
        "droplet" => records.droplet_mut(id).map(|droplet| &mut droplet.tags),
        "image" => {
            let mut images = records.snapshots.iter_mut();
            images.find(|one| one.id == id).map(|one| &mut one.tags)
        }
        _ => {
            return Err(ApiError::unprocessable(
                "the lab tags droplets and images only",
            ));
        }
    };
    tags.ok_or_else(ApiError::not_found)
}

/// Refuses what is no name for a tag.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-:".contains(letter);
    if !name.is_empty() && name.len() <= 255 && name.chars().all(fits) {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!(
        "{name} is not a valid tag: letters, digits, `_`, `-` and `:` only"
    )))
}

/// The tag exactly as it was first written: addresses need that spelling.
fn find(records: &Records, name: &str) -> Result<String, ApiError> {
    records
        .tags
        .iter()
        .find(|tag| *tag == name)
        .cloned()
        .ok_or_else(ApiError::not_found)
}

fn view(records: &Records, name: &str) -> Value {
    let droplets = records.droplets.iter();
    let droplets: Vec<String> = droplets
        .filter(|droplet| droplet.has_tag(name))
        .map(|droplet| format!("/v2/droplets/{}", droplet.id))
        .collect();
    let images = records.snapshots.iter();
    let images: Vec<String> = images
        .filter(|image| image.tags.iter().any(|tag| tag.eq_ignore_ascii_case(name)))
        .map(|image| format!("/v2/images/{}", image.id))
        .collect();
    let mut all = counted(&[&images[..], &droplets[..]].concat());
    all["droplets"] = counted(&droplets);
    all["images"] = counted(&images);
    for kind in ["volumes", "volume_snapshots", "databases"] {
        all[kind] = counted(&[]);
    }
    json!({ "name": name, "resources": all })
}

/// How many things carry a tag, and which of them is the newest.
fn counted(tagged: &[String]) -> Value {
    let mut count = json!({ "count": tagged.len() });
    if let Some(last) = tagged.last() {
        count["last_tagged_uri"] = json!(last);
    }
    count
}
