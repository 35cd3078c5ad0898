//! Redis on three hosts: from one to three without a lost word, and what the loss of the master costs.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use marg_tests::fleet::{Fleet, REDIS_LOGIN, lab_api};
use marg_tests::program::Marg;
use marg_tests::project::Project;
use marg_tests::wait::until;
use serde_json::Value;

cases! {
    "redis: one becomes three while it is written to, and nothing is refused or lost" => one_to_three,
    "redis: a master whose process is killed is back at once" => killed_process,
    "redis: a master that is switched off is replaced and comes back as a replica" => switched_off,
    "redis: a master that is cut off is replaced and comes back as a replica" => cut_off,
    "redis: a master that stands still is replaced and comes back as a replica" => frozen,
    "redis: another host is promoted while it is written to, and back again" => promoted,
    "redis: a promote whose operator is killed keeps nobody waiting, and goes on by the same command" => abandoned,
    "redis: a master that is resized hands over first" => resized,
    "redis: Sentinels learn a new password and new parameters without forgetting what they know" => new_password,
    "redis: the environment goes by its name" => gone,
}

const ENVIRONMENT: &str = "e2eredis";
const HOSTS: [&str; 3] = ["redis1", "redis2", "redis3"];

const INVENTORY: &str = r#"
[environment]
name = "e2eredis"
phase = 6
region = "fra1"
image = "debian-13-x64"
domain = "marg.test"
internal_domain = "marg.internal"
ssh_from = ["0.0.0.0/0", "::/0"]
"#;

/// Redis alone, and a host with PHP that uses it.
const ONE: &str = r#"
number = 5
title = "one Redis"
entry = "http"
budget = [0, 0]

[groups.http]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "ufw", "app"]
needs = ["redis"]

[groups.redis]
count = 1
size = "s-1vcpu-1gb"
roles = ["base", "ufw", "redis"]
names = ["redis"]
holds_data = true

[capacity]
users = [0, 0]
requests_per_user_minute = 1
"#;

fn three() -> String {
    let replicated = ONE
        .replace("number = 5", "number = 6")
        .replace("\"ufw\", \"app\"", "\"ufw\", \"proxy\", \"app\"")
        .replace(
            "\"ufw\", \"redis\"]",
            "\"ufw\", \"redis\", \"redis-sentinel\"]",
        );
    let (before, redis) = replicated.split_once("[groups.redis]").unwrap();
    format!(
        "{before}[groups.redis]{}",
        redis.replacen("count = 1", "count = 3", 1)
    )
}

fn project() -> Project {
    let project = Project::fresh(ENVIRONMENT);
    project.write_inventory(INVENTORY);
    let phases = project.folder.join("phases");
    fs::create_dir_all(&phases).unwrap();
    fs::write(phases.join("phase-5.toml"), ONE).unwrap();
    fs::write(phases.join("phase-6.toml"), three()).unwrap();
    project
}

/// The three, as an earlier case left them or made now.
fn fleet() -> Fleet {
    let api = lab_api();
    let mut project = Project::at(ENVIRONMENT);
    if !project.exists() || api.droplets(ENVIRONMENT).len() < 4 {
        project = self::project();
    }
    project.marg(["provision", "--json"]).run().ok();
    Fleet::of(project, api)
}

fn password(fleet: &Fleet) -> String {
    let secrets = fleet.project.secrets().into_iter();
    let mut own = secrets.filter(|(name, _)| name == "redis_admin_password");
    own.next().unwrap().1
}

/// What the writers saw, one of each kind, while `happens` happened.
fn written(fleet: &Fleet, seconds: u32, happens: impl FnOnce()) -> [Value; 2] {
    static LISTS: AtomicU32 = AtomicU32::new(0);
    let source = include_str!("redis_writer.php");
    fleet.feed("http1", "cat > /root/writer.php", source);
    let secret = password(fleet);
    let round = LISTS.fetch_add(1, Ordering::Relaxed);
    let list = |mode: &str| format!("test-{}-{round}-{mode}", std::process::id());
    let write = |mode: &str| {
        let script = format!("php /root/writer.php {} {seconds} {mode}", list(mode));
        let said = fleet.feed("http1", &script, &secret);
        let said: Value = serde_json::from_str(&said).unwrap();
        eprintln!("    {mode}: {said}");
        assert_eq!(said["doubled"], 0, "{said}");
        said
    };
    thread::scope(|scope| {
        let writers = ["kept", "fresh"].map(|mode| {
            scope.spawn({
                let write = &write;
                move || write(mode)
            })
        });
        let both = format!(
            "[ -e /run/{} ] && [ -e /run/{} ]",
            list("kept"),
            list("fresh")
        );
        until("two writers", Duration::from_secs(30), || {
            (fleet.try_on("http1", &both).0 == 0).then_some(())
        });
        happens();
        writers.map(|writer| writer.join().unwrap())
    })
}

fn number(said: &Value, key: &str) -> u64 {
    said[key].as_u64().unwrap()
}

/// At most the command that was under way failed, and nothing that was acknowledged is gone.
#[track_caller]
fn assert_survived(said: &[Value; 2]) {
    for said in said {
        assert_eq!(number(said, "lost"), 0, "{said}");
        assert!(said["errors"].as_array().unwrap().len() <= 2, "{said}");
        assert!(
            number(said, "acknowledged") > number(said, "tried") / 2,
            "{said}"
        );
    }
}

/// `role:…` and what belongs to it; not that, while the host does not answer.
fn replication(fleet: &Fleet, host: &str) -> String {
    let ask = format!("{{ {REDIS_LOGIN}; echo 'INFO replication'; }} | timeout 5 redis-cli");
    fleet.try_on(host, &ask).1
}

/// The one master that both others follow.
#[track_caller]
fn master(fleet: &Fleet) -> &'static str {
    until(
        "one master that both others follow",
        Duration::from_secs(60),
        || {
            let said = HOSTS.map(|host| replication(fleet, host));
            let follows = said.iter().filter(|said| {
                said.contains("role:slave") && said.contains("master_link_status:up")
            });
            let leads = |said: &&String| {
                said.contains("role:master") && said.contains("connected_slaves:2")
            };
            let leader = said.iter().position(|said| leads(&said));
            leader
                .filter(|_| follows.count() == 2)
                .map(|place| HOSTS[place])
        },
    )
}

fn fault(host: &str, what: &str) {
    let machine = format!("{ENVIRONMENT}-{host}");
    let arguments = ["lab", "fault", machine.as_str(), what];
    Marg::new(&Project::at(ENVIRONMENT).folder, arguments)
        .run()
        .ok();
}

fn one_to_three() {
    let api = lab_api();
    let project = project();
    project
        .marg(["provision", "--phase", "5", "--json"])
        .run()
        .ok();
    let fleet = Fleet::of(project, api);
    let said = written(&fleet, 100, || {
        let six = ["provision", "--phase", "6", "--json"];
        fleet.marg(six).run().ok();
    });
    let fleet = Fleet::of(Project::at(ENVIRONMENT), lab_api());
    for said in said {
        assert_eq!(
            number(&said, "acknowledged"),
            number(&said, "tried"),
            "{said}"
        );
        assert_eq!(number(&said, "lost"), 0, "{said}");
    }
    assert_eq!(master(&fleet), "redis1");
    fleet.assert_converged();
}

fn killed_process() {
    let fleet = fleet();
    let before = master(&fleet);
    let said = written(&fleet, 15, || {
        fleet.on(before, "pkill -9 -f '^/usr/bin/redis-server .*:6379'");
    });
    // Until its replicas are back, it may be reached and refuse writes; it never forgets any.
    for said in &said {
        assert_eq!(number(said, "lost"), 0, "{said}");
        assert!(said["errors"].as_array().unwrap().len() < 100, "{said}");
    }
    assert_eq!(master(&fleet), before);
}

/// The master is replaced while it is away, and the next run leaves it so.
#[track_caller]
fn replaced_after(what: &str) {
    let fleet = fleet();
    let before = master(&fleet);
    let said = written(&fleet, 30, || {
        fault(before, what);
        until("another master", Duration::from_secs(60), || {
            let mut others = HOSTS.into_iter().filter(|host| *host != before);
            others.find(|host| replication(&fleet, host).contains("role:master"))
        });
        fault(before, "heal");
    });
    assert_survived(&said);
    let after = master(&fleet);
    assert_ne!(after, before);
    fleet.assert_second_run_changes_nothing();
    assert_eq!(master(&fleet), after);
}

fn switched_off() {
    replaced_after("kill");
}

fn cut_off() {
    replaced_after("cut");
}

fn frozen() {
    replaced_after("freeze");
}

/// Each leads in turn, and the next run leaves it so.
fn promoted() {
    let fleet = fleet();
    let before = master(&fleet);
    let mut others = HOSTS.into_iter().filter(|host| *host != before);
    let (other, third) = (others.next().unwrap(), others.next().unwrap());
    for heir in [third, other, before] {
        let said = written(&fleet, 25, || {
            fleet.marg(["promote", heir, "--json"]).run().ok();
        });
        assert_survived(&said);
        assert_eq!(master(&fleet), heir);
        fleet.assert_second_run_changes_nothing();
        assert_eq!(master(&fleet), heir);
    }
    let again = fleet.marg(["promote", before, "--json"]).run().ok();
    assert_eq!(again.event("promoted")["pause_millis"], Value::Null);
}

/// The old master has closed when the operator's machine dies: it goes on by itself, or the Sentinels
/// replace it, whoever is first.
fn abandoned() {
    let fleet = fleet();
    let before = master(&fleet);
    let heir = HOSTS.into_iter().find(|host| *host != before).unwrap();
    // Whoever does not come through a proxy is waited for: long enough to be cut off meanwhile.
    let stays = format!("exec 3<>/dev/tcp/{before}/6379; sleep 60");
    let stays = format!("timeout 60 bash -c '{stays}' > /dev/null 2>&1 < /dev/null &");
    fleet.on("http1", &stays);
    let there = format!(
        "{{ {REDIS_LOGIN}; echo 'CLIENT LIST TYPE normal'; }} | redis-cli | grep ' age=[3-9] .*cmd=NULL'"
    );
    until("somebody who stays", Duration::from_secs(20), || {
        (fleet.try_on(before, &there).0 == 0).then_some(())
    });
    let said = written(&fleet, 60, || {
        let mut run = fleet.marg(["promote", heir, "--json"]).start();
        run.wait_for("that the master closes", |event| {
            event["host"] == before && event["message"] == "takes no more writes"
        });
        let closed = format!(
            "{{ {REDIS_LOGIN}; echo 'CONFIG GET min-replicas-max-lag'; }} | redis-cli | tail -1"
        );
        until("a closed master", Duration::from_secs(20), || {
            (fleet.on(before, &closed).trim() == "0").then_some(())
        });
        run.kill();
        until("an open master", Duration::from_secs(60), || {
            (fleet.on(before, &closed).trim() == "3").then_some(())
        });
    });
    assert_survived(&said);
    let now = master(&fleet);
    assert!([before, heir].contains(&now), "{now}");
    fleet.assert_second_run_changes_nothing();
    assert_eq!(master(&fleet), now);
    for next in [heir, before] {
        fleet.marg(["promote", next, "--json"]).run().ok();
        assert_eq!(master(&fleet), next);
    }
    fleet.assert_second_run_changes_nothing();
}

/// Off it goes only when another one leads, which goes on leading.
fn resized() {
    let fleet = fleet();
    let before = master(&fleet);
    let said = written(&fleet, 60, || {
        let resize = ["resize", before, "s-1vcpu-2gb", "--json"];
        let outcome = fleet.marg(resize).run().ok();
        let promoted = &outcome.event("resized")["promoted"];
        assert_eq!(promoted["from"], before, "{promoted}");
    });
    assert_survived(&said);
    assert_ne!(master(&fleet), before);
    let back = ["resize", before, "s-1vcpu-1gb", "--json"];
    fleet.marg(back).run().ok();
    fleet.assert_converged();
}

fn new_password() {
    let fleet = fleet();
    let known = "grep -E '^sentinel (myid|known-)' /var/lib/redis/sentinel.conf | sort";
    let before = fleet.on("redis2", known);
    // Somebody turned it by hand, and the password in Sentinel's file is an old one.
    fleet.on(
        "redis2",
        "{ sed -n 's/^requirepass /AUTH /p' /etc/redis/sentinel-password.conf; \
         echo 'SENTINEL SET marg down-after-milliseconds 60000'; } | redis-cli -p 26379; \
         systemctl stop redis-sentinel; \
         sed -i 's/^sentinel auth-pass marg .*/sentinel auth-pass marg outdated/' /var/lib/redis/sentinel.conf; \
         systemctl start redis-sentinel",
    );
    fleet.provision();
    fleet.assert_converged();
    assert_eq!(fleet.on("redis2", known), before);
    let settings = fleet.on("redis2", "cat /var/lib/redis/sentinel.conf");
    assert!(
        settings.contains("down-after-milliseconds marg 5000"),
        "{settings}"
    );
    assert!(!settings.contains("outdated"), "{settings}");
}

fn gone() {
    let fleet = fleet();
    fleet.marg(["destroy", "--confirm", ENVIRONMENT]).run().ok();
    assert!(fleet.api.belongings(ENVIRONMENT).is_empty());
}
