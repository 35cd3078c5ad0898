//! Secrets stay secret: canaries are hunted for in everything that a plan can show, and a
//! second look proves that the hunt would find them.

use std::collections::BTreeSet;

use marg_resources::{apply_script, plan_fresh, probe_script};

use super::World;

/// What every canary begins with.
fn needle(secret: &str) -> String {
    format!("canary of {secret}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hosts(world: &World) -> Vec<String> {
    let hosts = world.fleet.blueprint.hosts.iter();
    hosts.map(|host| host.name.clone()).collect()
}

#[test]
fn nothing_that_can_be_shown_holds_a_secret() {
    for (phase, distro) in [
        (1, "debian-13"),
        (2, "debian-13"),
        (2, "debian-sid"),
        (4, "debian-13"),
        (4, "debian-sid"),
    ] {
        let world = World::new(phase);
        for host in hosts(&world) {
            let resources = world.resources(&host, distro);
            let plan = plan_fresh(&host, &resources).unwrap();
            let states: Vec<_> = resources.iter().map(|resource| &resource.state).collect();
            let script = apply_script(&plan, "mark");
            let steps = plan.steps.iter().map(|step| step.name.as_str());
            let shown = [
                format!("{resources:?}"),
                format!("{plan:?}"),
                format!("{script}"),
                format!("{script:?}"),
                steps.collect::<Vec<_>>().join("\n"),
                format!("{:?}", plan.changes),
            ];
            let probe = probe_script(&states);
            for (place, text) in shown.iter().chain([&probe]).enumerate() {
                for (name, _) in world.secrets.iter() {
                    assert!(!holds(text, &needle(name)), "{host}, text {place}: {name}");
                }
            }
        }
    }
}

#[test]
fn the_hunt_would_find_them() {
    let world = World::new(4);
    let mut found = BTreeSet::new();
    for host in hosts(&world) {
        let resources = world.resources(&host, "debian-13");
        let plan = plan_fresh(&host, &resources).unwrap();
        let script = apply_script(&plan, "mark").reveal();
        for (name, _) in world.secrets.iter() {
            if holds(script.expose(), &needle(name)) {
                found.insert(name.to_owned());
            }
        }
    }
    // Of the balancers' password only eight letters and digits are used: no canary fits in.
    let all: BTreeSet<String> = world
        .secrets
        .iter()
        .filter(|(name, _)| *name != "vrrp_password")
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(found, all);
}

/// Whether a script holds a text: bare, in hexadecimal, or in base64 at any of its three
/// alignments.
fn holds(script: &str, needle: &str) -> bool {
    script.contains(needle)
        || script.to_lowercase().contains(&hex(needle.as_bytes()))
        || (0..3).any(|skip| script.contains(&base64_core(&needle.as_bytes()[skip..])))
}

/// The part of a text's base64 that does not depend on what follows it.
fn base64_core(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks_exact(3) {
        let word = group
            .iter()
            .fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[word >> shift & 63]));
        }
    }
    text
}
