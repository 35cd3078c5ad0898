//! Ad hoc commands: `marg run` and `marg ssh`.

use std::fs;

use marg_tests::fleet::Fleet;

cases! {
    "commands: output is shown while the command runs" => streaming,
    "commands: a shell in a lab machine takes one word as a script" => lab_script,
    "commands: a host that is changing its key is reached by run and by ssh" => half_pinned,
}

fn streaming() {
    let fleet = Fleet::provisioned();
    fleet.on("redis1", "rm -f /run/marg-test-go");
    // The command waits for what is only done once its first line has been heard.
    let command = "echo first; n=0; \
        until [ -e /run/marg-test-go ] || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done; \
        [ -e /run/marg-test-go ] && printf last";
    let mut running = fleet
        .marg(["run", "--json", "--on", "redis1", "--", command])
        .start();
    running.wait_for("the first line", |event| event["line"] == "first");
    fleet.on("redis1", "touch /run/marg-test-go");
    let outcome = running.wait().ok();
    let ran = outcome.event("ran");
    fleet.on("redis1", "rm -f /run/marg-test-go");
    assert!(
        ran.to_string().contains(r#""stdout":"first\nlast\n""#),
        "{ran}"
    );
}

fn lab_script() {
    let fleet = Fleet::provisioned();
    let machine = format!("{}-redis1", fleet.project.name);
    let shell = ["lab", "shell", &machine, "hostname; hostname | wc -l"];
    fleet.marg(shell).run().ok().says("redis1\n1");
}

fn half_pinned() {
    let fleet = Fleet::provisioned();
    let path = fleet.project.vault().join("known_hosts");
    let good = fs::read_to_string(&path).unwrap();
    let pin = |host: &str| {
        let line = good
            .lines()
            .find(|line| line.split(' ').next().unwrap().ends_with(host));
        line.unwrap().split_once(' ').unwrap()
    };
    let (redis, key) = pin("redis1");
    // As a run leaves it that ended when the host used its new key and the old one was pinned.
    let before = good.replace(key, pin("http1").1);
    fs::write(&path, format!("{before}{redis}.next {key}\n")).unwrap();
    let run = fleet
        .marg(["run", "--on", "redis1", "--", "hostname"])
        .run();
    let ssh = fleet.marg(["ssh", "redis1", "--", "hostname"]).run();
    fs::write(&path, &good).unwrap();
    run.ok().says("redis1");
    ssh.ok().says("redis1");
}
