//! `redis`: two instances. Sessions and queues live where nothing is evicted and everything is
//! persisted; the cache lives where what is used least may go.

use marg_model::{Blueprint, RoleSchema, Secret, SecretKind, SecretSpec, Setting, SettingKind};
use marg_resources::kinds::{Command, Directory, File, Package, Service, Sysctl};
use marg_resources::{
    Check, Context, Handover, Leadership, Notice, Notify, Opening, Peer, Resource, Role, RoleError,
    quote,
};
use minijinja::Value;
use serde::Serialize;

use self::live::Live;
use crate::render::{Template, template, trusted};
use crate::{memory, network};

pub mod ask;
mod handover;
pub mod leader;
mod live;
pub mod sizing;

const MAIN: Template = template!("redis", "templates/redis.conf");
const CACHE: Template = template!("redis", "templates/redis-cache.conf");
const MAIN_LIVE: Template = template!("redis", "templates/live.conf");
const CACHE_LIVE: Template = template!("redis", "templates/live-cache.conf");
const PASSWORD: Template = template!("redis", "templates/password.conf");
const UNIT: Template = template!("redis", "templates/redis-server.service.conf");

/// Port of the instance that holds sessions and queues.
pub const PORT: u16 = 6379;
/// Port of the instance that holds the cache.
pub const CACHE_PORT: u16 = 6380;
/// Name of the secret that both ask for.
pub const PASSWORD_SECRET: &str = "redis_password";
/// Where hosts of this role keep the password, as a line of Redis's configuration.
pub const PASSWORD_FILE: &str = "/etc/redis/password.conf";

/// Folder of the configuration.
const FOLDER: &str = "/etc/redis";

/// Unit of the instance that holds sessions and queues.
pub const MAIN_UNIT: &str = "redis-server";
const CACHE_UNIT: &str = "redis-server@cache";

/// The role.
pub struct Redis;

impl Role for Redis {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "redis",
            doc: "Redis twice: sessions and queues are never evicted, the cache may be.",
            settings: &[
                Setting {
                    name: "maxmemory_mib",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory, with room for the fork",
                    doc: "Limit of the instance for sessions and queues, in MiB.",
                },
                Setting {
                    name: "cache_maxmemory_mib",
                    kind: SettingKind::Integer,
                    default: "computed from the droplet's memory",
                    doc: "Limit of the instance for the cache, in MiB.",
                },
            ],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("redis").next().is_none() {
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
        // Replicas follow, and each Sentinel watches all.
        let replicas = open(PORT, "redis");
        vec![open(PORT, "app"), open(CACHE_PORT, "app"), replicas]
    }

    fn leadership(&self) -> Option<Leadership> {
        Some(leader::LEADERSHIP)
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let owned = |file: File| {
            file.owner("redis", "redis")
                .notify(Notice::restart(MAIN_UNIT))
                .notify(Notice::restart(CACHE_UNIT))
        };
        let limits = limits(context);
        let both = "redis.maxmemory_mib and redis.cache_maxmemory_mib together";
        memory::must_fit(context, both, limits.main + limits.cache)?;
        let main = File::new("/etc/redis/redis.conf", conf(&MAIN, context)?);
        let cache = File::new("/etc/redis/redis-cache.conf", conf(&CACHE, context)?);
        let main_live = Live::new("/etc/redis/live.conf", PORT, &MAIN_LIVE, limits.main)?;
        let cache_live = Live::new(
            "/etc/redis/live-cache.conf",
            CACHE_PORT,
            &CACHE_LIVE,
            limits.cache,
        )?;
        let mut resources = vec![
            // Without it the fork that writes to disk fails when memory is half full.
            Sysctl::new("vm.overcommit_memory", "1").into(),
            Package::new("redis-server").into(),
            own_folder().into(),
            Directory::new(FOLDER)
                .mode(0o750)
                .owner("root", "redis")
                .into(),
            owned(File::secret(PASSWORD_FILE, password(context)?)),
            main_live.file().into(),
            cache_live.file().into(),
            main.mode(0o640)
                .owner("redis", "redis")
                .notify(Notice::restart(MAIN_UNIT)),
            cache
                .mode(0o640)
                .owner("redis", "redis")
                .notify(Notice::restart(CACHE_UNIT)),
        ];
        resources.extend(drop_in(MAIN_UNIT, UNIT.render(())?));
        resources.push(Service::running(MAIN_UNIT).into());
        resources.push(Service::running(CACHE_UNIT).into());
        resources.push(main_live.set().into());
        resources.push(cache_live.set().into());
        Ok(resources)
    }

    fn handover(&self) -> Option<Handover> {
        Some(handover::HANDOVER)
    }

    fn checks(&self, _context: &Context) -> Vec<Check> {
        [("sessions and queues", PORT), ("cache", CACHE_PORT)]
            .map(|(what, port)| Check {
                name: format!("redis answers on port {port} ({what})"),
                // The password goes from its file into redis-cli's standard input.
                script: format!(
                    "{{ sed -n 's/^requirepass /AUTH /p' {PASSWORD_FILE}; echo PING; }} \
                     | timeout 5 redis-cli -p {port} | grep -qx PONG"
                ),
                deadline_seconds: 60,
            })
            .to_vec()
    }
}

/// The package gives redis the folder of its own configuration, and does so again with each upgrade,
/// unless dpkg is told that it is root's here.
fn own_folder() -> Command {
    let line = format!("root redis 750 {FOLDER}");
    Command::new(
        "redis cannot replace its configuration",
        format!(
            "if dpkg-statoverride --list {FOLDER} >/dev/null; then dpkg-statoverride --remove {FOLDER}; fi\n\
             dpkg-statoverride --add {line}"
        ),
    )
    .unless(format!(
        "while IFS= read -r line; do [ \"$line\" != {} ] || exit 0; done < /var/lib/dpkg/statoverride\nexit 1",
        quote(&line)
    ))
}

/// An addition to a unit of the distribution.
pub fn drop_in(unit: &str, text: String) -> [Resource; 2] {
    let folder = format!("/etc/systemd/system/{unit}.service.d");
    let file = File::new(format!("{folder}/marg.conf"), text).notify(Notice::restart(unit));
    [Directory::new(folder).into(), file]
}

fn limits(context: &Context) -> sizing::Limits {
    let share = memory::of(context.blueprint(), context.host, context.machine).redis;
    let computed = sizing::limits(share);
    let given = |name| context.integer("redis", name).filter(|mib| *mib > 0);
    sizing::Limits {
        main: given("maxmemory_mib").unwrap_or(computed.main),
        cache: given("cache_maxmemory_mib").unwrap_or(computed.cache),
    }
}

fn conf(template: &Template, context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        listen: Vec<Value>,
    }
    let listen = network::listen(context).into_iter().map(trusted).collect();
    template.render(Values { listen })
}

/// In a file of its own: changes of the rest can be shown.
fn password(context: &Context) -> Result<Secret, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        password: &'a str,
    }
    let password = context.secret(PASSWORD_SECRET)?.expose();
    PASSWORD.render(Values { password }).map(Secret::new)
}
