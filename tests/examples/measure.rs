//! Measures marg on the lab of this machine and prints the figures.
//!
//!     cargo run --release -p marg-tests --example measure [start] [install] [converged] [deploy] [sizes]
//!
//! Without words everything is measured. Needs root, and a lab that nobody uses: it is taken
//! down several times. Nothing here fails for being slow.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use marg_tests::api::{Api, address};
use marg_tests::fleet::{FLOW, Fleet, block_on, lab_api};
use marg_tests::load::{Load, LoadSpec};
use marg_tests::program::{Marg, Running, marg};
use marg_tests::project::Project;
use marg_tests::scan;
use marg_tests::wait::until_true;
use serde_json::{Value, json};

/// How often the converged run and `ssh HOST true` take turns.
const ROUNDS: usize = 7;
/// How often a first provision and a bare installation take turns.
const INSTALL_ROUNDS: usize = 3;
/// The environment that is measured.
const NAME: &str = "e2emeasure";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|own| own == word);
    println!("marg is {}", marg().display());
    if wanted("start") {
        start();
    }
    if wanted("install") {
        install();
    }
    if wanted("converged") || wanted("deploy") {
        let fleet = fleet();
        if wanted("converged") {
            converged(&fleet);
        }
        if wanted("deploy") {
            deploy(&fleet);
        }
    }
    if wanted("sizes") {
        sizes();
    }
}

fn lab<const N: usize>(arguments: [&str; N]) {
    Marg::new(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
        .run()
        .ok();
}

/// From the command to the page, with and without an image that was built before.
fn start() {
    for (what, down) in [
        ("image not built before", &["lab", "down", "--purge"][..]),
        ("image and packages there", &["lab", "down"]),
    ] {
        Marg::new(Path::new("/"), down.iter().copied()).run().ok();
        let project = Project::fresh(NAME);
        let began = Instant::now();
        let running = project
            .marg(["provision", "--phase", "2", "--json"])
            .start();
        let memory = peak_memory(&running);
        running.wait().ok();
        let fleet = Fleet::of(project, lab_api());
        fleet.browser().get(FLOW, "/").has(200);
        let took = began.elapsed().as_secs_f64();
        println!("command to page, phase 2, {what}: {took:.1} s; peak memory of marg {memory} KiB");
    }
    lab(["lab", "down"]);
}

/// The most memory that a run has held at once, in KiB, seen until it ends.
fn peak_memory(running: &Running) -> u64 {
    let path = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    while let Ok(status) = fs::read_to_string(&path) {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        // A process that has ended and is not waited for has no memory any more.
        let Some(line) = line else { break };
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    peak
}

/// A provisioned phase 2; the one that is there, if there is one.
fn fleet() -> Fleet {
    let api = lab_api();
    if !api.droplets(NAME).is_empty() {
        return Fleet::of(Project::at(NAME), api);
    }
    let project = Project::fresh(NAME);
    project
        .marg(["provision", "--phase", "2", "--json"])
        .run()
        .ok();
    Fleet::of(project, api)
}

/// A second run beside `ssh HOST true` to the same hosts in parallel, taking turns.
fn converged(fleet: &Fleet) {
    let report = fleet.provision().event("report");
    for host in report["hosts"].as_array().unwrap() {
        println!(
            "converged {}: {} changes, {} connections, {} execs, {} ms",
            host["name"], host["changed"], host["connections"], host["execs"], host["millis"]
        );
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        fleet.provision();
        ours.push(began.elapsed());
        let began = Instant::now();
        ssh_true(fleet);
        theirs.push(began.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    println!(
        "converged run {ours:.3} s, `ssh HOST true` in parallel {theirs:.3} s (medians of {ROUNDS}): ratio {ratio:.2}"
    );
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// OpenSSH with the same key and the same pinned host keys, to all hosts at once.
fn ssh_true(fleet: &Fleet) {
    let vault = fleet.project.vault();
    let children = fleet.machines.values().map(|machine| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!(
            "UserKnownHostsFile={}",
            vault.join("known_hosts").display()
        ))
        .arg("-o")
        .arg(format!("HostKeyAlias={NAME}-{}", machine.name))
        .arg("-i")
        .arg(vault.join("ssh_key"))
        .arg(format!("root@{}", machine.public))
        .arg("true");
        ssh.stdin(Stdio::null()).spawn().unwrap()
    });
    for mut child in children.collect::<Vec<_>>() {
        assert!(child.wait().unwrap().success());
    }
}

/// A first provision beside a bare `apt-get install` of the same packages on fresh machines of
/// the same sizes, taking turns. Both begin when the machines answer; both find the apt cache
/// filled.
fn install() {
    let api = lab_api();
    // Fills the cache; does not count.
    first_provision(&api);
    let packages = packages();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..INSTALL_ROUNDS {
        let bare = raw_install(&api, &packages);
        let (hosts, all) = first_provision(&api);
        println!(
            "bare apt-get install in parallel {:.1} s; first provision: hosts {:.1} s, with cloud and first deploys {:.1} s",
            bare.as_secs_f64(),
            hosts.as_secs_f64(),
            all.as_secs_f64()
        );
        ours.push(hosts);
        theirs.push(bare);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "hosts {ours:.1} s, bare {theirs:.1} s (medians of {INSTALL_ROUNDS}): ratio {:.2}",
        ours / theirs
    );
}

/// How long the hosts took, and the whole run.
fn first_provision(api: &Api) -> (Duration, Duration) {
    let project = Project::fresh(NAME);
    let began = Instant::now();
    let mut running = project
        .marg(["provision", "--phase", "2", "--json"])
        .start();
    // Machines boot, cloud-init ends, and they have made host keys of their own.
    running.wait_for("the hosts", |event| event["event"] == "host_connected");
    let hosts = Instant::now();
    let done = |event: &Value| {
        event["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("deploy"))
    };
    running.wait_for("the end of the hosts", done);
    let hosts = hosts.elapsed();
    running.wait().ok();
    let all = began.elapsed();
    let plan = project
        .marg(["plan", "--offline", "--phase", "2", "--json"])
        .run()
        .ok();
    fs::write(project.folder.join("offline.json"), plan.stdout).unwrap();
    project
        .marg(["destroy", "--phase", "2", "--confirm", NAME])
        .run()
        .ok();
    assert!(api.droplets(NAME).is_empty());
    (hosts, all)
}

/// The packages of each host as a fresh plan names them.
fn packages() -> Vec<(String, Vec<String>)> {
    let path = Project::at(NAME).folder.join("offline.json");
    let plan: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let of_host = |host: &Value| {
        let changes = host["changes"].as_array().unwrap().iter();
        let names =
            changes.filter_map(|change| change["resource"].as_str()?.strip_prefix("package "));
        (
            host["name"].as_str().unwrap().to_owned(),
            names.map(str::to_owned).collect(),
        )
    };
    plan["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(of_host)
        .collect()
}

fn raw_install(api: &Api, packages: &[(String, Vec<String>)]) -> Duration {
    let vault = Project::at(NAME).vault();
    let key = fs::read_to_string(vault.join("ssh_key.pub")).unwrap();
    let sizes = [
        ("redis1", "s-1vcpu-1gb"),
        ("mysql1", "s-1vcpu-2gb"),
        ("worker1", "s-1vcpu-512mb-10gb"),
    ];
    let ids = packages.iter().map(|(host, _)| {
        let size = sizes
            .iter()
            .find(|(name, _)| name == host)
            .map_or("s-1vcpu-1gb", |(_, size)| size);
        let body = json!({
            "name": format!("e2eraw-{host}"), "region": "fra1", "size": size,
            "image": "debian-13-x64", "tags": ["e2eraw"],
            "user_data": format!("#cloud-config\nssh_authorized_keys:\n- {key}"),
        });
        api.send(reqwest::Method::POST, "/v2/droplets", Some(&body))
            .1["droplet"]["id"]
            .clone()
    });
    let ids: Vec<Value> = ids.collect();
    let addresses: Vec<_> = ids
        .iter()
        .map(|id| {
            let path = format!("/v2/droplets/{id}");
            until_true("the machine", Duration::from_secs(90), || {
                let droplet = &api.get(&path)["droplet"];
                droplet["status"] == "active"
                    && block_on(scan::opens(address(droplet, "public"), 22))
            });
            address(&api.get(&path)["droplet"], "public")
        })
        .collect();
    let ssh = |host: &std::net::Ipv4Addr, script: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
        ])
        .args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-i",
        ])
        .arg(vault.join("ssh_key"))
        .arg(format!("root@{host}"))
        .arg(script);
        ssh.stdin(Stdio::null()).stdout(Stdio::null());
        ssh
    };
    for address in &addresses {
        until_true("cloud-init", Duration::from_secs(120), || {
            ssh(address, "cloud-init status --wait")
                .status()
                .unwrap()
                .success()
        });
    }
    let began = Instant::now();
    let children = packages
        .iter()
        .zip(&addresses)
        .map(|((_, packages), address)| {
            let install =
                "DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install";
            ssh(address, &format!("{install} {}", packages.join(" ")))
                .spawn()
                .unwrap()
        });
    for mut child in children.collect::<Vec<_>>() {
        assert!(child.wait().unwrap().success());
    }
    let took = began.elapsed();
    for id in ids {
        api.send(reqwest::Method::DELETE, &format!("/v2/droplets/{id}"), None);
    }
    took
}

/// Failed requests while a release goes out and comes back.
fn deploy(fleet: &Fleet) {
    fleet
        .project
        .repository()
        .write("flow.marg/VERSION", "measured\n");
    let commit = fleet.project.repository().commit("measured");
    for (what, arguments) in [
        ("deploy", vec!["deploy", "flow.marg", "--ref", &commit]),
        ("rollback", vec!["rollback", "flow.marg"]),
    ] {
        let mut spec = LoadSpec::new(format!("http://{}", fleet.entry));
        spec.host_header = Some(FLOW.to_owned());
        spec.paths = ["/version", "/readyz", "/livez", "/robots.txt"]
            .map(str::to_owned)
            .to_vec();
        spec.max_time = Duration::from_secs(600);
        let load = block_on(async { Load::start(spec) }).unwrap();
        block_on(load.reached(300));
        let began = Instant::now();
        fleet.marg(arguments).run().ok();
        let took = began.elapsed().as_secs_f64();
        let done = load.done();
        block_on(load.reached(done + 300));
        println!(
            "{what} in {took:.1} s under load: {}",
            block_on(load.stop())
        );
    }
}

/// Size of the program, and lines of each crate.
fn sizes() {
    let bytes = fs::metadata(marg()).unwrap().len();
    println!("binary: {:.1} MB", bytes as f64 / 1e6);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut crates: Vec<_> = fs::read_dir(root.join("crates"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    crates.extend([root.join("roles"), root.join("tests")]);
    crates.sort();
    for folder in crates {
        let (code, tests) = lines(&folder);
        println!(
            "{}: {code} lines of Rust, {tests} more in tests",
            folder.file_name().unwrap().display()
        );
    }
}

/// Lines of Rust, and those of them that are tests: files for tests alone, and what follows
/// `#[cfg(test)]` in others.
fn lines(folder: &Path) -> (usize, usize) {
    let (mut code, mut tests) = (0, 0);
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (more_code, more_tests) = lines(&path);
            (code, tests) = (code + more_code, tests + more_tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let all = text.lines().count();
            let own = match path.to_string_lossy().contains("test") {
                true => 0,
                false => text
                    .lines()
                    .take_while(|line| !line.starts_with("#[cfg(test)]"))
                    .count(),
            };
            (code, tests) = (code + own, tests + all - own);
        }
    }
    (code, tests)
}
