//! `/v2/firewalls`. The rules hold in the router, outside the machines.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, accepted, no_content, ok, page};
use super::ask::{Ask, Body};
use super::firewall_rules::{self, RuleLists, check_tag};
use crate::cloud::Cloud;
use crate::lifecycle;
use crate::store::{Firewall, Records, now};

/// The real API's limits for one firewall.
const MOST_DROPLETS: usize = 10;
const MOST_TAGS: usize = 5;

#[derive(Deserialize)]
pub(super) struct Sent {
    name: String,
    #[serde(flatten)]
    rules: RuleLists,
    #[serde(default)]
    droplet_ids: Vec<u64>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct DropletIds {
    droplet_ids: Vec<u64>,
}

#[derive(Deserialize)]
pub(super) struct Tags {
    tags: Vec<String>,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let firewalls = cloud.store.read(|records| {
        records
            .firewalls
            .iter()
            .map(|firewall| view(records, firewall))
            .collect()
    });
    page(&ask, "firewalls", firewalls)
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    let found = cloud.store.read(|records| {
        let firewall = records.firewalls.iter().find(|firewall| firewall.id == id);
        firewall.map(|firewall| view(records, firewall))
    });
    ok(json!({ "firewall": found.ok_or_else(ApiError::not_found)? }))
}

pub(super) async fn create(State(cloud): Shared, Body(sent): Body<Sent>) -> Answer {
    let view = cloud.store.change(|records| {
        let mut firewall = Firewall {
            id: uuid::Uuid::new_v4().to_string(),
            name: String::new(),
            created_at: now(),
            inbound: Vec::new(),
            outbound: Vec::new(),
            droplet_ids: Vec::new(),
            tags: Vec::new(),
            revision: 0,
            applied: 0,
        };
        fill(records, &mut firewall, &sent)?;
        let view = view(records, &firewall);
        records.firewalls.push(firewall);
        Ok::<_, ApiError>(view)
    })?;
    tokio::spawn(lifecycle::rewire(cloud, None));
    accepted(json!({ "firewall": view }))
}

/// PUT: everything is replaced, and what is left out is reset.
pub(super) async fn replace(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(sent): Body<Sent>,
) -> Answer {
    let view = change(&cloud, &id, |records, firewall| {
        fill(records, firewall, &sent)
    })?;
    ok(json!({ "firewall": view }))
}

fn fill(records: &Records, firewall: &mut Firewall, sent: &Sent) -> Result<(), ApiError> {
    check_name(&sent.name)?;
    let taken = |other: &Firewall| other.name == sent.name && other.id != firewall.id;
    if records.firewalls.iter().any(taken) {
        return Err(ApiError::conflict("duplicate name"));
    }
    if sent.rules.is_empty() {
        return Err(ApiError::unprocessable(
            "at least one inbound or outbound rule is required",
        ));
    }
    (firewall.inbound, firewall.outbound) = sent.rules.normal(records)?;
    firewall.name = sent.name.clone();
    firewall.droplet_ids = sent.droplet_ids.clone();
    firewall.tags = sent.tags.clone();
    firewall.revision += 1;
    check_members(records, firewall)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if begins && name.len() >= 2 && name.chars().all(fits) {
        return Ok(());
    }
    Err(ApiError::unprocessable(
        "name may hold letters, digits, `-` and `.` only",
    ))
}

fn check_members(records: &Records, firewall: &Firewall) -> Result<(), ApiError> {
    if firewall.droplet_ids.len() > MOST_DROPLETS || firewall.tags.len() > MOST_TAGS {
        return Err(ApiError::unprocessable(
            "a firewall may name 10 droplets and 5 tags",
        ));
    }
    for id in &firewall.droplet_ids {
        if records.droplet(*id).is_none() {
            return Err(ApiError::unprocessable(format!("there is no droplet {id}")));
        }
    }
    firewall
        .tags
        .iter()
        .try_for_each(|tag| check_tag(records, tag))
}

pub(super) async fn remove(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    cloud.store.change(|records| {
        if !records.firewalls.iter().any(|firewall| firewall.id == id) {
            return Err(ApiError::not_found());
        }
        records.firewalls.retain(|firewall| firewall.id != id);
        Ok(())
    })?;
    tokio::spawn(lifecycle::rewire(cloud, None));
    no_content()
}

pub(super) async fn add_droplets(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(body): Body<DropletIds>,
) -> Answer {
    change(&cloud, &id, |records, firewall| {
        add(&mut firewall.droplet_ids, &body.droplet_ids);
        check_members(records, firewall)
    })?;
    no_content()
}

pub(super) async fn remove_droplets(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(body): Body<DropletIds>,
) -> Answer {
    change(&cloud, &id, |_, firewall| {
        firewall
            .droplet_ids
            .retain(|member| !body.droplet_ids.contains(member));
        Ok(())
    })?;
    no_content()
}

pub(super) async fn add_tags(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer {
    change(&cloud, &id, |records, firewall| {
        add(&mut firewall.tags, &body.tags);
        check_members(records, firewall)
    })?;
    no_content()
}

pub(super) async fn remove_tags(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer {
    change(&cloud, &id, |_, firewall| {
        firewall.tags.retain(|tag| !body.tags.contains(tag));
        Ok(())
    })?;
    no_content()
}

pub(super) async fn add_rules(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(rules): Body<RuleLists>,
) -> Answer {
    change(&cloud, &id, |records, firewall| {
        let (inbound, outbound) = rules.normal(records)?;
        add(&mut firewall.inbound, &inbound);
        add(&mut firewall.outbound, &outbound);
        Ok(())
    })?;
    no_content()
}

pub(super) async fn remove_rules(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(rules): Body<RuleLists>,
) -> Answer {
    change(&cloud, &id, |records, firewall| {
        let (inbound, outbound) = rules.normal(records)?;
        firewall.inbound.retain(|rule| !inbound.contains(rule));
        firewall.outbound.retain(|rule| !outbound.contains(rule));
        Ok(())
    })?;
    no_content()
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, new: &[T]) {
    for item in new {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Changes one firewall and has the router follow.
fn change(
    cloud: &Arc<Cloud>,
    id: &str,
    change: impl FnOnce(&Records, &mut Firewall) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let view = cloud.store.change(|records| {
        let position = records
            .firewalls
            .iter()
            .position(|firewall| firewall.id == id);
        let position = position.ok_or_else(ApiError::not_found)?;
        let mut firewall = records.firewalls[position].clone();
        change(records, &mut firewall)?;
        firewall.revision = records.firewalls[position].revision + 1;
        let view = view(records, &firewall);
        records.firewalls[position] = firewall;
        Ok::<_, ApiError>(view)
    })?;
    tokio::spawn(lifecycle::rewire(Arc::clone(cloud), None));
    Ok(view)
}

pub(super) fn view(records: &Records, firewall: &Firewall) -> Value {
    let waiting = firewall.applied != firewall.revision;
    let members = records.droplets.iter().filter(|droplet| {
        firewall.droplet_ids.contains(&droplet.id)
            || firewall.tags.iter().any(|tag| droplet.has_tag(tag))
    });
    let pending: Vec<Value> = members
        .filter(|_| waiting)
        .map(|droplet| json!({ "droplet_id": droplet.id, "removing": false, "status": "waiting" }))
        .collect();
    json!({
        "id": firewall.id,
        "name": firewall.name,
        "status": if waiting { "waiting" } else { "succeeded" },
        "created_at": firewall.created_at,
        "pending_changes": pending,
        "inbound_rules": firewall_rules::view(&firewall.inbound, "sources"),
        "outbound_rules": firewall_rules::view(&firewall.outbound, "destinations"),
        "droplet_ids": firewall.droplet_ids,
        "tags": firewall.tags,
    })
}
