//! `mysql`: the database server that the distribution brings (MariaDB or MySQL), sized from
//! memory, with the databases and users of the inventory, reached from the private network.

use marg_model::{Blueprint, RoleSchema, SecretKind, SecretSpec, Setting, SettingKind, SqlEngine};
use marg_resources::kinds::{Database, DatabaseUser, Directory, File, Package, Service, Variable};
use marg_resources::{
    Check, Context, Handover, Notice, Notify, Opening, Peer, Resource, Role, RoleError, Validator,
};
use minijinja::Value;
use serde::Serialize;

use crate::mysql_replication::leads;
use crate::render::{Template, template, trusted};
use crate::{hardening, memory, network, php_fpm};

mod handover;
pub mod sizing;

const CONF: Template = template!("mysql", "templates/marg.cnf");
const LIVE: Template = template!("mysql", "templates/live.cnf");

/// Port of the server.
pub const PORT: u16 = 3306;
/// Below this the server does without its own measurements.
const ROOMY_MIB: u64 = 1024;
const SLOW_SECONDS: u64 = 2;

/// The role.
pub struct Mysql;

impl Role for Mysql {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "mysql",
            doc: "The database server, with the inventory's databases and users.",
            settings: &[
                Setting {
                    name: "buffer_pool_mib",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory",
                    doc: "InnoDB's buffer pool in MiB.",
                },
                Setting {
                    name: "max_connections",
                    kind: SettingKind::Integer,
                    default: "computed from the fleet's PHP processes",
                    doc: "Connections at once.",
                },
                Setting {
                    name: "slow_seconds",
                    kind: SettingKind::Integer,
                    default: "2",
                    doc: "Queries that take longer are logged.",
                },
            ],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("mysql").next().is_none() {
            return Vec::new();
        }
        let users = blueprint.database_users.iter();
        users
            .map(|user| SecretSpec {
                name: password_secret(&user.name),
                kind: SecretKind::Password,
            })
            .collect()
    }

    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        vec![Opening {
            port: PORT,
            from: Peer::Role("app"),
        }]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let distro = context.distro;
        unique_server_id(context)?;
        // The last names in the folder: what is read last wins.
        let file = |name, text| {
            let path = format!("{}/{name}", distro.sql_conf_dir());
            File::new(path, text).validate(validator(distro.sql))
        };
        let connections = connections(context);
        let mut resources = vec![
            Package::new(distro.sql_package()).into(),
            Directory::new("/var/log/mysql")
                .mode(0o750)
                .owner("mysql", "adm")
                .into(),
            file("zz-marg.cnf", conf(context)?).notify(Notice::restart(distro.sql_unit())),
            file("zz-marg-live.cnf", LIVE.render(Live { connections })?).into(),
        ];
        // MySQL's own unit comes with AppArmor's profile instead.
        if distro.sql_unit() == "mariadb" {
            resources.extend(hardening::Service::MariaDb.drop_in(distro.sql_unit()));
        }
        resources.push(Service::running(distro.sql_unit()).into());
        // What changes with the number of web servers is set at once, without a restart.
        resources.push(Variable::new(distro.sql, "max_connections", connections).into());
        // A replica gets them from its primary. Written by itself, they would be transactions
        // that nobody else has.
        if !context.host.has_role("mysql-replication") || leads(context, context.host) {
            resources.extend(databases(context));
            resources.extend(users(context)?);
        }
        Ok(resources)
    }

    fn handover(&self) -> Option<Handover> {
        Some(handover::HANDOVER)
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        vec![Check {
            name: format!("{} answers", context.distro.sql_unit()),
            script: format!(
                "{} -N -e 'SELECT 1' >/dev/null",
                context.distro.sql_client()
            ),
            deadline_seconds: 120,
        }]
    }
}

/// Name of the secret that holds a database user's password.
pub fn password_secret(user: &str) -> String {
    format!("db_password_{user}")
}

/// Both servers can read their options without starting.
pub fn validator(engine: SqlEngine) -> Validator {
    Validator::new(match engine {
        SqlEngine::MariaDb => "mariadbd --user=mysql --help --verbose >/dev/null",
        SqlEngine::MySql => "mysqld --user=mysql --validate-config",
    })
}

fn conf(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        mariadb: bool,
        listen: Vec<Value>,
        buffer_pool_mib: u64,
        redo_log_mib: u64,
        performance_schema: bool,
        slow_seconds: u64,
        server_id: u16,
    }
    let share = memory::of(context.blueprint(), context.host, context.machine).mysql;
    let given = |name| context.integer("mysql", name).filter(|value| *value > 0);
    let buffer_pool_mib = given("buffer_pool_mib").unwrap_or(sizing::buffer_pool(share));
    memory::must_fit(context, "mysql.buffer_pool_mib", buffer_pool_mib)?;
    let listen = network::listen(context).into_iter().map(trusted).collect();
    CONF.render(Values {
        mariadb: context.distro.sql == SqlEngine::MariaDb,
        listen,
        buffer_pool_mib,
        redo_log_mib: sizing::redo_log(buffer_pool_mib),
        performance_schema: share >= ROOMY_MIB,
        slow_seconds: given("slow_seconds").unwrap_or(SLOW_SECONDS),
        // The same host keeps its number for ever.
        server_id: context.host.number,
    })
}

#[derive(Serialize)]
struct Live {
    connections: u64,
}

fn connections(context: &Context) -> u64 {
    let share = memory::of(context.blueprint(), context.host, context.machine).mysql;
    let given = context.integer("mysql", "max_connections");
    let computed = sizing::connections(php_processes(context), share);
    given.filter(|value| *value > 0).unwrap_or(computed)
}

/// Two servers of one number would take each other's transactions for their own.
fn unique_server_id(context: &Context) -> Result<(), RoleError> {
    let own = context.host;
    let mut others = context.blueprint().with_role("mysql");
    match others.find(|host| host.name != own.name && host.number == own.number) {
        Some(other) if own.has_role("mysql-replication") => Err(RoleError::Setting {
            host: own.name.clone(),
            message: format!(
                "it and {} would both be server {}; put all database servers that replicate \
                 into one group",
                other.name, own.number
            ),
        }),
        _ => Ok(()),
    }
}

/// Processes of the fleet that may connect: children of php-fpm, workers and schedules.
fn php_processes(context: &Context) -> u64 {
    let blueprint = context.blueprint();
    let apps = blueprint.apps.len() as u64;
    let of_hosts = context.fleet.hosts().map(|(host, machine)| {
        let web = if host.has_role("php-fpm") {
            php_fpm::sizing::children_on(blueprint, host, machine) * apps
        } else {
            0
        };
        web + memory::of(blueprint, host, machine).workers
    });
    let schedules = blueprint.apps.iter().filter(|app| app.schedule).count() as u64;
    of_hosts.sum::<u64>() + schedules
}

fn databases(context: &Context) -> Vec<Resource> {
    let all = context.blueprint().databases.iter();
    all.map(|database| {
        let (charset, collation) = (&database.charset, &database.collation);
        Database::new(context.distro.sql, &database.name, charset, collation).into()
    })
    .collect()
}

fn users(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let mut resources = Vec::new();
    for user in &context.blueprint().database_users {
        let password = context.secret(&password_secret(&user.name))?;
        for host in network::sql_hosts(context) {
            let own = DatabaseUser::new(context.distro.sql, &user.name, host, password.clone());
            let granted = user
                .databases
                .iter()
                .fold(own, |own, name| own.grant_all(name));
            resources.push(granted.into());
        }
    }
    Ok(resources)
}
