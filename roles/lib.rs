//! Roles: pure functions from (host, fleet, settings, secrets) to resources. One folder per
//! role, with its templates and its cases beside it.
//!
//! Adding a role: a folder and one line in [`ROLES`].

use marg_model::RoleSchema;
use marg_resources::Role;

mod hardening;
mod memory;
mod network;
mod php;
mod quoting;
mod render;
mod visitors;

pub mod app;
pub mod base;
pub mod haproxy;
pub mod keepalived;
pub mod mysql;
#[path = "mysql-replication/mod.rs"]
pub mod mysql_replication;
pub mod nginx;
#[path = "php-fpm/mod.rs"]
pub mod php_fpm;
pub mod proxy;
pub mod redis;
#[path = "redis-sentinel/mod.rs"]
pub mod redis_sentinel;
pub mod scheduler;
pub mod ufw;
pub mod worker;

#[cfg(test)]
mod testing;

/// Every role that marg can provision.
pub const ROLES: &[&dyn Role] = &[
    &base::Base,
    &ufw::Ufw,
    &haproxy::Haproxy,
    &keepalived::Keepalived,
    &nginx::Nginx,
    &php_fpm::PhpFpm,
    &redis::Redis,
    &redis_sentinel::RedisSentinel,
    &mysql::Mysql,
    &mysql_replication::MysqlReplication,
    &proxy::Proxy,
    &app::App,
    &worker::Worker,
    &scheduler::Scheduler,
];

/// What inventories and phases may name: the roles above.
pub fn schemas() -> Vec<RoleSchema> {
    ROLES.iter().map(|role| role.schema()).collect()
}

/// The role of that name, if marg can provision it.
pub fn role(name: &str) -> Option<&'static dyn Role> {
    ROLES
        .iter()
        .copied()
        .find(|role| role.schema().name == name)
}
