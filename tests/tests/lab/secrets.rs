//! Every secret of the environment is a canary: it is looked for wherever it must not be, while the
//! program works and fails and says all it can; and others are planted to show that the looking finds
//! them.

use std::fs;

use marg_tests::fleet::Fleet;
use marg_tests::hunt::{self, CommandLines, Hunt, found_in, needles};
use marg_tests::program::Marg;

use crate::deploy_failures::try_broken;

cases! {
    "secrets: none is in what the program prints, on a command line, in a log or readable by others" => hunt_all,
    "secrets: none shows when things fail" => hunt_failures,
    "secrets: the hunt finds planted ones" => hunt_finds,
}

/// Those that need a fleet in which somebody can be promoted.
pub fn long_cases() -> Vec<crate::case::Case> {
    let name = "secrets: none shows when others are made to lead and hosts come and go";
    vec![crate::case::Case::new(name, hunt_moves)]
}

fn hunt_all() {
    let fleet = Fleet::provisioned();
    let needles = needles(fleet);
    assert!(
        needles.len() >= 6,
        "app key, Redis, the database, a key and tokens: {}",
        needles.len()
    );
    let hunt = Hunt::begin(fleet, needles.clone());
    // A run that carries every secret to its host once more, and shows all it can.
    fleet.on(
        "http1",
        "echo >> /var/www/flow.marg/shared/.env; echo >> /var/www/links.marg/shared/.env",
    );
    fleet.on(
        "redis1",
        "for file in /etc/redis/*.conf; do echo '# by hand' >> $file; done",
    );
    fleet.marg(["plan", "-vvv"]).run().ok();
    for host in fleet.machines.keys() {
        fleet.marg(["plan", "--script", host]).run().ok();
    }
    fleet.marg(["provision", "-vvv"]).run().ok();
    fleet.marg(["provision", "--json", "-vvv"]).run().ok();
    fleet.marg(["deploy", "-vvv"]).run().ok();
    fleet.marg(["status", "--json", "-vvv"]).run().ok();
    let found = hunt.end();
    assert!(found.is_empty(), "{}", found.join("\n"));
    // When the fleet was made.
    let first = fs::read_to_string(fleet.project.folder.join("command-lines.txt")).unwrap();
    assert_eq!(found_in(&first, &needles), Vec::<&str>::new());
    let state = fs::read_to_string("/run/marg-lab/daemon.log").unwrap();
    let tokens = |name: &String| name.ends_with("token");
    let own: Vec<_> = needles
        .into_iter()
        .filter(|(name, _)| !tokens(name))
        .collect();
    assert_eq!(
        found_in(&state, &own),
        Vec::<&str>::new(),
        "in the lab's log"
    );
    fleet.assert_converged();
}

fn hunt_failures() {
    let fleet = Fleet::provisioned();
    let hunt = Hunt::begin(fleet, needles(fleet));
    // Secrets cannot be put where they belong.
    let env = "/var/www/flow.marg/shared/.env";
    fleet.on("http1", &format!("mv {env} {env}.kept; mkdir {env}"));
    let misplaced = fleet.marg(["provision", "-vvv"]).run();
    fleet.on("http1", &format!("rmdir {env}; mv {env}.kept {env}"));
    // The database refuses the statement that holds one.
    fleet.sql(
        "INSTALL SONAME 'simple_password_check'; SET GLOBAL simple_password_check_minimal_length = 200",
    );
    let users = "SELECT CONCAT('DROP USER ', QUOTE(User), '@', QUOTE(Host)) FROM mysql.user WHERE User = 'marg_user'";
    for drop in fleet.sql(users).lines() {
        fleet.sql(drop);
    }
    let refused = fleet.marg(["provision", "-vvv"]).run();
    fleet.sql("UNINSTALL SONAME 'simple_password_check'");
    fleet.provision();
    // A program on a host tells all it knows.
    let telling = try_broken(fleet, "a migration that tells secrets", |repository| {
        repository.write(
            "flow.marg/database/migrations/2099_01_01_000000_tells.php",
            "<?php return new class extends Illuminate\\Database\\Migrations\\Migration { \
             public function up(): void { throw new Exception(config('database.connections.mysql.password') \
             . ' ' . config('database.redis.default.password') . ' ' . config('app.key')); } };\n",
        );
    });
    // Nobody answers where the token is sent.
    let nowhere = Marg::new(&fleet.project.folder, ["plan", "-vvv"])
        .diary(&fleet.project.diary())
        .env("DIGITALOCEAN_TOKEN", &fleet.api.token)
        .env("DIGITALOCEAN_API_URL", "http://127.0.0.1:1");
    nowhere.run().exits(4);
    let found = hunt.end();
    assert!(found.is_empty(), "{}", found.join("\n"));
    misplaced.exits(6);
    refused.exits(6);
    telling.exits(9).says("•••");
    fleet.assert_converged();
}

fn hunt_moves() {
    let fleet = Fleet::whole();
    let hunt = Hunt::begin(fleet, needles(fleet));
    for heir in ["mysql2", "redis2", "mysql1", "redis1"] {
        fleet.marg(["promote", heir, "--yes", "-vvv"]).run().ok();
    }
    fleet
        .marg(["scale", "worker", "+1", "--yes", "-vvv"])
        .run()
        .ok();
    fleet
        .marg(["scale", "worker", "-1", "--yes", "-vvv"])
        .run()
        .ok();
    fleet.marg(["status", "--json", "-vvv"]).run().ok();
    let found = hunt.end();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn hunt_finds() {
    let fleet = Fleet::provisioned();
    // Another one in each run: journals do not forget.
    let value = format!("PlantedCanary{:010}Value", std::process::id());
    let canary = vec![("planted".to_owned(), value)];
    let find = || hunt::on_host(fleet, "worker1", &canary);
    assert_eq!(find(), Vec::<String>::new());
    for (what, plant, remove) in [
        (
            "readable by all: /opt/planted",
            "echo x=$C > /opt/planted; chmod 644 /opt/planted",
            "rm /opt/planted",
        ),
        (
            "readable by all: /run/planted",
            "echo x=$C > /run/planted; chmod 644 /run/planted",
            "rm /run/planted",
        ),
        (
            "temporary: /tmp/planted",
            "echo x=$C > /tmp/planted; chmod 600 /tmp/planted",
            "rm /tmp/planted",
        ),
        (
            "temporary: /dev/shm/planted",
            "echo x=$C > /dev/shm/planted; chmod 600 /dev/shm/planted",
            "rm /dev/shm/planted",
        ),
        (
            "log: /var/log/planted",
            "echo x=$C > /var/log/planted.log; chmod 600 /var/log/planted.log",
            "rm /var/log/planted.log",
        ),
        (
            "log: /var/log/planted.log.gz",
            "echo x=$C | gzip > /var/log/planted.log.gz",
            "rm /var/log/planted.log.gz",
        ),
        ("journal", "logger password=$C; journalctl --sync", "true"),
        (
            "command line",
            "systemd-run -q --unit=marg-planted sh -c \"sleep 60; : $C\"",
            "systemctl stop marg-planted",
        ),
    ] {
        fleet.on("worker1", &plant.replace("$C", &canary[0].1));
        let found = find();
        fleet.on("worker1", remove);
        assert!(
            found.iter().any(|place| place.contains(what)),
            "{what} was not found: {found:?}"
        );
    }
    // And what a process of a machine shows is seen from outside.
    let lines = CommandLines::watch();
    fleet.on("worker1", &format!("sh -c 'sleep 1; : {}'", canary[0].1));
    assert_eq!(found_in(&lines.stop(), &canary), ["planted"]);
    hunt_finds_here(fleet);
}

/// On the operator's machine, in what the program says, and while it works.
fn hunt_finds_here(fleet: &Fleet) {
    let value = format!("AnotherCanary{:010}Value", std::process::id());
    let hunt = Hunt::begin(fleet, vec![("planted".to_owned(), value.clone())]);
    let temporary = std::env::temp_dir().join("marg-planted");
    let project = fleet.project.folder.join("inventories/.marg/planted");
    fs::write(&temporary, &value).unwrap();
    fs::write(&project, &value).unwrap();
    let said = ["run", "--on", "worker1", "--json", "--", "echo", &value];
    fleet.marg(said).run().ok();
    let found = hunt.end().join("\n");
    fs::remove_file(&temporary).unwrap();
    fs::remove_file(&project).unwrap();
    let said = fs::read_to_string(fleet.project.diary()).unwrap();
    fs::write(fleet.project.diary(), said.replace(&value, "")).unwrap();
    for place in [
        "a command line: planted",
        "the program's words: planted",
        "temporary: /tmp/marg-planted",
        "project: ",
        "open to others: ",
    ] {
        assert!(found.contains(place), "{place} was not found:\n{found}");
    }
}
