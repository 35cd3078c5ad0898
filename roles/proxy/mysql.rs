//! The part for MySQL: one address for whoever writes, one for readers.

use marg_resources::{Context, RoleError};
use serde::Serialize;

use super::{Server, servers};
use crate::mysql::PORT;
use crate::mysql_replication::{ASKED_AGAIN, ASKED_EVERY, STATE_PORT};
use crate::render::{Template, template};

const SECTIONS: Template = template!("proxy", "templates/mysql.cfg");

#[derive(Serialize)]
struct Values {
    port: u16,
    state_port: u16,
    asked_every: u32,
    asked_again: u32,
    replicated: bool,
    servers: Vec<Server>,
}

/// Its sections of `haproxy.cfg`; nothing where no host has the role.
pub fn sections(context: &Context) -> Result<String, RoleError> {
    let servers = servers(context, "mysql");
    if servers.is_empty() {
        return Ok(String::new());
    }
    let mut replicated = context.blueprint().with_role("mysql-replication");
    SECTIONS.render(Values {
        port: PORT,
        state_port: STATE_PORT,
        asked_every: ASKED_EVERY,
        asked_again: ASKED_AGAIN,
        replicated: replicated.next().is_some(),
        servers,
    })
}
