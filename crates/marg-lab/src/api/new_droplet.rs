//! `POST /v2/droplets`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, accepted};
use super::ask::{Ask, Body, Id};
use super::catalog::{MIN_DISK, Size, find_image, find_region, find_size};
use super::{Shared, droplets, keys, tags};
use crate::cloud::Cloud;
use crate::lifecycle;
use crate::store::{Droplet, Records, Status, Vpc, now};

/// The real API's limit.
const USER_DATA_LIMIT: usize = 64 * 1024;

/// What a client sends. Fields that mean nothing to the lab are ignored.
#[derive(Deserialize)]
pub(super) struct NewDroplet {
    name: Option<String>,
    names: Option<Vec<String>>,
    region: Option<String>,
    size: String,
    image: Id,
    #[serde(default)]
    ssh_keys: Vec<Id>,
    #[serde(default)]
    tags: Vec<String>,
    vpc_uuid: Option<String>,
    #[serde(default)]
    user_data: String,
    #[serde(default)]
    monitoring: bool,
    with_droplet_agent: Option<bool>,
}

/// The request with everything looked up.
struct Order {
    region: &'static str,
    size: &'static Size,
    /// Slug, or id of a snapshot.
    image: String,
    public_keys: Vec<String>,
    tags: Vec<String>,
    vpc: Vpc,
    features: Vec<String>,
    user_data: String,
}

pub(super) async fn create(State(cloud): Shared, ask: Ask, Body(new): Body<NewDroplet>) -> Answer {
    let names = names(&new)?;
    let made = cloud.store.change(|records| {
        let limit = droplets::limit(&cloud, records);
        if records.droplets.len() + names.len() > limit {
            return Err(ApiError::unprocessable(
                "creating this/these droplet(s) will exceed your droplet limit",
            ));
        }
        let order = look_up(records, &new)?;
        names
            .iter()
            .map(|name| add(records, &order, name))
            .collect::<Result<Vec<_>, _>>()
    })?;
    // Worded before the machines are begun: the droplets as the request left them.
    let answer = answer(&cloud, &ask, &made, new.names.is_some());
    for (id, action) in &made {
        tokio::spawn(lifecycle::create(Arc::clone(&cloud), *id, *action));
    }
    accepted(answer)
}

fn answer(cloud: &Cloud, ask: &Ask, made: &[(u64, u64)], several: bool) -> Value {
    let mut views: Vec<Value> = cloud.store.read(|records| {
        let found = made.iter().filter_map(|(id, _)| records.droplet(*id));
        found
            .map(|droplet| droplets::view(records, droplet))
            .collect()
    });
    let actions: Vec<Value> = made
        .iter()
        .map(|(_, action)| {
            json!({
                "id": action,
                "rel": "create",
                "href": ask.link(&format!("/v2/actions/{action}")),
            })
        })
        .collect();
    let links = json!({ "actions": actions });
    if several {
        return json!({ "droplets": views, "links": links });
    }
    json!({ "droplet": views.pop(), "links": links })
}

fn names(new: &NewDroplet) -> Result<Vec<String>, ApiError> {
    let names = match (&new.name, &new.names) {
        (Some(name), None) => vec![name.clone()],
        (None, Some(names)) if (1..=10).contains(&names.len()) => names.clone(),
        _ => {
            return Err(ApiError::unprocessable(
                "exactly one of name and names (up to 10) is required",
            ));
        }
    };
    for name in &names {
        check_name(name)?;
    }
    Ok(names)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    let fits = name.len() <= 255
        && name.chars().all(inner)
        && name.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err(ApiError::unprocessable(
        "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
    ))
}

fn look_up(records: &mut Records, new: &NewDroplet) -> Result<Order, ApiError> {
    let invalid = |what: &str| {
        ApiError::unprocessable(format!(
            "You specified an invalid {what} for Droplet creation."
        ))
    };
    let size = find_size(&new.size).ok_or_else(|| invalid("size"))?;
    let region = find_region(new.region.as_deref()).ok_or_else(|| invalid("region"))?;
    let (image, min_disk) = image(records, &new.image).ok_or_else(|| invalid("image"))?;
    if size.disk < min_disk {
        return Err(ApiError::unprocessable(
            "You specified a size whose disk is too small for the image.",
        ));
    }
    if new.user_data.len() > USER_DATA_LIMIT {
        return Err(ApiError::unprocessable("user_data may not exceed 64 KiB"));
    }
    for tag in &new.tags {
        tags::check(tag)?;
    }
    let mut features = vec!["private_networking".to_owned()];
    if new.monitoring {
        features.push("monitoring".to_owned());
    }
    if new.with_droplet_agent == Some(true) {
        features.push("droplet_agent".to_owned());
    }
    Ok(Order {
        region,
        size,
        image,
        public_keys: public_keys(records, &new.ssh_keys)?,
        tags: new.tags.iter().map(|tag| records.tag(tag)).collect(),
        vpc: vpc(records, new.vpc_uuid.as_deref(), region)?,
        features,
        user_data: new.user_data.clone(),
    })
}

/// An image's slug, or a snapshot's id, and the gigabytes of disk that it needs.
fn image(records: &Records, wanted: &Id) -> Option<(String, u64)> {
    let wanted = wanted.text();
    match records.snapshot(&wanted) {
        Some(snapshot) => Some((wanted, snapshot.min_disk)),
        None => find_image(&wanted).map(|image| (image.slug.to_owned(), MIN_DISK)),
    }
}

fn public_keys(records: &Records, wanted: &[Id]) -> Result<Vec<String>, ApiError> {
    let find = |id: &Id| {
        let key = keys::find(records, &id.text());
        key.map(|key| key.public_key.clone()).ok_or_else(|| {
            let id = id.text();
            ApiError::unprocessable(format!(
                "{id} are invalid key identifiers for Droplet creation."
            ))
        })
    };
    wanted.iter().map(find).collect()
}

fn vpc(records: &mut Records, wanted: Option<&str>, region: &str) -> Result<Vpc, ApiError> {
    let Some(id) = wanted.filter(|id| !id.is_empty()) else {
        return Ok(records.default_vpc(region)?);
    };
    let found = records
        .vpcs
        .iter()
        .find(|vpc| vpc.id == id && vpc.region == region);
    found.cloned().ok_or_else(|| {
        ApiError::unprocessable("Failed to resolve VPC: it does not exist in this region")
    })
}

/// Notes one new droplet; gives its id and that of its action.
fn add(records: &mut Records, order: &Order, name: &str) -> Result<(u64, u64), ApiError> {
    let droplet = Droplet {
        id: records.new_id(),
        name: name.to_owned(),
        status: Status::New,
        locked: true,
        deleting: false,
        addresses_known: false,
        created_at: now(),
        region: order.region.to_owned(),
        image: order.image.clone(),
        size: order.size.slug.to_owned(),
        disk: order.size.disk,
        tags: order.tags.clone(),
        vpc: order.vpc.id.clone(),
        place_public: records.new_public()?,
        place_private: records.new_private(&order.vpc.id)?,
        range: order.vpc.range,
        features: order.features.clone(),
        public_keys: order.public_keys.clone(),
        memory_mb: order.size.memory,
        faults: BTreeSet::new(),
        user_data: order.user_data.clone(),
    };
    let id = droplet.id;
    records.droplets.push(droplet);
    let action = records.begin("create", "droplet", id, order.region);
    Ok((id, action.id))
}
