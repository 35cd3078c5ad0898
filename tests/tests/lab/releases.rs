//! What serves cannot change itself, what builds knows nothing of production, and every host gets
//! the bytes that were built.

use marg_tests::fleet::{FLOW, Fleet};
use serde_json::Value;

use crate::deploy::new_version;

cases! {
    "releases: what serves can change nothing of itself, and others cannot look" => not_its_own,
    "releases: a build knows no secret, empties no cache, and ends with all that it started" => builds,
    "releases: a newcomer gets the archive that was built, not what is served elsewhere" => newcomer,
    "releases: an archive that is not what was built is named, and never live" => not_what_was_built,
    "releases: a record that cannot be read hides that one release and stops nothing" => bad_record,
}

const HOSTS: [&str; 2] = ["http1", "worker1"];

fn not_its_own() {
    let fleet = Fleet::provisioned();
    for host in HOSTS {
        let writable = "cd / && runuser -u flow-marg -- find /var/www/flow.marg -writable ! -type l \
            -not -path '*/shared/storage*' -not -path '/var/www/flow.marg/home*'";
        assert_eq!(fleet.on(host, writable), "", "{host}");
        let own = "runuser -u flow-marg -- sh -c 'cat /var/www/flow.marg/shared/.env \
            /var/www/flow.marg/current/bootstrap/cache/config.php | wc -l'";
        let lines = fleet.on(host, own);
        assert!(lines.trim().parse::<u32>().unwrap() > 50, "{host}: {lines}");
        for (user, place) in [
            ("links-marg", "/var/www/flow.marg/"),
            ("flow-marg-build", "/var/www/flow.marg/"),
            ("links-marg", "/var/lib/marg-build/flow-marg/"),
            ("flow-marg", "/var/lib/marg-build/flow-marg/"),
            ("flow-marg", "/var/lib/marg/"),
        ] {
            let look = format!("runuser -u {user} -- ls {place}");
            let (status, said, error) = fleet.try_on(host, &look);
            assert!(
                status != 0 && error.contains("ermission denied"),
                "{user} in {place} of {host}: {said}{error}"
            );
        }
    }
}

/// What other people's packages may do when they are installed.
const SPY: &str = r#"<?php
$said = ['user' => posix_getpwuid(posix_geteuid())['name'], 'environment' => getenv()];
foreach (['/var/www/flow.marg/shared/.env', '/var/www/flow.marg/current/bootstrap/cache/config.php',
    '.env', '/var/lib/marg/apps/flow-marg/deploys.jsonl', '/etc/shadow'] as $place) {
    $said['read'][$place] = @file_get_contents($place);
}
copy('/bin/sh', 'public/sh');
chmod('public/sh', 04755);
exec('setsid sleep 987 >/dev/null 2>&1 &');
file_put_contents('public/spy.json', json_encode($said));
"#;

fn builds() {
    let fleet = Fleet::provisioned();
    let repository = fleet.project.repository();
    let clean = repository.commit("before somebody looks around");
    repository.write("flow.marg/spy.php", SPY);
    repository.edit(
        "flow.marg/composer.json",
        "\"@php artisan package:discover --ansi\"",
        "\"@php artisan package:discover --ansi\", \"@php spy.php\", \"@php artisan cache:clear\"",
    );
    let cached = "Illuminate\\Support\\Facades\\Cache::put('kept', 'yes');";
    fleet.php("http1", "flow.marg", cached);
    fleet.deploy("flow.marg", &repository.commit("somebody looks around"));
    repository.restore(&clean);
    let said = fleet.browser().get(FLOW, "/spy.json").has(200).json();
    assert_eq!(said["user"], "flow-marg-build");
    for (place, read) in said["read"].as_object().unwrap() {
        assert_eq!(read, &Value::Bool(false), "{place}");
    }
    let environment = said["environment"].to_string();
    for (name, value) in fleet.project.secrets() {
        assert!(!environment.contains(&value), "{name} in {environment}");
    }
    let kept = "echo Illuminate\\Support\\Facades\\Cache::get('kept');";
    assert_eq!(fleet.php("http1", "flow.marg", kept).trim(), "yes");
    let left = fleet.on("http1", "pgrep -u flow-marg-build -a || :");
    assert_eq!(left, "", "a process of the build goes on");
    for host in HOSTS {
        let shell = fleet.on(host, "stat -c '%U %a' /var/www/flow.marg/current/public/sh");
        assert_eq!(shell.trim(), "root 750", "{host}");
    }
    fleet.deploy("flow.marg", &repository.commit("nobody looks around"));
    fleet.assert_converged();
}

/// Takes a release off a host, as if it had never had it.
fn forget(fleet: &Fleet, host: &str, id: &str, and: &str) {
    let script = format!(
        "cd /var/www/flow.marg && rm -rf releases/{id} {and} && \
         rm -f /var/lib/marg/apps/flow-marg/releases/{id}.*"
    );
    fleet.on(host, &script);
}

fn newcomer() {
    let fleet = Fleet::provisioned();
    let id = fleet.live("flow.marg")["http1"].clone();
    // Whoever is root on the serving host could do this; the application cannot.
    let changed = format!("/var/www/flow.marg/releases/{id}/app/Added.php");
    fleet.on("http1", &format!("touch {changed}"));
    forget(fleet, "worker1", &id, "current");
    fleet.provision();
    fleet.on("http1", &format!("rm {changed}"));
    assert_eq!(fleet.live("flow.marg")["worker1"], id);
    fleet.on("worker1", &format!("! [ -e {changed} ]"));
    let sums = HOSTS.map(|host| {
        let sum = format!("sha256sum < /var/lib/marg/apps/flow-marg/releases/{id}.tar.gz");
        fleet.on(host, &sum)
    });
    assert_eq!(sums[0], sums[1]);
    fleet.assert_converged();
}

fn not_what_was_built() {
    let fleet = Fleet::provisioned();
    let old = fleet.live("flow.marg")["http1"].clone();
    fleet.deploy("flow.marg", &new_version(fleet, "5.0.0"));
    let live = fleet.live("flow.marg");
    let archive = format!("/var/lib/marg/apps/flow-marg/releases/{old}.tar.gz");
    forget(fleet, "worker1", &old, "");
    fleet.on(
        "http1",
        &format!("cp {archive} /root/kept && echo x >> {archive}"),
    );
    let rollback = ["rollback", "flow.marg", "--to", &old, "--json"];
    fleet
        .marg(rollback)
        .run()
        .exits(9)
        .says("is not what was built")
        .says("on http1");
    assert_eq!(fleet.live("flow.marg"), live);
    // A host's own copy is compared, too, before it is unpacked.
    fleet.on("http1", &format!("mv /root/kept {archive}"));
    fleet.marg(rollback).run().ok();
    let now = fleet.live("flow.marg");
    assert!(now.values().all(|release| *release == old), "{now:?}");
    fleet.assert_converged();
}

fn bad_record() {
    let fleet = Fleet::provisioned();
    for version in ["5.1.0", "5.2.0"] {
        fleet.deploy("flow.marg", &new_version(fleet, version));
    }
    let old = fleet.on(
        "http1",
        "cd /var/lib/marg/apps/flow-marg/releases && set -- *.json && echo ${1%.json} && echo junk > $1",
    );
    let old = old.trim();
    fleet.marg(["releases"]).run().ok().says(old);
    let releases = fleet.marg(["releases", "--json"]).run().ok().document();
    let flow = &releases[0]["hosts"];
    assert_eq!(flow[0]["unknown"], serde_json::json!([old]), "{flow}");
    fleet.marg(["rollback", "flow.marg", "--json"]).run().ok();
    assert_eq!(fleet.version(FLOW)["version"], "5.1.0");
    fleet.deploy("flow.marg", &new_version(fleet, "5.3.0"));
    let releases = fleet.marg(["releases", "--json"]).run().ok().document();
    let hosts = releases[0]["hosts"].as_array().unwrap();
    assert!(
        hosts
            .iter()
            .all(|host| host["unknown"] == serde_json::json!([])),
        "{releases}"
    );
    fleet.assert_converged();
}
