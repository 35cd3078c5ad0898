//! Three database servers of which any may lead: rows that were acknowledged are kept.

use std::fs;
use std::time::Duration;

use marg_tests::fleet::{Fleet, PASSWORD, lab_api};
use marg_tests::project::{Project, replaced};
use marg_tests::wait::{until, until_true};
use serde_json::{Value, json};

use crate::case::marg;
use crate::one_primary::Watch;

cases! {
    "replication: one MariaDB becomes three while it is written to, hands over, and is replaced when it dies" => mariadb,
    "replication: the same with MySQL" => mysql,
}

const HOSTS: [&str; 3] = ["mysql1", "mysql2", "mysql3"];

/// Where a promote is killed, and whom it was to make the primary. The last is whom the rest of
/// the case finds leading.
const KILLED_AT: [(&str, &str); 6] = [
    ("takes no more writes", "mysql1"),
    ("waits until it has everything", "mysql3"),
    ("lets go of the old leader", "mysql1"),
    ("leads", "mysql3"),
    ("follow ", "mysql1"),
    ("takes no more writes", "mysql2"),
];

/// A phase of `count` database servers, and of a host whose local proxy leads to the primary.
fn phase(number: u8, count: u8) -> String {
    let (roles, names, proxy) = match count {
        1 => ("", "", ""),
        _ => (
            r#", "mysql-replication""#,
            r#", "mysql-read""#,
            r#""proxy", "#,
        ),
    };
    format!(
        r#"
number = {number}
title = "{count} database servers"
entry = "app"
budget = [0, 0]

[groups.mysql]
count = {count}
size = "s-1vcpu-2gb"
roles = ["base", "ufw", "mysql"{roles}]
names = ["mysql"{names}]
holds_data = true

[groups.redis]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "ufw", "redis"]
names = ["redis"]

[groups.app]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "ufw", {proxy}"app"]
needs = ["redis", "mysql"]

[capacity]
users = [0, 0]
requests_per_user_minute = 1
"#
    )
}

fn mariadb() {
    shown("e2erep", "debian-13-x64");
}

fn mysql() {
    shown("e2erepsid", "debian-sid-x64");
}

fn shown(name: &str, image: &str) {
    let api = lab_api();
    let project = Project::fresh(name);
    let phases = project.folder.join("phases");
    fs::create_dir_all(&phases).unwrap();
    for (number, count) in [(5, 1), (6, 3)] {
        fs::write(
            phases.join(format!("phase-{number}.toml")),
            phase(number, count),
        )
        .unwrap();
    }
    let inventory = fs::read_to_string(project.inventory()).unwrap();
    let with_image = format!("{inventory}\n[groups.mysql]\nimage = \"{image}\"\n");
    project.write_inventory(&replaced(&with_image, &[("phase = 2 ", "phase = 5 ")]));
    project.give_secret("db_password_marg_user", PASSWORD);
    project.marg(["provision", "--json"]).run().ok();
    let one = Fleet::of(project, api.clone());
    one.on(
        "mysql1",
        "$(command -v mariadb || command -v mysql) klueportal -e \
         'CREATE TABLE acked (id VARCHAR(32) PRIMARY KEY)'",
    );

    let writer = Writer::start(&one);
    one.project
        .write_inventory(&replaced(&with_image, &[("phase = 2 ", "phase = 6 ")]));
    let moving = ["provision", "--phase", "6", "--json"];
    one.project.marg(moving).run().ok();
    writer.end(&one, &["mysql1"]);
    let fleet = Fleet::of(one.project, api);
    fleet.assert_second_run_changes_nothing();

    let writer = Writer::start(&fleet);
    let promoted = fleet.marg(["promote", "mysql2", "--json"]).run().ok();
    let report = promoted.event("promoted");
    assert_eq!(report["from"], "mysql1", "{report}");
    writer.end(&fleet, &HOSTS);
    fleet.assert_second_run_changes_nothing();

    for (moment, heir) in KILLED_AT {
        interrupted(&fleet, moment, heir);
    }
    fleet.assert_second_run_changes_nothing();

    let writer = Writer::start(&fleet);
    let fault = |what| {
        let droplet = format!("{name}-mysql2");
        marg(["lab", "fault", &droplet, what]).run().ok();
    };
    fault("kill");
    fleet
        .marg(["promote", "mysql3"])
        .run()
        .exits(2)
        .says("--yes");
    let promote = ["promote", "mysql3", "--yes", "--json"];
    let report = killed(&fleet, &promote, "leads");
    assert_eq!(report["followers"], json!(["mysql1"]), "{report}");
    writer.end(&fleet, &["mysql1", "mysql3"]);
    fault("heal");
    until_true(
        "the old primary to come back as a replica",
        Duration::from_secs(120),
        || fleet.marg(["provision", "--json"]).run().code == 0,
    );
    writes_are_refused(&fleet, "mysql2");
    fleet.assert_second_run_changes_nothing();
    fleet.marg(["destroy", "--confirm", name]).run().ok();
}

/// The operator's machine dies in the middle of a promote, and he types the same again.
fn interrupted(fleet: &Fleet, moment: &str, heir: &str) {
    let watch = Watch::start(fleet, &HOSTS);
    let writer = Writer::start(fleet);
    let report = killed(fleet, &["promote", heir, "--json"], moment);
    eprintln!("    killed when {heir} should lead, at `{moment}`: {report}");
    writer.end(fleet, &HOSTS);
    watch.assert_one();
    for host in HOSTS {
        if host != heir {
            writes_are_refused(fleet, host);
        }
    }
}

/// Kills the program at a moment, and gives the same command again until it is done.
fn killed(fleet: &Fleet, promote: &[&str], moment: &str) -> Value {
    let mut running = fleet.marg(promote.iter().copied()).start();
    running.wait_for(moment, |said| {
        let text = |key: &str| said[key].as_str().unwrap_or_default();
        text("message") == moment || text("name").starts_with(moment)
    });
    running.kill();
    // A host lets go of its lock when it notices that nobody is there any more.
    until("the hosts' locks", Duration::from_secs(120), || {
        let outcome = fleet.marg(promote.iter().copied()).run();
        let locked = outcome.code != 0 && outcome.stderr.contains(" is being changed by ");
        (!locked).then(|| outcome.ok().event("promoted"))
    })
}

fn writes_are_refused(fleet: &Fleet, host: &str) {
    let ask = "$(command -v mariadb || command -v mysql) -N -e 'SELECT @@global.read_only'";
    assert_eq!(fleet.on(host, ask).trim(), "1", "{host}");
}

/// Writes row after row from the application's host, and notes each that was acknowledged.
struct Writer;

const WRITER: &str = r##"<?php
$env = [];
foreach (file("/var/www/flow.marg/shared/.env", FILE_IGNORE_NEW_LINES) as $line) {
    if (preg_match("/^(DB_\w+)=\"?(.*?)\"?\$/", $line, $m)) { $env[$m[1]] = stripcslashes($m[2]); }
}
$db = null;
while (!file_exists('/run/stop')) {
    try {
        $db ??= new PDO("mysql:host={$env['DB_HOST']};dbname=klueportal", $env['DB_USERNAME'],
            $env["DB_PASSWORD"], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        $id = bin2hex(random_bytes(8));
        $db->exec("INSERT INTO acked VALUES ('$id')");
        file_put_contents('/root/acked', $id . ' ' . microtime(true) . "\n", FILE_APPEND);
        usleep(5000);
    } catch (PDOException) { $db = null; usleep(50000); }
}
"##;

impl Writer {
    fn start(fleet: &Fleet) -> Writer {
        let start = format!(
            "rm -f /run/stop /root/acked; cat > /root/writer.php <<'X'\n{WRITER}X\n\
             systemd-run -q --collect --unit=writer php /root/writer.php"
        );
        fleet.on("app1", &start);
        acknowledged(fleet, 1);
        Writer
    }

    /// Everything acknowledged is on all of these hosts; and it was written to the end.
    fn end(self, fleet: &Fleet, hosts: &[&str]) {
        let before = count(fleet);
        acknowledged(fleet, before + 1);
        fleet.on(
            "app1",
            "touch /run/stop; timeout 60 sh -c 'while systemctl -q is-active writer; do sleep 0.2; done'",
        );
        let acked = fleet.on("app1", "cat /root/acked");
        let acked: Vec<(&str, f64)> = acked.lines().map(acknowledgement).collect();
        let pauses = acked.windows(2).map(|pair| pair[1].1 - pair[0].1);
        let pause = pauses.fold(0.0, f64::max);
        eprintln!("    {} rows, the longest pause {pause:.1} s", acked.len());
        for host in hosts {
            until("all acknowledged rows", Duration::from_secs(30), || {
                let ask = "$(command -v mariadb || command -v mysql) -N klueportal -e 'SELECT id FROM acked'";
                let rows = fleet.on(host, ask);
                let rows: std::collections::BTreeSet<&str> = rows.lines().collect();
                acked.iter().all(|(id, _)| rows.contains(id)).then_some(())
            });
        }
    }
}

/// A row and when it was acknowledged, in seconds.
fn acknowledgement(line: &str) -> (&str, f64) {
    let (id, time) = line.split_once(' ').unwrap();
    (id, time.parse().unwrap())
}

fn count(fleet: &Fleet) -> usize {
    let lines = fleet.on("app1", "cat /root/acked 2>/dev/null | wc -l");
    lines.trim().parse().unwrap()
}

/// Waits on the machine itself: a connection for every look would be many.
fn acknowledged(fleet: &Fleet, rows: usize) {
    let wait = format!(
        "timeout 60 sh -c 'until [ $(cat /root/acked 2>/dev/null | wc -l) -ge {rows} ]; \
         do sleep 0.2; done'"
    );
    fleet.on("app1", &wait);
}
