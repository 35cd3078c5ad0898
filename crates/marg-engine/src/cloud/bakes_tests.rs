//! Baked images, and the machines on which they are made, beside the fleet.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::tests::{HTTP, blueprint, droplet, found};
use super::*;
use crate::bake::image::tests::image;
use crate::bake::listed;
use crate::cloud::changes::obsolete_firewalls;
use crate::environment::CloudKind;

#[test]
fn a_new_host_starts_from_the_baked_image_and_the_plan_says_so() {
    let blueprint = blueprint();
    let baked = image(7, "shop-bake-http-debian-13-x64-1a2b3c4d", "http", 21);
    let found = Found {
        bakes: vec![Bake::read("shop", &baked).unwrap()],
        builders: vec![droplet(9, "shop-bake-http", &["marg-env:shop"])],
        ..found(Vec::new())
    };
    let situation = Situation::compare(&blueprint, (&[], &[]), found);
    let details: Vec<_> = situation
        .changes
        .iter()
        .filter(|change| change.kind == CloudKind::Droplet)
        .map(|change| change.details.join("; "))
        .collect();
    let expected = [
        "s-1vcpu-1gb debian-13-x64 (baked 2026-11-21) fra1 $6/month",
        "s-1vcpu-1gb debian-13-x64 fra1 $6/month",
    ];
    assert_eq!(details, expected);
    // Somebody else's half-made image is no host, and is told.
    assert!(situation.by_host.is_empty());
    assert!(situation.notes[0].contains("droplet shop-bake-http bakes an image"));
}

#[test]
fn machines_that_bake_are_no_part_of_the_fleet() {
    let tags = [
        "marg",
        "marg-env:shop",
        "MARG-BAKE:shop",
        "marg-bake:shop:http",
    ];
    let all = vec![
        droplet(1, "shop-http1", HTTP),
        droplet(9, "shop-bake-http", &tags),
    ];
    let (builders, fleet) = apart(all);
    let names = |all: &[Droplet]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&builders), ["shop-bake-http"]);
    assert_eq!(names(&fleet), ["shop-http1"]);
}

#[test]
fn the_firewall_of_machines_that_bake_is_not_obsolete() {
    let blueprint = blueprint();
    let named = |name: &str| {
        let firewall = json!({"id": name, "name": name, "status": "succeeded"});
        serde_json::from_value(firewall).unwrap()
    };
    let found = Found {
        firewalls: ["marg-shop-bake", "marg-shop-lb", "marg-shop-http"]
            .map(named)
            .into(),
        ..found(Vec::new())
    };
    let situation = Situation::bind(&blueprint, &[], found);
    let obsolete: Vec<&str> = obsolete_firewalls(&blueprint, &situation, |_| true).collect();
    assert_eq!(obsolete, ["marg-shop-lb"]);
}

#[test]
fn the_list_says_which_image_is_used_and_which_is_old() {
    let blueprint = blueprint();
    let bakes = [
        (7, "shop-bake-http-debian-13-x64-00000001", "http", 20),
        (8, "shop-bake-http-debian-13-x64-00000002", "http", 21),
        (9, "shop-bake-worker-debian-13-x64-00000003", "worker", 21),
    ];
    let bakes = bakes.map(|(id, name, group, day)| {
        let image = image(id, name, group, day);
        Bake::read("shop", &image).unwrap()
    });
    let found = Found {
        bakes: bakes.into(),
        ..found(Vec::new())
    };
    let situation = Situation::bind(&blueprint, &[], found);
    let now = |group: &str| (group == "http").then(|| "00000001".to_owned());
    let listed = listed(&blueprint, &situation, now);
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (&one.name[one.name.len() - 3..], one.used, one.stale))
        .collect();
    // This phase has no workers: nobody starts from their image, and nobody says it is old.
    let expected = [
        ("002", true, true),
        ("001", false, false),
        ("003", false, false),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_host_that_leaves_and_began_with_an_image_has_the_distribution_of_its_fellows() {
    let mut blueprint = blueprint();
    blueprint.hosts[0].image = "ubuntu-24-04-x64".to_owned();
    let mut leaving = droplet(2, "shop-http2", HTTP);
    for (slug, expected) in [
        (None, "ubuntu-24-04-x64"),
        (Some("debian-sid-x64"), "debian-sid-x64"),
    ] {
        leaving.image = slug.map(str::to_owned);
        let found = found(vec![leaving.clone()]);
        let situation = Situation::bind(&blueprint, &[], found);
        assert_eq!(situation.leaving[0].host.image, expected);
    }
}
