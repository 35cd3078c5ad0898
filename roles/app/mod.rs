//! `app`: what an application needs on every host that runs its code: PHP, a user of its own,
//! folders, and its `.env`. The code itself comes with a deploy.
//!
//! Folders that root writes into belong to root: an application that is taken over can neither
//! switch its own release nor lead root's writes elsewhere by a link.

use std::collections::BTreeSet;

use marg_model::{
    App as Application, Blueprint, Env, EnvValue, RoleSchema, SecretKind, SecretSpec, Setting,
    SettingKind, SettingValue,
};
use marg_resources::kinds::{Command, Directory, File, Group, Package, User};
use marg_resources::{Context, Handover, Resource, Role, RoleError, Shell, artisan, fpm, quote};

use crate::{php, worker};

mod dotenv;
mod earlier;
pub mod environment;
mod handover;
mod logs;

/// Name of the secret that encrypts sessions and cookies; all applications share it.
pub const APP_KEY: &str = "app_key";

/// Where the homes lie of accounts that were made before marg wrote down which are its own.
const FORMER_HOMES: &str = "/var/www/";

/// The role.
pub struct App;

impl Role for App {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "app",
            doc: "PHP, users, folders and .env of the applications; their code comes by deploy.",
            settings: &[Setting {
                name: "packages",
                kind: SettingKind::List,
                default: "none",
                doc: "Further packages that the applications or their builds need.",
            }],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        let mut specs = vec![SecretSpec {
            name: APP_KEY.to_owned(),
            kind: SecretKind::AppKey,
        }];
        let made = |name: &str| {
            name == APP_KEY
                || crate::redis::makes(blueprint, name)
                || blueprint
                    .database_users
                    .iter()
                    .any(|user| name == crate::mysql::password_secret(&user.name))
        };
        let given = named_secrets(blueprint).into_iter();
        specs.extend(given.filter(|name| !made(name)).map(|name| SecretSpec {
            name,
            kind: SecretKind::Given,
        }));
        specs
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources = php::packages(context.distro);
        let more = match context.setting("app", "packages") {
            Some(SettingValue::List(names)) => names.as_slice(),
            _ => &[],
        };
        let packages = ["composer", "unzip"].into_iter();
        let packages = packages.chain(more.iter().map(String::as_str));
        resources.extend(packages.map(|name| Package::new(name).into()));
        for app in &context.blueprint().apps {
            resources.extend(identity(app));
            resources.extend(builder(app));
            resources.extend(folders(app));
            resources.push(earlier::releases(app).into());
            let env = File::secret(env_path(app), environment::file(context, app)?);
            resources.push(env.mode(0o640).owner("root", app.slug()).into());
            resources.push(apply_env(context, app).into());
            resources.push(logs::timer(app).into());
        }
        resources.push(logs::gone(context).into());
        Ok(resources)
    }

    fn handover(&self) -> Option<Handover> {
        Some(handover::HANDOVER)
    }

    fn quiet(&self, context: &Context) -> Option<Shell> {
        Some(handover::quiet(context))
    }

    fn wake(&self, context: &Context) -> Option<Shell> {
        Some(handover::wake(context))
    }
}

/// Secrets that variables of the inventory refer to.
fn named_secrets(blueprint: &Blueprint) -> BTreeSet<String> {
    let hosts = blueprint.hosts.iter();
    let of_hosts = hosts.flat_map(|host| [&host.env.shared, &host.env.local]);
    let of_apps = blueprint.apps.iter().map(|app| &app.env);
    let values = of_hosts.chain(of_apps).flat_map(Env::values);
    values
        .filter_map(|value| match value {
            EnvValue::Secret(name) => Some(name.clone()),
            EnvValue::Text(_) => None,
        })
        .collect()
}

/// The user and group that an application runs as.
pub fn identity(app: &Application) -> Vec<Resource> {
    let user = User::system(app.slug())
        .home(format!("{}/home", app.root()))
        .shell("/usr/sbin/nologin")
        .formerly(FORMER_HOMES);
    let group = Group::system(app.slug()).formerly(FORMER_HOMES);
    vec![group.into(), user.into()]
}

/// The user that builds an application's releases. It shares nothing with the application: what
/// runs in a build, other people's packages included, gets no further than the build.
fn builder(app: &Application) -> Vec<Resource> {
    let (user, workshop) = (app.build_user(), app.workshop());
    let account = User::system(&user)
        .home(format!("{workshop}/home"))
        .shell("/usr/sbin/nologin");
    vec![
        Group::system(&user).into(),
        account.into(),
        Directory::new("/var/lib/marg-build").mode(0o711).into(),
        Directory::new(workshop)
            .mode(0o700)
            .owner(&user, &user)
            .into(),
    ]
}

/// By what the files of applications are named.
pub fn slugs(context: &Context) -> Vec<String> {
    context
        .blueprint()
        .apps
        .iter()
        .map(Application::slug)
        .collect()
}

/// Path of an application's `.env`.
pub fn env_path(app: &Application) -> String {
    format!("{}/shared/.env", app.root())
}

fn folders(app: &Application) -> Vec<Resource> {
    let (root, user) = (app.root(), app.slug());
    let private_to_root = ["/var/lib/marg/apps".to_owned(), app.records()];
    let records = private_to_root.map(|path| Directory::new(path).mode(0o700));
    // The application can read its releases and change none; others cannot even look.
    let readable = [
        root.clone(),
        format!("{root}/releases"),
        format!("{root}/shared"),
    ]
    .map(|path| Directory::new(path).mode(0o750).owner("root", &user));
    let roots = [Directory::new("/var/www").mode(0o755)];
    let private = |path: &str| {
        let directory = Directory::new(format!("{root}/{path}"));
        directory.mode(0o750).owner(&user, &user)
    };
    // nginx serves what applications publish from storage, and reads nothing else there.
    let served = |path: &str, mode| {
        let directory = Directory::new(format!("{root}/shared/{path}"));
        directory.mode(mode).owner(&user, "www-data")
    };
    let own = [
        private("home"),
        served("storage", 0o750),
        served("storage/app", 0o2750),
        served("storage/app/public", 0o2750),
        private("shared/storage/framework"),
        private("shared/storage/framework/cache"),
        private("shared/storage/framework/cache/data"),
        private("shared/storage/framework/sessions"),
        private("shared/storage/framework/views"),
        private("shared/storage/logs"),
    ];
    let all = records.into_iter().chain(roots).chain(readable).chain(own);
    all.map(Resource::from).collect()
}

/// Variables are cached by a release and kept by processes: when `.env` changes, the cache is
/// made anew, and whoever holds old values starts again. A mark on the host lasts until all of
/// it is done.
fn apply_env(context: &Context, app: &Application) -> Command {
    let (root, env) = (app.root(), env_path(app));
    let current = format!("{root}/current");
    let mark = format!("{}/env-owed", app.records());
    let cached = artisan::cache_configuration(app, &current);
    let mut run = format!(": > {}\n{cached}", quote(&mark));
    if context.host.has_role("php-fpm") {
        run.push_str(&fpm::renew(app));
    }
    if context.host.has_role("worker") {
        run.push_str(&worker::restart(app));
    }
    run.push_str(&format!("rm -f -- {}", quote(&mark)));
    // Without a release there is nothing that could hold old values.
    let done = format!(
        "[ ! -e {} ] || {{ [ ! -e {} ] && [ {} -nt {} ]; }}",
        quote(&format!("{current}/artisan")),
        quote(&mark),
        quote(&format!("{current}/bootstrap/cache/config.php")),
        quote(&env),
    );
    Command::new(format!("use the variables of {}", app.name), run)
        .unless(done)
        .watch([format!("file {env}")])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use marg_resources::artisan;

    use crate::testing::World;

    /// The live release's configuration is there while the new one is made.
    #[test]
    fn a_cache_is_never_missing() {
        let world = World::new(1);
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("bootstrap/cache/config.php", "old");
        write("bin/runuser", "#!/bin/sh\nshift 3; exec \"$@\"");
        write("bin/chgrp", "#!/bin/sh\n[ \"$1\" = flow-marg ]");
        // As artisan does: the cache at the place that it is told goes first, then it is made.
        let php = "#!/bin/sh\nplace=${APP_CONFIG_CACHE:-bootstrap/cache/config.php}\nrm -f $place\n\
            cat bootstrap/cache/config.php > seen\necho \"new $*\" > $place";
        write("bin/php", php);
        let app = &world.fleet.blueprint.apps[0];
        let path = folder.path().to_str().unwrap();
        let status = std::process::Command::new("sh")
            .args(["-ec", &artisan::cache_configuration(app, path)])
            .env("PATH", format!("{path}/bin:/usr/bin:/bin"))
            .status()
            .unwrap();
        assert!(status.success());
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
        assert_eq!(read("seen"), "old");
        assert!(read("bootstrap/cache/config.php").starts_with("new artisan config:cache"));
        assert_eq!(
            fs::read_dir(folder.path().join("bootstrap/cache"))
                .unwrap()
                .count(),
            1
        );
    }
}
