//! The part for Redis: the master that a replica follows, and the first cache that lives.

use marg_model::Secret;
use marg_resources::{Context, RoleError};
use serde::Serialize;

use super::{Server, servers};
use crate::redis::{CACHE_PORT, PASSWORD_SECRET, PORT};
use crate::redis_sentinel;
use crate::render::{Template, template};

const SECTIONS: Template = template!("proxy", "templates/redis.cfg");

/// Its sections of `haproxy.cfg`; nothing where no host has the role.
pub fn sections(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        port: u16,
        cache_port: u16,
        /// Whether a master takes writes only while it is followed.
        insists: bool,
        asked_every: u32,
        asked_again: u32,
        servers: Vec<Server>,
    }
    let servers = servers(context, "redis");
    if servers.is_empty() {
        return Ok(String::new());
    }
    SECTIONS.render(Values {
        port: PORT,
        cache_port: CACHE_PORT,
        insists: redis_sentinel::insists(context.blueprint()),
        asked_every: redis_sentinel::ASKED_EVERY,
        asked_again: redis_sentinel::ASKED_AGAIN,
        servers,
    })
}

/// The login as Redis reads it from the wire, in hexadecimal: nothing in it needs a quote. Empty
/// where there is no Redis.
pub fn login(context: &Context) -> Result<Secret, RoleError> {
    if context.blueprint().with_role("redis").next().is_none() {
        return Ok(Secret::new(String::new()));
    }
    let password = context.secret(PASSWORD_SECRET)?.expose();
    let command = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n", password.len());
    let hex = command.bytes().map(|byte| format!("{byte:02X}"));
    Ok(Secret::new(hex.collect::<String>()))
}

/// A script that asks Redis through the proxy, with the login in haproxy's own file.
pub fn question(port: u16) -> String {
    format!(
        "{{ perl -ne 'print pack(\"H*\", $1) if /^REDIS_AUTH=([0-9A-F]+)$/' /etc/default/haproxy; \
         printf 'PING\\r\\nQUIT\\r\\n'; }} | curl -s -m 10 telnet://127.0.0.1:{port} | grep -q '^+PONG'"
    )
}
