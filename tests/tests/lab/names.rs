//! Names that belong to somebody: refused before anything is made, and left alone on a host that knows
//! more of them than any list.

use std::collections::BTreeSet;

use marg_tests::fleet::{Fleet, changes_of};

cases! {
    "names: every account and group that a host has is refused for an application" => lists_are_whole,
    "names: an account that somebody made by hand is not adopted, and nothing is changed beside it" => a_strangers_account,
    "names: accounts that earlier versions made are marg's" => earlier_accounts,
}

/// The inventory with one more application, which uses what is there already.
fn with_app(name: &str) -> (&'static str, String) {
    let before = "[databases.marg-rbac]";
    let app = format!(
        "[apps.{name}]\nrepository = \"../repo\"\npath = \"links.marg\"\n\
         hostnames = [\"{name}.marg.test\"]\ndatabase = \"links_db\"\n\
         database_user = \"marg_user\"\n\n{before}"
    );
    (before, app)
}

fn lists_are_whole() {
    let fleet = Fleet::provisioned();
    let mut names = BTreeSet::new();
    for host in fleet.machines.keys() {
        let listed = fleet.on(host, "getent passwd; getent group");
        let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        names.extend(listed.lines().map(name));
    }
    // The applications' own, and who builds them.
    names.retain(|name| !name.starts_with("flow-marg") && !name.starts_with("links-marg"));
    assert!(
        names.contains("backup") && names.contains("mysql") && names.len() > 40,
        "{names:?}"
    );
    let apps: String = names
        .iter()
        .map(|name| {
            format!("[apps.\"{name}\"]\nrepository = \"..\"\nhostnames = [\"{name}.test\"]\n")
        })
        .collect();
    let before = "[databases.marg-rbac]";
    let path = fleet
        .project
        .variant(&[(before, &format!("{apps}{before}"))]);
    let path = path.to_str().unwrap();
    let outcome = fleet
        .marg(["plan", "--offline", "--phase", "1", "--inventory", path])
        .run()
        .exits(3);
    let taken: Vec<&String> = names
        .iter()
        .filter(|name| !outcome.stderr.contains(&format!("`{name}` is ")))
        .collect();
    assert!(taken.is_empty(), "not refused: {taken:?}\n{outcome}");
}

fn a_strangers_account() {
    let fleet = Fleet::provisioned();
    let hosts = ["http1", "worker1"];
    let account = "getent passwd handmade; getent group handmade; stat -c '%U %a' /srv/handmade; \
        ls /var/www /etc/nginx/conf.d 2>/dev/null | grep handmade || :";
    for host in hosts {
        fleet.on(
            host,
            "useradd --create-home --home-dir /srv/handmade --shell /bin/bash handmade",
        );
    }
    let before = hosts.map(|host| fleet.on(host, account));
    let (old, new) = with_app("handmade");
    let path = fleet.project.variant(&[(old, &new)]);
    let path = path.to_str().unwrap();
    let words = "the user `handmade` exists there (number ";
    let plan = fleet.marg(["plan", "--inventory", path]).run();
    let provision = fleet.marg(["provision", "--inventory", path]).run();
    let after = hosts.map(|host| fleet.on(host, account));
    for host in hosts {
        fleet.on(host, "userdel --remove handmade");
    }
    plan.exits(3)
        .says(words)
        .says("the group `handmade` exists there (number ");
    provision
        .exits(3)
        .says(words)
        .says("nothing was changed there");
    assert_eq!(after, before);
    fleet.provision();
    fleet.assert_converged();
}

fn earlier_accounts() {
    let fleet = Fleet::provisioned();
    let records = "cat /var/lib/marg/accounts/*; stat -c %a /var/lib/marg/accounts";
    let before = fleet.on("http1", records);
    // Those of the applications; who builds came when marg wrote down what it makes.
    fleet.on(
        "http1",
        "cd /var/lib/marg/accounts && rm passwd.flow-marg group.flow-marg passwd.links-marg group.links-marg",
    );
    let changes = changes_of(&fleet.plan());
    assert!(
        changes.contains(&"http1: user flow-marg: update (will)".to_owned()),
        "{changes:?}"
    );
    fleet.provision();
    assert_eq!(fleet.on("http1", records), before);
    fleet.assert_converged();
}
