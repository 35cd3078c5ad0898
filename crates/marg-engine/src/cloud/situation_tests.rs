//! What is found beside what is wanted, as data.
#![allow(clippy::unwrap_used)]

use marg_model::{Environment, Phase, builtin};
use serde_json::json;

use super::*;
use crate::environment::CloudKind;

pub(crate) const INVENTORY: &str = r#"[environment]
name = "shop"
region = "fra1"
domain = "shop.test"
[apps.shop]
repository = "https://git.test/shop.git"
hostnames = ["shop.test"]
"#;

pub(crate) fn blueprint() -> Blueprint {
    let host = |name: &str, group: &str| Host {
        name: name.to_owned(),
        group: group.to_owned(),
        number: 1,
        size: "s-1vcpu-1gb".to_owned(),
        image: "debian-13-x64".to_owned(),
        roles: Vec::new(),
        needs: Vec::new(),
        holds_data: group == "redis",
        settings: Default::default(),
        env: Default::default(),
    };
    let phases = builtin::phases(marg_roles_schemas()).unwrap();
    let phase: Phase = phases.into_iter().find(|phase| phase.number == 2).unwrap();
    Blueprint {
        environment: Environment {
            name: "shop".to_owned(),
            phase: None,
            region: "fra1".to_owned(),
            image: "debian-13-x64".to_owned(),
            domain: "shop.test".to_owned(),
            internal_domain: "shop.internal".to_owned(),
            ssh_from: vec!["0.0.0.0/0".to_owned()],
            vpc_range: None,
        },
        phase,
        hosts: vec![host("http1", "http"), host("redis1", "redis")],
        apps: Vec::new(),
        databases: Vec::new(),
        database_users: Vec::new(),
    }
}

/// The built-in phases name roles; here only the names count.
pub(crate) fn marg_roles_schemas() -> &'static [marg_model::RoleSchema] {
    macro_rules! schemas {
        ($($name:literal),*) => {
            &[$(marg_model::RoleSchema { name: $name, doc: "", settings: &[] }),*]
        };
    }
    schemas![
        "base",
        "ufw",
        "nginx",
        "php-fpm",
        "app",
        "redis",
        "mysql",
        "worker",
        "scheduler",
        "haproxy",
        "redis-sentinel",
        "mysql-replication",
        "proxy",
        "keepalived"
    ]
}

/// An active droplet of that name.
pub(crate) fn droplet(id: u64, name: &str, tags: &[&str]) -> Droplet {
    serde_json::from_value(json!({
        "id": id, "name": name, "status": "active", "tags": tags, "size_slug": "s-1vcpu-1gb",
        "memory": 1024, "vcpus": 1, "disk": 25,
        "networks": {"v4": [
            {"ip_address": format!("198.18.0.{id}"), "type": "public"},
            {"ip_address": "198.18.240.1", "type": "public"},
            {"ip_address": format!("10.0.0.{id}"), "type": "private"},
        ]},
    }))
    .unwrap()
}

/// These droplets, the first of them with the entry address, and one size.
pub(crate) fn found(droplets: Vec<Droplet>) -> Found {
    let reserved = json!([{"ip": "198.18.240.1", "droplet": {"id": 1}}]);
    let size = json!([{"slug": "s-1vcpu-1gb", "memory": 1024, "vcpus": 1, "disk": 25,
        "price_monthly": 6.0, "price_hourly": 0.009, "regions": ["fra1"], "available": true}]);
    let owner = Owner::new("shop").unwrap();
    Found {
        owner: owner.knowing(&droplets, &[]).unwrap(),
        droplets,
        builders: Vec::new(),
        bakes: Vec::new(),
        reserved: serde_json::from_value(reserved).unwrap(),
        vpcs: Vec::new(),
        firewalls: Vec::new(),
        strangers: Vec::new(),
        sizes: serde_json::from_value(size).unwrap(),
        ssh_key: None,
    }
}

/// Tags of a web server.
pub const HTTP: &[&str] = &["marg", "marg-env:shop", "marg-group:shop:http"];
const REDIS: &[&str] = &["marg", "marg-env:shop", "marg-group:shop:redis"];

#[test]
fn missing_hosts_are_created_and_found_ones_are_bound_to_their_own_addresses() {
    let blueprint = blueprint();
    let situation = Situation::compare(
        &blueprint,
        (&[], &[]),
        found(vec![droplet(1, "shop-http1", HTTP)]),
    );
    let missing: Vec<_> = situation
        .missing(&blueprint)
        .map(|host| &*host.name)
        .collect();
    assert_eq!(missing, ["redis1"]);
    assert_eq!(
        situation.monthly,
        Monthly {
            before: 6.0,
            after: 12.0
        }
    );
    let fleet = situation.fleet(&blueprint);
    // The reserved address is among the droplet's public ones, and is not its own.
    assert_eq!(
        fleet.machine("http1").unwrap().public.to_string(),
        "198.18.0.1"
    );
    assert_eq!(fleet.machine("redis1").unwrap().private.known(), None);
    assert_eq!(fleet.entry.to_string(), "198.18.240.1");
}

#[test]
fn the_oldest_of_several_is_the_host_and_strangers_are_left_alone() {
    let droplets = vec![
        droplet(3, "shop-http1", HTTP),
        droplet(1, "shop-http1", HTTP),
        droplet(2, "shop-redis1", REDIS),
        droplet(9, "shop-old1", &["marg-env:shop"]),
    ];
    let situation = Situation::compare(&blueprint(), (&[], &[]), found(droplets));
    assert_eq!(situation.by_host["http1"].id.0, 1);
    assert_eq!(situation.missing(&blueprint()).count(), 0);
    let notes = situation.notes.join("\n");
    assert!(
        notes.contains("shop-old1 (9)") && notes.contains("left alone"),
        "{notes}"
    );
    assert!(
        notes.contains("several droplets named shop-http1; 3 is not used"),
        "{notes}"
    );
}

#[test]
fn a_droplet_without_its_groups_tag_is_tagged_before_anything_else_relies_on_it() {
    let droplets = vec![
        droplet(1, "shop-http1", &["marg-env:shop"]),
        droplet(
            2,
            "shop-redis1",
            &["marg-env:shop", "MARG-GROUP:shop:redis"],
        ),
    ];
    let situation = Situation::compare(&blueprint(), (&[], &[]), found(droplets));
    let tagged: Vec<_> = situation
        .changes
        .iter()
        .filter(|change| change.kind == CloudKind::Droplet)
        .map(|change| (&*change.name, change.details.join(",")))
        .collect();
    assert_eq!(
        tagged,
        [
            ("shop-http1", "+ tag marg-group:shop:http".to_owned()),
            ("shop-http1", "+ tag marg-phase:shop:2".to_owned()),
            ("shop-redis1", "+ tag marg-phase:shop:2".to_owned()),
        ]
    );
}

#[test]
fn names_that_begin_alike_are_told_apart_and_those_of_others_stop_everything() {
    let firewall = |name: &str, tag: &str| -> Firewall {
        let json = json!({"id": name, "name": name, "status": "succeeded", "tags": [tag]});
        serde_json::from_value(json).unwrap()
    };
    let vpc = |name: &str, description: &str| -> Vpc {
        let json = json!({"id": name, "name": name, "region": "fra1", "ip_range": "10.0.0.0/20",
            "description": description});
        serde_json::from_value(json).unwrap()
    };
    let account = |extra: Vec<Firewall>, vpcs: Vec<Vpc>| {
        let all = vec![
            firewall("marg-shop-http", "marg-group:shop:http"),
            firewall("marg-shop-old", "marg-group:shop:old"),
            firewall("marg-shop-eu-http", "marg-group:shop-eu:http"),
            firewall("marg-shop-eu-redis", "marg-group:shop-eu:redis"),
            firewall("marg-shop", "web"),
        ];
        let mut found = found(vec![droplet(1, "shop-http1", HTTP)]);
        let all = all.into_iter().chain(extra).collect();
        (found.firewalls, found.strangers) = proved(&found.owner, all);
        found.vpcs = vpcs;
        Situation::compare(&blueprint(), (&[], &[]), found)
    };
    let ours = vpc("marg-shop", "marg: environment shop");
    let others = vpc("marg-shop-eu", "marg: environment shop-eu");
    let situation = account(vec![], vec![others.clone(), ours]);
    let deleted: Vec<_> = situation
        .changes
        .iter()
        .filter(|change| change.action == marg_resources::Action::Delete)
        .map(|change| &*change.name)
        .collect();
    assert_eq!(deleted, ["marg-shop-old"]);
    assert!(situation.found.takers(&blueprint()).is_empty());
    assert!(situation.found.network().is_some());

    let taken = vec![
        firewall("marg-shop-redis", "marg-group:shop-redis:web"),
        firewall("marg-shop-bake", "bakery"),
    ];
    let situation = account(taken, vec![others, vpc("marg-shop", "Anna's")]);
    let takers = situation.found.takers(&blueprint());
    let takers: Vec<String> = takers.iter().map(ToString::to_string).collect();
    for (text, why) in takers.iter().zip([
        "VPC marg-shop is not proved to be of environment shop (its description is \"Anna's\")",
        "firewall marg-shop-redis is not proved to be of environment shop (it covers \
         marg-group:shop-redis:web)",
        "firewall marg-shop-bake is not proved to be of environment shop (it covers bakery)",
    ]) {
        assert!(text.starts_with(why), "{text}");
    }
    assert_eq!(takers.len(), 3);
}
