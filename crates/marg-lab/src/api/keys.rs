//! `/v2/account/keys`.

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, ApiError, created, no_content, ok, page};
use super::ask::{Ask, Body};
use crate::store::{Key, Records};

#[derive(Deserialize)]
pub(super) struct NewKey {
    name: String,
    public_key: String,
}

#[derive(Deserialize)]
pub(super) struct Rename {
    name: Option<String>,
}

pub(super) async fn list(State(cloud): Shared, ask: Ask) -> Answer {
    let keys = cloud
        .store
        .read(|records| records.keys.iter().map(view).collect());
    page(&ask, "ssh_keys", keys)
}

pub(super) async fn create(State(cloud): Shared, Body(new): Body<NewKey>) -> Answer {
    let fingerprint = fingerprint(&new.public_key).ok_or_else(|| {
        ApiError::unprocessable("Key invalid, key should be of the format `type key`")
    })?;
    let key = cloud.store.change(|records| {
        if records
            .keys
            .iter()
            .any(|key| key.fingerprint == fingerprint)
        {
            return Err(ApiError::unprocessable(
                "SSH Key is already in use on your account",
            ));
        }
        let key = Key {
            id: records.new_id(),
            name: new.name,
            fingerprint,
            public_key: new.public_key.trim().to_owned(),
        };
        records.keys.push(key.clone());
        Ok(key)
    })?;
    created(json!({ "ssh_key": view(&key) }))
}

pub(super) async fn show(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    let found = cloud.store.read(|records| find(records, &id).map(view));
    ok(json!({ "ssh_key": found.ok_or_else(ApiError::not_found)? }))
}

pub(super) async fn rename(
    State(cloud): Shared,
    Path(id): Path<String>,
    Body(change): Body<Rename>,
) -> Answer {
    let key = cloud.store.change(|records| {
        let id = find(records, &id)
            .map(|key| key.id)
            .ok_or_else(ApiError::not_found)?;
        let key = records
            .keys
            .iter_mut()
            .find(|key| key.id == id)
            .ok_or_else(ApiError::not_found)?;
        if let Some(name) = change.name {
            key.name = name;
        }
        Ok::<_, ApiError>(view(key))
    })?;
    ok(json!({ "ssh_key": key }))
}

pub(super) async fn remove(State(cloud): Shared, Path(id): Path<String>) -> Answer {
    cloud.store.change(|records| {
        let id = find(records, &id)
            .map(|key| key.id)
            .ok_or_else(ApiError::not_found)?;
        records.keys.retain(|key| key.id != id);
        Ok::<_, ApiError>(())
    })?;
    no_content()
}

/// By id or fingerprint.
pub(super) fn find<'a>(records: &'a Records, id: &str) -> Option<&'a Key> {
    records
        .keys
        .iter()
        .find(|key| key.fingerprint == id || key.id.to_string() == id)
}

fn view(key: &Key) -> Value {
    json!({
        "id": key.id,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "name": key.name,
    })
}

/// MD5 of the key's bytes, in hexadecimal with colons.
fn fingerprint(public_key: &str) -> Option<String> {
    let blob = STANDARD
        .decode(public_key.split_whitespace().nth(1)?)
        .ok()?;
    let digest = Md5::digest(blob);
    Some(
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(":"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_md5_of_the_key() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjkogt/9dGygvgqkBYZAt5LSyyMUmRzqmRLYlIwCb0Z me";
        assert_eq!(
            fingerprint(key).as_deref(),
            Some("b9:f9:a2:32:20:53:9e:e9:26:c0:42:9d:50:c3:84:a1")
        );
        assert_eq!(fingerprint("ssh-ed25519"), None);
        assert_eq!(fingerprint("ssh-ed25519 ???"), None);
    }
}
