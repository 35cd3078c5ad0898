//! The lab itself: up, down, and what remains after anything was killed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use marg_tests::api::{self, Api};
use marg_tests::fleet::lab_api;
use marg_tests::leftovers;
use marg_tests::scan;
use marg_tests::wait::{until, until_true};
use marg_tests::web::runtime;
use reqwest::Method;
use serde_json::{Value, json};

use crate::case::{Case, marg};

/// In this order: those that take the lab down come before the fleet is in it.
pub fn cases() -> Vec<Case> {
    vec![
        Case::destructive(
            "lab: down leaves nothing, also twice, and up comes back",
            down_twice,
        ),
        Case::destructive(
            "lab: down leaves nothing after kill -9 of the daemon and of a machine",
            down_after_kills,
        ),
        Case::destructive(
            "lab: a daemon that was killed finds its machines again",
            daemon_comes_back,
        ),
        Case::new(
            "lab: a machine boots, is switched off and on, and goes away",
            power,
        ),
        Case::new(
            "lab: a reserved address leads to the droplet that it is assigned to",
            reserved_address,
        ),
        Case::new(
            "lab: nothing that a machine sends gets out of the lab",
            nothing_gets_out,
        ),
    ]
}

/// Takes down what is up; the fleet's own environment is not there yet, or is made again.
fn fresh_lab() -> Api {
    down_and_look();
    lab_api()
}

#[track_caller]
fn down_and_look() {
    marg(["lab", "down"]).run().ok();
    let left = leftovers::of_the_lab();
    assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
}

fn down_twice() {
    let api = fresh_lab();
    let account = api.get("/v2/account");
    assert_eq!(account["account"]["status"], "active");
    down_and_look();
    down_and_look();
    let again = lab_api();
    assert!(again.list("/v2/droplets", "droplets").is_empty());
}

/// A droplet with a key of its own, as any client would ask for it.
fn droplet(api: &Api, name: &str) -> Value {
    let body = json!({
        "name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64",
        "tags": ["e2e-lab"],
    });
    let (status, answer) = api.send(Method::POST, "/v2/droplets", Some(&body));
    assert!(status == 202, "{status} {answer}");
    let id = answer["droplet"]["id"].as_u64().unwrap();
    until(
        "the droplet to be active and reachable",
        Duration::from_secs(90),
        || {
            let droplet = api.get(&format!("/v2/droplets/{id}"))["droplet"].clone();
            let active = droplet["status"] == "active";
            (active && answers(&droplet)).then_some(droplet)
        },
    )
}

fn answers(droplet: &Value) -> bool {
    runtime().block_on(scan::opens(api::address(droplet, "public"), 22))
}

/// Processes whose command line holds this.
fn processes(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        if line.contains(text) {
            found.extend(entry.file_name().to_string_lossy().parse::<u32>());
        }
    }
    found
}

fn kill_all(text: &str) {
    let found = processes(text);
    assert!(!found.is_empty(), "no process with `{text}`");
    for pid in found {
        // One may have ended because of another.
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
    until_true("the killed to be gone", Duration::from_secs(10), || {
        processes(text).is_empty()
    });
}

fn down_after_kills() {
    let api = fresh_lab();
    let first = droplet(&api, "e2e-first");
    droplet(&api, "e2e-second");
    kill_all(&format!("machines/{}/", first["id"]));
    kill_all("lab serve");
    down_and_look();
    lab_api();
}

fn daemon_comes_back() {
    let api = fresh_lab();
    let before = droplet(&api, "e2e-first");
    kill_all("lab serve");
    assert!(answers(&before), "a machine does not need the daemon");
    let api = lab_api();
    let after = api.get(&format!("/v2/droplets/{}", before["id"]))["droplet"].clone();
    assert_eq!(after["status"], "active");
    assert_eq!(after["networks"], before["networks"]);
    assert!(answers(&after));
    down_and_look();
    lab_api();
}

fn power() {
    let api = lab_api();
    let made = droplet(&api, "e2e-power");
    let id = made["id"].as_u64().unwrap();
    api.act(id, "power_off");
    assert_eq!(
        api.get(&format!("/v2/droplets/{id}"))["droplet"]["status"],
        "off"
    );
    assert!(!answers(&made));
    api.act(id, "power_on");
    until_true("SSH after switching on", Duration::from_secs(60), || {
        answers(&made)
    });
    let (status, _) = api.send(Method::DELETE, &format!("/v2/droplets/{id}"), None);
    assert_eq!(status, 204);
    until_true("the droplet to be gone", Duration::from_secs(60), || {
        api.send(Method::GET, &format!("/v2/droplets/{id}"), None).0 == 404
    });
    assert!(processes(&format!("machines/{id}/")).is_empty());
}

fn reserved_address() {
    let api = lab_api();
    let made = droplet(&api, "e2e-reserved");
    let body = json!({ "droplet_id": made["id"] });
    let (status, answer) = api.send(Method::POST, "/v2/reserved_ips", Some(&body));
    assert!(status == 202, "{status} {answer}");
    let ip = answer["reserved_ip"]["ip"].as_str().unwrap().to_owned();
    let opens = || runtime().block_on(scan::opens(ip.parse().unwrap(), 22));
    until_true(
        "SSH at the reserved address",
        Duration::from_secs(30),
        opens,
    );
    let action = format!("/v2/reserved_ips/{ip}/actions");
    until_true(
        "the address to be taken away",
        Duration::from_secs(30),
        || {
            api.send(Method::POST, &action, Some(&json!({ "type": "unassign" })))
                .0
                == 201
        },
    );
    until_true(
        "silence at the reserved address",
        Duration::from_secs(30),
        || !opens(),
    );
    api.send(Method::DELETE, &format!("/v2/reserved_ips/{ip}"), None);
    api.send(
        Method::DELETE,
        &format!("/v2/droplets/{}", made["id"]),
        None,
    );
}

fn output(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Nothing is sent to a real address to show it: the router has no way out.
fn nothing_gets_out() {
    let api = lab_api();
    let made = droplet(&api, "e2e-prisoner");
    let id = made["id"].as_u64().unwrap();
    // An address of the lab's range that nobody has.
    let nobody = "198.19.255.254".parse().unwrap();
    let answer = scan::inside(id, |runtime| runtime.block_on(scan::opens(nobody, 80)));
    assert!(!answer);
    // The machine knows no way but the router.
    let machine = output(&["-n", &format!("marg-m-{id}"), "route", "get", "192.0.2.1"]);
    assert!(machine.contains("via 198.18.0.2"), "{machine}");
    // The router has none to the outside, and sends to the host only what is for it.
    let routes = output(&["-n", "marg-router", "route", "show", "default"]);
    assert!(routes.trim().starts_with("unreachable default"), "{routes}");
    let rules = output(&[
        "netns",
        "exec",
        "marg-router",
        "nft",
        "list",
        "chain",
        "inet",
        "marg",
        "forward",
    ]);
    assert!(rules.contains("policy drop"), "{rules}");
    assert!(
        rules.contains("oifname \"uplink\" ip daddr != 198.18.0.1 drop"),
        "{rules}"
    );
    // Of the host itself, a machine reaches the apt cache and the API, and nothing else.
    let host = "198.18.0.1".parse().unwrap();
    let api_port: u16 = api.url.rsplit(':').next().unwrap().parse().unwrap();
    let open = scan::inside(id, |runtime| runtime.block_on(scan::all_ports(host)));
    assert_eq!(open.keys().copied().collect::<Vec<_>>(), [3143, api_port]);
    // What is for a machine that is gone does not leave by the host's own default route.
    let host = output(&["route", "get", "198.19.255.254"]);
    assert!(host.contains("dev marg0"), "{host}");
    let guard = output(&["route", "show", "type", "unreachable"]);
    assert!(guard.contains("198.18.0.0/15"), "{guard}");
    api.send(Method::DELETE, &format!("/v2/droplets/{id}"), None);
}
