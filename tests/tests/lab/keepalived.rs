//! Two balancers that hand the entry address to each other.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use marg_tests::fleet::{FLOW, Fleet, lab_api};
use marg_tests::program::Marg;
use marg_tests::project::{Project, replaced};
use marg_tests::scan;
use marg_tests::wait::until_true;
use marg_tests::web::runtime;
use serde_json::Value;

use crate::case::marg;

cases! {
    "keepalived: one of two balancers has the entry address, and a second run changes nothing" => settled,
    "keepalived: a balancer that is killed, frozen or cut off is replaced, and does not take the address back" => lost,
    "keepalived: a haproxy that hangs is as good as dead" => hangs,
    "keepalived: a balancer that is led past takes the address back by itself" => led_astray,
    "keepalived: the token is on the balancers only, for one user, and on no command line" => token,
    "keepalived: of the balancers only the web is public; their tunnel is between them" => ports,
}

const ENVIRONMENT: &str = "e2eka";
const BALANCERS: [&str; 2] = ["lb1", "lb2"];
const LONG: Duration = Duration::from_secs(60);

/// Two balancers before one machine that has all the rest.
const PHASE: &str = r#"
number = 5
title = "two balancers before one machine"
entry = "lb"
budget = [0, 500]

[groups.lb]
count = 2
size = "s-1vcpu-1gb"
roles = ["base", "ufw", "haproxy", "keepalived"]
needs = ["core"]

[groups.core]
count = 1
size = "s-1vcpu-2gb"
roles = ["base", "ufw", "redis", "mysql", "nginx", "php-fpm", "app"]
names = ["redis", "mysql"]
holds_data = true

[capacity]
users = [0, 10]
requests_per_user_minute = 10

[capacity.limits]
haproxy = { unit = "requests", per_second = 10000 }
nginx = { unit = "requests", per_second = 1000, per_host = "core" }
"#;

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(|| {
        let api = lab_api();
        let mut project = Project::at(ENVIRONMENT);
        if !project.exists() || api.droplets(ENVIRONMENT).is_empty() {
            project = Project::fresh(ENVIRONMENT);
            let inventory = fs::read_to_string(project.inventory()).unwrap();
            project.write_inventory(&replaced(&inventory, &[("phase = 2 ", "phase = 5 ")]));
            let phases = project.folder.join("phases");
            fs::create_dir_all(&phases).unwrap();
            fs::write(phases.join("phase-5.toml"), PHASE).unwrap();
        }
        project.marg(["provision", "--json"]).run().ok();
        Fleet::of(project, api)
    })
}

/// The balancer that the API says the entry address leads to.
fn holder(fleet: &Fleet) -> String {
    let path = format!("/v2/reserved_ips/{}", fleet.entry);
    let droplet = fleet.api.get(&path)["reserved_ip"]["droplet"]["id"].as_u64();
    let mut balancers = BALANCERS.into_iter();
    let found = balancers.find(|name| Some(fleet.machine(name).droplet) == droplet);
    found.map_or_else(|| format!("nobody: {droplet:?}"), str::to_owned)
}

fn other(balancer: &str) -> &'static str {
    if balancer == "lb1" { "lb2" } else { "lb1" }
}

/// What a balancer takes itself for, asked without its network; nothing while it still boots.
fn state(balancer: &str) -> String {
    let said = shell(balancer, "cat /var/lib/marg-entry/state").run();
    said.stdout.trim().to_owned()
}

fn inside(balancer: &str, script: &str) -> String {
    let outcome = shell(balancer, script).run();
    outcome.ok().stdout.trim().to_owned()
}

fn shell(balancer: &str, script: &str) -> Marg {
    let name = format!("{ENVIRONMENT}-{balancer}");
    marg(["lab", "shell", &name, "sh", "-c", script])
}

fn fault(balancer: &str, what: &str) {
    let name = format!("{ENVIRONMENT}-{balancer}");
    marg(["lab", "fault", &name, what]).run().ok();
}

fn serves(fleet: &Fleet) -> bool {
    let page = fleet.browser().try_get(FLOW, "/readyz");
    page.is_ok_and(|page| page.status == 200)
}

/// Each case begins, and leaves things, with one master that has the address and one backup.
#[track_caller]
fn wait_until_settled(fleet: &Fleet) -> String {
    until_true(
        "one master that has the address, and one backup",
        LONG,
        || {
            let master = holder(fleet);
            BALANCERS.contains(&&*master)
                && state(&master) == "MASTER"
                && state(other(&master)) == "BACKUP"
                && serves(fleet)
        },
    );
    holder(fleet)
}

/// What keepalived decided is not undone by a run of the program, which finds nothing to do.
#[track_caller]
fn assert_not_undone(fleet: &Fleet, master: &str) {
    fleet.assert_second_run_changes_nothing();
    assert_eq!(wait_until_settled(fleet), master);
}

fn settled() {
    let fleet = fleet();
    assert_not_undone(fleet, &wait_until_settled(fleet));
}

fn lost() {
    let fleet = fleet();
    for what in ["kill", "freeze", "cut"] {
        let master = wait_until_settled(fleet);
        let heir = other(&master);
        let begun = Instant::now();
        fault(&master, what);
        until_true("the other one has the address", LONG, || {
            holder(fleet) == heir
        });
        until_true("visitors get answers", LONG, || serves(fleet));
        eprintln!(
            "    {what}: answers again after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        // Long enough for the lost one to know that it is cut off.
        until_true("nothing moves", LONG, || {
            begun.elapsed() > Duration::from_secs(15)
        });
        fault(&master, "heal");
        until_true("it is a backup", LONG, || state(&master) == "BACKUP");
        assert_eq!(wait_until_settled(fleet), heir, "after {what} of {master}");
        assert_not_undone(fleet, heir);
    }
}

fn hangs() {
    let fleet = fleet();
    let master = wait_until_settled(fleet);
    inside(&master, "pkill -STOP -x haproxy");
    until_true("the other one has the address", LONG, || {
        holder(fleet) == other(&master)
    });
    until_true("visitors get answers", LONG, || serves(fleet));
    inside(&master, "pkill -CONT -x haproxy");
    assert_eq!(wait_until_settled(fleet), other(&master));
    assert_not_undone(fleet, other(&master));
}

fn led_astray() {
    let fleet = fleet();
    let master = wait_until_settled(fleet);
    let path = format!("/v2/reserved_ips/{}/actions", fleet.entry);
    let order = serde_json::json!({ "type": "unassign" });
    let (status, answer) = fleet
        .api
        .send_in_turn(&reqwest::Method::POST, &path, Some(&order));
    assert_eq!(status, 201, "{answer}");
    until_true(
        "the master has the address",
        Duration::from_secs(120),
        || holder(fleet) == master,
    );
    assert_eq!(wait_until_settled(fleet), master);
    assert_not_undone(fleet, &master);
}

fn token() {
    let fleet = fleet();
    let master = wait_until_settled(fleet);
    for balancer in BALANCERS {
        let file = inside(balancer, "stat -c '%a %U' /etc/keepalived/entry-token");
        assert_eq!(file, "600 keepalived_script");
    }
    let env = marg(["lab", "env", "--json"]).run().ok().document();
    let token = env["MARG_SECRET_ENTRY_TOKEN"].as_str().unwrap().to_owned();
    // While the address is on its way: that is when it is used.
    let hunt = "for i in $(seq 200); do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; done; \
                journalctl --no-pager -u keepalived -t marg-entry; cat /etc/keepalived/entry.sh";
    let name = format!("{ENVIRONMENT}-{}", other(&master));
    let hunting = marg(["lab", "shell", &name, "sh", "-c", hunt]).start();
    fault(&master, "cut");
    until_true("the other one has the address", LONG, || {
        holder(fleet) != master
    });
    let seen = hunting.wait().ok().stdout;
    fault(&master, "heal");
    assert!(seen.contains("marg-entry"), "the hunt saw nothing");
    assert!(!seen.contains(&token), "the token was seen");
    let elsewhere = fleet.on("core1", "ls /etc/keepalived 2>/dev/null || :");
    assert_eq!(elsewhere, "");
    wait_until_settled(fleet);
}

fn ports() {
    let fleet = fleet();
    wait_until_settled(fleet);
    for balancer in BALANCERS {
        let address = fleet.machine(balancer).public;
        let found = runtime().block_on(scan::all_ports(address));
        let found: BTreeSet<u16> = found.into_keys().collect();
        assert!(
            found.is_subset(&[22, 80, 443].into()),
            "{balancer}: {found:?}"
        );
    }
    let firewalls = fleet.api.list("/v2/firewalls", "firewalls");
    let mut firewalls = firewalls.iter();
    let own = firewalls.find(|one| one["name"] == format!("marg-{ENVIRONMENT}-lb"));
    let rules: Vec<&Value> = own.unwrap()["inbound_rules"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let tunnel: Vec<_> = rules
        .iter()
        .filter(|rule| rule["protocol"] == "udp")
        .collect();
    assert_eq!(tunnel.len(), 1, "{rules:?}");
    assert_eq!(
        tunnel[0]["sources"]["tags"][0],
        format!("marg-group:{ENVIRONMENT}:lb")
    );
    assert!(
        tunnel[0]["sources"]["addresses"]
            .as_array()
            .is_none_or(Vec::is_empty),
        "{tunnel:?}"
    );
}
