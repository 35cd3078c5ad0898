//! Files that applications keep on their host's disk move to another host.

use marg_model::App as Application;
use marg_resources::{Context, Handover, PLACES, Shell, fpm, quote};

/// By way of an archive.
pub const HANDOVER: Handover = Handover {
    what: "files of the applications",
    export,
    import,
};

/// One artisan command of the live release.
fn artisan(app: &Application, command: &str) -> String {
    marg_resources::artisan::artisan(app, &format!("{}/current", app.root()), command)
}

/// An archive per application, one behind the other. Root makes them, from inside each folder: no
/// link in it is followed, and no application comes to write into the archive of another.
fn export(context: &Context) -> String {
    let apps = context.blueprint().apps.iter();
    let archives = apps.map(|app| {
        let slug = app.slug();
        format!(
            "keep {} {} || exit\n",
            quote(&format!("{}/shared/storage", app.root())),
            quote(&format!("s,^\\./,{slug}/,S"))
        )
    });
    format!(
        "{PLACES}keep() (\n\
         [ -d \"$1\" ] || exit 0\n\
         enter \"$1\" >&2 || exit\n\
         [ -e ./app ] || [ -L ./app ] || exit 0\n\
         exec tar --sparse --transform=\"$2\" -cf - ./app\n)\n\
         {}exec tar -cf - --files-from=/dev/null",
        archives.collect::<String>()
    )
}

/// Unpacked where only root comes; each application then puts its own in place, as itself. The
/// databases have come, too: releases that are newer than they are bring them up to date.
fn import(context: &Context, path: &str) -> Shell {
    let apps = context.blueprint().apps.iter();
    let places = apps.clone().map(|app| {
        format!(
            "take_in {} {}\n",
            quote(&format!("{}/shared/storage", app.root())),
            quote(&app.slug())
        )
    });
    let migrations = apps.map(|app| {
        let live = quote(&format!("{}/current/artisan", app.root()));
        format!(
            "if [ -e {live} ]; then {}fi\n",
            artisan(app, "migrate --force")
        )
    });
    Shell::new(format!(
        "unpacked=/var/www/.marg-handover\n\
         rm -rf \"$unpacked\"\nmkdir -m 0700 -- \"$unpacked\"\n\
         tar -C \"$unpacked\" --ignore-zeros -xpf {path}\n\
         take_in() (\n\
         [ -e \"$unpacked/$2/app\" ] || exit 0\n\
         enter \"$1\" || exit\n\
         {{ tar -C \"$unpacked/$2\" --sparse -cf - app || echo 'cut off'; }} |\n\
         setpriv --reuid=\"$2\" --regid=\"$2\" --init-groups tar -xpf -\n)\n\
         {}rm -rf \"$unpacked\"\n{}",
        places.collect::<String>(),
        migrations.collect::<String>(),
        path = quote(path),
    ))
}

/// Visitors are served again.
pub fn wake(context: &Context) -> Shell {
    let apps = context.blueprint().apps.iter();
    let up = apps.map(|app| {
        let live = quote(&format!("{}/current/artisan", app.root()));
        format!("if [ -e {live} ]; then {}fi\n", artisan(app, "up"))
    });
    Shell::new(up.collect::<String>())
}

/// Visitors are told to come back in a moment; requests that are under way come to their end.
pub fn quiet(context: &Context) -> Shell {
    let apps = context.blueprint().apps.iter();
    let down = apps.map(|app| {
        let live = quote(&format!("{}/current/artisan", app.root()));
        format!(
            "if [ -e {live} ]; then {}fi\n",
            artisan(app, "down --retry=5")
        )
    });
    let down: String = down.collect();
    if !context.host.has_role("php-fpm") {
        return Shell::new(down);
    }
    let ended = context.blueprint().apps.iter().map(fpm::settle);
    Shell::new(down + &ended.collect::<String>())
}
