//! Applications of one host are strangers: each has its own php-fpm, whose change nobody else
//! notices, and none gets at what is another's, by PHP or by nginx.

use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet, LINKS, block_on};
use marg_tests::load::{KeepAlive, Load, LoadReport, LoadSpec, Pace};
use marg_tests::wait::until_true;

use crate::case::Case;
use crate::deploy::new_version;

cases! {
    "strangers: two applications deploy in turn and nobody's requests of 25 seconds are cut or late" => deploys,
    "strangers: changed variables and a rollback cut no request of 25 seconds" => masters,
    "strangers: inside one application nothing of another's php-fpm can be reached" => php,
    "strangers: nginx follows no link, and publishes what is to be published" => links,
    "strangers: a php-fpm that cannot start changes nothing, and one that is killed loses no request" => broken,
    "strangers: what PHP runs and a package replaces is replaced in PHP, too" => upgrades,
}

/// The same behind a balancer.
pub fn long_cases() -> Vec<Case> {
    vec![Case::new(
        "strangers: behind a balancer, too, two applications deploy in turn and no request is cut or late",
        balanced,
    )]
}

/// A request that works until a deadline, whatever interrupts it.
const LONG: &str = "/slow?ms=25000";

/// Requests on both applications, in `long` ones of 25 seconds and in short ones that are due evenly.
struct Crowd {
    short: Vec<(&'static str, Load)>,
    long: Vec<(&'static str, Load)>,
}

fn crowd(fleet: &Fleet) -> Crowd {
    let start = |app: &'static str, path: &str, pace, connections| {
        let mut spec = LoadSpec::new(format!("http://{}", fleet.entry));
        spec.host_header = Some(app.to_owned());
        spec.paths = vec![path.to_owned()];
        (spec.connections, spec.pace, spec.keep_alive) = (connections, pace, KeepAlive::Mixed);
        spec.timeout = Duration::from_secs(40);
        spec.max_time = Duration::from_secs(3600);
        (app, block_on(async { Load::start(spec) }).unwrap())
    };
    let short = [FLOW, LINKS].map(|app| start(app, "/version", Pace::PerSecond(8), 8));
    // Begun every second or so, and never so many that the short ones would find no process.
    let long = [FLOW, LINKS].map(|app| start(app, LONG, Pace::ClosedLoop, PATIENT));
    Crowd {
        short: short.into(),
        long: long.into(),
    }
}

/// What became of the requests to each application.
type Reports = Vec<(&'static str, LoadReport)>;

impl Crowd {
    /// Waits for every request that is under way.
    fn leave(self) -> (Reports, Reports) {
        let end = |loads: Vec<(&'static str, Load)>| {
            let ended = loads
                .into_iter()
                .map(|(app, load)| (app, block_on(load.stop())));
            ended.collect::<Vec<_>>()
        };
        (end(self.short), end(self.long))
    }
}

/// Who asks an application for something that takes long, all the time.
const PATIENT: usize = 2;

/// What a request may wait, far above what it does on a busy machine (the figure is printed), and far
/// below what it waited when a reload let running requests end first.
const STALL: Duration = Duration::from_secs(10);

/// None was cut off, and none was made to wait until others had ended.
#[track_caller]
fn assert_undisturbed(what: &str, crowd: Crowd) {
    let (short, long) = crowd.leave();
    for (app, report) in &short {
        eprintln!("    {what}, {app}: {report}");
        assert!(report.failed_count == 0, "{what}, {app}: {report}");
        assert!(report.max < STALL, "{what}, {app}: {report}");
    }
    for (app, report) in &long {
        eprintln!("    {what}, {app}, 25 s each: {report}");
        assert!(
            report.failed_count == 0 && report.sent >= PATIENT as u64,
            "{what}, {app}: {report}"
        );
        assert!(
            report.max < Duration::from_secs(25) + STALL,
            "{what}, {app}: {report}"
        );
    }
}

fn deploy_both(fleet: &Fleet, version: &str) {
    let commit = new_version(fleet, version);
    for app in ["flow.marg", "links.marg"] {
        fleet.deploy(app, &commit);
    }
}

fn deploys() {
    let fleet = Fleet::provisioned();
    let crowd = crowd(fleet);
    deploy_both(fleet, "21.0.0");
    assert_eq!(fleet.version(FLOW)["version"], "21.0.0");
    assert_eq!(fleet.version(LINKS)["version"], "21.0.0");
    assert_undisturbed("two deploys in turn", crowd);
}

fn balanced() {
    let fleet = Fleet::balanced();
    let crowd = crowd(fleet);
    deploy_both(fleet, "22.0.0");
    assert_undisturbed("two rolling deploys in turn", crowd);
}

fn masters() {
    let fleet = Fleet::provisioned();
    let master = |app: &str| {
        let script = format!("readlink /run/marg-php/{app}.sock");
        fleet.on("http1", &script).trim().to_owned()
    };
    let before = (master("flow-marg"), master("links-marg"));
    let crowd = crowd(fleet);
    let outcome = fleet.provision_variant(&[("LOG_LEVEL = \"info\"", "LOG_LEVEL = \"notice\"")]);
    outcome.run().ok();
    let changed = (master("flow-marg"), master("links-marg"));
    assert!(
        before.0 != changed.0 && before.1 != changed.1,
        "{changed:?}"
    );
    fleet.marg(["rollback", "flow.marg", "--json"]).run().ok();
    fleet.provision();
    assert_undisturbed("changed variables and a rollback", crowd);
    let level = "echo config('logging.channels.single.level');";
    assert_eq!(fleet.php("http1", "flow.marg", level), "info");
    until_true(
        "only one master of each is left",
        Duration::from_secs(90),
        || {
            let units = "systemctl list-units --plain --no-legend 'marg-php-*@*.service' | wc -l";
            fleet.on("http1", units).trim() == "2"
        },
    );
}

/// What PHP finds in flow.marg's own php-fpm when it is asked to look at links.marg.
const SPY: &str = r#"<?php
$other = '/var/www/links.marg/current';
$said['included'] = @include "$other/bootstrap/cache/config.php";
$said['read'] = @file_get_contents("$other/.env");
$said['storage'] = @scandir('/var/www/links.marg/shared/storage/app');
$said['socket'] = (bool) @stream_socket_client('unix:///run/php/links-marg.sock');
$said['own socket'] = (bool) @stream_socket_client('unix:///run/php/flow-marg.sock');
$paths = implode("\n", array_keys(opcache_get_status(true)['scripts']));
$said['cached'] = str_contains($paths, '/var/www/links.marg/');
$said['own'] = str_contains($paths, '/var/www/flow.marg/');
$said['root'] = posix_geteuid() === 0;
$said['master'] = posix_kill(posix_getppid(), 0);
$said['others'] = array_values(array_filter(glob('/proc/[0-9]*'), function ($path) {
    $state = @file_get_contents("$path/cmdline");
    return str_contains((string) $state, 'links-marg') && @file_get_contents("$path/environ") !== false;
}));
$said['tmp'] = array_values(array_filter(scandir('/tmp'), fn ($name) => str_contains($name, 'stranger')));
echo json_encode($said);
"#;

fn php() {
    let fleet = Fleet::provisioned();
    let spy = "/var/www/flow.marg/shared/storage/app/spy.php";
    for app in [FLOW, LINKS] {
        fleet.browser().get(app, "/version").has(200);
    }
    let script = format!(
        "touch /tmp/stranger\nrunuser -u flow-marg -- sh -c 'cat > {spy}' <<'PHP'\n{SPY}\nPHP\n\
         php -n /usr/local/lib/marg-php/ask.php /run/php/flow-marg.sock 10 SCRIPT_FILENAME={spy}\n\
         rm -f {spy} /tmp/stranger\n"
    );
    let said: serde_json::Value = serde_json::from_str(&fleet.on("http1", &script)).unwrap();
    let expected = serde_json::json!({
        "included": false, "read": false, "storage": false, "socket": false, "own socket": false,
        "cached": false, "own": true, "root": false, "master": true, "others": [], "tmp": [],
    });
    assert_eq!(said, expected);
    let masters = "ps -eo user:32,args | grep '[p]hp-fpm: master' | cut -d' ' -f1 | sort";
    assert_eq!(fleet.on("http1", masters), "flow-marg\nlinks-marg\n");
}

fn links() {
    let fleet = Fleet::provisioned();
    let (own, other) = ("/var/www/flow.marg", "/var/www/links.marg");
    // As root, so that nothing but nginx itself is in the way.
    let plant = format!(
        "cd {own}/shared/storage/app\n\
         runuser -u flow-marg -- sh -ec 'mkdir -p public/a private; echo fine > public/a/fine.txt; \
         echo code > public/a/code.php; echo mine > private/mine.txt; \
         ln -s ../../private/mine.txt public/a/own; ln -s {other}/shared/storage/app/private/secret.txt public/a/other; \
         ln -s {other}/shared/storage/app/private public/folder; ln -s /etc/passwd public/a/passwd'\n\
         runuser -u links-marg -- sh -ec 'mkdir -p {other}/shared/storage/app/private; \
         echo secret > {other}/shared/storage/app/private/secret.txt'\n\
         ln -s {other}/shared/storage/app/private/secret.txt {own}/current/public/other.txt\n\
         ln -s {other}/current/bootstrap/cache/config.php {own}/current/public/config.txt\n\
         ln -s {other}/shared/storage/app/private {own}/current/public/others\n"
    );
    fleet.on("http1", &plant);
    let get = |path: &str| fleet.browser().get(FLOW, path);
    assert_eq!(get("/storage/a/fine.txt").has(200).body, "fine\n");
    for path in [
        "/storage/a/own",
        "/storage/a/other",
        "/storage/folder/secret.txt",
        "/storage/a/passwd",
        "/storage/a/code.php",
        "/storage/../private/mine.txt",
        "/storage/%2e%2e/private/mine.txt",
        "/other.txt",
        "/config.txt",
        "/others/secret.txt",
    ] {
        let page = get(path);
        assert!(page.status == 404 || page.status == 403, "{path}: {page:?}");
    }
    // Not even the folder that is published may be a link.
    let swap = "cd /var/www/flow.marg/shared/storage/app && runuser -u flow-marg -- sh -ec \
        'mv public kept; ln -s /var/www/links.marg/shared/storage/app/private public'";
    fleet.on("http1", swap);
    let page = get("/storage/secret.txt");
    let back = "cd /var/www/flow.marg/shared/storage/app && runuser -u flow-marg -- sh -ec \
        'rm public; mv kept public; rm -rf public/a public/folder private' && \
        rm /var/www/flow.marg/current/public/other* /var/www/flow.marg/current/public/config.txt && \
        rm -r /var/www/links.marg/shared/storage/app/private";
    fleet.on("http1", back);
    assert!(page.status == 404 || page.status == 403, "{page:?}");
    let open = "find /var/log/nginx /var/log/marg-php -type f -perm /007";
    assert_eq!(fleet.on("http1", open), "");
    fleet.assert_converged();
}

fn broken() {
    let fleet = Fleet::provisioned();
    let load = crate::deploy::load_on(fleet, FLOW, &["/version", "/livez"]);
    let reload = "cd /etc/php/*/marg && cp -p flow-marg.conf /root/pool && \
        echo 'pm.max_children = zero' >> flow-marg.conf; before=$(readlink /run/marg-php/flow-marg.sock); \
        systemctl reload marg-php-flow-marg && echo reloaded; cp -p /root/pool flow-marg.conf; \
        [ $before = $(readlink /run/marg-php/flow-marg.sock) ] && systemctl reload marg-php-flow-marg && \
        [ $before != $(readlink /run/marg-php/flow-marg.sock) ]";
    assert_eq!(fleet.on("http1", reload), "");
    crate::deploy::assert_lossless(
        "a php-fpm that cannot start, and another one",
        &crate::deploy::end(load),
    );
    let kill = "kill -9 $(for slot in a b; do systemctl show -P MainPID marg-php-flow-marg@$slot; done | grep -v '^0')";
    fleet.on("http1", kill);
    // Whoever comes now waits in the socket, which is systemd's.
    fleet.browser().get(FLOW, "/version").has(200);
}

fn upgrades() {
    let fleet = Fleet::provisioned();
    let masters = "for app in flow-marg links-marg; do slot=$(readlink /run/marg-php/$app.sock); \
        slot=${slot%.sock}; systemctl show -P MainPID marg-php-$app@${slot##*.}.service; done";
    let before = fleet.on("http1", masters);
    // As a package does: another file under the same name.
    let replace = "file=$(ls /usr/lib/php/*/bcmath.so | head -n1); cp -p $file $file.new && mv $file.new $file; \
        /usr/local/sbin/marg-php refresh";
    fleet.on("http1", replace);
    until_true("other masters", Duration::from_secs(60), || {
        let now = fleet.on("http1", masters);
        now.lines()
            .zip(before.lines())
            .all(|(now, before)| now != before)
    });
    // Nothing is left to be replaced, and no package brings the common one back.
    assert_eq!(fleet.on("http1", "/usr/local/sbin/marg-php refresh"), "");
    let again = "apt-config dump | grep -c 'marg-php refresh'; php=$(ls -d /etc/php/*/fpm); \
        dpkg-trigger --by-package=base-files $php/conf.d; dpkg --triggers-only -a >/dev/null; \
        php=${php%/fpm}; systemctl is-active php${php##*/}-fpm || :";
    assert_eq!(fleet.on("http1", again), "1\ninactive\n");
    for app in [FLOW, LINKS] {
        fleet.browser().get(app, "/version").has(200);
    }
    fleet.assert_converged();
}
