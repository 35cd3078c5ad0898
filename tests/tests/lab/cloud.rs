//! The cloud misbehaves while marg works with it.

use std::time::Duration;

use marg_tests::fleet::Fleet;
use marg_tests::project::Project;
use marg_tests::wait::until_true;
use serde_json::json;

cases! {
    "cloud: a create whose answer is lost makes one droplet, and a run goes on" => lost_answer,
    "cloud: requests that are refused for their number are asked again" => rate_limited,
    "cloud: a droplet that vanished is made again, and only that one" => vanished,
}

/// A project of two bare machines: the smallest that creates more than one droplet.
fn bare(name: &str) -> Project {
    let project = Project::fresh(name);
    std::fs::create_dir_all(project.folder.join("phases")).unwrap();
    std::fs::write(project.folder.join("phases/phase-5.toml"), BARE).unwrap();
    project
}

const BARE: &str = r#"
number = 5
title = "two bare machines"
entry = "bare"
budget = [0, 0]

[groups.bare]
count = 2
size = "s-1vcpu-512mb-10gb"
roles = ["base"]

[capacity]
users = [0, 0]
requests_per_user_minute = 1
"#;

fn lost_answer() {
    let api = Fleet::provisioned().api.clone();
    let others = api.droplets("e2e").len();
    let project = bare("e2efaults");
    api.fault(&json!({ "fault": "drop_after_create", "times": 1 }));
    api.fault(&json!({ "fault": "error_after_create", "times": 1 }));
    let provision = project.marg(["provision", "--phase", "5", "--json"]);
    // A lost answer may end a run; then the same command finds what it made.
    until_true(
        "the environment to be provisioned",
        Duration::from_secs(240),
        || provision.run().code == 0,
    );
    let left = api.faults_left();
    assert!(
        !left.to_string().contains("_after_create"),
        "a fault did not strike: {left}"
    );
    let names: Vec<_> = api
        .droplets("e2efaults")
        .iter()
        .map(|d| d["name"].clone())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(api.droplets("e2e").len(), others);
    project
        .marg([
            "destroy",
            "--phase",
            "5",
            "--confirm",
            "e2efaults",
            "--json",
        ])
        .run()
        .ok();
    assert!(
        api.belongings("e2efaults").is_empty(),
        "{:?}",
        api.belongings("e2efaults")
    );
    assert_eq!(api.droplets("e2e").len(), others);
}

fn rate_limited() {
    let fleet = Fleet::provisioned();
    fleet
        .api
        .fault(&json!({ "fault": "rate_limited", "times": 2, "path": "/v2", "retry_after": 1 }));
    fleet
        .api
        .fault(&json!({ "fault": "rate_limited", "times": 1, "path": "/v2/droplets" }));
    fleet.assert_converged();
    assert!(!fleet.api.faults_left().to_string().contains("rate_limited"));
}

fn vanished() {
    let fleet = Fleet::provisioned();
    let before = fleet.api.droplets("e2e");
    let worker = fleet.machine("worker1").droplet;
    let (status, _) = fleet.api.send(
        reqwest::Method::DELETE,
        &format!("/v2/droplets/{worker}"),
        None,
    );
    assert_eq!(status, 204);
    until_true("the droplet to be gone", Duration::from_secs(60), || {
        fleet.api.droplets("e2e").len() == before.len() - 1
    });
    let plan = fleet.plan();
    assert_eq!(
        (&plan["summary"]["create"], &plan["summary"]["destroy"]),
        (&1.into(), &0.into())
    );
    let report = fleet.provision().event("report");
    assert_eq!(fleet.api.droplets("e2e").len(), before.len());
    // The new worker runs what the web server runs.
    let live = fleet.live("flow.marg");
    assert_eq!(live.len(), 2, "{report}");
    assert_eq!(live["http1"], live["worker1"], "{report}");
    fleet.assert_converged();
}
