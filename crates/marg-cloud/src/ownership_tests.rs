//! Names that begin alike, and things that only look like an environment's.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::types::tests::droplet;

/// Three environments whose names begin alike; droplet 1 is `shop`'s, droplet 2 `shop-eu`'s.
fn owner(environment: &str) -> Owner {
    let tags = |environment: &str| format!(r#"["marg","marg-env:{environment}"]"#);
    let one = |id: u64, environment: &str| {
        droplet(&format!(
            r#"{{"id":{id},"name":"x","tags":{}}}"#,
            tags(environment)
        ))
    };
    let own = match environment {
        "shop" => vec![one(1, "shop")],
        "shop-eu" => vec![one(2, "shop-eu")],
        _ => Vec::new(),
    };
    let vpc = vpc(
        "marg-shop",
        "marg: environment shop; key aa; entry 198.18.240.9",
    );
    let owner = Owner::new(environment).unwrap();
    owner.knowing(&own, &[vpc]).unwrap()
}

fn vpc(name: &str, description: &str) -> Vpc {
    let json = json!({"id": "v-1", "name": name, "region": "fra1", "ip_range": "10.0.0.0/20",
        "description": description});
    serde_json::from_value(json).unwrap()
}

/// Which of the three can claim it.
fn owners(claim: impl Fn(&Owner) -> bool) -> Vec<&'static str> {
    let all = ["shop", "shop-eu", "shop-eu-http"].into_iter();
    all.filter(|name| claim(&owner(name))).collect()
}

#[test]
fn a_firewall_belongs_to_whose_groups_it_covers() {
    for (name, tags, droplets, expected) in [
        (
            "marg-shop-http",
            json!(["marg-group:shop:http"]),
            json!([]),
            vec!["shop"],
        ),
        // The same name, three ways.
        (
            "marg-shop-eu-http",
            json!(["marg-group:shop:eu-http"]),
            json!([]),
            vec!["shop"],
        ),
        (
            "marg-shop-eu-http",
            json!(["marg-group:shop-eu:http"]),
            json!([]),
            vec!["shop-eu"],
        ),
        ("marg-shop-eu-http", json!(["web"]), json!([]), vec![]),
        (
            "marg-shop-eu-bake",
            json!(["MARG-bake:shop-eu"]),
            json!([]),
            vec!["shop-eu"],
        ),
        (
            "marg-shop-bake",
            json!(["marg-bake:shop-eu"]),
            json!([]),
            vec![],
        ),
        // Covers more than the group.
        (
            "marg-shop-http",
            json!(["marg-group:shop:http", "web"]),
            json!([]),
            vec![],
        ),
        (
            "marg-shop-http",
            json!(["marg-group:shop:http"]),
            json!([2]),
            vec![],
        ),
        (
            "marg-shop-http",
            json!(["marg-group:shop:http"]),
            json!([1]),
            vec!["shop"],
        ),
        // Covers nothing that could be a proof.
        ("marg-shop-http", json!([]), json!([]), vec![]),
        ("marg-shop-http", json!(null), json!([1]), vec![]),
        // The operator's own, for one of the groups.
        ("office", json!(["marg-group:shop:http"]), json!([]), vec![]),
    ] {
        let firewall = json!({"id": "f", "name": name, "status": "succeeded", "tags": tags,
            "droplet_ids": droplets});
        let firewall: Firewall = serde_json::from_value(firewall).unwrap();
        let found = owners(|owner| owner.firewall(&firewall).is_ok());
        assert_eq!(found, expected, "{firewall:?}");
    }
}

#[test]
fn a_network_belongs_to_whom_its_description_names() {
    for (name, description, expected) in [
        // As earlier versions wrote it.
        ("marg-shop", "marg: environment shop", vec!["shop"]),
        (
            "marg-shop-eu",
            "marg: environment shop-eu; key aa",
            vec!["shop-eu"],
        ),
        ("marg-shop", "", vec![]),
        ("marg-shop", "the shop's own", vec![]),
    ] {
        let found = owners(|owner| owner.vpc(&vpc(name, description)).is_ok());
        assert_eq!(found, expected, "{name}: {description}");
    }
}

#[test]
fn a_key_belongs_to_whose_material_and_name_it_has() {
    for (name, fingerprint, expected) in [
        ("marg-shop", "aa", vec!["shop"]),
        ("marg-shop", "bb", vec![]),
        ("anna's laptop", "aa", vec![]),
    ] {
        let key = json!({"id": 9, "name": name, "fingerprint": fingerprint});
        let key: SshKey = serde_json::from_value(key).unwrap();
        let found = owners(|owner| owner.ssh_key(&key, "aa").is_ok());
        assert_eq!(found, expected, "{key:?}");
    }
}

#[test]
fn an_address_belongs_to_whose_droplet_has_it_or_whose_network_names_it() {
    for (ip, droplet, expected) in [
        ("198.18.240.1", json!({"id": 1}), vec!["shop"]),
        ("198.18.240.1", json!({"id": 2}), vec!["shop-eu"]),
        ("198.18.240.1", json!({"id": 3}), vec![]),
        ("198.18.240.1", Value::Null, vec![]),
        ("198.18.240.9", Value::Null, vec!["shop"]),
        // Somebody else's by now.
        ("198.18.240.9", json!({"id": 3}), vec![]),
    ] {
        let address = json!({"ip": ip, "droplet": droplet});
        let address: ReservedIp = serde_json::from_value(address).unwrap();
        let found = owners(|owner| owner.reserved_ip(&address).is_ok());
        assert_eq!(found, expected, "{address:?}");
        let hinted = owner("shop-eu-http").remembering(Some(address.ip));
        assert_eq!(hinted.reserved_ip(&address).is_ok(), droplet.is_null());
    }
}

#[test]
fn only_a_tagged_droplet_can_be_claimed() {
    let ours = Tag::environment("lab").unwrap();
    for (tags, claimed) in [
        (r#"["marg","MARG-ENV:LAB"]"#, true),
        (r#"["marg-env:lab2"]"#, false),
        ("[]", false),
    ] {
        let machine = droplet(&format!(r#"{{"id":7,"name":"lab-http1","tags":{tags}}}"#));
        assert_eq!(Owned::claim(&machine, &ours).is_ok(), claimed, "{tags}");
    }
}

#[test]
fn only_a_tagged_image_can_be_claimed() {
    let ours = Tag::bake("lab").unwrap();
    for (tags, claimed) in [
        (r#"["marg-bake:lab","marg-bake:lab:http"]"#, Some(true)),
        (r#"["marg-bake:lab:http"]"#, Some(false)),
        ("[]", Some(false)),
        ("null", None),
    ] {
        let json = format!(r#"{{"id":7,"name":"golden","tags":{tags}}}"#);
        let image: Image = serde_json::from_str(&json).unwrap();
        let found = match OwnedImage::claim(&image, &ours) {
            Ok(_) => Some(true),
            Err(CloudError::ImageNotOurs { .. }) => Some(false),
            Err(_) => None,
        };
        assert_eq!(found, claimed, "{tags}");
    }
}

#[test]
fn absent_tags_are_not_no_tags() {
    let machine = droplet(r#"{"id":7,"name":"lab-http1"}"#);
    let error = Owned::claim(&machine, &Tag::environment("lab").unwrap()).unwrap_err();
    assert!(matches!(
        error,
        CloudError::ScopeMissing { field: "tags", .. }
    ));
}
