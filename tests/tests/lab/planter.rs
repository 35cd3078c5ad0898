//! The planter: an application whose user puts links, second names, fifos, sockets, unreadable and
//! huge files at every place that it may write to. Every verb works or names what it found, and
//! nothing outside the application's own places is read or changed.

use std::fs;

use marg_tests::fleet::{Fleet, changes_of};
use marg_tests::program::Outcome;
use marg_tests::project::{Project, replaced};

use crate::case::Case;
use crate::deploy::new_version;
use crate::losses::follower;

cases! {
    "planter: what an application plants on its hosts leads root nowhere" => every_day,
    "planter: what a commit plants where it is built leads root nowhere" => commits,
}

/// Every phase and every verb.
pub fn long_cases() -> Vec<Case> {
    vec![
        Case::new(
            "planter: phase 1 with all its verbs, and the way to phase 2",
            one_machine,
        ),
        Case::new("planter: phase 4 with all its verbs", everything),
    ]
}

/// What only root can read.
const CANARY: &str = "canary-of-the-planter-4711";

/// Where the links lead, with names that marg has in an application's folders: who followed one
/// would find something to change. `%C@` in the manifest tells of any change, back and forth, too.
const TRAP: &str = "rm -rf /root/trap; umask 022
mkdir -p /root/trap/folder/app/public /root/trap/folder/public /root/trap/folder/framework/views \
  /root/trap/folder/cache/data /root/trap/folder/data /root/trap/folder/sessions /root/trap/folder/views \
  /root/trap/folder/logs /root/trap/folder/build
for file in file folder/file folder/down folder/dump.rdb folder/app/file folder/config.php; do
  echo CANARY > /root/trap/$file
done
chmod -R go= /root/trap/file /root/trap/folder/file
";

/// All that is none of the application's: names, kinds, modes, owners, and targets; of what is
/// planted at, and of what the other application keeps, contents and times as well.
const MANIFEST: &str = "find /root/trap -printf '%p %y %m %U %G %s %C@ %l\\n' | sort
find /root/trap -type f -exec sha256sum {} + | sort
find /etc /usr/local /root /var/www/links.marg /var/lib/marg/apps/links-marg \
  \\( -path '*/storage/framework/*' -o -path '*/storage/logs/*' \\) -prune -o -printf '%p %y %m %U %G %l\\n' | sort
find /etc/passwd /etc/shadow /etc/sudoers* /etc/ssh /root/.ssh /var/www/links.marg/shared/.env \
  -type f -exec sha256sum {} + | sort
stat -c '%n %a %U %G' / /var /var/www /var/lib /var/lib/marg /var/lib/marg-build /tmp /run\n";

/// The application's user, wherever it may write: names of its own, and names that marg might need
/// for a moment.
const LITTER: &str = r#"cd /
places=$(find /var/www/flow.marg -type d -user flow-marg; find / -xdev -type d -writable \
  -not -path '/proc/*' -not -path '/var/www/*' 2>/dev/null || :)
for place in $places; do
  cd "$place" || continue
  ln -s /root/trap/folder plant-folder
  up=$(pwd -P | sed 's,[^/]\+,..,g; s,^/,,')
  ln -s "$up/root/trap/folder" plant-relative
  ln -s /root/trap/file plant-file
  ln -s /root/trap/new plant-nothing
  ln /etc/shadow plant-second 2>/dev/null || :
  ln /var/www/links.marg/shared/.env plant-second-name 2>/dev/null || :
  mkfifo plant-fifo
  php -r 'stream_socket_server("unix://plant-socket");'
  echo x > plant-unreadable; chmod 0 plant-unreadable
  truncate -s 200G plant-huge
  mkdir plant-closed; chmod 0 plant-closed
  for name in app public framework cache data sessions views logs storage home; do
    ln -s /root/trap/folder $name.marg-new
    ln -s /root/trap/file $name.marg-old
  done
done
echo "$places" | wc -l"#;

/// What may stand where marg has a folder of the application's.
const IN_THE_WAY: [(&str, &str); 8] = [
    ("a link to a folder", "ln -s /root/trap/folder PLACE"),
    (
        "a relative link to a folder",
        "ln -s ../../../../../../../root/trap/folder PLACE",
    ),
    ("a link to a file", "ln -s /root/trap/file PLACE"),
    ("a link to nothing", "ln -s /root/trap/new PLACE"),
    ("a fifo", "mkfifo PLACE"),
    (
        "a socket",
        "php -r 'stream_socket_server(\"unix://PLACE\");'",
    ),
    ("an unreadable file", "echo x > PLACE; chmod 0 PLACE"),
    ("a huge file", "truncate -s 200G PLACE"),
];

/// What the planter works on.
struct Planter<'a> {
    fleet: &'a Fleet,
    /// Hosts with the application.
    hosts: Vec<String>,
    before: Vec<String>,
}

impl<'a> Planter<'a> {
    fn on(fleet: &'a Fleet) -> Planter<'a> {
        let has_app = "[ -d /var/www/flow.marg ]";
        let hosts = fleet.machines.keys();
        let hosts: Vec<String> = hosts
            .filter(|host| fleet.try_on(host, has_app).0 == 0)
            .cloned()
            .collect();
        assert!(!hosts.is_empty());
        for host in &hosts {
            fleet.on(host, &TRAP.replace("CANARY", CANARY));
        }
        let before = hosts.iter().map(|host| fleet.on(host, MANIFEST)).collect();
        Planter {
            fleet,
            hosts,
            before,
        }
    }

    /// Runs a script as the application's user on all of its hosts.
    #[track_caller]
    fn plant(&self, script: &str) {
        let script = script.replace('\'', "'\\''");
        for host in &self.hosts {
            let script = format!("cd / && runuser -u flow-marg -- sh -c '{script}'");
            self.fleet.on(host, &script);
        }
    }

    /// Folders of the application's that its user can put something else in the place of.
    fn places(&self) -> Vec<String> {
        let find = "cd /var/www/flow.marg && find shared/storage -mindepth 1 -type d -user flow-marg \
            -not -path '*/cache/data/*' -not -path '*/views/*' -not -name 'plant-*' | sort";
        let listed = self.fleet.on(&self.hosts[0], find);
        let places: Vec<String> = listed.lines().map(str::to_owned).collect();
        assert!(places.len() >= 8, "{places:?}");
        places
    }

    /// Nothing else has changed, and nothing secret was said.
    #[track_caller]
    fn nothing_happened(&self, after: &str) {
        for (host, before) in self.hosts.iter().zip(&self.before) {
            let now = self.fleet.on(host, MANIFEST);
            let lines = |one: &str, other: &str| {
                let other: std::collections::BTreeSet<&str> = other.lines().collect();
                let only = one.lines().filter(|line| !other.contains(line));
                only.map(str::to_owned).collect::<Vec<_>>()
            };
            let (gone, new) = (lines(before, &now), lines(&now, before));
            assert!(
                gone.is_empty() && new.is_empty(),
                "{after} on {host}: was {gone:#?}, is {new:#?}"
            );
        }
        let said = fs::read_to_string(self.fleet.project.diary()).unwrap();
        assert!(!said.contains(CANARY), "after {after}");
    }

    /// A verb that is to work, whatever lies around.
    #[track_caller]
    fn works(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.fleet.marg(arguments.iter().copied()).run().ok();
        self.nothing_happened(&arguments.join(" "));
        outcome
    }

    /// Everything that can lie around beside what marg has there, and the verbs.
    fn litter(&self, verbs: &[&[&str]]) {
        self.plant(LITTER);
        self.works(&["plan"]);
        self.works(&["provision", "--json"]);
        let commit = new_version(self.fleet, "7.0.0");
        self.works(&["deploy", "flow.marg", "--ref", &commit, "--json"]);
        self.works(&["rollback", "flow.marg", "--json"]);
        self.works(&["releases"]);
        self.works(&["status"]);
        for verb in verbs {
            self.works(verb);
        }
    }

    /// In place of each folder something else: the plan names it, and provision stops there. Each
    /// plan takes seconds, each provision more: one of so many folders is provisioned.
    fn in_the_way(&self, every: usize) {
        for (number, place) in self.places().iter().enumerate() {
            let path = format!("/var/www/flow.marg/{place}");
            let (what, plant) = IN_THE_WAY[number % IN_THE_WAY.len()];
            let case = format!("{what} at {place}");
            self.plant(&format!(
                "mkdir -p {path} && mv {path} {path}.kept && {}",
                plant.replace("PLACE", &path)
            ));
            let plan = self.fleet.plan();
            let named = changes_of(&plan);
            let line = format!("directory {path}: create");
            assert!(
                named.iter().any(|change| change.contains(&line)),
                "{case}: {named:#?}"
            );
            self.nothing_happened(&format!("plan with {case}"));
            if number % every == 0 {
                let outcome = self.fleet.marg(["provision", "--json"]).run();
                self.nothing_happened(&format!("provision with {case}"));
                outcome.exits(6).says(&path).says("is in the way");
            }
            self.plant(&format!("rm -f {path} && mv {path}.kept {path}"));
        }
    }

    /// Takes away what was planted.
    fn clean(&self) {
        let own = r"cd /
            find /var/www/flow.marg/home /var/www/flow.marg/shared/storage /tmp /var/tmp /dev/shm /run/lock \
            -user flow-marg \( -name 'plant-*' -o -name '*.marg-new' -o -name '*.marg-old' \) \
            -exec rm -rf {} + 2>/dev/null || :";
        for host in &self.hosts {
            self.fleet.on(host, own);
        }
        self.fleet.provision();
        self.nothing_happened("clean");
        for host in &self.hosts {
            self.fleet.on(host, "rm -rf /root/trap");
        }
    }
}

fn every_day() {
    let fleet = Fleet::provisioned();
    let planter = Planter::on(fleet);
    planter.in_the_way(4);
    planter.litter(&[]);
    planter.clean();
    fleet.assert_converged();
}

/// Run by Composer while it installs, in the folder that becomes the release.
const BUILD: &str = r#"<?php
foreach (['.', 'bootstrap/cache', 'public', 'vendor', getenv('HOME')] as $place) {
    @symlink('/root/trap/folder', "$place/plant-folder");
    @symlink('/root/trap/file', "$place/plant-file");
    WHAT
}
"#;

/// What a build plants beside links, one kind after the other.
const BUILT: [&str; 4] = [
    "@unlink(\"$place/plant-folder\"); @unlink(\"$place/plant-file\"); posix_mkfifo(\"$place/plant-fifo\", 0600);",
    "@unlink(\"$place/plant-folder\"); @unlink(\"$place/plant-file\"); stream_socket_server(\"unix://$place/plant-socket\");",
    "@unlink(\"$place/plant-folder\"); @unlink(\"$place/plant-file\"); file_put_contents(\"$place/plant-closed\", 'x'); chmod(\"$place/plant-closed\", 0);",
    "",
];

fn commits() {
    let fleet = Fleet::provisioned();
    let planter = Planter::on(fleet);
    let repository = fleet.project.repository();
    let clean = repository.commit("before somebody plants");
    let script = "\"@php artisan package:discover --ansi\"";
    for what in BUILT {
        repository.write("flow.marg/plant.php", &BUILD.replace("WHAT", what));
        let both = format!("{script}, \"@php plant.php\"");
        repository.edit("flow.marg/composer.json", script, &both);
        let commit = repository.commit("plants while it is built");
        repository.restore(&clean);
        deployed_or_named(&planter, &commit, "plant-");
    }
    // Links that the repository itself has, where marg or Laravel has something of its own.
    for (link, target) in [
        ("storage", "/root/trap/folder"),
        (".env", "/root/trap/file"),
        (".marg-release.json", "/root/trap/file"),
        ("bootstrap/cache/config.php", "/root/trap/file"),
        ("bootstrap/cache", "/root/trap/folder"),
        ("public/build", "/root/trap/folder"),
        ("public", "../../../../root/trap/folder"),
    ] {
        let path = repository.app("flow.marg").join(link);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        }
        std::os::unix::fs::symlink(target, &path).unwrap();
        let ignored = repository.app("flow.marg").join(".gitignore");
        fs::write(ignored, "").unwrap();
        let commit = repository.commit("a link");
        repository.restore(&clean);
        deployed_or_named(&planter, &commit, link.rsplit('/').next().unwrap());
    }
    fleet.deploy("flow.marg", &repository.commit("nobody plants"));
    planter.clean();
    fleet.assert_converged();
}

/// It is live, or what stopped it is named.
#[track_caller]
fn deployed_or_named(planter: &Planter, commit: &str, name: &str) {
    let deploy = ["deploy", "flow.marg", "--ref", commit, "--json"];
    let outcome = planter.fleet.marg(deploy).run();
    planter.nothing_happened(&format!("a deploy of {name}"));
    if outcome.code != 0 {
        outcome.exits(9).says(name);
    }
}

fn one_machine() {
    let api = Fleet::provisioned().api.clone();
    let project = Project::fresh("e2eplanter");
    let inventory = fs::read_to_string(project.inventory()).unwrap();
    project.write_inventory(&replaced(&inventory, &[("phase = 2 ", "phase = 1 ")]));
    project.marg(["provision", "--json"]).run().ok();
    let fleet = Fleet::of(project, api.clone());
    let planter = Planter::on(&fleet);
    planter.in_the_way(1);
    let larger: &[&str] = &["resize", "app1", "s-2vcpu-4gb", "--json"];
    planter.litter(&[larger]);
    // What was uploaded moves with the application, and what was planted with it stays a link.
    planter.plant("echo uploaded > /var/www/flow.marg/shared/storage/app/public/upload");
    let moving = ["provision", "--phase", "2", "--json"];
    fleet.marg(moving).run().ok();
    let moved = Fleet::of(fleet.project.clone(), api);
    let upload = "cd /var/www/flow.marg/shared/storage/app && cat public/upload && readlink plant-file \
        && stat -c %U public/upload plant-file && ! ls -d /var/www/.marg-handover";
    let said = moved.on("http1", upload);
    assert_eq!(said, "uploaded\n/root/trap/file\nflow-marg\nflow-marg\n");
    let name = moved.project.name.clone();
    moved.marg(["destroy", "--confirm", &name]).run().ok();
}

/// What redis may put into its own folders.
const REDIS: &str =
    "cd /var/lib/redis && for name in handover node.conf.marg-new sentinel.conf.marg-new; do
  rm -rf $name; ln -s /root/trap/folder $name
done
[ ! -e sentinel.conf ] || { mv sentinel.conf plant-kept; ln -s /root/trap/file sentinel.conf; }
! : > /etc/redis/plant 2>/dev/null";

fn everything() {
    let fleet = Fleet::whole();
    let planter = Planter::on(fleet);
    planter.in_the_way(4);
    let (sql, redis) = (follower(fleet, "mysql"), follower(fleet, "redis"));
    planter.litter(&[
        &["scale", "http", "+1", "--json"],
        &["scale", "http", "-1", "--json"],
        &["resize", "http2", "s-1vcpu-2gb", "--json"],
        &["resize", "http2", "s-1vcpu-1gb", "--json"],
        &["promote", &sql, "--json"],
        &["promote", &redis, "--json"],
    ]);
    for host in fleet
        .machines
        .keys()
        .filter(|host| host.starts_with("redis"))
    {
        fleet.on(host, &TRAP.replace("CANARY", CANARY));
        let before = fleet.on(host, MANIFEST_OF_TRAP);
        fleet.on(host, &format!("runuser -u redis -- sh -c '{REDIS}'"));
        planter.works(&["provision", "--json"]);
        assert_eq!(fleet.on(host, MANIFEST_OF_TRAP), before, "{host}");
        let leaked = format!("grep -rl {CANARY} /var/lib/redis || :");
        assert_eq!(fleet.on(host, &leaked), "", "{host}");
        let own = "stat -c '%F %U' /var/lib/redis/sentinel.conf; rm -rf /root/trap \
            /var/lib/redis/plant-kept /var/lib/redis/handover /var/lib/redis/*.marg-new";
        assert_eq!(fleet.on(host, own), "regular file redis\n", "{host}");
    }
    planter.clean();
    fleet.assert_second_run_changes_nothing();
}

const MANIFEST_OF_TRAP: &str = "find /root/trap -printf '%p %y %m %U %G %s %C@ %l\\n' | sort";
