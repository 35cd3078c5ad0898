//! Phase 1, the other database engine, and the end of an environment.

use std::fs;

use marg_tests::fleet::{FLOW, Fleet, LINKS, PASSWORD};
use marg_tests::program::Marg;
use marg_tests::project::{Project, replaced};

cases! {
    "phase 1: one machine with everything provisions, serves, and is destroyed by its name" => phase_one,
    "mysql: the role makes databases and users on MySQL 9, too" => mysql_nine,
    "phases 3 and 4: plan offline" => later_phases,
}

fn phase_one() {
    let api = Fleet::provisioned().api.clone();
    let project = Project::fresh("e2eone");
    let provision = project.marg(["provision", "--phase", "1", "--json"]);
    provision.run().ok();
    project.write_inventory(&replaced(
        &fs::read_to_string(project.inventory()).unwrap(),
        &[("phase = 2 ", "phase = 1 ")],
    ));
    let fleet = Fleet::of(project, api.clone());
    assert_eq!(fleet.machines.len(), 1);
    for app in [FLOW, LINKS] {
        fleet.browser().get(app, "/readyz").has(200);
        fleet.browser().get(app, "/").has(200);
    }
    let report = provision.run().ok().event("report");
    assert_eq!(
        (&report["hosts"][0]["changed"], &report["cloud_changed"]),
        (&0.into(), &0.into())
    );
    destroy(&fleet);
}

/// Only by its name, and only what is its own.
fn destroy(fleet: &Fleet) {
    let (api, name) = (&fleet.api, fleet.project.name.as_str());
    let others = api.belongings("e2e");
    let own = api.belongings(name);
    assert!(
        own.iter().any(|thing| thing.starts_with("droplets")),
        "{own:?}"
    );
    fleet
        .marg(["destroy", "--confirm", "e2e"])
        .run()
        .exits(2)
        .says(name);
    fleet.marg(["destroy", "--yes"]).run().exits(2);
    assert_eq!(api.belongings(name), own);
    fleet.marg(["destroy", "--confirm", name]).run().ok();
    assert!(
        api.belongings(name).is_empty(),
        "{:?}",
        api.belongings(name)
    );
    assert_eq!(api.belongings("e2e"), others);
    let addresses = api.list("/v2/reserved_ips", "reserved_ips");
    let entry = fleet.entry.to_string();
    assert!(
        !addresses.iter().any(|address| address["ip"] == *entry),
        "{addresses:?}"
    );
}

/// A phase of a database host, with the image that has MySQL's own engine, and of a host on
/// which the applications are built and migrate.
const DATABASE: &str = r#"
number = 5
title = "a database and who uses it"
entry = "app"
budget = [0, 0]

[groups.mysql]
count = 1
size = "s-1vcpu-2gb"
roles = ["base", "ufw", "mysql"]
names = ["mysql"]
holds_data = true

[groups.app]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "ufw", "redis", "app"]
names = ["redis"]
needs = ["mysql"]

[capacity]
users = [0, 0]
requests_per_user_minute = 1
"#;

fn mysql_nine() {
    let api = Fleet::provisioned().api.clone();
    let project = Project::fresh("e2esid");
    fs::create_dir_all(project.folder.join("phases")).unwrap();
    fs::write(project.folder.join("phases/phase-5.toml"), DATABASE).unwrap();
    let inventory = fs::read_to_string(project.inventory()).unwrap();
    let inventory = replaced(&inventory, &[("phase = 2 ", "phase = 5 ")]);
    project.write_inventory(&format!(
        "{inventory}\n[groups.mysql]\nimage = \"debian-sid-x64\"\n"
    ));
    project.give_secret("db_password_marg_user", PASSWORD);
    project.marg(["provision", "--json"]).run().ok();
    let fleet = Fleet::of(project, api);
    let version = fleet.sql("SELECT VERSION()");
    assert!(version.starts_with("9."), "{version}");
    for database in [
        "klueportal",
        "links_db",
        "marg-rbac",
        "klue_portal_business",
    ] {
        let query = format!(
            "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{database}'"
        );
        assert_eq!(fleet.sql(&query), "utf8mb4_unicode_ci", "{database}");
    }
    // The applications log in over the private network with that password, and have migrated.
    let ask = |statement: &str| {
        let code = format!(
            "try {{ echo Illuminate\\Support\\Facades\\DB::scalar('{statement}'); }} \
             catch (Throwable $e) {{ echo $e->getMessage(); }}"
        );
        fleet.php("app1", "flow.marg", &code).trim().to_owned()
    };
    assert_eq!(ask("SELECT VERSION()"), version);
    assert_eq!(ask("SELECT COUNT(*) FROM tasks"), "0");
    assert_eq!(
        ask("SELECT COUNT(*) FROM `marg-rbac`.users WHERE name = \"demo\""),
        "1"
    );
    assert!(ask("SELECT COUNT(*) FROM mysql.user").contains("denied"));
    let report = fleet.provision().event("report");
    for host in report["hosts"].as_array().unwrap() {
        assert_eq!(host["changed"], 0, "{host}");
    }
    fleet.marg(["destroy", "--confirm", "e2esid"]).run().ok();
}

fn later_phases() {
    let fleet = Fleet::provisioned();
    for phase in ["3", "4"] {
        // Neither network nor token.
        let offline = ["plan", "--offline", "--json", "--phase", phase];
        let plan = Marg::new(&fleet.project.folder, offline)
            .run()
            .ok()
            .document();
        let hosts = plan["hosts"].as_array().unwrap().len();
        assert!(hosts > 4, "phase {phase}: {hosts}");
        assert_eq!(plan["summary"]["create"], hosts);
    }
    // A plan for another phase says in order what would happen, and changes nothing.
    let plan = ["plan", "--json", "--phase", "3"];
    let plan = fleet.marg(plan).run().ok().document();
    let order = plan["order"].to_string();
    assert!(order.contains("moves to lb1"), "{order}");
    assert_eq!(fleet.api.droplets("e2e").len(), 4);
}
