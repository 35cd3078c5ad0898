//! `php-fpm`: each application has one of its own, under its own user, sized from memory.
//!
//! Nobody's master is root. The socket is made by systemd, for nginx alone, in a folder of root's: an
//! application cannot put another's in its place. What an application must not see of another, its
//! compiled code among it, is in another process and another memory. Nothing is ever reloaded: where
//! a master must change, `marg-php` starts another one beside it, and the old one finishes.

use marg_model::{App, RoleSchema, Setting, SettingKind};
use marg_resources::kinds::{Command, Directory, File, Link, Package, Service, Strays};
use marg_resources::{
    Check, Context, Notice, Notify, Resource, Role, RoleError, Validator, fpm, quote,
};
use serde::Serialize;

use crate::render::{Template, template};
use crate::{app, hardening, memory};

pub mod sizing;

const POOL: Template = template!("php-fpm", "templates/pool.conf");
const INI: Template = template!("php-fpm", "templates/php.ini");
const LOGROTATE: Template = template!("php-fpm", "templates/logrotate");
const SCRIPT: Template = template!("php-fpm", "templates/marg-php");
const APT: Template = template!("php-fpm", "templates/apt.conf");
const FRONT: Template = template!("php-fpm", "templates/front.service");
const MASTER: Template = template!("php-fpm", "templates/master.service");
const SOCKET: Template = template!("php-fpm", "templates/master.socket");
const ASK: &str = include_str!("templates/ask.php");
const OPCACHE: &str = include_str!("templates/opcache.php");
/// Where those two lie.
const LIBRARY: &str = "/usr/local/lib/marg-php";

/// First line of a pool: those of applications that have left the inventory are known by it.
const POOL_MARK: &str = "; Made by marg for an application.";
/// First line of a site's file, see [`site`].
const SITE_MARK: &str = "# Made by marg for an application.";
/// First line of a unit.
const UNIT_MARK: &str = "# Made by marg: php-fpm of an application.";
const UNITS: &str = "/etc/systemd/system";

/// Seconds that a request may take.
const REQUEST_TIMEOUT: u64 = 60;
/// Seconds after that until PHP ends it. PHP's own limit does not count waiting; this one does, when
/// nginx has given up.
const GRACE: u64 = 5;

/// The role.
pub struct PhpFpm;

impl Role for PhpFpm {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "php-fpm",
            doc: "Runs the applications for the web: each has a php-fpm of its own, sized from memory.",
            settings: &[
                Setting {
                    name: "max_children",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory",
                    doc: "Children of each application's pool: requests that it serves at once.",
                },
                Setting {
                    name: "memory_limit",
                    kind: SettingKind::Text,
                    default: "128M",
                    doc: "PHP's memory_limit for a request.",
                },
                Setting {
                    name: "request_timeout",
                    kind: SettingKind::Integer,
                    default: "60",
                    doc: "Seconds that a request may take, for PHP, for nginx, and for whoever waits until requests have come to their end.",
                },
            ],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let apps = &context.blueprint().apps;
        let mut resources: Vec<Resource> = vec![Package::new(context.distro.php_fpm_unit()).into()];
        resources.extend(crate::php::packages(context.distro));
        // php-fpm refuses a pool whose user does not exist.
        resources.extend(apps.iter().flat_map(app::identity));
        resources.extend(common(context)?);
        resources.extend(pools(context)?);
        for app in apps {
            resources.extend(own(context, app)?);
        }
        // All files are there before the first of them starts.
        let units = apps.iter().map(fpm::unit);
        resources.extend(units.map(|unit| Service::running(unit).into()));
        resources.extend(gone(context));
        resources.extend(former(context));
        Ok(resources)
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let apps = context.blueprint().apps.iter();
        apps.map(|app| Check {
            name: format!("php-fpm accepts requests for {}", app.name),
            script: format!("{} check {}", fpm::SCRIPT, quote(&app.slug())),
            deadline_seconds: 30,
        })
        .collect()
    }
}

/// Folder of the pools.
fn folder(context: &Context) -> String {
    format!("/etc/php/{}/marg", context.distro.php)
}

/// Path of an application's pool.
fn pool_path(context: &Context, app: &App) -> String {
    format!("{}/{}.conf", folder(context), app.slug())
}

/// php-fpm itself must accept all pools: each as the user that it will be, so that nothing that it
/// makes belongs to root.
fn validator(context: &Context) -> Validator {
    let apps = context.blueprint().apps.iter();
    let each: Vec<String> = apps
        .map(|app| {
            format!(
                "runuser -u {} -- php-fpm{} -t -y {}",
                quote(&app.slug()),
                context.distro.php,
                quote(&pool_path(context, app))
            )
        })
        .collect();
    Validator::new(each.join(" && "))
}

/// The resource, for whose change each of these applications gets another master.
fn renewing<'a>(
    resource: impl Into<Resource>,
    apps: impl IntoIterator<Item = &'a App>,
) -> Resource {
    apps.into_iter().fold(resource.into(), |resource, app| {
        resource.notify(Notice::reload(fpm::unit(app)))
    })
}

/// What all of them use.
fn common(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let folder = folder(context);
    let script = script(&folder)?;
    Ok(vec![
        Directory::new(folder).into(),
        Directory::new("/var/log/marg-php").into(),
        Directory::new(LIBRARY).into(),
        File::new(format!("{LIBRARY}/ask.php"), ASK).into(),
        File::new(format!("{LIBRARY}/opcache.php"), OPCACHE).into(),
        File::new(fpm::SCRIPT, script).mode(0o755).into(),
        File::new("/etc/apt/apt.conf.d/90marg-php", apt()?).into(),
        File::new("/etc/logrotate.d/marg-php-fpm", logrotate(context)?).into(),
    ])
}

/// What php-fpm itself reads, checked together: one after the other, a pool would be missing.
fn pools(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let apps = &context.blueprint().apps;
    let logs = apps.iter().map(|app| {
        let logs = Directory::new(format!("/var/log/marg-php/{}", app.slug()));
        logs.mode(0o750).owner(app.slug(), app.slug()).into()
    });
    let mut resources: Vec<Resource> = logs.collect();
    let ini = format!("{}/conf.d/99-marg.ini", context.distro.php_fpm_dir());
    let ini = File::new(ini, ini_text(context)?).validate(validator(context));
    resources.push(renewing(ini, apps));
    for app in apps {
        let pool = File::new(pool_path(context, app), pool(context, app)?);
        resources.push(renewing(pool.validate(validator(context)), [app]));
    }
    Ok(resources)
}

/// An application's own files.
fn own(context: &Context, app: &App) -> Result<Vec<Resource>, RoleError> {
    let (slug, unit) = (app.slug(), fpm::unit(app));
    let site_path = format!("{}/{slug}.site", folder(context));
    let values = Unit::of(context, app);
    let file = |name: String, template: &Template| -> Result<File, RoleError> {
        Ok(File::new(
            format!("{UNITS}/{name}"),
            template.render(&values)?,
        ))
    };
    let [folder, denied] = hardening::Service::PhpFpm.drop_in(&format!("{unit}@"));
    Ok(vec![
        File::new(site_path, site(app)).into(),
        folder,
        renewing(denied, [app]),
        renewing(file(format!("{unit}@.socket"), &SOCKET)?, [app]),
        renewing(file(format!("{unit}@.service"), &MASTER)?, [app]),
        file(format!("{unit}.service"), &FRONT)?.into(),
    ])
}

/// Nothing is left of applications that have left the inventory.
fn gone(context: &Context) -> [Resource; 4] {
    let folder = folder(context);
    let apps = || context.blueprint().apps.iter().map(fpm::unit);
    let services = apps().chain(apps().map(|unit| format!("{unit}@")));
    let stop = "case $name in *@) ;; *) systemctl -q disable --now \"$name\" ;; esac\n\
         rm -f -- \"/run/marg-php/${name#marg-php-}.sock\" \"/run/php/${name#marg-php-}.sock\"";
    let forget = "systemctl daemon-reload";
    let services = Strays::new(UNITS, ".service", UNIT_MARK, services);
    let sockets = Strays::new(
        UNITS,
        ".socket",
        UNIT_MARK,
        apps().map(|unit| format!("{unit}@")),
    );
    let stop_sockets = "systemctl stop \"${name}a.socket\" \"${name}b.socket\"";
    [
        services.stop(stop).forget(forget).into(),
        sockets.stop(stop_sockets).forget(forget).into(),
        Strays::new(&folder, ".conf", POOL_MARK, app::slugs(context)).into(),
        Strays::new(&folder, ".site", SITE_MARK, app::slugs(context)).into(),
    ]
}

/// The one php-fpm that a package brings, and that served all applications: it ends what it has, and
/// stays away. Without a pool it could not even start.
fn former(context: &Context) -> Vec<Resource> {
    let unit = context.distro.php_fpm_unit();
    let pools = format!("{}/pool.d", context.distro.php_fpm_dir());
    let run = format!(
        "{} retire {} {}",
        fpm::SCRIPT,
        quote(&unit),
        longest(context)
    );
    let away = format!(
        "[ ! -L /run/systemd/units/invocation:{unit}.service ] && \
         [ ! -L {UNITS}/multi-user.target.wants/{unit}.service ]"
    );
    let none: [&str; 0] = [];
    vec![
        Command::new("the php-fpm of all applications ends", run)
            .unless(away)
            .watch([format!("package {unit}")])
            .into(),
        Link::new(format!("{UNITS}/{unit}.service"), "/dev/null").into(),
        Strays::new(&pools, ".conf", POOL_MARK, none).into(),
        File::absent(format!("{pools}/00-marg.conf")).into(),
        File::absent(format!("{pools}/www.conf")).into(),
    ]
}

/// Seconds that a request may take on this host.
pub fn request_timeout(context: &Context) -> u64 {
    let given = context.integer("php-fpm", "request_timeout");
    given.unwrap_or(REQUEST_TIMEOUT).max(1)
}

/// PHP takes what it does not understand for a number of bytes, and then nothing runs.
fn memory_limit<'a>(context: &Context<'a>) -> Result<&'a str, RoleError> {
    let text = context.text("php-fpm", "memory_limit").unwrap_or("128M");
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if number && text.len() - digits.len() <= 1 {
        return Ok(text);
    }
    Err(RoleError::Setting {
        host: context.host.name.clone(),
        message: format!("php-fpm.memory_limit is `{text}`; write a size such as 128M or 1G"),
    })
}

/// Seconds after which no request is under way any more that was there before.
pub fn longest(context: &Context) -> u64 {
    request_timeout(context) + GRACE
}

/// What `marg-php` must know of an application to ask it something, as shell.
fn site(app: &App) -> String {
    let host = app.hostnames.first().unwrap_or(&app.name);
    let https = if app.tls.is_some() { "on" } else { "" };
    format!(
        "{SITE_MARK}\nroot={}\nhost={}\nhealth={}\nhttps={https}\n",
        quote(&app.root()),
        quote(host),
        quote(&app.health)
    )
}

/// What the templates of units are filled with.
#[derive(Serialize)]
struct Unit<'a> {
    name: &'a str,
    slug: String,
    version: &'static str,
    dir: String,
    stop: u64,
}

impl<'a> Unit<'a> {
    fn of(context: &Context, app: &'a App) -> Unit<'a> {
        Unit {
            name: &app.name,
            slug: app.slug(),
            version: context.distro.php,
            dir: folder(context),
            stop: longest(context) + GRACE,
        }
    }
}

fn script(dir: &str) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        dir: &'a str,
    }
    SCRIPT.render(Values { dir })
}

fn apt() -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        script: &'static str,
    }
    APT.render(Values {
        script: fpm::SCRIPT,
    })
}

/// MiB of the host that are php-fpm's.
fn share(context: &Context) -> u64 {
    memory::of(context.blueprint(), context.host, context.machine).php
}

fn ini_text(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        opcache_mib: u64,
        names_mib: u64,
    }
    let opcache_mib = sizing::opcache_mib(share(context), context.blueprint().apps.len() as u64);
    INI.render(Values {
        opcache_mib,
        // Laravel alone has 6 MiB of names.
        names_mib: (opcache_mib / 8).clamp(8, 16),
    })
}

fn logrotate(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        slugs: Vec<String>,
    }
    LOGROTATE.render(Values {
        slugs: app::slugs(context),
    })
}

/// Refuses what does not fit: it would start, serve, and be killed under load.
fn must_fit(context: &Context, children: u64) -> Result<(), RoleError> {
    let (share, apps) = (share(context), context.blueprint().apps.len() as u64);
    if sizing::given_on(context.host).is_some() {
        let all = sizing::needed_mib(apps, children, sizing::opcache_mib(share, apps));
        return memory::must_fit(context, "php-fpm.max_children for all applications", all);
    }
    let least = sizing::least_mib(apps);
    if least <= share {
        return Ok(());
    }
    Err(RoleError::Setting {
        host: context.host.name.clone(),
        message: format!(
            "php-fpm needs {least} MiB at least for {apps} applications, and of the machine's {} \
             there are {share} for it; give the host a larger size, or a group of its own to some \
             of its roles",
            context.machine.memory_mib
        ),
    })
}

fn pool(context: &Context, app: &App) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        slug: String,
        children: u64,
        child_mib: u64,
        start: u64,
        spare_min: u64,
        spare_max: u64,
        timeout: u64,
        grace: u64,
        memory_limit: &'a str,
        upload_limit: &'a str,
    }
    let children = sizing::children_on(context.blueprint(), context.host, context.machine);
    must_fit(context, children)?;
    let pool = sizing::pool(children);
    POOL.render(Values {
        slug: app.slug(),
        children: pool.children,
        child_mib: sizing::CHILD_MIB,
        start: pool.start,
        spare_min: pool.spare_min,
        spare_max: pool.spare_max,
        timeout: request_timeout(context),
        grace: longest(context),
        memory_limit: memory_limit(context)?,
        upload_limit: &app.upload_limit,
    })
}
