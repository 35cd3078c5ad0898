//! Images for new hosts: what is in them and what is not, and that nobody notices the difference.

use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet};
use marg_tests::wait::until_true;
use serde_json::{Value, json};

use crate::deploy::{assert_lossless, end, load};

cases! {
    "bake: what cannot be baked is refused, and a dry run makes nothing" => refusals,
    "bake: a host from an image is like any other, and nothing is shared that must not be" => baked_host,
    "bake: a bake that was killed while packages were installed goes on" => killed,
    "bake: a machine that was left off is replaced, and images and machines are removed" => left_off,
}

fn images(fleet: &Fleet) -> Vec<Value> {
    let tag = format!("marg-bake:{}", fleet.project.name);
    let path = format!("/v2/images?tag_name={tag}");
    fleet.api.list(&path, "images")
}

/// Names of the machines on which images are made.
fn builders(fleet: &Fleet) -> Vec<Value> {
    let prefix = format!("{}-bake-", fleet.project.name);
    let droplets = fleet.api.droplets(&fleet.project.name).into_iter();
    let is_builder = |droplet: &Value| {
        let name = droplet["name"].as_str().unwrap_or_default();
        name.starts_with(&prefix)
    };
    droplets.filter(is_builder).collect()
}

/// Nothing but images is left of a bake.
#[track_caller]
fn assert_tidy(fleet: &Fleet) {
    assert_eq!(builders(fleet), [] as [Value; 0]);
    let firewall = format!("firewalls marg-{}-bake", fleet.project.name);
    let left = fleet.api.belongings(&fleet.project.name);
    assert!(!left.contains(&firewall), "{left:?}");
}

fn bake(fleet: &Fleet) -> Value {
    let outcome = fleet.marg(["bake", "http", "--json"]).run().ok();
    outcome.event("baked")["baked"][0].clone()
}

fn refusals() {
    let fleet = Fleet::balanced();
    for (group, said) in [
        ("mysql", "`mysql` holds data"),
        ("htpp", "no group with hosts \"htpp\""),
    ] {
        let outcome = fleet.marg(["bake", group]).run();
        assert_eq!(outcome.code, 3, "{outcome}");
        assert!(outcome.stderr.contains(said), "{outcome}");
    }
    let plan = fleet.marg(["bake", "--dry-run", "--json"]).run().ok();
    let plan = plan.document();
    let groups: Vec<&Value> = plan
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["group"])
        .collect();
    assert_eq!(groups, ["http", "worker"], "{plan}");
    assert_tidy(fleet);
}

/// What makes a machine different from its fellows. Whatever else differs was shared or forgotten.
const OWN: &str = "cd /etc && find . -type f \
    ! -path ./.updated ! -path ./hostname ! -path ./machine-id ! -path './ssh/ssh_host_*' \
    ! -path ./default/prometheus-node-exporter -print0 | sort -z | xargs -0 sha256sum; \
    dpkg-query -W; systemctl list-unit-files --state=enabled --no-legend";
/// What two machines may never have in common.
const IDENTITY: &str = "cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub; \
    sed -n 's/^.*instance-id[\": ]*//p' /run/cloud-init/instance-data.json | head -1";

fn baked_host() {
    let fleet = Fleet::balanced();
    let first = bake(fleet);
    assert_tidy(fleet);
    let second = bake(fleet);
    assert_tidy(fleet);
    assert_eq!(second["replaced"], json!([first["name"]]));
    let found = images(fleet);
    assert_eq!(found.len(), 1, "the older one is gone: {found:?}");
    let list = fleet
        .marg(["bake", "--list", "--json"])
        .run()
        .ok()
        .document();
    let listed = &list["images"][0];
    assert_eq!(
        (&listed["used"], &listed["stale"]),
        (&json!(true), &json!(false)),
        "{list}"
    );

    let running = load(fleet, FLOW);
    let scaled = fleet.marg(["scale", "http", "+1", "--json"]).run().ok();
    assert_lossless("a web server from an image", &end(running));
    let made = scaled.events().into_iter();
    let made: Vec<Value> = made
        .filter(|one| one["action"] == "created from the baked image")
        .collect();
    assert_eq!(made.len(), 1);
    let name = format!("{}-http3", fleet.project.name);
    let droplets = fleet.api.droplets(&fleet.project.name).into_iter();
    let droplet = droplets
        .into_iter()
        .find(|one| one["name"] == *name)
        .unwrap();
    assert_eq!(droplet["image"]["id"], found[0]["id"]);

    let (plain, baked) = (fleet.on("http1", OWN), fleet.on("http3", OWN));
    assert_eq!(plain, baked, "made alike, whatever they began with");
    let identities = ["http1", "http2", "http3"].map(|host| fleet.on(host, IDENTITY));
    let mut lines: Vec<&str> = identities.iter().flat_map(|text| text.lines()).collect();
    lines.sort_unstable();
    let all = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), all, "{identities:?}");
    assert!(all >= 6, "{identities:?}");
    fleet.assert_converged();
    fleet.marg(["scale", "http", "-1", "--json"]).run().ok();
    fleet.assert_converged();
}

fn killed() {
    let fleet = Fleet::balanced();
    let mut running = fleet.marg(["bake", "http", "--json"]).start();
    running.wait_for("packages", |event| {
        let name = event["name"].as_str().unwrap_or_default();
        event["event"] == "step_started" && name.starts_with("install")
    });
    running.kill();
    let left = builders(fleet);
    assert_eq!(left.len(), 1);
    // It is no host, and whoever plans is told of it.
    let plan = fleet.marg(["plan"]).run().ok();
    assert!(plan.stdout.contains("bakes an image"), "{plan}");
    fleet.assert_converged();
    // The step in hand goes on without us, and holds the lock until it ends.
    until_true("the bake goes on", Duration::from_secs(300), || {
        let again = fleet.marg(["bake", "http", "--json"]).run();
        assert!([0, 8].contains(&again.code), "{again}");
        again.code == 0
    });
    assert_eq!(images(fleet).len(), 1);
    assert_tidy(fleet);
}

fn left_off() {
    let fleet = Fleet::balanced();
    let mut running = fleet.marg(["bake", "worker", "--json"]).start();
    running.wait_for("the machine", |event| event["event"] == "host_connected");
    running.kill();
    let left = builders(fleet);
    let droplet = left[0]["id"].as_u64().unwrap();
    fleet.api.act(droplet, "power_off");
    let again = fleet.marg(["bake", "worker", "--json"]).run().ok();
    let destroyed = |event: &Value| event["action"] == "destroyed";
    let machines = again.events().iter().filter(|one| destroyed(one)).count();
    assert_eq!(
        machines, 2,
        "the one that was off, and the one that took its place"
    );
    assert_tidy(fleet);

    // Another one is left, and taken away together with the image.
    let mut running = fleet.marg(["bake", "worker", "--json"]).start();
    running.wait_for("the machine", |event| event["event"] == "host_connected");
    running.kill();
    fleet.marg(["bake", "--remove", "worker"]).run().ok();
    let groups: Vec<Value> = images(fleet)
        .into_iter()
        .map(|one| one["tags"].clone())
        .collect();
    assert!(!json!(groups).to_string().contains(":worker"), "{groups:?}");
    assert_tidy(fleet);
    let wrong = fleet.marg(["bake", "--remove", "worker"]).run();
    assert_eq!(wrong.code, 3, "{wrong}");
    fleet.marg(["bake", "--remove"]).run().ok();
    assert!(images(fleet).is_empty());
    fleet.assert_converged();
}
