//! The part for Redis: the master that a replica follows, and the first cache that lives.

use marg_model::{EarlierForm, Secret};
use marg_resources::{Context, RoleError};
use serde::Serialize;

use super::{Server, servers};
use crate::redis::{EARLIER_CACHE_PORT, EARLIER_SECRET, PORT, cache};
use crate::redis_sentinel;
use crate::render::{Template, template};

/// Condition of the shell: the proxy of this host still leads to the cache that all applications
/// shared.
pub const EARLIER_THERE: &str = "( while read -r line; do \
    [ \"$line\" != 'bind 127.0.0.1:6380' ] || exit 0; done < /etc/haproxy/haproxy.cfg; exit 1 ) 2>/dev/null";

const SECTIONS: Template = template!("proxy", "templates/redis.cfg");

/// Its sections of `haproxy.cfg`; nothing where no host has the role.
pub fn sections(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values {
        port: u16,
        caches: Vec<Cache>,
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
        caches: caches(context),
        insists: redis_sentinel::insists(context.blueprint()),
        asked_every: redis_sentinel::ASKED_EVERY,
        asked_again: redis_sentinel::ASKED_AGAIN,
        servers,
    })
}

/// A cache as the template sees it.
#[derive(Serialize)]
struct Cache {
    name: String,
    port: u16,
    /// Whether only the password is known there.
    earlier: bool,
}

fn caches(context: &Context) -> Vec<Cache> {
    let apps = context.blueprint().apps.iter();
    let own = apps.map(|app| Cache {
        name: format!("redis-{}", cache::name(app)),
        port: app.cache_port,
        earlier: false,
    });
    let shared = Cache {
        name: "redis-cache".to_owned(),
        port: EARLIER_CACHE_PORT,
        earlier: true,
    };
    let kept =
        context.fleet.earlier == EarlierForm::Kept && context.secrets.get(EARLIER_SECRET).is_some();
    own.chain(kept.then_some(shared)).collect()
}

/// What haproxy sent to log in, in an earlier version of marg: as Redis reads it from the wire, in
/// hexadecimal, so that nothing in it needs a quote.
pub fn earlier_login(context: &Context) -> Option<Secret> {
    let password = context.secrets.get(EARLIER_SECRET)?.expose();
    let command = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n", password.len());
    let hex = command.bytes().map(|byte| format!("{byte:02X}"));
    Some(Secret::new(hex.collect::<String>()))
}

/// A script that asks through the proxy whether somebody lives.
pub fn question(port: u16) -> String {
    format!(
        "printf 'AUTH check check\\r\\nPING\\r\\nQUIT\\r\\n' | curl -s -m 10 telnet://127.0.0.1:{port} | grep -q '^+PONG'"
    )
}
