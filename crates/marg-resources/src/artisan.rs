//! Laravel's own commands on a host, run as the application's user. Pure text.

use marg_model::App;

use crate::quote::quote;

/// What a release caches in itself: the command, the variable that says where, and the file.
const CACHES: [(&str, &str, &str); 3] = [
    CONFIGURATION,
    ("route:cache", "APP_ROUTES_CACHE", "routes-v7.php"),
    ("event:cache", "APP_EVENTS_CACHE", "events.php"),
];

const CONFIGURATION: (&str, &str, &str) = ("config:cache", "APP_CONFIG_CACHE", "config.php");

/// One artisan command of the release in `folder`.
pub fn artisan(app: &App, folder: &str, command: &str) -> String {
    as_user(app, folder, &format!("exec {}", php(command)))
}

/// Configuration, routes, events and views, cached in the release itself. The configuration's
/// cache holds secrets: it is made on each host, readable by the application alone.
pub fn caches(app: &App, folder: &str) -> String {
    let own = CACHES.map(|cache| cached(app, folder, cache));
    own.concat() + &artisan(app, folder, "view:cache")
}

/// The configuration alone: what variables have to do with.
pub fn cache_configuration(app: &App, folder: &str) -> String {
    cached(app, folder, CONFIGURATION)
}

/// The release may be live, and artisan begins by removing the old cache: a request at that moment
/// would find neither cache nor variables. So the new one is made beside it and takes its place.
fn cached(app: &App, folder: &str, (command, variable, file): (&str, &str, &str)) -> String {
    let (path, next) = (
        format!("bootstrap/cache/{file}"),
        format!("bootstrap/cache/next-{file}"),
    );
    let command = php(command);
    as_user(
        app,
        folder,
        &format!("{variable}={next} {command} && exec mv -fT {next} {path}"),
    )
}

fn php(command: &str) -> String {
    format!("php artisan {command} --no-interaction --no-ansi")
}

fn as_user(app: &App, folder: &str, script: &str) -> String {
    format!(
        "cd {folder} && runuser -u {user} -- env HOME={home} sh -c {inner}\n",
        folder = quote(folder),
        home = quote(&format!("{}/home", app.root())),
        user = quote(&app.slug()),
        inner = quote(&format!("umask 077; {script}")),
    )
}
