//! Every secret of the environment is a canary: it is looked for wherever it must not be, and
//! another one is planted to show that the looking finds it.

use std::fs;

use marg_tests::fleet::Fleet;
use marg_tests::hunt::{self, CommandLines, found_in, needle};

cases! {
    "secrets: none is in what the program prints, on a command line, in a log or readable by others" => hunt_all,
    "secrets: the hunt finds planted ones" => hunt_finds,
}

/// Each secret's name and the part of it to look for.
fn needles(fleet: &Fleet) -> Vec<(String, String)> {
    let secrets = fleet.project.secrets();
    assert!(
        secrets.len() >= 3,
        "app key, Redis and the database: {}",
        secrets.len()
    );
    let key = fs::read_to_string(fleet.project.vault().join("ssh_key")).unwrap();
    let key = key.lines().nth(2).unwrap().to_owned();
    let all = secrets.into_iter().chain([("ssh_key".to_owned(), key)]);
    let needles: Vec<(String, String)> = all
        .map(|(name, value)| (name, needle(value.trim_start_matches("base64:"))))
        .collect();
    needles
        .into_iter()
        .chain([("token".to_owned(), needle(&fleet.api.token))])
        .collect()
}

fn hunt_all() {
    let fleet = Fleet::provisioned();
    let needles = needles(fleet);
    // A run that carries every secret to its host once more, and shows all it can.
    fleet.on(
        "http1",
        "echo >> /var/www/flow.marg/shared/.env; echo >> /var/www/links.marg/shared/.env",
    );
    fleet.on(
        "redis1",
        "for file in /etc/redis/*.conf; do echo '# by hand' >> $file; done",
    );
    fleet.marg(["plan", "-vv"]).run().ok();
    for host in fleet.machines.keys() {
        fleet.marg(["plan", "--script", host]).run().ok();
    }
    let lines = CommandLines::watch();
    fleet.marg(["provision", "-vv"]).run().ok();
    fleet.marg(["deploy", "-vv"]).run().ok();
    let seen = lines.stop();
    let first = fs::read_to_string(fleet.project.folder.join("command-lines.txt")).unwrap();
    let said = fs::read_to_string(fleet.project.diary()).unwrap();
    for (place, text) in [
        ("command lines", &seen),
        ("command lines", &first),
        ("the program's words", &said),
    ] {
        assert_eq!(found_in(text, &needles), Vec::<&str>::new(), "in {place}");
    }
    for host in fleet.machines.keys() {
        let found = hunt::on_host(fleet, host, &needles);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
    let state = fs::read_to_string("/run/marg-lab/daemon.log").unwrap();
    let own: Vec<_> = needles
        .iter()
        .filter(|(name, _)| name != "token")
        .cloned()
        .collect();
    assert_eq!(
        found_in(&state, &own),
        Vec::<&str>::new(),
        "in the lab's log"
    );
    fleet.assert_converged();
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
            "log: /var/log/planted",
            "echo x=$C > /var/log/planted.log; chmod 600 /var/log/planted.log",
            "rm /var/log/planted.log",
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
}
