//! What somebody broke by hand is seen and mended; what is refused stays out; what is owed is
//! not forgotten.

use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet, changes_of};
use marg_tests::wait::until_true;
use serde_json::Value;

cases! {
    "repair: a stopped service is planned and started" => stopped_service,
    "repair: an altered file is shown as a diff and put back" => altered_file,
    "repair: a plan does what it printed, no more and no less" => plan_is_honest,
    "repair: a refused configuration leaves the old file and the running service" => refused,
    "repair: a reload that a crash came before is still owed" => owed_reload,
    "repair: a run that was killed while packages were installed goes on" => killed_install,
    "repair: a host that fails does not stop its siblings" => siblings,
    "repair: a plan shows the hosts that it could look at, and says which it could not" => unseen,
}

/// A site's file of the web server.
const SITE: &str = "/etc/nginx/conf.d/flow-marg.conf";
/// A harmless change of that file: the largest upload.
const LARGER: (&str, &str) = (
    "queue = \"flow\"",
    "queue = \"flow\"\nupload_limit = \"21M\"",
);

fn stopped_service() {
    let fleet = Fleet::provisioned();
    fleet.on("http1", "systemctl stop nginx");
    let changes = changes_of(&fleet.plan());
    assert!(
        changes
            .iter()
            .any(|line| line.starts_with("http1: service nginx")),
        "{changes:?}"
    );
    assert_eq!(changes.len(), 1, "{changes:?}");
    fleet.provision();
    fleet.browser().get(FLOW, "/readyz").has(200);
    fleet.assert_converged();
}

fn altered_file() {
    let fleet = Fleet::provisioned();
    let sum = "sha256sum /etc/nginx/nginx.conf | cut -c1-64; stat -c %a /etc/nginx/nginx.conf";
    let before = fleet.on("http1", sum);
    fleet.on(
        "http1",
        "echo '# altered by hand' >> /etc/nginx/nginx.conf; chmod 600 /etc/nginx/nginx.conf",
    );
    let text = fleet.marg(["plan"]).run().ok().stdout;
    assert!(text.contains("/etc/nginx/nginx.conf"), "{text}");
    assert!(text.contains("-# altered by hand"), "no diff:\n{text}");
    fleet.provision();
    assert_eq!(fleet.on("http1", sum), before);
    fleet.assert_converged();
}

fn plan_is_honest() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "http1",
        "rm -f /etc/nginx/conf.d/flow-marg.conf; systemctl stop nginx",
    );
    fleet.on(
        "redis1",
        "sysctl -qw vm.overcommit_memory=0; hostname changed",
    );
    fleet.on("mysql1", "timedatectl set-timezone Asia/Tokyo || ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime");
    let plan = fleet.plan();
    let report = fleet.provision().event("report");
    for planned in plan["hosts"].as_array().unwrap() {
        let done = report["hosts"].as_array().unwrap().iter();
        let done = done
            .into_iter()
            .find(|host| host["name"] == planned["name"])
            .unwrap();
        let count = planned["changes"].as_array().unwrap().len();
        assert_eq!(done["changed"], count, "{planned}\n{done}");
    }
    let hosts: Vec<String> = changes_of(&plan);
    for host in ["http1", "redis1", "mysql1"] {
        assert!(
            hosts.iter().any(|line| line.starts_with(host)),
            "{host}: {hosts:?}"
        );
    }
    assert!(
        !hosts.iter().any(|line| line.starts_with("worker1")),
        "{hosts:?}"
    );
    fleet.assert_converged();
}

fn refused() {
    let fleet = Fleet::provisioned();
    let sites = "sha256sum /etc/nginx/conf.d/* /etc/nginx/nginx.conf | sha256sum; systemctl show -P MainPID nginx";
    let before = fleet.on("http1", sites);
    // Not marg's file: nginx refuses everything as long as it is there.
    fleet.on(
        "http1",
        "echo 'no_such_directive on;' > /etc/nginx/conf.d/by-hand.conf",
    );
    let outcome = fleet.provision_variant(&[LARGER]).run();
    fleet.on("http1", "rm /etc/nginx/conf.d/by-hand.conf");
    outcome.exits(6).says("no_such_directive");
    assert_eq!(fleet.on("http1", sites), before);
    fleet.browser().get(FLOW, "/readyz").has(200);
    fleet.assert_converged();
}

/// Makes nginx take its time to reload, so that a run can be caught right before that is done.
/// The reload waits until it is let go.
const SLOW_RELOAD: &str = "mkdir -p /run/systemd/system/nginx.service.d && rm -f /run/marg-test-go && \
    printf '[Service]\\nExecReload=\\nExecReload=/bin/sh -c \"until [ -e /run/marg-test-go ]; do sleep 0.1; done; exit 1\"\\n' \
    > /run/systemd/system/nginx.service.d/slow.conf && systemctl daemon-reload";
/// Lets it go. What was waiting for it fails, as after a power cut.
const LET_GO: &str = "touch /run/marg-test-go";
/// Makes it quick again.
const QUICK_RELOAD: &str = "rm -rf /run/systemd/system/nginx.service.d && systemctl daemon-reload";

/// Whether an event says that the reload of nginx has begun.
fn reload_began(event: &Value) -> bool {
    let name = event["name"].as_str().unwrap_or_default();
    event["event"] == "step_started" && name.contains("nginx") && name.contains("reload")
}

fn owed_reload() {
    let fleet = Fleet::provisioned();
    fleet.on("http1", SLOW_RELOAD);
    let mut running = fleet.provision_variant(&[LARGER]).start();
    running.wait_for("the reload of nginx", reload_began);
    running.kill();
    fleet.on("http1", &format!("{LET_GO}; {QUICK_RELOAD}"));
    let workers = "pgrep -f 'nginx: worker' | sort | tr '\\n' ' '";
    let before = fleet.on("http1", workers);
    // The file is in place already; only the reload is left.
    let variant = fleet.provision_variant(&[LARGER]);
    until_true(
        "the reload to be made up for",
        Duration::from_secs(60),
        || variant.run().code == 0,
    );
    let reloaded = || fleet.on("http1", workers) != before;
    until_true("new nginx workers", Duration::from_secs(30), reloaded);
    assert!(
        fleet.on("http1", &format!("cat {SITE}")).contains("21"),
        "{SITE}"
    );
    fleet.provision();
    fleet.assert_converged();
}

fn killed_install() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "worker1",
        "export DEBIAN_FRONTEND=noninteractive; systemctl stop supervisor; \
        apt-get -qy purge supervisor unattended-upgrades composer unzip >/dev/null 2>&1",
    );
    let mut running = fleet.marg(["provision", "--json"]).start();
    running.wait_for("packages being unpacked", |event| {
        let line = event["line"].as_str().unwrap_or_default();
        event["event"] == "output" && event["host"] == "worker1" && line.starts_with("Unpacking")
    });
    running.kill();
    let again = fleet.marg(["provision", "--json"]);
    until_true(
        "the same command to go through",
        Duration::from_secs(180),
        || again.run().code == 0,
    );
    assert_eq!(fleet.on("worker1", "dpkg --audit").trim(), "");
    assert_eq!(
        fleet.on("worker1", "systemctl is-active supervisor").trim(),
        "active"
    );
    fleet.assert_converged();
}

fn siblings() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "http1",
        "echo 'no_such_directive on;' > /etc/nginx/conf.d/by-hand.conf; \
        echo '# by hand' >> /etc/nginx/nginx.conf",
    );
    fleet.on("redis1", "sysctl -qw vm.overcommit_memory=0");
    let outcome = fleet.marg(["provision", "--json"]).run();
    fleet.on("http1", "rm /etc/nginx/conf.d/by-hand.conf");
    outcome.exits(6).says("http1");
    assert_eq!(
        fleet.on("redis1", "sysctl -n vm.overcommit_memory").trim(),
        "1"
    );
    fleet.provision();
    fleet.assert_converged();
}

fn unseen() {
    let fleet = Fleet::provisioned();
    fleet.on("worker1", "systemctl stop ssh");
    let planned = fleet.marg(["plan", "--json"]).run();
    fleet.on("worker1", "systemctl start ssh");
    let plan = planned.exits(5).says("worker1").document();
    let names = |key: &str| -> Vec<String> {
        let hosts = plan[key].as_array().unwrap().iter();
        hosts
            .map(|host| host["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("hosts"), ["http1", "redis1", "mysql1"]);
    assert_eq!(names("unseen"), ["worker1"]);
    assert!(changes_of(&plan).is_empty(), "{plan}");
    fleet.assert_converged();
}
