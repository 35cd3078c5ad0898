//! What a deploy runs on hosts, as steps. Pure text; everything from outside is quoted.

use std::time::Duration;

use marg_model::{App, Distro};
use marg_resources::artisan::{artisan, caches};
use marg_resources::kinds::{Release as LiveRelease, SupervisorProgram};
use marg_resources::{Shell, Step, quote};

use super::Release;

/// Folder on a host for what is being built and carried; only root may look into it.
pub const CARRY: &str = "/var/lib/marg/releases";

/// File in an application's folder that tells what was begun; gone when it came to its end.
pub const UNFINISHED: &str = "deploy.unfinished.json";

const MINUTES: u64 = 60;

/// Path of the source archive on the build host.
pub fn source_path(app: &App, id: &str) -> String {
    format!("{CARRY}/{}-{id}.source.tar.gz", app.slug())
}

/// Path of the finished release's archive on any host.
pub fn artefact_path(app: &App, id: &str) -> String {
    format!("{CARRY}/{}-{id}.tar.gz", app.slug())
}

/// Folder of a release on any host.
fn release_path(app: &App, id: &str) -> String {
    format!("{}/releases/{id}", app.root())
}

/// A command that takes a file on standard input, readable by root alone.
pub fn receive(path: &str) -> String {
    let path = quote(path);
    format!(
        "umask 077; mkdir -p {folder} && cat > {path}.part && mv -fT {path}.part {path}",
        folder = quote(CARRY)
    )
}

fn step(name: impl Into<String>, body: String, minutes: u64) -> Step {
    let deadline = Duration::from_secs(minutes * MINUTES);
    Step::new(name, Shell::new(body), deadline)
}

/// Unpacks the source, installs dependencies, runs the application's own build commands, and
/// packs what every host will get.
pub fn build(app: &App, release: &Release) -> Vec<Step> {
    let (user, id) = (quote(&app.slug()), &release.id);
    let work = quote(&format!("{}/build/{id}", app.root()));
    let mut commands = String::from(
        "composer install --no-dev --no-interaction --no-progress --optimize-autoloader 2>&1\n",
    );
    for command in &app.build {
        commands.push_str(command);
        commands.push('\n');
    }
    let unpack = format!(
        "rm -rf {work}\n\
         install -d -o {user} -g {user} -m 0755 {work}\n\
         tar -xzf {source} -C {work} --no-same-owner\n\
         rm -rf {work}/storage {work}/.env\n\
         ln -s {shared}/storage {work}/storage\n\
         ln -s {shared}/.env {work}/.env\n\
         chown -R {user}:{user} {work}\n",
        source = quote(&source_path(app, id)),
        shared = quote(&format!("{}/shared", app.root())),
    );
    let compose = format!(
        "cd {work}\n\
         runuser -u {user} -- env HOME={root}/home COMPOSER_HOME={root}/shared/.composer \
         sh -e <<'MARG_BUILD'\n{commands}MARG_BUILD\n",
        root = quote(&app.root()),
    );
    let pack = format!(
        "cd {work}\n\
         rm -f bootstrap/cache/config.php\n\
         cat > .marg-release.json <<'MARG_RELEASE'\n{json}\nMARG_RELEASE\n\
         umask 077\n\
         tar --sort=name --owner=0 --group=0 --numeric-owner -czf {artefact} .\n\
         cd / && rm -rf {work} {source}\n",
        json = release.json(),
        artefact = quote(&artefact_path(app, id)),
        source = quote(&source_path(app, id)),
    );
    vec![
        step(
            format!("{}: unpack {}", app.name, release.short_commit()),
            unpack,
            5,
        ),
        step(format!("{}: build", app.name), compose, 20),
        step(format!("{}: pack the release", app.name), pack, 5),
    ]
}

/// Puts a release beside the others, with its caches; what is live stays as it is.
pub fn place(app: &App, release: &Release, checksum: &str) -> Vec<Step> {
    let (user, root, id) = (quote(&app.slug()), app.root(), &release.id);
    let folder = quote(&format!("{root}/releases/{id}"));
    let artefact = quote(&artefact_path(app, id));
    let unpack = format!(
        "echo {checksum}\\ \\ {artefact} | sha256sum -c --quiet\n\
         rm -rf {folder}.new\n\
         install -d -m 0755 {folder}.new\n\
         tar -xzf {artefact} -C {folder}.new --no-same-owner\n\
         {assets}\
         chown -R {user}:{user} {folder}.new\n\
         rm -rf {folder}\n\
         mv -T {folder}.new {folder}\n\
         rm -f {artefact}\n",
        assets = keep_assets(app, id),
    );
    vec![
        step(format!("{}: unpack the release", app.name), unpack, 5),
        step(
            format!("{}: build its caches", app.name),
            caches(app, &release_path(app, id)),
            5,
        ),
    ]
}

/// Built assets are also kept beside the releases: a page of one release may ask a host for them
/// that has another one live. Links to the same bytes, made while all of it is root's own.
fn keep_assets(app: &App, id: &str) -> String {
    format!(
        "if [ -d {folder}/public/build ]; then\n\
         (cd {folder}/public/build\n\
         find . -type d -exec sh -c 'for d; do install -d -m 0755 \"$0/$d\"; done' {kept} {{}} +\n\
         find . -type f -exec sh -c 'for f; do [ -e \"$0/$f\" ] || ln -- \"$f\" \"$0/$f\"; done' \
         {kept} {{}} +)\n\
         fi\n",
        folder = quote(&format!("{}/releases/{id}.new", app.root())),
        kept = quote(&format!("{}/shared/build", app.root())),
    )
}

/// Packs a release that lies on a host, for a host that lacks it. Caches hold secrets and are
/// made anew there.
pub fn pack(app: &App, id: &str) -> Step {
    let body = format!(
        "umask 077; mkdir -p {folder}\n\
         tar --sort=name --owner=0 --group=0 --numeric-owner \
         --exclude='./bootstrap/cache/config.php' --exclude='./bootstrap/cache/routes-v7.php' \
         --exclude='./bootstrap/cache/events.php' --exclude='./bootstrap/cache/next-*' -C {release} -czf {artefact} .\n",
        folder = quote(CARRY),
        release = quote(&release_path(app, id)),
        artefact = quote(&artefact_path(app, id)),
    );
    step(format!("{}: pack {id}", app.name), body, 5)
}

/// Removes what was carried.
pub fn unpack_done(app: &App, id: &str) -> Step {
    let body = format!("rm -f -- {}\n", quote(&artefact_path(app, id)));
    step(format!("{}: remove the archive", app.name), body, 1)
}

/// Writes down what begins, so that the same command goes on and a rollback knows where to.
pub fn announce(app: &App, line: &str) -> Step {
    let body = format!(
        "cd {root}\n\
         cat > {UNFINISHED}.new <<'MARG_RECORD'\n{line}\nMARG_RECORD\n\
         mv -fT {UNFINISHED}.new {UNFINISHED}\n",
        root = quote(&app.root()),
    );
    step(format!("{}: write down what begins", app.name), body, 1)
}

/// Commands of the inventory, once, as the application's user in a release.
pub fn hooks(app: &App, folder: &str, when: &str, commands: &[String]) -> Option<Step> {
    if commands.is_empty() {
        return None;
    }
    let body = format!(
        "cd {folder}\n\
         runuser -u {user} -- env HOME={home} sh -e <<'MARG_HOOK'\n{commands}\nMARG_HOOK\n",
        folder = quote(&format!("{}/{folder}", app.root())),
        user = quote(&app.slug()),
        home = quote(&format!("{}/home", app.root())),
        commands = commands.join("\n"),
    );
    Some(step(format!("{}: run `{when}`", app.name), body, 20))
}

/// Tells visitors to come again in a minute, and workers to wait. A host without a live release
/// has nobody to tell.
pub fn down(app: &App) -> Step {
    let root = app.root();
    let current = format!("{root}/current");
    let body = format!(
        "[ ! -e {marker} ] || exit 0\nif [ -e {artisan} ]; then\n{down}fi\n",
        marker = quote(&format!("{root}/shared/storage/framework/down")),
        artisan = quote(&format!("{current}/artisan")),
        down = artisan(app, &current, "down --retry=60"),
    );
    step(format!("{}: down for maintenance", app.name), body, 2)
}

/// Ends the maintenance, whatever the application itself can still do: without this file it
/// serves.
pub fn up(app: &App) -> Step {
    let framework = format!("{}/shared/storage/framework", app.root());
    let body = format!(
        "rm -f -- {} {}\n",
        quote(&format!("{framework}/down")),
        quote(&format!("{framework}/maintenance.php"))
    );
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

/// Makes the caches of a release anew: the variables may have changed since.
pub fn rebuild_caches(app: &App, id: &str) -> Step {
    step(
        format!("{}: rebuild the caches of {id}", app.name),
        caches(app, &release_path(app, id)),
        5,
    )
}

/// Makes a release live: one rename, then php-fpm lets go of the old code.
pub fn switch(app: &App, id: &str, distro: &Distro, serves: bool) -> Step {
    let mut body = LiveRelease::live(app.root(), id).switch();
    if serves {
        let unit = quote(&distro.php_fpm_unit());
        body = body.text(format!("\nsystemctl reload {unit}\n"));
    }
    Step {
        body,
        ..step(format!("{}: switch to {id}", app.name), String::new(), 5)
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

/// Remembers on the host who made what live, and when.
pub fn record(app: &App, line: &str) -> Step {
    let body = format!(
        "cd {root}\n\
         cat >> deploys.jsonl <<'MARG_RECORD'\n{line}\nMARG_RECORD\n\
         rm -f -- {UNFINISHED}\n",
        root = quote(&app.root()),
    );
    step(format!("{}: record the deploy", app.name), body, 1)
}

/// Removes old releases, never one that is live, and leftovers of failed builds.
pub fn prune(app: &App, keep: &[String]) -> Step {
    let kept: Vec<String> = keep.iter().map(|id| quote(id)).collect();
    let body = format!(
        "cd {root}/releases\n\
         live=$(readlink ../current || :); live=${{live##*/}}\n\
         for release in *; do\n\
         [ -d \"$release\" ] || continue\n\
         case $release in \"$live\"|{kept}) continue ;; esac\n\
         rm -rf -- \"$release\"\n\
         done\n\
         rm -rf {root}/build\n\
         rm -f -- {CARRY}/{slug}-2*.tar.gz {CARRY}/{slug}-2*.part\n\
         if [ -d {root}/shared/build ]; then\n\
         find {root}/shared/build -type f -links 1 -delete\n\
         find {root}/shared/build -mindepth 1 -type d -empty -delete\n\
         fi\n",
        root = quote(&app.root()),
        slug = quote(&app.slug()),
        kept = if kept.is_empty() {
            "''".to_owned()
        } else {
            kept.join("|")
        },
    );
    step(format!("{}: remove old releases", app.name), body, 5)
}

/// Removes a release that never went live.
pub fn discard(app: &App, id: &str) -> Step {
    let body = format!(
        "cd {root}\n\
         live=$(readlink current || :)\n\
         [ \"$live\" = releases/{id} ] || rm -rf -- releases/{id} releases/{id}.new build/{id}\n\
         rm -f -- {artefact} {source}\n\
         if [ -e {UNFINISHED} ] && grep -qF -- {id} {UNFINISHED}; then rm -f -- {UNFINISHED}; fi\n",
        root = quote(&app.root()),
        id = quote(id),
        artefact = quote(&artefact_path(app, id)),
        source = quote(&source_path(app, id)),
    );
    step(format!("{}: discard {id}", app.name), body, 5)
}
