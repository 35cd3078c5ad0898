//! More hosts, fewer hosts, other machines, while people use the applications.

use std::fs;
use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet};
use marg_tests::visitors::{VISITORS, Visitors};
use marg_tests::wait::{until, until_true};
use serde_json::Value;

use crate::deploy::{assert_lossless, end, load, new_version};
use crate::kept::Kept;
use crate::losses::leader;

cases! {
    "scale: what cannot be, and a dry run, change nothing" => refusals,
    "scale: another web server serves the live release, and goes again, without a lost request" => up_and_down,
    "scale: an operator who is killed on the way up or down types the same again" => killed,
    "resize: a machine is larger, its settings follow, and the inventory says so" => resize,
    "resize: a MySQL primary hands over first, and nothing that was confirmed is lost" => primary,
}

fn inventory(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.project.inventory()).unwrap()
}

fn droplet(fleet: &Fleet, host: &str) -> Option<Value> {
    let name = format!("{}-{host}", fleet.project.name);
    let droplets = fleet.api.droplets(&fleet.project.name);
    droplets
        .into_iter()
        .find(|droplet| droplet["name"] == *name)
}

fn refusals() {
    let fleet = Fleet::balanced();
    let before = inventory(fleet);
    for (arguments, code, said) in [
        (vec!["scale", "redis", "+1"], 3, "`redis` holds data"),
        (vec!["scale", "http", "=0"], 3, "a group has 1 to 100"),
        (vec!["scale", "http", "-2"], 3, "cannot have 0 hosts"),
        (vec!["scale", "htpp", "+1"], 3, "did you mean `http`?"),
        (vec!["scale", "http", "3"], 2, "write +1 for one more"),
        (
            vec!["resize", "http9", "s-1vcpu-2gb"],
            3,
            "no host \"http9\"",
        ),
        (vec!["resize", "http1", "s-9"], 3, "there is no size s-9"),
        (
            vec!["resize", "http1", "s-1vcpu-512mb-10gb"],
            3,
            "a disk never shrinks",
        ),
    ] {
        let outcome = fleet.marg(arguments.clone()).run();
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome}");
        assert!(outcome.stderr.contains(said), "{arguments:?}: {outcome}");
    }
    let plan = fleet.marg(["scale", "http", "+1", "--dry-run", "--json"]);
    assert_eq!(plan.run().ok().document()["summary"]["create"], 1);
    let preview = fleet.marg(["resize", "http1", "s-1vcpu-2gb", "--dry-run", "--json"]);
    assert_eq!(preview.run().ok().document()["from"], "s-1vcpu-1gb");
    assert_eq!(inventory(fleet), before);
    fleet.assert_converged();
}

fn up_and_down() {
    let fleet = Fleet::balanced();
    let ids = ["http1", "http2"].map(|host| droplet(fleet, host).unwrap()["id"].clone());
    let version = |fleet: &Fleet| fleet.version(FLOW)["version"].clone();
    let (before, live) = (inventory(fleet), version(fleet));
    // Nobody has deployed this yet.
    new_version(fleet, "9.9.9");

    let running = load(fleet, FLOW);
    fleet.marg(["scale", "http", "+1", "--json"]).run().ok();
    assert_lossless("one web server more", &end(running));
    let after = inventory(fleet);
    assert_eq!(
        after.replacen("count = 3", "count = 2", 1),
        before,
        "one number differs and nothing else"
    );
    let releases = fleet.live("flow.marg");
    assert_eq!(releases["http3"], releases["http1"]);
    assert_eq!(version(fleet), live, "a new host brings no new code");
    // Both applications' servers, as the balancer sees them.
    let up = "echo 'show stat -1 4 -1' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | \
              cut -d, -f1,2,18 | grep -c '^\\(flow\\|links\\)-marg,http3,UP'";
    until_true("http3 gets requests", Duration::from_secs(60), || {
        fleet.try_on("lb1", up).1.trim() == "2"
    });
    fleet.assert_converged();

    let running = load(fleet, FLOW);
    fleet.marg(["scale", "http", "-1", "--json"]).run().ok();
    assert_lossless("one web server fewer", &end(running));
    assert_eq!(inventory(fleet), before);
    assert_eq!(droplet(fleet, "http3"), None);
    let same = ["http1", "http2"].map(|host| droplet(fleet, host).unwrap()["id"].clone());
    assert_eq!(same, ids, "names stay with their machines");
    fleet.assert_converged();
}

/// Begins to scale, is killed when so many steps that fit have begun, and types the same again.
#[track_caller]
fn scale_killed(fleet: &Fleet, count: &str, times: usize, step: &str) {
    let scale = ["scale", "http", count, "--json"];
    let mut running = fleet.marg(scale).start();
    let begun = running.hears(times, |said| {
        let name = said["name"].as_str().unwrap_or_default();
        said["event"] == "step_started" && name.contains(step)
    });
    let outcome = running.kill();
    assert!(begun.is_some(), "{outcome}");
    // A host lets go of its lock when it notices that nobody is there any more.
    until("the hosts' locks", Duration::from_secs(120), || {
        let outcome = fleet.marg(scale).run();
        let locked = outcome.code != 0 && outcome.stderr.contains(" is being changed by ");
        (!locked).then(|| outcome.ok())
    });
}

fn killed() {
    let fleet = Fleet::balanced();
    let before = inventory(fleet);
    let running = load(fleet, FLOW);
    scale_killed(fleet, "=3", 8, "");
    assert_eq!(
        inventory(fleet).replacen("count = 3", "count = 2", 1),
        before
    );
    let releases = fleet.live("flow.marg");
    assert_eq!(releases["http3"], releases["http1"]);
    fleet.assert_second_run_changes_nothing();
    scale_killed(fleet, "=2", 1, "take out http3");
    assert_lossless(
        "a web server more and one fewer, each cut off",
        &end(running),
    );
    assert_eq!(inventory(fleet), before);
    assert_eq!(droplet(fleet, "http3"), None);
    fleet.assert_second_run_changes_nothing();
}

fn resize() {
    let fleet = Fleet::balanced();
    let children = |fleet: &Fleet| {
        let count = "grep -h '^pm.max_children' /etc/php/*/marg/flow-marg.conf";
        let line = fleet.on("http2", count);
        let number = line.rsplit('=').next().unwrap().trim().parse::<u32>();
        number.unwrap()
    };
    // A run that broke off may have left it large.
    fleet
        .marg(["resize", "http2", "s-1vcpu-1gb", "--json"])
        .run()
        .ok();
    let small = children(fleet);
    let running = load(fleet, FLOW);
    let outcome = fleet.marg(["resize", "http2", "s-1vcpu-2gb", "--json"]);
    let resized = outcome.run().ok().event("resized");
    assert_lossless("a web server resized", &end(running));
    assert!(resized["off_millis"].as_u64().unwrap() > 0, "{resized}");
    let droplet = droplet(fleet, "http2").unwrap();
    assert_eq!(droplet["size_slug"], "s-1vcpu-2gb");
    assert_eq!(droplet["disk"], 25, "the disk stays");
    assert!(children(fleet) > small);
    let said = inventory(fleet);
    assert!(
        said.contains("[hosts.http2]\nsize = \"s-1vcpu-2gb\"\n"),
        "{said}"
    );
    fleet.assert_converged();
    // Once more changes nothing, and the way back is open because the disk did not grow.
    let again = fleet.marg(["resize", "http2", "s-1vcpu-2gb", "--json"]);
    assert_eq!(again.run().ok().event("resized")["off_millis"], 0);
    fleet
        .marg(["resize", "http2", "s-1vcpu-1gb", "--json"])
        .run()
        .ok();
    assert_eq!(children(fleet), small);
}

fn primary() {
    let fleet = Fleet::whole();
    let before = leader(fleet, "mysql");
    let size = droplet(fleet, &before).unwrap()["size_slug"].clone();
    let size = size.as_str().unwrap();
    let visitors = Visitors::start(fleet.entry);
    let larger = ["resize", &before, "s-2vcpu-2gb", "--json"];
    let resized = fleet.marg(larger).run().ok().event("resized");
    let (seen, confirmed) = visitors.stop();
    assert_eq!(resized["promoted"]["from"], before, "{resized}");
    let failed: Vec<_> = seen.iter().filter(|seen| seen.trouble.is_some()).collect();
    let kept = Kept::count(fleet, &confirmed);
    eprintln!("    {} requests, {failed:?} failed; {kept}", seen.len());
    // A statement that was under way ends with its connection.
    assert!(failed.len() <= VISITORS && kept.is_there(), "{kept}");
    let after = leader(fleet, "mysql");
    assert_ne!(after, before);
    fleet.assert_second_run_changes_nothing();
    let back = ["resize", &before, size, "--json"];
    let resized = fleet.marg(back).run().ok().event("resized");
    assert_eq!(resized["promoted"], Value::Null);
    assert_eq!(leader(fleet, "mysql"), after);
    fleet.assert_second_run_changes_nothing();
}
