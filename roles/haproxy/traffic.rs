//! How a balancer takes a web server out of the traffic and puts it back.

use std::time::Duration;

use marg_model::{App, Host};
use marg_resources::{Context, Shell, Traffic, quote};

use crate::php_fpm;

const FUNCTIONS: &str = include_str!("templates/traffic.sh");

/// By haproxy's admin socket, in both backends of each application.
pub const TRAFFIC: Traffic = Traffic {
    drain,
    ready,
    taken_out,
    patience,
};

/// Seconds in which a server can become well, see `traffic.sh`.
const SECONDS_TO_BE_UP: u64 = 60;

fn drain(context: &Context, host: &Host, app: Option<&App>) -> Shell {
    script(context, host, app, "drain")
}

fn ready(context: &Context, host: &Host, app: Option<&App>) -> Shell {
    script(context, host, app, "ready")
}

/// Whoever drains a server waits for as long as one of its requests may take.
fn seconds_to_drain(context: &Context, host: &Host) -> u64 {
    php_fpm::longest(&Context { host, ..*context })
}

/// Either takes no longer; what remains is for haproxy's own answers.
fn patience(context: &Context, host: &Host) -> Duration {
    let longest = seconds_to_drain(context, host).max(SECONDS_TO_BE_UP);
    Duration::from_secs(longest + 120)
}

fn taken_out(_context: &Context) -> Shell {
    Shell::new(format!("{FUNCTIONS}taken_out\n"))
}

fn script(context: &Context, host: &Host, app: Option<&App>, verb: &str) -> Shell {
    let apps = context.blueprint().apps.iter();
    let slugs: Vec<String> = apps
        .filter(|own| app.is_none_or(|app| app.name == own.name))
        .map(App::slug)
        .collect();
    let statuses = format!(
        "LEFT_IN={} BUSY={} NOT_UP={}\n",
        Traffic::LEFT_IN,
        Traffic::BUSY,
        Traffic::NOT_UP
    );
    let subject = format!(
        "HOST={} APPS={}\nSECONDS_TO_DRAIN={} SECONDS_TO_BE_UP={SECONDS_TO_BE_UP}\n",
        quote(&host.name),
        quote(&slugs.join(" ")),
        seconds_to_drain(context, host)
    );
    Shell::new(format!("{statuses}{subject}{FUNCTIONS}{verb}\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::testing::World;

    /// Answers like haproxy's sockets: the servers as they are in the file `servers`, those of the
    /// process before a reload in the file `old`, and silence to what is set, which it writes down.
    const SOCAT: &str = "#!/bin/sh\nread -r line\ncase $line in\n\
        'show proc') printf '%s\\n' '#<PID> <type>' '7 master 1' '# workers' '8 worker 0'\n\
        [ ! -e \"${0%/*}/old\" ] || printf '%s\\n' '# old workers' '6 worker 1' ;;\n\
        '@!6 show stat'*) cat \"${0%/*}/old\" ;;\n\
        'show stat'*) echo '# pxname,svname'; cat \"${0%/*}/servers\" ;;\n\
        *) echo \"$line\" >> \"${0%/*}/told\" ;;\nesac\n";

    fn program(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What the script says, its status, and how many times it told haproxy something. `servers`
    /// are words `BACKEND/SERVER=STATUS:REQUESTS`.
    fn run(verb: &str, servers: &[&str]) -> (String, i32, usize) {
        run_after_reload(verb, servers, &[])
    }

    /// The same, where a process from before a reload has these servers.
    fn run_after_reload(verb: &str, servers: &[&str], old: &[&str]) -> (String, i32, usize) {
        let folder = tempfile::tempdir().unwrap();
        let line = |server: &&str| {
            let (name, state) = server.split_once('=').unwrap();
            let (status, requests) = state.split_once(':').unwrap_or((state, "0"));
            let name = name.replace('/', ",");
            format!("{name},0,0,{requests}{}{status},1\n", ",".repeat(13))
        };
        let text: String = servers.iter().map(line).collect();
        fs::write(folder.path().join("servers"), text).unwrap();
        if !old.is_empty() {
            let text: String = old.iter().map(line).collect();
            fs::write(folder.path().join("old"), text).unwrap();
        }
        program(&folder.path().join("socat"), SOCAT);
        let world = World::new(3);
        let context = world.context("lb1", "debian-13");
        let host = world.fleet.blueprint.host("http1").unwrap();
        let app = &world.fleet.blueprint.apps[0];
        let script = match verb {
            "taken_out" => taken_out(&context),
            _ => script(&context, host, Some(app), verb),
        };
        let script = script.reveal();
        let script = script.expose().replace("[ -S \"$SOCKET\" ]", ":");
        let script = script
            .replace("SECONDS_TO_DRAIN=65", "SECONDS_TO_DRAIN=0")
            .replace("SECONDS_TO_BE_UP=60", "SECONDS_TO_BE_UP=0")
            .replace("/usr/local/sbin/marg-haproxy save", "echo saved");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("PATH", path)
            .output()
            .unwrap();
        let told = fs::read_to_string(folder.path().join("told")).unwrap_or_default();
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors, "", "{said}");
        (said, output.status.code().unwrap(), told.lines().count())
    }

    #[test]
    fn a_drain_leaves_a_server_that_can_serve() {
        const STAYS: &str = "flow-marg: no other server could serve without http1; it stays in\n";
        const IDLE: &str = "saved\nhttp1 has no requests any more\n";
        const WORKS: &str = "saved\nhttp1 gets no new requests and still works on 3 after 0 s\n";
        const ABSENT: &str = "flow-marg: http1 is no server of this balancer\n";
        let (one, two) = ("flow-marg/http1", "flow-marg/http2");
        let (any_one, any_two) = ("flow-marg.any/http1", "flow-marg.any/http2");
        for (states, said, status, told) in [
            (["UP", "UP", "UP", "UP"], IDLE.to_owned(), 0, 2),
            (
                ["UP:2", "UP", "UP:1", "UP"],
                WORKS.to_owned(),
                Traffic::BUSY,
                2,
            ),
            // The other one only answers; it is not ready.
            (
                ["UP", "DOWN", "UP", "UP"],
                STAYS.to_owned(),
                Traffic::LEFT_IN,
                0,
            ),
            (
                ["UP", "DRAIN", "UP", "DRAIN"],
                STAYS.to_owned(),
                Traffic::LEFT_IN,
                0,
            ),
            (["UP", "UP 1/2", "UP", "UP"], IDLE.to_owned(), 0, 2),
            // Nobody is ready: what is left must at least answer.
            (["DOWN", "DOWN", "UP", "UP"], IDLE.to_owned(), 0, 2),
            (
                ["DOWN", "DOWN", "UP", "DOWN"],
                STAYS.to_owned(),
                Traffic::LEFT_IN,
                0,
            ),
            // It serves nobody anyway, or is out already.
            (["DOWN", "DOWN", "DOWN", "DOWN"], IDLE.to_owned(), 0, 2),
            (["DRAIN", "DOWN", "DRAIN", "DOWN"], IDLE.to_owned(), 0, 2),
        ] {
            let servers: Vec<String> = [one, two, any_one, any_two]
                .iter()
                .zip(states)
                .map(|(server, state)| format!("{server}={state}"))
                .collect();
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            assert_eq!(run("drain", &servers), (said, status, told), "{states:?}");
        }
        let (said, status, told) = run("drain", &["flow-marg/http2=UP"]);
        assert_eq!((said, status, told), (format!("{ABSENT}{IDLE}"), 0, 0));
    }

    #[test]
    fn a_drain_waits_as_long_as_a_request_may_take() {
        let mut world = World::new(3);
        let seconds = |world: &World| {
            let host = world.fleet.blueprint.host("http1").unwrap();
            let context = world.context("lb1", "debian-13");
            let script = drain(&context, host, None).reveal();
            let text = script.expose();
            let seconds = text.split("SECONDS_TO_DRAIN=").nth(1).unwrap();
            let seconds: u64 = seconds.split_whitespace().next().unwrap().parse().unwrap();
            let patience = (TRAFFIC.patience)(&context, host).as_secs();
            assert!(patience > seconds && patience > SECONDS_TO_BE_UP);
            seconds
        };
        assert_eq!(seconds(&world), 65);
        let hosts = &mut world.fleet.blueprint.hosts;
        let host = hosts.iter_mut().find(|host| host.name == "http1").unwrap();
        let settings = host.settings.entry("php-fpm".to_owned()).or_default();
        settings.insert(
            "request_timeout".to_owned(),
            marg_model::SettingValue::Integer(300),
        );
        assert_eq!(seconds(&world), 305);
    }

    #[test]
    fn requests_from_before_a_reload_count() {
        let now = ["flow-marg/http1=UP:1", "flow-marg/http2=UP"];
        for (old, status, rest) in [
            (
                vec!["flow-marg/http1=UP:2", "flow-marg/http2=UP:9"],
                Traffic::BUSY,
                "on 3 after",
            ),
            (
                vec!["flow-marg.any/http1=UP:4", "links-marg/http1=UP:9"],
                Traffic::BUSY,
                "on 5 after",
            ),
        ] {
            let (said, found, _) = run_after_reload("drain", &now, &old);
            assert_eq!(found, status, "{said}");
            assert!(said.contains(rest), "{said}");
        }
        let idle = ["flow-marg/http1=UP", "flow-marg/http2=UP"];
        let (said, found, _) = run_after_reload("drain", &idle, &["flow-marg/http1=UP:0"]);
        assert_eq!(found, 0, "{said}");
    }

    #[test]
    fn who_is_taken_out_is_told() {
        let servers = [
            "flow-marg/http1=DRAIN",
            "flow-marg.any/http1=DRAIN",
            "flow-marg/http2=UP",
            "flow-marg/http3=MAINT",
            "flow-marg/http4=DOWN",
        ];
        let (said, status, told) = run("taken_out", &servers);
        assert_eq!((&*said, status, told), ("http1 drain\nhttp3 maint\n", 0, 0));
    }

    #[test]
    fn a_server_is_ready_when_its_check_succeeds() {
        let both = |state| {
            [
                format!("flow-marg/http1={state}"),
                "flow-marg.any/http1=UP".into(),
            ]
        };
        for (state, status) in [("UP", 0), ("UP 1/2", 0), ("DOWN", Traffic::NOT_UP)] {
            let servers = both(state);
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            let (said, found, told) = run("ready", &servers);
            assert_eq!((found, told), (status, 2), "{state}: {said}");
        }
        let (said, status, told) = run("ready", &["flow-marg/http2=UP"]);
        assert_eq!((status, told), (1, 0));
        assert!(said.contains("does not know http1"), "{said}");
    }
}
