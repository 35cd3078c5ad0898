//! An application's cache: an instance of its own, so that what it empties or crowds out is only
//! its own.

use marg_model::{App, EarlierForm};
use marg_resources::kinds::{File, Service, Strays};
use marg_resources::{Check, Context, Notice, Notify, Opening, Peer, Resource, RoleError, quote};
use minijinja::Value;
use serde::Serialize;

use super::live::Live;
use super::logins::{self, Login, Logins};
use super::{EARLIER_CACHE_PORT, PASSWORD_FILE, ask, password_secret_of};
use crate::network;
use crate::render::{Template, template, trusted};

const CONF: Template = template!("redis", "templates/redis-cache.conf");
const LIVE: Template = template!("redis", "templates/live-cache.conf");
/// First line of [`CONF`].
const MARK: &str = "# The cache: what is used least goes first, and nothing is written to disk.";
/// What the instance that all applications shared was called.
const EARLIER: &str = "redis-cache";

/// Its own cache's, beside what applications may do everywhere: nobody else is there.
const OWN: &str = "+flushdb +flushall +keys +info";

/// Name of the secret that an application's cache asks for.
pub fn password_secret(app: &App) -> String {
    format!("redis_cache_password_{}", app.slug().replace('-', "_"))
}

/// Name of an application's instance, as its unit, its files and the proxies' sections have it.
pub fn name(app: &App) -> String {
    format!("cache-{}", app.slug())
}

fn path(what: &str, app: &App) -> String {
    format!("/etc/redis/{what}-{}.conf", name(app))
}

/// An application's instance that may hold so many MiB.
pub fn resources(context: &Context, app: &App, mib: u64) -> Result<Vec<Resource>, RoleError> {
    let unit = format!("redis-server@{}", name(app));
    let logins = logins(context, app)?;
    let live = Live::new(
        path("live", app),
        (app.cache_port, &path("logins", app)),
        &LIVE,
        mib,
    )?;
    let conf = File::new(path("redis", app), conf(context, app)?);
    Ok(vec![
        logins.file().into(),
        live.file().into(),
        conf.mode(0o640)
            .owner("redis", "redis")
            .notify(Notice::restart(unit.as_str())),
        Service::running(unit).into(),
        logins.set().into(),
        live.set().into(),
    ])
}

fn conf(context: &Context, app: &App) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        name: String,
        port: u16,
        listen: Vec<Value>,
    }
    CONF.render(Values {
        name: name(app),
        port: app.cache_port,
        listen: network::listen(context).into_iter().map(trusted).collect(),
    })
}

/// The application itself, under its name or without one, with this password or that for sessions
/// and queues: `config/database.php` may have only some of it for each connection.
fn logins(context: &Context, app: &App) -> Result<Logins, RoleError> {
    let admin = context.secret(logins::ADMIN_SECRET)?.expose();
    let own = context.secret(&password_secret(app))?.expose();
    let other = context.secret(&password_secret_of(app))?.expose();
    let rights = format!("~* &* {} {OWN}", logins::OF_APPLICATIONS);
    let users = [
        Login::new(logins::ADMIN, [admin], "~* &* +@all"),
        Login::new(logins::CHECK, [], "+ping"),
        Login::new(logins::user(app), [own, other], rights.as_str()),
        Login::new("default", [own, other], rights.as_str()),
    ];
    Ok(Logins::new(path("logins", app), app.cache_port, &users))
}

/// Instances of applications that are gone, and the one that all shared in earlier versions: it
/// waits until those who still use it have come to their end, for as long as a job may take.
pub fn strays(context: &Context) -> Strays {
    let apps = context.blueprint().apps.iter();
    let mut wanted: Vec<String> = apps.map(|app| format!("redis-{}", name(app))).collect();
    if context.fleet.earlier == EarlierForm::Kept {
        wanted.push(EARLIER.to_owned());
    }
    let stop = format!(
        "{functions}used() {{\n  \
         echo 'CLIENT LIST TYPE normal' | ask {PASSWORD_FILE} {EARLIER_CACHE_PORT} | tr ' ' '\\n' \\\n    \
         | awk '/^age=/ {{ sub(\"age=\", \"\"); if ($0 >= 2) used = 1 }} END {{ exit !used }}'\n\
         }}\n\
         end=$(($(date +%s) + 300))\n\
         while [ \"$name\" = {EARLIER} ] && used && [ \"$(date +%s)\" -lt \"$end\" ]; do\n  \
         if left_alone; then echo 'nobody waits for this any more'; exit 1; fi\n  \
         sleep 0.5\ndone\n\
         systemctl -q disable --now \"redis-server@${{name#redis-}}\"",
        functions = ask::functions(),
    );
    Strays::new("/etc/redis", ".conf", MARK, wanted)
        .stop(stop)
        .forget(
            "rm -f -- \"/etc/redis/live-${name#redis-}.conf\" \"/etc/redis/logins-${name#redis-}.conf\"",
        )
}

/// Condition of the shell: this host still has the cache that all applications shared.
pub const EARLIER_THERE: &str = "[ -e /etc/redis/redis-cache.conf ]";

/// What is open for it.
pub fn earlier_openings() -> Vec<Opening> {
    vec![Opening {
        port: EARLIER_CACHE_PORT,
        from: Peer::Role("app"),
    }]
}

/// It answers.
pub fn check(app: &App) -> Check {
    Check {
        name: format!(
            "redis answers on port {} (cache of {})",
            app.cache_port, app.name
        ),
        script: format!(
            "{}echo PING | ask {} {} | grep -q PONG",
            ask::functions(),
            quote(&path("logins", app)),
            app.cache_port,
        ),
        deadline_seconds: 60,
    }
}
