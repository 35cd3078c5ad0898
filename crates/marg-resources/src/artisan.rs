//! Laravel's own commands on a host, run as the application's user. Pure text.

use marg_model::App;

use crate::quote::quote;

/// What a release caches: the command, the variable that says where, and the file.
const CACHES: [(&str, &str, &str); 3] = [
    CONFIGURATION,
    ("route:cache", "APP_ROUTES_CACHE", "routes-v7.php"),
    ("event:cache", "APP_EVENTS_CACHE", "events.php"),
];

const CONFIGURATION: (&str, &str, &str) = ("config:cache", "APP_CONFIG_CACHE", "config.php");

/// One artisan command of the release in `folder`.
pub fn artisan(app: &App, folder: &str, command: &str) -> String {
    let command = format!("umask 077; exec {}", php(command));
    format!(
        "cd {} && {}\n",
        quote(folder),
        as_user(app, &format!("sh -c {}", quote(&command)))
    )
}

/// Configuration, routes, events and views. The configuration's cache holds secrets: it is made
/// on each host, readable by the application alone.
pub fn caches(app: &App, folder: &str) -> String {
    let own = CACHES.map(|cache| cached(app, folder, cache));
    own.concat() + &artisan(app, folder, "view:cache")
}

/// The configuration alone: what variables have to do with.
pub fn cache_configuration(app: &App, folder: &str) -> String {
    cached(app, folder, CONFIGURATION)
}

/// A command as the application's user, with its home and nothing else of root's environment.
pub fn as_user(app: &App, command: &str) -> String {
    format!(
        "runuser -u {user} -- env HOME={home} {command}",
        user = quote(&app.slug()),
        home = quote(&format!("{}/home", app.root())),
    )
}

/// Laravel executes what lies in `bootstrap/cache`, so it is root's like all of a release. The
/// application's user makes the cache in a folder of its own and hands it over through a pipe:
/// root opens nothing that somebody else could have put there. Artisan begins by removing the
/// old cache, and the release may be live: so the new one takes its place by rename.
fn cached(app: &App, folder: &str, (command, variable, file): (&str, &str, &str)) -> String {
    let (path, next) = (
        format!("bootstrap/cache/{file}"),
        format!("bootstrap/cache/next-{file}"),
    );
    let command = php(command);
    // What artisan says goes to standard error, or it would be a part of the cache.
    let make = format!(
        "umask 077; own=$(mktemp -d) && trap 'rm -rf \"$own\"' EXIT && \
         {variable}=$own/{file} {command} >&2 && cat \"$own/{file}\""
    );
    format!(
        "cd {folder}\n{OURS}\
         (umask 027; {make} > {next})\n\
         chgrp {group} {next}\n\
         mv -fT {next} {path}\n",
        folder = quote(folder),
        make = as_user(app, &format!("sh -ec {}", quote(&make))),
        group = quote(&app.slug()),
    )
}

/// Where root is about to write: nobody else can have put a link there. A release that an earlier
/// version of marg placed belongs to the application until the host is provisioned again.
const OURS: &str = "for place in . bootstrap bootstrap/cache; do\n\
     if [ -L \"$place\" ] || [ ! -O \"$place\" ]; then\n\
     echo \"$PWD/$place does not belong to root; run marg provision, then the same command again\"\n\
     exit 1\nfi\ndone\n";

fn php(command: &str) -> String {
    format!("php artisan {command} --no-interaction --no-ansi")
}
