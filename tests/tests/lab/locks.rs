//! Two operators at once.

use std::time::Duration;

use marg_tests::fleet::Fleet;
use marg_tests::wait::until_true;

cases! {
    "locks: the second of two runs is told who holds the host and since when" => second_is_told,
}

/// Starting nginx takes until a file is there.
const SLOW_START: &str = "mkdir -p /run/systemd/system/nginx.service.d && rm -f /run/marg-test-go && \
    printf '[Service]\\nExecStartPre=/bin/sh -c \"until [ -e /run/marg-test-go ]; do sleep 0.1; done\"\\n' \
    > /run/systemd/system/nginx.service.d/slow.conf && systemctl daemon-reload && systemctl stop nginx";
const LET_GO: &str = "touch /run/marg-test-go; rm -rf /run/systemd/system/nginx.service.d; \
    systemctl daemon-reload";

fn second_is_told() {
    let fleet = Fleet::provisioned();
    fleet.on("http1", SLOW_START);
    let provision = fleet.marg(["provision", "--json"]).env("USER", "anna");
    let mut first = provision.start();
    first.wait_for("nginx being started", |event| {
        event["event"] == "step_started"
            && event["name"].as_str().is_some_and(|n| n.contains("nginx"))
    });
    let second = fleet
        .marg(["provision", "--json"])
        .env("USER", "berta")
        .run();
    let second = second.exits(8).says("anna@").says("since 20");
    assert!(!second.stderr.contains("unlock"), "{second}");
    // A deploy keeps to the same lock; looking needs none.
    fleet
        .marg(["deploy", "flow.marg", "--json"])
        .run()
        .exits(8)
        .says("anna@");
    fleet.marg(["plan", "--json"]).run().ok();
    // The holder dies. What it had begun on the host ends, and with it the lock.
    first.kill();
    fleet.on("http1", LET_GO);
    let third = fleet.marg(["provision", "--json"]).env("USER", "berta");
    until_true(
        "the lock to have died with its holder",
        Duration::from_secs(60),
        || third.run().code == 0,
    );
    fleet.assert_converged();
}
