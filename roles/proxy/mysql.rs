//! The part for MySQL: one address for whoever writes, one for readers.

use marg_resources::{Context, RoleError};

use super::{Servers, servers};
use crate::mysql::PORT;
use crate::render::{Template, template};

const SECTIONS: Template = template!("proxy", "templates/mysql.cfg");

/// Its sections of `haproxy.cfg`; nothing where no host has the role.
pub fn sections(context: &Context) -> Result<String, RoleError> {
    let servers = servers(context, "mysql");
    if servers.is_empty() {
        return Ok(String::new());
    }
    SECTIONS.render(Servers {
        port: PORT,
        servers,
    })
}
