//! `php-fpm`: one pool per application, with its own user and socket, sized from memory.

use marg_model::{App, RoleSchema, Setting, SettingKind};
use marg_resources::kinds::{File, Package, Service, Strays};
use marg_resources::{Check, Context, Notice, Notify, Resource, Role, RoleError, Validator};
use serde::Serialize;

use crate::render::{Template, template};
use crate::{app, memory};

pub mod sizing;

const GLOBAL: Template = template!("php-fpm", "templates/global.conf");
const POOL: Template = template!("php-fpm", "templates/pool.conf");
/// First line of a pool: those of applications that have left the inventory are known by it.
const POOL_MARK: &str = "; Made by marg for an application.";
const INI: Template = template!("php-fpm", "templates/php.ini");
const LOGROTATE: Template = template!("php-fpm", "templates/logrotate");

/// Seconds that a request may take.
const REQUEST_TIMEOUT: u64 = 60;
/// Seconds that a reload waits for requests that are being served.
const GRACE: u64 = 10;

/// The role.
pub struct PhpFpm;

impl Role for PhpFpm {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "php-fpm",
            doc: "Runs the applications for the web: one pool each, sized from memory.",
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
                    doc: "Seconds that a request may take, for PHP and for nginx.",
                },
            ],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let unit = context.distro.php_fpm_unit();
        let dir = context.distro.php_fpm_dir();
        let mut resources: Vec<Resource> = vec![Package::new(unit.clone()).into()];
        resources.extend(crate::php::packages(context.distro));
        // php-fpm refuses a pool whose user does not exist.
        resources.extend(context.blueprint().apps.iter().flat_map(app::identity));
        let validator = Validator::new(format!("php-fpm{} -t", context.distro.php));
        let live = |file: File| {
            file.validate(validator.clone())
                .notify(Notice::reload(&unit))
        };
        resources.push(live(File::new(format!("{dir}/conf.d/99-marg.ini"), ini()?)));
        let global = format!("{dir}/pool.d/00-marg.conf");
        resources.push(live(File::new(global, global_settings()?)));
        for app in &context.blueprint().apps {
            let path = format!("{dir}/pool.d/{}.conf", app.slug());
            resources.push(live(File::new(path, pool(context, app)?)));
        }
        resources.push(live(File::absent(format!("{dir}/pool.d/www.conf"))));
        let strays = Strays::new(
            format!("{dir}/pool.d"),
            ".conf",
            POOL_MARK,
            app::slugs(context),
        );
        let strays = strays.validate(validator.clone());
        resources.push(strays.notify(Notice::reload(&unit)));
        let rotate = File::new("/etc/logrotate.d/marg-php-fpm", logrotate(context)?);
        resources.push(rotate.into());
        resources.push(Service::running(unit).into());
        Ok(resources)
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let apps = context.blueprint().apps.iter();
        apps.map(|app| Check {
            name: format!("php-fpm accepts requests for {}", app.name),
            script: format!(
                "php -r 'exit(@stream_socket_client(\"unix:///run/php/{}.sock\", $n, $e, 5) ? 0 : 1);'",
                app.slug()
            ),
            deadline_seconds: 30,
        })
        .collect()
    }
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

fn ini() -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        opcache_mib: u64,
    }
    INI.render(Values {
        opcache_mib: sizing::OPCACHE_MIB,
    })
}

fn global_settings() -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        grace: u64,
    }
    GLOBAL.render(Values { grace: GRACE })
}

fn logrotate(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        version: &'static str,
    }
    LOGROTATE.render(Values {
        version: context.distro.php,
    })
}

fn pool(context: &Context, app: &App) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        slug: String,
        version: &'static str,
        children: u64,
        child_mib: u64,
        start: u64,
        spare_min: u64,
        spare_max: u64,
        timeout: u64,
        terminate: u64,
        memory_limit: &'a str,
        upload_limit: &'a str,
    }
    let children = sizing::children_on(context.blueprint(), context.host, context.machine);
    let all = children * context.blueprint().apps.len() as u64 * sizing::CHILD_MIB;
    memory::must_fit(context, "php-fpm.max_children for all applications", all)?;
    let pool = sizing::pool(children);
    let timeout = request_timeout(context);
    POOL.render(Values {
        slug: app.slug(),
        version: context.distro.php,
        children: pool.children,
        child_mib: sizing::CHILD_MIB,
        start: pool.start,
        spare_min: pool.spare_min,
        spare_max: pool.spare_max,
        timeout,
        // PHP's own limit does not count waiting; this one does, when nginx has given up.
        terminate: timeout + 5,
        memory_limit: memory_limit(context)?,
        upload_limit: &app.upload_limit,
    })
}
