//! Phase 3: deploys that roll through a balancer, and what happens when they fail or are cut off.

use std::collections::BTreeMap;
use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet};
use marg_tests::project::Repository;
use marg_tests::wait::until_true;

use crate::case::Case;
use crate::deploy::{assert_lossless, end, load_on, new_version};

cases! {
    "rolling: deploys and rollbacks through the balancer lose no request" => lossless,
    "rolling: a failure on the canary touches nobody else" => canary_fails,
    "rolling: a failure on a later host stops there, and a rollback makes the fleet one" => later_fails,
    "rolling: `on_failure = rollback` takes the others back as well" => policy,
    "rolling: a deploy whose operator is killed goes on by the same command" => killed,
    "rolling: assets of the release before stay reachable" => assets,
}

/// Deploy after deploy.
pub fn long_cases() -> Vec<Case> {
    vec![
        Case::new(
            "rolling: ten deploys and five rollbacks through the balancer lose no request",
            ten_and_five,
        ),
        Case::new(
            "rolling: ten deploys and five rollbacks through two balancers lose no request",
            two_balancers,
        ),
    ]
}

/// Pages that go on working in a release whose probe is broken.
const PAGES: [&str; 4] = ["/", "/version", "/livez", "/robots.txt"];

/// Commits a release that is not ready on hosts with this in their names.
fn broken_on(fleet: &Fleet, host: &str) -> String {
    let repository = fleet.project.repository();
    let clean = repository.commit("before something broken");
    let answer = format!(
        "fn () => str_contains(gethostname(), '{host}') ? response('not ready', 503) : response('fine')"
    );
    let probe = "[ProbeController::class, 'ready']";
    repository.edit("flow.marg/routes/stateless.php", probe, &answer);
    let commit = repository.commit("not ready on some");
    whole_again(&repository, &clean);
    commit
}

fn whole_again(repository: &Repository, clean: &str) {
    repository.restore(clean);
    repository.commit("whole again");
}

/// Hosts by the release that is live on them.
fn versions(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (host, release) in fleet.live("flow.marg") {
        versions.entry(release).or_default().push(host);
    }
    versions
}

/// Everybody has one release, nothing is unfinished, the balancers use both servers, and there is
/// nothing to do.
#[track_caller]
fn assert_whole(fleet: &Fleet) -> String {
    let versions = versions(fleet);
    assert_eq!(versions.len(), 1, "{versions:?}");
    let told = fleet.marg(["releases"]).run().ok().stdout;
    assert!(!told.contains("not finished"), "{told}");
    let show = "echo 'show stat -1 4 -1' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | \
                grep '^flow-marg,' | cut -d, -f18";
    let balancers = fleet.machines.keys().filter(|name| name.starts_with("lb"));
    for balancer in balancers {
        until_true("both servers are in", Duration::from_secs(30), || {
            fleet
                .on(balancer, show)
                .lines()
                .all(|status| status == "UP")
        });
    }
    fleet.assert_converged();
    versions.into_keys().next().unwrap_or_default()
}

fn lossless() {
    let fleet = Fleet::balanced();
    let running = load_on(fleet, FLOW, &["/", "/version", "/readyz", "/robots.txt"]);
    for version in ["6.0.0", "6.1.0"] {
        let commit = new_version(fleet, version);
        fleet.deploy("flow.marg", &commit);
        assert_eq!(fleet.version(FLOW)["version"], version);
    }
    fleet.marg(["rollback", "flow.marg", "--json"]).run().ok();
    assert_eq!(fleet.version(FLOW)["version"], "6.0.0");
    assert_lossless("two rolling deploys and a rollback", &end(running));
    assert_whole(fleet);
}

fn ten_and_five() {
    many(Fleet::balanced(), "ten deploys and five rollbacks");
}

fn two_balancers() {
    let what = "ten deploys and five rollbacks through two balancers";
    many(Fleet::whole(), what);
}

/// Ten deploys and five rollbacks, each to the release before.
fn many(fleet: &Fleet, what: &str) {
    let running = load_on(fleet, FLOW, &["/", "/version", "/readyz", "/robots.txt"]);
    for round in 0..5 {
        let [first, second] = ["0", "1"].map(|minor| format!("{}.{minor}.0", 10 + round));
        for version in [&first, &second] {
            let commit = new_version(fleet, version);
            fleet.deploy("flow.marg", &commit);
            assert_eq!(fleet.version(FLOW)["version"], **version);
        }
        fleet.marg(["rollback", "flow.marg", "--json"]).run().ok();
        assert_eq!(fleet.version(FLOW)["version"], *first);
        eprintln!("    round {} of 5", round + 1);
    }
    assert_lossless(what, &end(running));
    assert_whole(fleet);
}

fn canary_fails() {
    let fleet = Fleet::balanced();
    let before = assert_whole(fleet);
    let commit = broken_on(fleet, "http1");
    let running = load_on(fleet, FLOW, &PAGES);
    let deploy = ["deploy", "flow.marg", "--ref", &commit];
    let outcome = fleet.marg(deploy).run().exits(9);
    assert_lossless("a failing canary", &end(running));
    outcome.says("not touched").says(&before);
    assert_eq!(assert_whole(fleet), before);
}

fn later_fails() {
    let fleet = Fleet::balanced();
    let before = assert_whole(fleet);
    let commit = broken_on(fleet, "http2");
    let running = load_on(fleet, FLOW, &PAGES);
    let deploy = ["deploy", "flow.marg", "--ref", &commit];
    let outcome = fleet.marg(deploy).run().exits(9);
    let onward = format!("marg deploy flow.marg --ref {commit}");
    outcome.says(&onward).says("marg rollback flow.marg");
    assert_eq!(versions(fleet)[&before], ["http2", "worker1"]);
    let told = fleet.marg(["releases"]).run().ok();
    told.says("hosts differ").says("not finished");
    fleet.marg(["rollback", "flow.marg"]).run().ok();
    assert_lossless("a stopped deploy and the way back", &end(running));
    assert_eq!(assert_whole(fleet), before);
}

fn policy() {
    let fleet = Fleet::balanced();
    let before = assert_whole(fleet);
    let commit = broken_on(fleet, "http2");
    let path = fleet.project.variant(&[(
        "keep_releases = 5",
        "keep_releases = 5\non_failure = \"rollback\"",
    )]);
    let path = path.to_str().expect("UTF-8");
    let running = load_on(fleet, FLOW, &PAGES);
    let deploy = ["deploy", "flow.marg", "--ref", &commit, "--inventory", path];
    fleet.marg(deploy).run().exits(9).says("was taken back");
    assert_lossless("a deploy that was taken back", &end(running));
    assert_eq!(assert_whole(fleet), before);
}

/// Deploys, and kills the program when a step begins.
#[track_caller]
fn kill_at(fleet: &Fleet, commit: &str, step: &str) {
    let deploy = ["deploy", "flow.marg", "--ref", commit, "--json"];
    let mut running = fleet.marg(deploy).start();
    running.wait_for(step, |event| {
        let name = event["name"].as_str().unwrap_or_default();
        event["event"] == "step_started" && name.contains(step)
    });
    running.kill();
}

fn killed() {
    let fleet = Fleet::balanced();
    let running = load_on(fleet, FLOW, &["/", "/version", "/readyz", "/robots.txt"]);
    for (version, step) in [
        ("7.0.0", "unpack the release"),
        ("7.1.0", "take out http1"),
        ("7.2.0", "take out http2"),
        ("7.3.0", "restart its workers"),
    ] {
        let commit = new_version(fleet, version);
        kill_at(fleet, &commit, step);
        // The host lets go of the lock when it notices that nobody is there any more.
        until_true(
            "the same command ends well",
            Duration::from_secs(120),
            || {
                let deploy = ["deploy", "flow.marg", "--ref", &commit];
                fleet.marg(deploy).run().code == 0
            },
        );
        assert_eq!(fleet.version(FLOW)["version"], version);
        assert_whole(fleet);
    }
    assert_lossless("four deploys that were cut off", &end(running));
}

fn assets() {
    let fleet = Fleet::balanced();
    let asset = |page: &str| {
        let start = page.find("/build/").expect("a built asset");
        let rest = &page[start..];
        rest[..rest.find('"').expect("its end")].to_owned()
    };
    let old = asset(&fleet.browser().get(FLOW, "/").has(200).body);
    let repository = fleet.project.repository();
    let folder = repository.app("flow.marg").join("public/build");
    let name = old.rsplit('/').next().expect("a name").to_owned();
    let path = folder.join("assets");
    std::fs::rename(path.join(&name), path.join("app-00000000.css")).expect("a file");
    repository.edit(
        "flow.marg/public/build/manifest.json",
        &name,
        "app-00000000.css",
    );
    let commit = repository.commit("another asset");
    fleet.deploy("flow.marg", &commit);
    let new = asset(&fleet.browser().get(FLOW, "/").has(200).body);
    assert_ne!(old, new);
    for _ in 0..4 {
        for path in [&old, &new] {
            fleet.browser().get(FLOW, path).has(200);
        }
    }
}
