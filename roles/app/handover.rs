//! Files that applications keep on their host's disk move to another host.

use marg_model::App as Application;
use marg_resources::{Context, Handover, Shell, quote};

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

fn export(context: &Context) -> String {
    let apps = context.blueprint().apps.iter();
    let folders = apps.map(|app| {
        let folder = quote(&format!("{}/shared/storage/app", app.name));
        format!("[ ! -d {folder} ] || set -- \"$@\" {folder}\n")
    });
    format!(
        "cd /var/www || exit 1\nset --\n{}exec tar -cf - --files-from=/dev/null \"$@\"",
        folders.collect::<String>()
    )
}

/// The databases have come, too: releases that are newer than they are bring them up to date.
fn import(context: &Context, path: &str) -> Shell {
    let apps = context.blueprint().apps.iter();
    let migrations = apps.map(|app| {
        let live = quote(&format!("{}/current/artisan", app.root()));
        format!(
            "if [ -e {live} ]; then {}fi\n",
            artisan(app, "migrate --force")
        )
    });
    Shell::new(format!(
        "tar -C /var/www -xpf {}\n{}",
        quote(path),
        migrations.collect::<String>()
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
    Shell::new(format!(
        "{down}old=$(pgrep -f '^php-fpm: pool ' || :)\n\
         systemctl reload {unit}\n\
         tries=240\n\
         for pid in $old; do\n\
         while kill -0 \"$pid\" 2>/dev/null && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.25; done\n\
         done\n",
        unit = quote(&context.distro.php_fpm_unit())
    ))
}
