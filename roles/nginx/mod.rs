//! `nginx`: one site per application, reached by its exact names; unknown names get no answer.

use marg_model::{App, Blueprint, Distro, RoleSchema, Setting, SettingKind, SettingValue, Tls};
use marg_resources::kinds::{Command, File, Link, Package, Service, Strays};
use marg_resources::{
    Check, Context, Notice, Notify, Opening, Peer, Resource, Role, RoleError, Shell, Validator,
    quote,
};
use minijinja::Value;
use serde::Serialize;

use crate::app::{self, slugs};
use crate::hardening;
use crate::network;
use crate::php_fpm;
use crate::render::{Template, template, trusted};
use crate::visitors;

mod reader;

const MAIN: Template = template!("nginx", "templates/nginx.conf");
const DEFAULT: Template = template!("nginx", "templates/default.conf");
const SITE: Template = template!("nginx", "templates/site.conf");
/// First line of a site: those of applications that have left the inventory are known by it.
const SITE_MARK: &str = "# Made by marg for an application.";

const CONNECTIONS: u64 = 2048;
const RATE_PER_MINUTE: u64 = 60;

/// The role.
pub struct Nginx;

impl Role for Nginx {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "nginx",
            doc: "Web server: one site per application; unknown names get no answer.",
            settings: &[
                Setting {
                    name: "worker_connections",
                    kind: SettingKind::Integer,
                    default: "2048",
                    doc: "Connections that each of its processes may hold.",
                },
                Setting {
                    name: "limited_paths",
                    kind: SettingKind::List,
                    default: "none",
                    doc: "Paths whose requests are counted per visitor, such as /admin and /login.",
                },
                Setting {
                    name: "limited_rate_per_minute",
                    kind: SettingKind::Integer,
                    default: "60",
                    doc: "Requests per minute and visitor to the limited paths; half as many may come at once.",
                },
            ],
        }
    }

    fn openings(&self, blueprint: &Blueprint) -> Vec<Opening> {
        let open = |port, from| Opening { port, from };
        if has_balancer(blueprint) {
            // TLS ends at the balancer.
            let entry = [open(80, Peer::Entry), open(443, Peer::Entry)];
            return [vec![open(80, Peer::Role("haproxy"))], entry.into()].concat();
        }
        vec![open(80, Peer::Internet), open(443, Peer::Internet)]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources: Vec<Resource> = vec![Package::new("nginx").into()];
        for app in &context.blueprint().apps {
            resources.extend(app::identity(app));
            resources.push(reader::joins(app).into());
        }
        resources.push(logs(context).into());
        resources.push(live("/etc/nginx/nginx.conf", main(context)?));
        let default = default_site(context.blueprint())?;
        resources.push(live("/etc/nginx/conf.d/00-marg-default.conf", default));
        resources.push(
            Link::absent("/etc/nginx/sites-enabled/default")
                .validate(validator())
                .notify(Notice::reload("nginx")),
        );
        for app in &context.blueprint().apps {
            let path = format!("/etc/nginx/conf.d/{}.conf", app.slug());
            resources.push(live(&path, site(context, app)?));
        }
        resources.push(
            Strays::new("/etc/nginx/conf.d", ".conf", SITE_MARK, slugs(context))
                .validate(validator())
                .notify(Notice::reload("nginx")),
        );
        resources.extend(hardening::Service::Nginx.drop_in("nginx"));
        resources.push(Service::running("nginx").into());
        Ok(resources)
    }

    fn farewell(&self, context: &Context) -> Option<Shell> {
        Some(visitors::let_go("nginx", "QUIT", php_fpm::longest(context)))
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let apps = context.blueprint().apps.iter();
        apps.filter_map(|app| app.hostnames.first())
            .map(check)
            .collect()
    }
}

/// nginx itself answers for a hidden file: no PHP, no session, also before the first release.
fn check(name: &String) -> Check {
    Check {
        name: format!("nginx answers for {name}"),
        script: format!(
            "code=$(curl -s -o /dev/null -w '%{{http_code}}' --max-time 5 -H {} \
             http://127.0.0.1/.marg) && case $code in 404|301) ;; *) echo \"HTTP $code\"; exit 1 ;; esac",
            quote(&format!("Host: {name}"))
        ),
        deadline_seconds: 30,
    }
}

/// Which pages somebody has seen is nobody else's business. nginx makes a log that is missing so that
/// everybody may read it, so none is missing when it looks.
fn logs(context: &Context) -> Command {
    let apps = context.blueprint().apps.iter();
    let paths = apps.map(|app| quote(&format!("/var/log/nginx/{}.access.log", app.slug())));
    let paths = paths.collect::<Vec<_>>().join(" ");
    let open = "find /var/log/nginx -maxdepth 1 -type f -perm /007";
    let run = format!(
        "for log in {paths}; do [ -e \"$log\" ] || install -m 0640 -o www-data -g adm /dev/null \"$log\"; done\n\
         {open} -exec chmod o= {{}} +"
    );
    let done =
        format!("for log in {paths}; do [ -e \"$log\" ] || exit 1; done\n[ -z \"$({open})\" ]");
    Command::new("nginx's logs are closed to others", run).unless(done)
}

fn validator() -> Validator {
    Validator::new("nginx -t -q")
}

fn live(path: &str, text: String) -> Resource {
    File::new(path, text)
        .validate(validator())
        .notify(Notice::reload("nginx"))
}

fn has_balancer(blueprint: &Blueprint) -> bool {
    blueprint.with_role("haproxy").next().is_some()
}

/// The application's certificate, where nginx is what visitors talk to.
fn tls<'a>(blueprint: &Blueprint, app: &'a App) -> Option<&'a Tls> {
    app.tls.as_ref().filter(|_| !has_balancer(blueprint))
}

fn main(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        connections: u64,
        files: u64,
        rate: u64,
        balancers: Vec<Value>,
    }
    let connections = context.integer("nginx", "worker_connections");
    let connections = connections.unwrap_or(CONNECTIONS).max(64);
    let limited = !limited_paths(context)?.is_empty();
    let balancers = context.fleet.with_role("haproxy");
    MAIN.render(Values {
        connections,
        // Each connection may need one to the visitor, one to PHP and one for a file.
        files: connections * 3,
        rate: if limited { rate(context) } else { 0 },
        balancers: balancers
            .map(|(host, _)| trusted(network::private(context.fleet, host)))
            .collect(),
    })
}

fn default_site(blueprint: &Blueprint) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        tls: bool,
    }
    let tls = blueprint
        .apps
        .iter()
        .any(|app| tls(blueprint, app).is_some());
    DEFAULT.render(Values { tls })
}

fn limited_paths<'a>(context: &Context<'a>) -> Result<&'a [String], RoleError> {
    let paths: &[String] = match context.setting("nginx", "limited_paths") {
        Some(SettingValue::List(paths)) => paths,
        _ => &[],
    };
    let refused = |path: &&String| !path.starts_with('/') || path.contains(['$', '?']);
    match paths.iter().find(refused) {
        None => Ok(paths),
        Some(path) => Err(RoleError::Setting {
            host: context.host.name.clone(),
            message: format!(
                "nginx.limited_paths has `{path}`; write the beginning of a path, such as /admin"
            ),
        }),
    }
}

fn rate(context: &Context) -> u64 {
    let given = context.integer("nginx", "limited_rate_per_minute");
    given.unwrap_or(RATE_PER_MINUTE).max(1)
}

fn site(context: &Context, app: &App) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        slug: String,
        root: String,
        shared: String,
        hostnames: &'a [String],
        upload_limit: &'a str,
        tls: Option<Certificate<'a>>,
        http2_directive: bool,
        balanced: bool,
        headers: Vec<(&'static str, &'static str)>,
        timeout: u64,
        limited_paths: &'a [String],
        burst: u64,
    }
    #[derive(Serialize)]
    struct Certificate<'a> {
        certificate: &'a str,
        key: &'a str,
    }
    let tls = tls(context.blueprint(), app);
    SITE.render(Values {
        slug: app.slug(),
        root: format!("{}/current/public", app.root()),
        shared: format!("{}/shared", app.root()),
        hostnames: &app.hostnames,
        upload_limit: &app.upload_limit,
        http2_directive: has_http2_directive(context.distro),
        balanced: has_balancer(context.blueprint()),
        headers: headers(tls.is_some()),
        tls: tls.map(|tls| Certificate {
            certificate: &tls.certificate,
            key: &tls.key,
        }),
        timeout: php_fpm::request_timeout(context),
        limited_paths: limited_paths(context)?,
        burst: rate(context).div_ceil(2),
    })
}

fn headers(tls: bool) -> Vec<(&'static str, &'static str)> {
    let mut headers = vec![
        ("X-Frame-Options", "SAMEORIGIN"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ];
    if tls {
        headers.push(("Strict-Transport-Security", "max-age=31536000"));
    }
    headers
}

/// nginx 1.25.1 made HTTP/2 a directive of its own; Ubuntu 24.04 has 1.24.
fn has_http2_directive(distro: &Distro) -> bool {
    distro.id != "ubuntu-24.04"
}
