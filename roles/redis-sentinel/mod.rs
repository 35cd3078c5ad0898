//! `redis-sentinel`: Redis on several hosts, of which one leads and the others follow, and a
//! Sentinel on each that promotes a replica when the master is lost.
//!
//! The living are asked before anything is written: who leads is decided by the Sentinels, and a
//! host joins only what says of itself, at that moment, that it is the master. Sentinel's own file is
//! written once; after that Sentinel is asked and told.

use marg_model::{
    Blueprint, Host, RoleSchema, Secret, SecretKind, SecretSpec, Setting, SettingKind,
};
use marg_resources::kinds::{Command, File, Package, Service};
use marg_resources::{Check, Context, Opening, Peer, Promotion, Resource, Role, RoleError, Shell};
use minijinja::Value;
use serde::Serialize;

use crate::redis::{self, ask};
use crate::render::{Template, template, trusted};
use crate::{network, quoting};

mod promotion;
mod scripts;

const CONF: Template = template!("redis-sentinel", "templates/sentinel.conf");
const REPLICATION: Template = template!("redis-sentinel", "templates/replication.conf");
const PASSWORD: Template = template!("redis-sentinel", "templates/password.conf");
const UNIT: Template = template!("redis-sentinel", "templates/redis-sentinel.service.conf");

/// Port of Sentinel.
pub const PORT: u16 = 26379;
/// Name by which the Sentinels know the master.
pub const MASTER: &str = "marg";
/// Where hosts of this role keep Sentinel's own password.
pub const PASSWORD_FILE: &str = "/etc/redis/sentinel-password.conf";
/// Name of the secret in it.
pub const PASSWORD_SECRET: &str = "sentinel_password";

/// Milliseconds after which each proxy asks a host again whether it leads.
pub const ASKED_EVERY: u32 = 1000;
/// Milliseconds after which it does when the answer is another one: two in a row count.
pub const ASKED_AGAIN: u32 = 400;

/// Written once, then Sentinel's.
const OWN_FILE: &str = "/var/lib/redis/sentinel.conf";
const REPLICATION_FILE: &str = "/etc/redis/marg-replication.conf";
const SERVICE: &str = "redis-sentinel";

/// With fewer hosts the loss of the only replica would stop the master.
const ENOUGH: usize = 3;
const DOWN_AFTER_SECONDS: u64 = 5;
/// Twice this is waited after an attempt that failed, for example because two Sentinels stood for
/// election at once.
const FAILOVER_TIMEOUT_SECONDS: u64 = 10;

/// The role.
pub struct RedisSentinel;

impl Role for RedisSentinel {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "redis-sentinel",
            doc: "Replicates Redis over its hosts; Sentinel promotes a replica when the master is lost.",
            settings: &[
                Setting {
                    name: "down_after_seconds",
                    kind: SettingKind::Integer,
                    default: "5",
                    doc: "Silence after which a master counts as lost.",
                },
                Setting {
                    name: "failover_timeout_seconds",
                    kind: SettingKind::Integer,
                    default: "10",
                    doc: "Time for each step of a failover; a failed one is tried again after twice as long.",
                },
            ],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("redis-sentinel").next().is_none() {
            return Vec::new();
        }
        vec![SecretSpec {
            name: PASSWORD_SECRET.to_owned(),
            kind: SecretKind::Password,
        }]
    }

    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        ["app", "redis"]
            .map(|role| Opening {
                port: PORT,
                from: Peer::Role(role),
            })
            .to_vec()
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let fleet = Fellows::of(context);
        let password = context.secret(PASSWORD_SECRET)?.expose();
        let password = PASSWORD.render(Password { password })?;
        let replication = REPLICATION.render(Replication {
            replicas: fleet.replicas_to_write(),
            lag_seconds: lag_seconds(context),
        })?;
        let mut resources = vec![
            Package::new("redis-sentinel").into(),
            File::secret(PASSWORD_FILE, Secret::new(password)).into(),
            scripts::take_part(&fleet, lag_seconds(context)).into(),
            // Read when Redis starts. It comes after the replicas: a single Redis that is on its
            // way to become the first master must never refuse a write.
            File::new(REPLICATION_FILE, replication).into(),
        ];
        resources.extend(redis::drop_in(SERVICE, UNIT.render(())?));
        resources.push(own_file(context, &fleet)?.into());
        resources.push(Service::running(SERVICE).into());
        resources.push(scripts::knowledge(&parameters(context, &fleet), &fleet).into());
        Ok(resources)
    }

    fn promotion(&self) -> Option<Promotion> {
        Some(promotion::PROMOTION)
    }

    fn detach(&self, _context: &Context) -> Option<Shell> {
        Some(Shell::new(scripts::insist_on_none()))
    }

    fn leftovers(&self, context: &Context) -> Vec<Resource> {
        if !context.host.has_role("redis") {
            return Vec::new();
        }
        vec![
            Service::stopped(SERVICE).into(),
            scripts::stand_alone(REPLICATION_FILE).into(),
            File::absent(REPLICATION_FILE).into(),
            // Whom it knew is gone: the next time it is written anew.
            File::absent(OWN_FILE).into(),
        ]
    }

    fn checks(&self, _context: &Context) -> Vec<Check> {
        let ask = ask::functions();
        vec![
            Check {
                name: "redis leads, or follows a master that lives".to_owned(),
                script: format!(
                    "{ask}case $(echo 'INFO replication' | main) in \
                     *role:master*|*master_link_status:up*) ;; *) exit 1 ;; esac"
                ),
                deadline_seconds: 60,
            },
            Check {
                name: "enough Sentinels see each other to replace a master".to_owned(),
                script: format!(
                    "{ask}case $(echo 'SENTINEL CKQUORUM {MASTER}' | sentinel) in \
                     'OK '*) ;; *) exit 1 ;; esac"
                ),
                deadline_seconds: 60,
            },
        ]
    }
}

/// Whether a master takes writes only while a replica follows it.
pub fn insists(blueprint: &Blueprint) -> bool {
    blueprint.with_role("redis-sentinel").count() >= ENOUGH
}

/// The hosts that share one master, seen from one of them.
struct Fellows {
    leads: bool,
    /// Name of the host that leads now.
    leader: String,
    /// Its private address.
    address: String,
    count: usize,
    /// Private addresses of all hosts that may have Redis, those on their way out included.
    fellows: Vec<String>,
    /// Those of the hosts with a Sentinel that come before this one.
    before: Vec<String>,
}

impl Fellows {
    fn of(context: &Context) -> Fellows {
        let blueprint = context.blueprint();
        let hosts: Vec<_> = blueprint.with_role("redis-sentinel").collect();
        // Also a host that is on its way out may lead.
        let leader = context
            .fleet
            .peers()
            .filter(|host| host.has_role("redis"))
            .find(|host| context.fleet.leads("redis", &host.name))
            .unwrap_or(context.host);
        let address = |host: &Host| network::private(context.fleet, host).to_string();
        let redis = context.fleet.peers().filter(|host| host.has_role("redis"));
        let own = |host: &&&Host| host.name != context.host.name;
        let before = hosts.iter().take_while(own);
        let before: Vec<String> = before.map(|host| address(host)).collect();
        Fellows {
            leads: leader.name == context.host.name,
            leader: leader.name.clone(),
            address: address(leader),
            count: hosts.len(),
            fellows: redis.map(address).collect(),
            before,
        }
    }

    fn replicas_to_write(&self) -> u64 {
        u64::from(self.count >= ENOUGH)
    }

    fn quorum(&self) -> usize {
        self.count / 2 + 1
    }
}

#[derive(Serialize)]
struct Replication {
    replicas: u64,
    lag_seconds: u64,
}

#[derive(Serialize)]
struct Password<'a> {
    password: &'a str,
}

fn seconds(context: &Context, name: &str, default: u64) -> u64 {
    let given = context.integer("redis-sentinel", name);
    given.filter(|value| *value > 0).unwrap_or(default)
}

/// A replica that has not been heard of for so long does not count. Less than the silence after which
/// another one is promoted: a master that stood still and goes on takes no write that would be thrown
/// away when it learns that it was replaced.
fn lag_seconds(context: &Context) -> u64 {
    let down_after = seconds(context, "down_after_seconds", DOWN_AFTER_SECONDS);
    down_after.saturating_sub(2).max(1)
}

/// What `SENTINEL MASTER` shows and `SENTINEL SET` changes.
fn parameters(context: &Context, fleet: &Fellows) -> Vec<(&'static str, u64)> {
    let milliseconds = |name, default| seconds(context, name, default) * 1000;
    let failover = milliseconds("failover_timeout_seconds", FAILOVER_TIMEOUT_SECONDS);
    vec![
        (
            "down-after-milliseconds",
            milliseconds("down_after_seconds", DOWN_AFTER_SECONDS),
        ),
        ("failover-timeout", failover),
        ("parallel-syncs", 1),
        ("quorum", fleet.quorum() as u64),
    ]
}

/// Sentinel's own file, without passwords; those are put in on the host, from files.
fn own_file(context: &Context, fleet: &Fellows) -> Result<Command, RoleError> {
    #[derive(Serialize)]
    struct Values {
        port: u16,
        listen: Vec<Value>,
        own: Value,
        name: &'static str,
        master: Value,
        master_port: u16,
        quorum: u64,
        down_after_ms: u64,
        failover_timeout_ms: u64,
    }
    let parameters = parameters(context, fleet);
    let text = CONF.render(Values {
        port: PORT,
        listen: network::listen(context).into_iter().map(trusted).collect(),
        own: trusted(&context.machine.private),
        name: MASTER,
        master: trusted(&fleet.address),
        master_port: redis::PORT,
        quorum: fleet.quorum() as u64,
        down_after_ms: parameters[0].1,
        failover_timeout_ms: parameters[1].1,
    })?;
    // Sentinel writes passwords into its file without quotes and cannot read them again.
    let both = [redis::logins::SENTINEL_SECRET, PASSWORD_SECRET];
    for name in both {
        if !quoting::is_plain(context.secret(name)?.expose()) {
            return Ok(scripts::refuse_password(name));
        }
    }
    Ok(scripts::own_file(&text, fleet))
}
