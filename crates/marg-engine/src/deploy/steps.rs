//! What a deploy runs on hosts, as steps. Pure text; everything from outside is quoted.

mod build;
mod place;
pub mod records;

use std::time::Duration;

use marg_model::{App, Distro};
use marg_resources::artisan::{artisan, as_user};
use marg_resources::kinds::{Release as LiveRelease, SupervisorProgram};
use marg_resources::{Shell, Step, fpm, quote};

pub use build::build;
pub use place::{discard, place, prune, rebuild_caches};
pub use records::{UNFINISHED, announce, record};

const MINUTES: u64 = 60;

/// Folder of a release on any host.
fn release_path(app: &App, id: &str) -> String {
    format!("{}/releases/{id}", app.root())
}

fn step(name: impl Into<String>, body: String, minutes: u64) -> Step {
    let deadline = Duration::from_secs(minutes * MINUTES);
    Step::new(name, Shell::new(body), deadline)
}

/// A shell that runs the script on its standard input. The commands have an empty one: what reads
/// its input must not swallow those after it.
const FROM_INPUT: &str = "sh -ec 'umask 027; script=$(cat); eval \"$script\" </dev/null'";

/// Commands of the inventory, once, as the application's user in a release.
pub fn hooks(app: &App, folder: &str, when: &str, commands: &[String]) -> Option<Step> {
    if commands.is_empty() {
        return None;
    }
    let body = format!(
        "cd {folder}\n\
         printf %s {commands} | {run}\n",
        folder = quote(&format!("{}/{folder}", app.root())),
        commands = quote(&commands.join("\n")),
        run = as_user(app, FROM_INPUT),
    );
    Some(step(format!("{}: run `{when}`", app.name), body, 20))
}

/// Tells visitors to come again in a minute, and workers to wait. A host without a live release
/// has nobody to tell.
pub fn down(app: &App) -> Step {
    let root = app.root();
    let current = format!("{root}/current");
    let unless = format!(
        "umask 077; [ -e {marker} ] || exec php artisan down --retry=60 --no-interaction --no-ansi",
        marker = quote(&format!("{root}/shared/storage/framework/down")),
    );
    let body = format!(
        "if [ -e {current}/artisan ]; then\ncd {current}\n{down}\nfi\n",
        current = quote(&current),
        down = as_user(app, &format!("sh -c {}", quote(&unless))),
    );
    step(format!("{}: down for maintenance", app.name), body, 2)
}

/// Ends the maintenance, whatever the application itself can still do: without this file it
/// serves.
pub fn up(app: &App) -> Step {
    let framework = format!("{}/shared/storage/framework", app.root());
    let remove = format!(
        "rm -f -- {} {}",
        quote(&format!("{framework}/down")),
        quote(&format!("{framework}/maintenance.php"))
    );
    let body = as_user(app, &remove) + "\n";
    step(format!("{}: up again", app.name), body, 1)
}

/// Brings the database up to date. On one host of the fleet only.
pub fn migrate(app: &App, id: &str) -> Step {
    step(
        format!("{}: migrate", app.name),
        artisan(app, &release_path(app, id), "migrate --force"),
        20,
    )
}

/// Makes a release live: one rename. nginx tells php-fpm the release's own path, so nothing that
/// serves is reloaded.
pub fn switch(app: &App, id: &str, distro: &Distro, serves: bool) -> Step {
    let mut body = LiveRelease::live(app.root(), id).switch();
    if serves {
        let ready = Shell::new(fpm::ready(app, &release_path(app, id)));
        body = ready.then(body).text(format!("\n{}", fpm::let_go(distro)));
    }
    Step {
        body,
        ..step(format!("{}: switch to {id}", app.name), String::new(), 30)
    }
}

/// Takes away the link of an application that never worked.
pub fn nothing_live(app: &App) -> Step {
    let body = format!("rm -f -- {}\n", quote(&format!("{}/current", app.root())));
    step(format!("{}: nothing is live", app.name), body, 1)
}

/// Workers finish their job and start again with the new code; the step waits until those that
/// ran before are gone. A job that takes longer than that is left to finish. Each process is
/// told by a signal: `queue:restart` would reach the workers of every application and host that
/// shares the cache's prefix. Supervisor starts each anew as soon as it has ended. A host that
/// awaits its data has no workers yet.
pub fn restart_workers(app: &App) -> Step {
    let body = format!(
        "[ -e {program} ] || {{ echo 'its workers are not set up here yet'; exit 0; }}\n\
         old=$(supervisorctl status {group} | sed -n 's/.*RUNNING *pid \\([0-9]*\\),.*/\\1/p')\n\
         supervisorctl update\n\
         for pid in $old; do kill -TERM \"$pid\" 2>/dev/null || :; done\n\
         for program in $(supervisorctl status {group} | sed -n 's/^\\([^ ]*\\) *\\(STOPPED\\|EXITED\\|FATAL\\).*/\\1/p'); do\n\
         supervisorctl start \"$program\" || :\n\
         done\n\
         tries=1200\n\
         for pid in $old; do\n\
         while kill -0 \"$pid\" 2>/dev/null && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.25; done\n\
         done\n\
         if [ $tries -le 0 ]; then echo 'a worker still finishes its job with the old code'; fi\n\
         tries=120\n\
         while supervisorctl status {group} | grep -qv ' RUNNING '; do\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then supervisorctl status {group}; exit 1; fi\n\
         sleep 0.25\n\
         done\n",
        group = quote(&format!("{}:*", app.worker())),
        program = quote(&SupervisorProgram::path(&app.worker())),
    );
    step(format!("{}: restart its workers", app.name), body, 10)
}

/// Asks the application itself, on the host, until it answers 2xx: the new code is warm when
/// visitors come. Behind a balancer TLS ends there.
pub fn health(app: &App, balanced: bool) -> Step {
    let host = app
        .hostnames
        .first()
        .map_or(app.name.as_str(), String::as_str);
    let (scheme, port) = if app.tls.is_some() && !balanced {
        ("https", 443)
    } else {
        ("http", 80)
    };
    let url = format!("{scheme}://{host}{}", app.health);
    let body = format!(
        "tries=60\n\
         until curl -sS -o /dev/null -f --max-time 5 --resolve {resolve} {url} 2>\"$RUN/health\"; do\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then cat \"$RUN/health\"; \
         curl -sS --max-time 5 --resolve {resolve} {url} | head -c 2000; exit 1; fi\n\
         sleep 0.25\n\
         done\n",
        resolve = quote(&format!("{host}:{port}:127.0.0.1")),
        url = quote(&url),
    );
    step(format!("{}: check {}", app.name, app.health), body, 5)
}
