//! `proxy`: a haproxy on the applications' own hosts that follows whoever leads Redis and MySQL.
//! Applications keep their names, which lead to this host itself; after a failover nothing of
//! theirs is written anew.

use marg_model::{EarlierForm, RoleSchema};
use marg_resources::kinds::{Command, File, Package, Service};
use marg_resources::{
    Check, Context, Earlier, Notice, Notify, Resource, Role, RoleError, Validator, quote,
};
use minijinja::Value;
use serde::Serialize;

use crate::base::{Row, service_block};
use crate::network;
use crate::render::{Template, template, trusted};

pub mod mysql;
pub mod redis;

const GLOBAL: Template = template!("proxy", "templates/haproxy.cfg");
const DEFAULT: Template = template!("proxy", "templates/default");
const NO_DEFAULT: &str = "# Everything that haproxy is told stands in haproxy.cfg.\n";
const LUA: &str = include_str!("templates/marg.lua");

/// Where the proxy says what it knows, on loopback: `/stats`, `/stats;csv` and `/metrics`.
pub const STATS_PORT: u16 = 8404;
const UNIT: &str = "haproxy";
const CONF: &str = "/etc/haproxy/haproxy.cfg";

/// The role.
pub struct Proxy;

impl Role for Proxy {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "proxy",
            doc: "A local proxy that leads applications to the living master and primary.",
            settings: &[],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let conf = [
            GLOBAL.render(Stats {
                stats_port: STATS_PORT,
            })?,
            redis::sections(context)?,
            mysql::sections(context)?,
        ]
        .concat();
        Ok(vec![
            Package::new("haproxy").into(),
            default_file(context)?,
            File::new("/etc/haproxy/marg.lua", LUA)
                .validate(validator())
                .notify(Notice::reload(UNIT)),
            File::new(CONF, conf)
                .validate(validator())
                .notify(Notice::reload(UNIT)),
            Service::running(UNIT).into(),
            ready(context).into(),
            service_block(rows(context))?,
        ])
    }

    fn earlier(&self) -> Option<Earlier> {
        Some(Earlier {
            what: "the local proxy's way to the cache that all applications shared",
            there: redis::EARLIER_THERE,
            openings: Vec::new,
            needed: |_| String::new(),
        })
    }

    fn leftovers(&self, context: &Context) -> Vec<Resource> {
        // A balancer's haproxy is its own.
        if !context.host.has_role("app") || context.host.has_role("haproxy") {
            return Vec::new();
        }
        vec![Service::stopped(UNIT).into()]
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        if context.blueprint().with_role("redis").next().is_none() {
            return Vec::new();
        }
        let check = |what: &str, port: u16, script: String| Check {
            name: format!("redis answers through the proxy on port {port} ({what})"),
            script,
            deadline_seconds: 120,
        };
        use crate::redis::PORT;
        let mut checks = vec![check("sessions and queues", PORT, redis::question(PORT))];
        checks.extend(context.blueprint().apps.iter().map(|app| {
            let port = app.cache_port;
            check(
                &format!("cache of {}", app.name),
                port,
                redis::question(port),
            )
        }));
        checks
    }
}

#[derive(Serialize)]
struct Stats {
    stats_port: u16,
}

/// A host behind the proxy.
#[derive(Serialize)]
pub struct Server {
    name: String,
    address: Value,
}

/// What a part's template needs.
#[derive(Serialize)]
pub struct Servers {
    port: u16,
    servers: Vec<Server>,
}

/// Hosts of a role in the blueprint's order, which never depends on who leads.
pub fn servers(context: &Context, role: &str) -> Vec<Server> {
    let hosts = context.blueprint().with_role(role);
    hosts
        .map(|host| Server {
            name: host.name.clone(),
            address: trusted(network::private(context.fleet, host)),
        })
        .collect()
}

/// The program itself checks all files at once, with the login that its service would see.
fn validator() -> Validator {
    Validator::new(format!(
        "set -a; . /etc/default/haproxy; haproxy -c -q -f {CONF}"
    ))
}

/// The package's own file says nothing; in an earlier version of marg it had the login, which a proxy
/// that was started with it may still use. Its variables are read when it starts.
fn default_file(context: &Context) -> Result<Resource, RoleError> {
    let path = "/etc/default/haproxy";
    let login = redis::earlier_login(context);
    let (EarlierForm::Kept, Some(login)) = (context.fleet.earlier, login) else {
        return Ok(File::new(path, NO_DEFAULT).validate(validator()).into());
    };
    let values = std::collections::BTreeMap::from([("redis_auth", login.expose())]);
    let text = DEFAULT.render(values)?;
    let file = File::secret(path, marg_model::Secret::new(text));
    Ok(file.validate(validator()).into())
}

/// The names lead here only when the proxy knows who leads: until then the old way serves.
fn ready(context: &Context) -> Command {
    let name = network::internal(context.blueprint(), "redis");
    let script = format!(
        "end=$(($(date +%s) + 300))\n\
         until {question}; do\n\
         if [ \"$(date +%s)\" -ge \"$end\" ]; then\n\
         echo 'no master of redis was found within 300 seconds; see: curl http://127.0.0.1:{STATS_PORT}/stats;csv'\n\
         exit 1\nfi\n\
         if left_alone; then echo 'nobody waits for this any more'; exit 1; fi\n\
         sleep 0.5\ndone",
        question = redis::question(crate::redis::PORT),
    );
    Command::new("wait until the proxy knows who leads", script).unless(format!(
        "grep -q {} /etc/hosts",
        quote(&format!("^127\\.0\\.0\\.1 .*{}", name.replace('.', "\\.")))
    ))
}

/// Where the names of the services lead on this host: to the proxy.
fn rows(context: &Context) -> Vec<Row> {
    let blueprint = context.blueprint();
    let names = blueprint.phase.groups.iter().flat_map(|group| &group.names);
    names
        .map(|name| Row {
            address: trusted(loopback(name)),
            names: vec![network::internal(blueprint, name)],
        })
        .collect()
}

/// Readers have an address of their own, so that both may use the usual port.
fn loopback(name: &str) -> &'static str {
    match name {
        "mysql-read" => "127.0.0.2",
        _ => "127.0.0.1",
    }
}
