//! `haproxy`: the balancer in front of the web servers. TLS ends here, requests wait here, and
//! servers are taken out and put back here.

use marg_model::{App, Blueprint, Host, Machine, RoleSchema, Setting, SettingKind};
use marg_resources::kinds::{Command, Directory, File, Package, Service};
use marg_resources::{
    Check, Context, Notice, Notify, Opening, Peer, Resource, Role, RoleError, Shell, Traffic,
    Validator, quote,
};
use minijinja::Value;
use serde::Serialize;

use crate::hardening;
use crate::php_fpm;
use crate::render::{Template, template, trusted};
use crate::visitors;

mod certificates;
pub mod sizing;
mod traffic;

const MAIN: Template = template!("haproxy", "templates/haproxy.cfg");
const UNSEEN: Template = template!("haproxy", "templates/unseen.state");
const UNIT: Template = template!("haproxy", "templates/haproxy.service");
const KEEPER: &str = include_str!("templates/marg-haproxy");

/// Port of the statistics page and of the metrics, on the private address.
pub const METRICS_PORT: u16 = 8404;
/// What keeps the state of the servers; called by systemd and by [`Traffic`].
const KEEPER_PATH: &str = "/usr/local/sbin/marg-haproxy";
const STATE_FILE: &str = "/var/lib/marg/haproxy.state";
const DROP_IN: &str = "/etc/systemd/system/haproxy.service.d/marg.conf";

/// Seconds that a request waits for a free server.
const QUEUE_SECONDS: u64 = 30;
/// Seconds after nginx has given up on PHP.
const ANSWER_GRACE: u64 = 10;
/// Seconds for the web servers of a new fleet to come up.
const CHECK_SECONDS: u32 = 180;

/// The role.
pub struct Haproxy;

impl Role for Haproxy {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "haproxy",
            doc: "Balancer: shares requests out over the web servers that are ready; TLS ends here.",
            settings: &[
                Setting {
                    name: "max_connections",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory",
                    doc: "Connections of visitors at once.",
                },
                Setting {
                    name: "max_requests_per_server",
                    kind: SettingKind::Integer,
                    default: "eight for each php-fpm child of the web server",
                    doc: "Requests for one application that a web server gets at once; further ones wait in the balancer.",
                },
                Setting {
                    name: "queue_seconds",
                    kind: SettingKind::Integer,
                    default: "30",
                    doc: "Seconds that a request may wait for a free web server before it is answered with 503.",
                },
            ],
        }
    }

    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        let open = |port, from| Opening { port, from };
        vec![
            open(80, Peer::Internet),
            open(443, Peer::Internet),
            open(METRICS_PORT, Peer::Fleet),
        ]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        refuse_rivals(context)?;
        let mut resources: Vec<Resource> = vec![
            Package::new("haproxy").into(),
            // Speaks to haproxy's admin socket.
            Package::new("socat").into(),
        ];
        resources.extend(certificates::resources(context.blueprint()));
        resources.push(File::new(KEEPER_PATH, KEEPER).mode(0o755).into());
        resources.extend(unit()?);
        resources.push(live("/etc/haproxy/unseen.state", unseen(context)?));
        resources.push(live("/etc/haproxy/haproxy.cfg", main(context)?));
        resources.extend(hardening::Service::Haproxy.drop_in("haproxy"));
        resources.push(Service::running("haproxy").into());
        resources.push(let_in(context).into());
        Ok(resources)
    }

    fn traffic(&self) -> Option<Traffic> {
        Some(traffic::TRAFFIC)
    }

    fn farewell(&self, context: &Context) -> Option<Shell> {
        Some(visitors::let_go("haproxy", "USR1", answer_seconds(context)))
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let apps = context.blueprint().apps.iter();
        let mut checks: Vec<Check> = apps.filter_map(check).collect();
        if let Some(address) = context.machine.private.known() {
            checks.push(Check {
                name: format!("metrics answer on {address}:{METRICS_PORT}"),
                script: format!(
                    "curl -sS -f -o /dev/null --max-time 5 http://{address}:{METRICS_PORT}/metrics"
                ),
                deadline_seconds: 30,
            });
        }
        checks
    }
}

/// Whoever was taken out of the traffic by a deploy that did not come to its end is let in again.
fn let_in(context: &Context) -> Command {
    let serves = |host: &&Host| host.has_role("nginx") && host.has_role("app");
    let hosts: Vec<&Host> = context.blueprint().hosts.iter().filter(serves).collect();
    let run = hosts.iter().fold(Shell::default(), |run, host| {
        run.text("(\n")
            .then((traffic::TRAFFIC.ready)(context, host, None))
            .text(format!("\n) || [ $? -eq {} ]\n", Traffic::NOT_UP))
    });
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let all_in = format!(
        "[ ! -S /run/haproxy/admin.sock ] || ! echo 'show stat -1 4 -1' | \
         socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock | \
         cut -d, -f2,18 | grep -qE {}",
        quote(&format!("^({}),(DRAIN|MAINT)", names.join("|")))
    );
    Command::new("every web server gets requests", run).unless(all_in)
}

/// A web server answers through the balancer: only nginx says 404 to a hidden file, also before
/// the first release.
fn check(app: &App) -> Option<Check> {
    let name = app.hostnames.first()?;
    let (scheme, port) = if app.tls.is_some() {
        ("https", 443)
    } else {
        ("http", 80)
    };
    Some(Check {
        name: format!("the balancer answers for {name}"),
        script: format!(
            "code=$(curl -sk -o /dev/null -w '%{{http_code}}' --max-time 5 --resolve {} {}) && \
             case $code in 404) ;; *) echo \"HTTP $code\"; exit 1 ;; esac",
            quote(&format!("{name}:{port}:127.0.0.1")),
            quote(&format!("{scheme}://{name}/.marg")),
        ),
        deadline_seconds: CHECK_SECONDS,
    })
}

/// What listens on the same ports, or writes the same file.
fn refuse_rivals(context: &Context) -> Result<(), RoleError> {
    let rivals = ["nginx", "proxy"];
    match rivals.into_iter().find(|role| context.host.has_role(role)) {
        None => Ok(()),
        Some(role) => Err(RoleError::Setting {
            host: context.host.name.clone(),
            message: format!(
                "the roles haproxy and {role} cannot share a host; give haproxy a group of its own"
            ),
        }),
    }
}

fn live(path: &str, text: String) -> Resource {
    File::new(path, text)
        .validate(Validator::new("haproxy -c -f /etc/haproxy/haproxy.cfg"))
        .notify(Notice::reload("haproxy"))
}

/// How systemd starts, reloads and stops it.
fn unit() -> Result<[Resource; 2], RoleError> {
    #[derive(Serialize)]
    struct Values {
        script: &'static str,
        files: u64,
    }
    let text = UNIT.render(Values {
        script: KEEPER_PATH,
        files: sizing::FILES,
    })?;
    Ok([
        Directory::new("/etc/systemd/system/haproxy.service.d").into(),
        File::new(DROP_IN, text).into(),
    ])
}

/// An application as the templates see it.
#[derive(Serialize)]
struct Site<'a> {
    name: &'a str,
    slug: String,
    hostnames: &'a [String],
    health: &'a str,
    tls: bool,
}

impl<'a> Site<'a> {
    fn of(app: &'a App) -> Site<'a> {
        Site {
            name: &app.name,
            slug: app.slug(),
            hostnames: &app.hostnames,
            health: &app.health,
            tls: app.tls.is_some(),
        }
    }
}

/// A web server as the templates see it.
#[derive(Serialize)]
struct Server {
    name: String,
    address: Value,
    at_once: u64,
}

/// Web servers, with those on their way out: they still work on requests.
fn web_servers<'a>(
    context: &Context<'a>,
) -> impl Iterator<Item = (&'a Host, &'a Machine)> + use<'a> {
    let fleet = context.fleet;
    let hosts = fleet.peers();
    hosts
        .filter(|host| host.has_role("nginx") && host.has_role("app"))
        .filter_map(|host| fleet.machine(&host.name).map(|machine| (host, machine)))
}

fn servers(context: &Context) -> Vec<Server> {
    let given = context.integer("haproxy", "max_requests_per_server");
    let server = |(host, machine): (&Host, &Machine)| {
        let children = php_fpm::sizing::children_on(context.blueprint(), host, machine);
        Server {
            name: host.name.clone(),
            address: trusted(&machine.private),
            at_once: given.unwrap_or(sizing::at_once(children)).max(1),
        }
    };
    web_servers(context).map(server).collect()
}

/// Seconds within which a web server must answer: none is cut off that PHP still works on.
fn answer_seconds(context: &Context) -> u64 {
    let longest = web_servers(context).map(|(host, machine)| {
        php_fpm::request_timeout(&Context {
            host,
            machine,
            ..*context
        })
    });
    longest.max().unwrap_or_default() + ANSWER_GRACE
}

fn main(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Entrance<'a> {
        name: &'static str,
        tls: bool,
        apps: Vec<Site<'a>>,
    }
    #[derive(Serialize)]
    struct Values<'a> {
        connections: u64,
        state_file: &'static str,
        certificates: Vec<String>,
        answer_seconds: u64,
        queue_seconds: u64,
        entrances: Vec<Entrance<'a>>,
        apps: Vec<Site<'a>>,
        servers: Vec<Server>,
        private: Value,
        metrics_port: u16,
    }
    let apps = &context.blueprint().apps;
    let certificates: Vec<String> = certificates::files(apps).collect();
    let mut entrances = vec![Entrance {
        name: "web",
        tls: false,
        apps: apps.iter().map(Site::of).collect(),
    }];
    if !certificates.is_empty() {
        entrances.push(Entrance {
            name: "web-tls",
            tls: true,
            apps: apps
                .iter()
                .filter(|app| app.tls.is_some())
                .map(Site::of)
                .collect(),
        });
    }
    let integer = |name| context.integer("haproxy", name);
    let computed = sizing::connections(context.machine.memory_mib);
    MAIN.render(Values {
        connections: integer("max_connections")
            .unwrap_or(computed)
            .clamp(64, sizing::MOST),
        state_file: STATE_FILE,
        certificates,
        answer_seconds: answer_seconds(context),
        queue_seconds: integer("queue_seconds").unwrap_or(QUEUE_SECONDS).max(1),
        entrances,
        apps: apps.iter().map(Site::of).collect(),
        servers: servers(context),
        private: trusted(&context.machine.private),
        metrics_port: METRICS_PORT,
    })
}

/// What haproxy is told of servers that it has never seen.
fn unseen(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        apps: Vec<Site<'a>>,
        servers: Vec<Server>,
    }
    UNSEEN.render(Values {
        apps: context.blueprint().apps.iter().map(Site::of).collect(),
        servers: servers(context),
    })
}
