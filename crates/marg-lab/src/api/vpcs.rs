//! `/v2/vpcs`.

use axum::extract::{Path, State};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, created, no_content, ok, page};
use super::ask::{Ask, Body};
use super::catalog::find_region;
use crate::faults::ApiFaultKind;
use crate::store::{Records, Vpc, now, private_range_problem};

#[derive(Deserialize)]
pub(super) struct NewVpc {
    name: String,
    region: String,
    ip_range: Option<String>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
pub(super) struct Change {
    name: Option<String>,
    description: Option<String>,
    default: Option<bool>,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    page(
        &ask,
        "vpcs",
        cloud
            .store
            .read(|records| records.vpcs.iter().map(view).collect()),
    )
}

pub(super) async fn create(State(cloud): Shared, Body(new): Body<NewVpc>) -> Answer {
    let vpc = cloud.store.change(|records| {
        check_name(records, &new.name, None)?;
        let region = find_region(Some(&new.region))
            .filter(|region| *region == new.region)
            .ok_or_else(|| ApiError::unprocessable("region is invalid"))?;
        let vpc = Vpc {
            id: uuid::Uuid::new_v4().to_string(),
            range: range(records, new.ip_range.as_deref())?,
            // The first VPC of a region becomes its default.
            default: !records.vpcs.iter().any(|vpc| vpc.region == region),
            name: new.name,
            description: new.description,
            region: region.to_owned(),
            created_at: now(),
            next_host: 0,
        };
        records.vpcs.push(vpc.clone());
        Ok::<_, ApiError>(vpc)
    })?;
    created(json!({ "vpc": view(&vpc) }))
}

fn range(records: &Records, wanted: Option<&str>) -> Result<Ipv4Net, ApiError> {
    let Some(text) = wanted.filter(|text| !text.is_empty()) else {
        return Ok(records.free_range()?);
    };
    let range: Ipv4Net = text
        .parse()
        .map_err(|_| ApiError::unprocessable("ip_range is not a network in CIDR notation"))?;
    if let Some(problem) = private_range_problem(range) {
        return Err(ApiError::unprocessable(problem));
    }
    if records.overlaps(range) {
        return Err(ApiError::unprocessable(
            "This range/size overlaps with another VPC network in your account",
        ));
    }
    Ok(range)
}

fn check_name(records: &Records, name: &str, own: Option<&str>) -> Result<(), ApiError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-.".contains(letter);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(ApiError::unprocessable(
            "name may hold letters, digits, `-` and `.` only",
        ));
    }
    let taken = records
        .vpcs
        .iter()
        .any(|vpc| vpc.name == name && Some(vpc.id.as_str()) != own);
    if taken {
        return Err(ApiError::conflict("a VPC with this name already exists"));
    }
    Ok(())
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    let vpc = cloud
        .store
        .read(|records| records.vpcs.iter().find(|vpc| vpc.id == id).map(view));
    ok(json!({ "vpc": vpc.ok_or_else(ApiError::not_found)? }))
}

/// PUT: the name is required and a description left out is emptied.
pub(super) async fn replace(
    cloud: Shared,
    id: Path<String>,
    Body(mut change): Body<Change>,
) -> Answer {
    if change.name.is_none() {
        return Err(ApiError::unprocessable("name is required"));
    }
    change.description.get_or_insert_default();
    update(cloud, id, change)
}

/// PATCH: what is left out stays.
pub(super) async fn change(cloud: Shared, id: Path<String>, Body(change): Body<Change>) -> Answer {
    update(cloud, id, change)
}

fn update(State(cloud): Shared, Path(id): Path<String>, change: Change) -> Answer {
    let vpc = cloud.store.change(|records| {
        if let Some(name) = &change.name {
            check_name(records, name, Some(&id))?;
        }
        let region = records
            .vpcs
            .iter()
            .find(|vpc| vpc.id == id)
            .map(|vpc| vpc.region.clone());
        let region = region.ok_or_else(ApiError::not_found)?;
        for vpc in records.vpcs.iter_mut().filter(|vpc| vpc.region == region) {
            if vpc.id != id {
                // There is one default per region.
                vpc.default = vpc.default && change.default != Some(true);
                continue;
            }
            vpc.name = change.name.clone().unwrap_or_else(|| vpc.name.clone());
            vpc.description = change
                .description
                .clone()
                .unwrap_or_else(|| vpc.description.clone());
            vpc.default = vpc.default || change.default == Some(true);
        }
        records
            .vpcs
            .iter()
            .find(|vpc| vpc.id == id)
            .map(view)
            .ok_or_else(ApiError::not_found)
    })?;
    ok(json!({ "vpc": vpc }))
}

pub(super) async fn remove(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    if cloud
        .faults
        .strike(ApiFaultKind::VpcDeleteConflict, "/")
        .is_some()
    {
        return Err(ApiError::conflict("Can not delete VPC with members"));
    }
    cloud.store.change(|records| {
        let vpc = records
            .vpcs
            .iter()
            .find(|vpc| vpc.id == id)
            .ok_or_else(ApiError::not_found)?;
        if vpc.default {
            return Err(ApiError::forbidden("Can not delete default VPCs"));
        }
        if records.droplets.iter().any(|droplet| droplet.vpc == id) {
            return Err(ApiError::conflict("Can not delete VPC with members"));
        }
        records.vpcs.retain(|vpc| vpc.id != id);
        Ok(())
    })?;
    no_content()
}

pub(super) async fn members(State(cloud): Shared, Path(id): Path<String>, ask: Ask) -> Answer {
    let droplets = ask
        .text("resource_type")
        .is_none_or(|kind| kind == "droplet");
    let members = cloud.store.read(|records| {
        if !records.vpcs.iter().any(|vpc| vpc.id == id) {
            return Err(ApiError::not_found());
        }
        let members = records
            .droplets
            .iter()
            .filter(|droplet| droplets && droplet.vpc == id);
        Ok(members
            .map(|droplet| {
                json!({
                    "name": droplet.name,
                    "urn": format!("do:droplet:{}", droplet.id),
                    "created_at": droplet.created_at,
                })
            })
            .collect())
    })?;
    page(&ask, "members", members)
}

fn view(vpc: &Vpc) -> Value {
    json!({
        "id": vpc.id,
        "urn": format!("do:vpc:{}", vpc.id),
        "name": vpc.name,
        "description": vpc.description,
        "region": vpc.region,
        "ip_range": vpc.range.to_string(),
        "default": vpc.default,
        "created_at": vpc.created_at,
    })
}
