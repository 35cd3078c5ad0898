//! `mysql-replication`: one primary and its replicas. Everybody starts read-only; the hosts are
//! asked who leads, and a small service on each of them sees to it that never two of them write.
//!
//! What runs on a host is one script with a word for each thing that can be asked of it, so that
//! `provision`, `promote` and the service do the same in the same way.

use marg_model::{Blueprint, RoleSchema, Secret, SecretKind, SecretSpec, Setting, SettingKind};
use marg_model::{Host, SqlEngine};
use marg_resources::kinds::{Command, Directory, File, Package, Service};
use marg_resources::{
    Check, Context, Leadership, Notice, Notify, Opening, Peer, Promotion, Resource, Role,
    RoleError, Shell, quote,
};
use minijinja::Value;
use serde::Serialize;

use crate::render::{Template, template, trusted};
use crate::{mysql, network};

mod answer;
mod leader;
mod position;

const LOOK: Template = template!("mysql-replication", "templates/look.sh");
const QUESTION: Template = template!("mysql-replication", "templates/question.sh");
const SCRIPT: Template = template!("mysql-replication", "templates/replication.sh");
const CONF: Template = template!("mysql-replication", "templates/replication.cnf");
const CLIENT: Template = template!("mysql-replication", "templates/client.cnf");
const WATCH: Template = template!("mysql-replication", "templates/watch.service");
const STATE: Template = template!("mysql-replication", "templates/state.service");

/// Port on which a host says whether it is the primary or a healthy replica.
pub const STATE_PORT: u16 = 9201;
/// How often a proxy asks for that, in milliseconds.
pub const ASKED_EVERY: u32 = 1000;
/// How soon it asks again when the answer has changed, in milliseconds: two in a row count.
pub const ASKED_AGAIN: u32 = 300;
/// How long its questions may be under way, in milliseconds.
const UNDER_WAY: u32 = 200;
/// Account by which replicas follow, copy, and ask one another.
const USER: &str = "marg_replication";
const PASSWORD_SECRET: &str = "db_password_replication";
const PROGRAM: &str = "/usr/local/lib/marg/mysql-replication";
const WATCH_UNIT: &str = "marg-mysql-watch";
const STATE_UNIT: &str = "marg-mysql-state";
/// Seconds that a replica may be behind before readers are sent elsewhere.
const MAX_LAG: u64 = 10;
/// How long a commit waits for the first replica that has it. Longer than a cut-off primary takes
/// to close itself.
const ACK_MILLIS: u64 = 10_000;
/// Seconds of silence after which a replica takes its connection for dead.
const NET_TIMEOUT: u64 = 10;

/// The role.
pub struct MysqlReplication;

impl Role for MysqlReplication {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "mysql-replication",
            doc: "A primary and its replicas, of which any may lead.",
            settings: &[Setting {
                name: "max_lag_seconds",
                kind: SettingKind::Integer,
                default: "10",
                doc: "A replica that is further behind is not read from.",
            }],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("mysql-replication").next().is_none() {
            return Vec::new();
        }
        vec![SecretSpec {
            name: PASSWORD_SECRET.to_owned(),
            kind: SecretKind::Password,
        }]
    }

    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        let open = |port, role| Opening {
            port,
            from: Peer::Role(role),
        };
        vec![open(mysql::PORT, "mysql"), open(STATE_PORT, "app")]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources = files(context)?;
        resources.push(Package::new("busybox").into());
        // The role first: what the service sees when it starts is then in order.
        resources.push(part(context)?.into());
        resources.push(Service::running(WATCH_UNIT).into());
        resources.push(Service::running(STATE_UNIT).into());
        Ok(resources)
    }

    fn leadership(&self) -> Option<Leadership> {
        Some(Leadership {
            of: "mysql",
            question,
            decide: leader::decide,
        })
    }

    fn promotion(&self) -> Option<Promotion> {
        Some(Promotion {
            of: "mysql",
            judge: leader::judge,
            prepare: None,
            retire: |_| call("retire"),
            reinstate: |_| call("lead"),
            catch_up: |_, position| Shell::new(format!("{PROGRAM} catch-up {}\n", quote(position))),
            drain: |_| call("drain"),
            release: |_| call("release"),
            take_over: |_| call("take-over"),
            follow: |context, leader| {
                let address = network::private(context.fleet, leader);
                Shell::new(format!(
                    "{PROGRAM} follow {}\n",
                    quote(&address.to_string())
                ))
            },
        })
    }

    fn detach(&self, _context: &Context) -> Option<Shell> {
        // Who watches would stop the writing when it hears nobody any more.
        Some(Shell::new(format!(
            "if [ -x {PROGRAM} ]; then systemctl stop {WATCH_UNIT} && {PROGRAM} alone; fi\n"
        )))
    }

    fn leftovers(&self, context: &Context) -> Vec<Resource> {
        if !context.host.has_role("mysql") {
            return Vec::new();
        }
        // The first of the services to go: it would have its own opinion about who may write.
        let alone = format!("if [ -x {PROGRAM} ]; then {PROGRAM} alone; rm -f {PROGRAM}; fi");
        vec![
            Service::stopped(WATCH_UNIT).into(),
            Service::stopped(STATE_UNIT).into(),
            File::absent(conf_path(context)).into(),
            Command::new("this database server is alone", alone)
                .unless(format!("[ ! -e {PROGRAM} ]"))
                .into(),
            File::absent(unit_path(WATCH_UNIT)).into(),
            File::absent(unit_path(STATE_UNIT)).into(),
            File::absent("/etc/mysql/marg-replication.cnf").into(),
            File::absent("/etc/mysql/marg-replication.sql").into(),
        ]
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let Some(own) = context.machine.private.known() else {
            return Vec::new();
        };
        let path = match leads(context, context.host) {
            true => "primary",
            false => "replica",
        };
        vec![Check {
            name: format!("this host says that it is a {path}"),
            script: format!(
                "curl -sS -f -o /dev/null --max-time 3 http://{own}:{STATE_PORT}/{path}"
            ),
            deadline_seconds: 60,
        }]
    }
}

/// Whether a host of the group leads it.
pub fn leads(context: &Context, host: &Host) -> bool {
    context.fleet.leads("mysql", &host.name)
}

/// One word to the script on the host.
fn call(word: &str) -> Shell {
    Shell::new(format!("{PROGRAM} {word}\n"))
}

fn unit_path(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}.service")
}

fn conf_path(context: &Context) -> String {
    format!("{}/zz-marg-replication.cnf", context.distro.sql_conf_dir())
}

#[derive(Serialize)]
struct Values {
    mariadb: bool,
    unit: &'static str,
    client: &'static str,
    user: &'static str,
    port: u16,
    net_timeout: u64,
    ack_millis: u64,
    max_lag: u64,
    heard_seconds: f64,
    own: Value,
    peers: Value,
    pattern: Value,
    look: Value,
    password: Value,
}

/// What the templates may use; `look` and `password` only where they are set.
fn values(context: &Context) -> Values {
    let (fleet, distro) = (context.fleet, context.distro);
    let others = context.blueprint().with_role("mysql-replication");
    let others = others.filter(|host| host.name != context.host.name);
    let peers: Vec<String> = others
        .map(|host| network::private(fleet, host).to_string())
        .collect();
    let pattern = network::sql_hosts(context).join("");
    let max_lag = context.integer("mysql-replication", "max_lag_seconds");
    Values {
        heard_seconds: f64::from(ASKED_EVERY + ASKED_AGAIN + UNDER_WAY) / 1000.0,
        mariadb: distro.sql == SqlEngine::MariaDb,
        unit: distro.sql_unit(),
        client: distro.sql_client(),
        user: USER,
        port: STATE_PORT,
        net_timeout: NET_TIMEOUT,
        ack_millis: ACK_MILLIS,
        max_lag: max_lag.filter(|seconds| *seconds > 0).unwrap_or(MAX_LAG),
        own: trusted(&context.machine.private),
        peers: trusted(peers.join(" ")),
        pattern: trusted(pattern),
        look: Value::UNDEFINED,
        password: Value::UNDEFINED,
    }
}

fn with_look(context: &Context, template: &Template) -> Result<String, RoleError> {
    let mut values = values(context);
    values.look = trusted(LOOK.render(&values)?);
    template.render(values)
}

fn files(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let password = context.secret(PASSWORD_SECRET)?;
    let client = Values {
        // Within quotes a file of options knows the backslash, and nothing else.
        password: trusted(password.expose().replace('\\', "\\\\")),
        ..values(context)
    };
    let client = Secret::new(CLIENT.render(client)?);
    let literal = Secret::new(format!("{}\n", sql_literal(password.expose())));
    let plain = |template: &Template| template.render(values(context));
    let program = File::new(PROGRAM, with_look(context, &SCRIPT)?).mode(0o755);
    let watch = File::new(unit_path(WATCH_UNIT), plain(&WATCH)?);
    let state = File::new(unit_path(STATE_UNIT), plain(&STATE)?);
    Ok(vec![
        Directory::new("/usr/local/lib/marg").into(),
        File::secret("/etc/mysql/marg-replication.cnf", client).into(),
        File::secret("/etc/mysql/marg-replication.sql", literal).into(),
        // Nothing restarts: what it says is set at run time, too.
        File::new(conf_path(context), plain(&CONF)?)
            .validate(mysql::validator(context.distro.sql))
            .into(),
        program.notify(Notice::restart(WATCH_UNIT)),
        watch.notify(Notice::restart(WATCH_UNIT)),
        state.notify(Notice::restart(STATE_UNIT)),
    ])
}

/// A text of SQL. The sessions that read it have an empty `sql_mode`.
fn sql_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// What this host does in the group: it leads, or follows who leads.
fn part(context: &Context) -> Result<Command, RoleError> {
    if leads(context, context.host) {
        return Ok(Command::new("lead the database servers", call("lead"))
            .unless(format!("{PROGRAM} check-lead")));
    }
    let mut hosts = context.blueprint().with_role("mysql-replication");
    let leader = hosts
        .find(|host| leads(context, host))
        .ok_or_else(|| RoleError::Leader {
            of: "mysql",
            message: "none of its hosts leads; run `marg promote HOST`".to_owned(),
        })?;
    let address = quote(&network::private(context.fleet, leader).to_string());
    let name = format!("follow {}", leader.name);
    Ok(Command::new(name, format!("{PROGRAM} follow {address}\n"))
        .unless(format!("{PROGRAM} check-follow {address}")))
}

/// What a host of the group is asked before anything is planned for it. It may have nothing of
/// this role yet.
fn question(context: &Context) -> String {
    // Both templates are marg's own and rendered in every case of the tests.
    with_look(context, &QUESTION)
        .unwrap_or_else(|error| format!("echo {}\n", quote(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_one_text() {
        for (text, expected) in [("a", "'a'"), ("it's", "'it''s'"), (r"a\'", r"'a\\'''")] {
            assert_eq!(sql_literal(text), expected);
        }
    }
}
