//! Deploys and rollbacks while people use the applications.

use std::collections::BTreeSet;
use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet, LINKS, block_on};
use marg_tests::load::{KeepAlive, Load, LoadReport, LoadSpec, Pace};
use marg_tests::wait::{until, until_true};
use serde_json::Value;

cases! {
    "deploy: a new release under load loses no request, and a rollback neither" => under_load,
    "deploy: every host gets the same bytes" => same_bytes,
    "deploy: a worker finishes its job with the old code and goes on with the new" => worker_code,
    "deploy: releases tell who, what and when, and old ones are pruned" => history,
    "deploy: a ref that does not exist changes nothing" => no_such_ref,
}

/// Requests before and after what is done under load.
const AROUND: u64 = 150;

/// A load on pages of an application, under which something is then done.
pub fn load(fleet: &Fleet, host: &str) -> Load {
    load_on(fleet, host, &["/", "/version", "/readyz", "/robots.txt"])
}

/// A load on these pages.
pub fn load_on(fleet: &Fleet, host: &str, paths: &[&str]) -> Load {
    let mut spec = LoadSpec::new(format!("http://{}", fleet.entry));
    spec.host_header = Some(host.to_owned());
    spec.paths = paths.iter().map(|path| (*path).to_owned()).collect();
    // One visitor, or every page would leave a session of its own.
    let cookie = fleet.browser().get(host, "/login").has(200).cookies;
    let pairs: Vec<&str> = cookie
        .iter()
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    spec.headers = vec![("Cookie".to_owned(), pairs.join("; "))];
    (spec.connections, spec.pace, spec.keep_alive) = (4, Pace::ClosedLoop, KeepAlive::Mixed);
    // Whoever started it ends it; this ends a hang.
    spec.max_time = Duration::from_secs(3600);
    let load = block_on(async { Load::start(spec) }).unwrap();
    assert!(block_on(load.reached(AROUND)));
    load
}

/// Lets the load go on for a while and counts.
#[track_caller]
pub fn end(load: Load) -> LoadReport {
    let done = load.done();
    assert!(block_on(load.reached(done + AROUND)));
    block_on(load.stop())
}

#[track_caller]
pub fn assert_lossless(what: &str, report: &LoadReport) {
    eprintln!("    {what}: {report}");
    assert!(report.failed_count == 0, "{what}: {report}");
    assert!(report.sent > 2 * AROUND, "{what}: {report}");
}

/// Commits another version of both applications.
pub fn new_version(fleet: &Fleet, version: &str) -> String {
    let repository = fleet.project.repository();
    for app in ["flow.marg", "links.marg"] {
        repository.write(&format!("{app}/VERSION"), &format!("{version}\n"));
    }
    repository.commit(version)
}

fn under_load() {
    let fleet = Fleet::provisioned();
    let (before, other) = (fleet.version(FLOW), fleet.version(LINKS));
    let commit = new_version(fleet, "2.0.0");
    let running = load(fleet, FLOW);
    let deployed = fleet.deploy("flow.marg", &commit);
    assert_eq!(deployed["commit"], commit);
    assert_lossless("a deploy", &end(running));
    let after = fleet.version(FLOW);
    assert_eq!(
        (&after["version"], &after["release"]),
        (&"2.0.0".into(), &deployed["release"])
    );
    assert_eq!(
        fleet.version(LINKS),
        other,
        "the other application stays as it is"
    );
    let live = fleet.live("flow.marg");
    assert_eq!(live.keys().collect::<Vec<_>>(), ["http1", "worker1"]);
    assert!(
        live.values().all(|release| deployed["release"] == *release),
        "{live:?}"
    );

    let running = load(fleet, FLOW);
    fleet.marg(["rollback", "flow.marg", "--json"]).run().ok();
    assert_lossless("a rollback", &end(running));
    assert_eq!(fleet.version(FLOW), before);
    assert_eq!(
        fleet
            .live("flow.marg")
            .values()
            .collect::<BTreeSet<_>>()
            .len(),
        1
    );
    fleet.assert_converged();
}

fn same_bytes() {
    let fleet = Fleet::provisioned();
    for app in ["flow.marg", "links.marg"] {
        let script = format!(
            "cd /var/www/{app}/current/ && find . -type f -not -path './bootstrap/cache/*' -print0 \
             | sort -z | xargs -0 sha256sum | tee /dev/stderr | sha256sum"
        );
        let (status, sum, files) = fleet.try_on("http1", &script);
        assert_eq!(status, 0, "{files}");
        assert!(files.lines().count() > 30, "{files}");
        assert_eq!(fleet.try_on("worker1", &script).1, sum, "{app}");
        // The application can read its secrets, and nobody else.
        let modes = fleet.on(
            "http1",
            &format!("stat -c '%a %U %G' /var/www/{app}/shared/.env"),
        );
        let user = app.replace('.', "-");
        assert_eq!(modes.trim(), format!("640 root {user}"));
    }
}

/// The job's class with a version that its rows tell, and a job that takes its time.
fn job_of(fleet: &Fleet, from: &str, version: &str) -> String {
    let file = "flow.marg/app/Jobs/RecordTask.php";
    fleet.project.repository().edit(
        file,
        from,
        &format!(
            "'worker' => tap(gethostname().':{version}', fn () => \
         str_starts_with($this->name, 'slow') ? sleep(6) : null),"
        ),
    );
    new_version(fleet, version)
}

fn dispatch(fleet: &Fleet, name: &str) {
    fleet
        .browser()
        .get(FLOW, &format!("/dispatch?name={name}"))
        .has(202);
}

/// The rows of a job.
fn rows(fleet: &Fleet, name: &str) -> Vec<Value> {
    let page = fleet
        .browser()
        .get(FLOW, &format!("/tasks?name={name}"))
        .has(200)
        .json();
    page["tasks"].as_array().unwrap().clone()
}

fn worker_code() {
    let fleet = Fleet::provisioned();
    let repository = fleet.project.repository();
    let clean = repository.commit("as it was");
    let old = job_of(fleet, "'worker' => gethostname(),", "3.0.0");
    fleet.deploy("flow.marg", &old);
    repository.restore(&clean);
    let new = job_of(fleet, "'worker' => gethostname(),", "3.1.0");
    let name = format!("slow-{}", std::process::id());
    dispatch(fleet, &name);
    until_true(
        "a worker to have begun the job",
        Duration::from_secs(30),
        || fleet.browser().get(FLOW, "/health").json()["waiting"] == 0,
    );
    fleet.deploy("flow.marg", &new);
    let done = until("the job to be finished", Duration::from_secs(60), || {
        Some(rows(fleet, &name)).filter(|rows| !rows.is_empty())
    });
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!(
        (&done[0]["worker"], &done[0]["attempts"]),
        (&"worker1:3.0.0".into(), &1.into())
    );
    for number in 0..6 {
        dispatch(fleet, &format!("after-{number}-{}", std::process::id()));
    }
    for number in 0..6 {
        let name = format!("after-{number}-{}", std::process::id());
        let done = until("a later job", Duration::from_secs(60), || {
            rows(fleet, &name).pop()
        });
        assert_eq!(done["worker"], "worker1:3.1.0");
    }
    repository.restore(&clean);
    fleet.deploy("flow.marg", &repository.commit("as it was before"));
    fleet.assert_converged();
}

fn history() {
    let fleet = Fleet::provisioned();
    for version in ["4.0.0", "4.0.1"] {
        fleet.deploy("links.marg", &new_version(fleet, version));
    }
    let commit = fleet.project.repository().commit("tagged");
    let deployed = fleet
        .marg(["deploy", "links.marg", "--ref", &commit, "--json"])
        .env("USER", "clara");
    let deployed = deployed.run().ok().event("deployed")["items"][0].clone();
    let releases = fleet.marg(["releases", "--json"]).run().ok().document();
    let links = releases
        .as_array()
        .unwrap()
        .iter()
        .find(|app| app["app"] == "links.marg")
        .unwrap();
    for host in links["hosts"].as_array().unwrap() {
        assert_eq!(host["live"], deployed["release"], "{host}");
        let kept = host["releases"].as_array().unwrap();
        assert!((2..=4).contains(&kept.len()), "keep_releases is 3: {host}");
        let live = kept
            .iter()
            .find(|release| release["id"] == host["live"])
            .unwrap();
        assert!(live["by"].as_str().unwrap().starts_with("clara@"), "{live}");
        assert_eq!(
            (&live["commit"], &live["reference"]),
            (&commit.as_str().into(), &commit.as_str().into())
        );
        assert!(live["at"].as_str().unwrap().starts_with("20"), "{live}");
        let name = host["host"].as_str().unwrap();
        let script =
            "ls /var/www/links.marg/releases | wc -l; test -e /var/www/links.marg/current/artisan";
        let (status, count, _) = fleet.try_on(name, script);
        assert_eq!(
            (status, count.trim()),
            (0, kept.len().to_string().as_str()),
            "{name}"
        );
    }
    let text = fleet.marg(["releases"]).run().ok().stdout;
    assert!(
        text.contains("clara@") && text.contains(deployed["release"].as_str().unwrap()),
        "{text}"
    );
    assert_eq!(fleet.version(LINKS)["version"], "4.0.1");
    // Any release that is still there can be named.
    let oldest = links["hosts"][0]["releases"][0]["id"].as_str().unwrap();
    fleet
        .marg(["rollback", "links.marg", "--to", oldest, "--json"])
        .run()
        .ok();
    assert_eq!(fleet.version(LINKS)["release"], oldest);
    fleet
        .marg(["rollback", "links.marg", "--to", "20200101-000000-abcdef12"])
        .run()
        .exits(3);
    fleet.assert_converged();
}

fn no_such_ref() {
    let fleet = Fleet::provisioned();
    let before = fleet.live("flow.marg");
    fleet
        .marg(["deploy", "flow.marg", "--ref", "no-such-branch"])
        .run()
        .exits(3)
        .says("no-such-branch");
    fleet
        .marg(["deploy", "folw.marg"])
        .run()
        .exits(3)
        .says("flow.marg");
    assert_eq!(fleet.live("flow.marg"), before);
}
