//! Cases for decoding, addresses and readiness.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

/// A droplet from the JSON that the API would send.
pub(crate) fn droplet(json: &str) -> Droplet {
    serde_json::from_str(json).unwrap()
}

#[test]
fn decoding_survives_new_words_new_fields_and_nulls() {
    let machine = droplet(
        r#"{"id":3164444,"name":"lab-http1","status":"hibernating","locked":null,"networks":null,
            "tags":["marg"],"size_slug":"s-1vcpu-1gb","region":{"slug":"fra1","moon":true},
            "image":null,"vpc_uuid":null,"created_at":"tomorrow","colour":"blue"}"#,
    );
    assert_eq!(machine.id, DropletId(3164444));
    assert_eq!(
        machine.status,
        DropletStatus::Other("hibernating".to_owned())
    );
    assert_eq!(machine.status.to_string(), "hibernating");
    assert_eq!(machine.region.as_deref(), Some("fra1"));
    assert_eq!((machine.created_at, machine.private_v4()), (None, None));
}

#[test]
fn a_droplet_without_id_is_not_a_droplet() {
    assert!(serde_json::from_str::<Droplet>(r#"{"name":"lab-http1"}"#).is_err());
}

#[test]
fn reserved_addresses_keep_only_what_matters() {
    for (json, droplet) in [
        (r#"{"ip":"198.18.9.9","droplet":null}"#, None),
        (r#"{"ip":"198.18.9.9"}"#, None),
        (
            r#"{"ip":"198.18.9.9","droplet":{"id":7,"name":"x"},"region":{"slug":"fra1"}}"#,
            Some(DropletId(7)),
        ),
    ] {
        let address: ReservedIp = serde_json::from_str(json).unwrap();
        assert_eq!(address.droplet, droplet, "{json}");
    }
}

fn with_state(status: &str, locked: bool, v4: &str) -> Droplet {
    droplet(&format!(
        r#"{{"id":1,"name":"a","status":"{status}","locked":{locked},"networks":{{"v4":[{v4}]}}}}"#
    ))
}

const PUBLIC: &str = r#"{"ip_address":"198.18.0.7","type":"public","gateway":"nil"}"#;
const RESERVED: &str = r#"{"ip_address":"198.18.9.9","type":"public"}"#;
const PRIVATE: &str = r#"{"ip_address":"10.10.0.7","type":"private"}"#;
const EMPTY: &str = r#"{"ip_address":"","type":"private"}"#;

#[test]
fn readiness_names_what_is_missing() {
    let reserved = BTreeSet::from(["198.18.9.9".parse().unwrap()]);
    for (status, locked, v4, missing) in [
        ("active", false, vec![PRIVATE, RESERVED, PUBLIC], None),
        ("active", false, vec![PUBLIC, PRIVATE], None),
        ("new", true, vec![], Some("status new")),
        (
            "active",
            true,
            vec![PUBLIC, PRIVATE],
            Some("an event is running"),
        ),
        (
            "active",
            false,
            vec![RESERVED, PRIVATE],
            Some("no public address yet"),
        ),
        (
            "active",
            false,
            vec![PUBLIC, EMPTY],
            Some("no private address yet"),
        ),
        ("off", false, vec![PUBLIC, PRIVATE], Some("status off")),
    ] {
        let machine = with_state(status, locked, &v4.join(","));
        match machine.readiness(&reserved) {
            Ok(addresses) => {
                assert_eq!(missing, None, "{status} {v4:?}");
                assert_eq!(addresses.public.to_string(), "198.18.0.7");
                assert_eq!(addresses.private.to_string(), "10.10.0.7");
            }
            Err(reason) => assert_eq!(Some(reason.to_string().as_str()), missing, "{v4:?}"),
        }
    }
}
