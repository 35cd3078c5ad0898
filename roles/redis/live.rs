//! Settings of Redis that it takes while it runs: a fleet's three instances, which a change of their
//! configuration would restart at once, go on serving.

use marg_resources::kinds::{Command, File};
use marg_resources::{RoleError, quote};
use serde::Serialize;

use super::ask;
use crate::render::Template;

/// The settings of one instance, in a file that its configuration includes.
pub struct Live {
    path: String,
    port: u16,
    /// File with the login.
    login: String,
    text: String,
}

impl Live {
    /// The settings of the instance on that port, whose login is in that file; `mib` is the limit
    /// of its memory.
    pub fn new(
        path: impl Into<String>,
        (port, login): (u16, &str),
        template: &Template,
        mib: u64,
    ) -> Result<Live, RoleError> {
        #[derive(Serialize)]
        struct Values {
            maxmemory_mib: u64,
        }
        let text = template.render(Values { maxmemory_mib: mib })?;
        Ok(Live {
            path: path.into(),
            port,
            login: login.to_owned(),
            text,
        })
    }

    /// What Redis reads when it starts.
    pub fn file(&self) -> File {
        let file = File::new(&self.path, &self.text);
        file.mode(0o640).owner("redis", "redis")
    }

    /// Tells the running Redis, once it runs.
    pub fn set(&self) -> Command {
        let (path, port) = (&self.path, self.port);
        // Younger than the file once Redis has been told; a question that costs no process.
        let mark = quote(&format!("/var/lib/marg/redis-{port}.told"));
        let body = format!(
            "{}said=$(printf '%s' {} | ask {login} {port})\n\
             case $said in ''|*ERR*|*NOAUTH*|*WRONGPASS*) echo \"redis said: $said\"; exit 1 ;; esac\n\
             : > {mark}",
            ask::functions(),
            quote(&commands(&self.text)),
            login = quote(&self.login),
        );
        Command::new(format!("redis on port {port} uses its live settings"), body)
            .unless(format!("[ {mark} -nt {} ]", quote(path)))
            .watch([format!("file {path}")])
    }
}

/// The lines of a configuration as Redis takes them while it runs.
fn commands(text: &str) -> String {
    let settings = text.lines().filter(|line| !line.starts_with('#'));
    let settings = settings.filter_map(|line| line.split_once(' '));
    settings
        .map(|(name, value)| format!("CONFIG SET {name} \"{}\"\n", value.trim_matches('"')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn each_setting_is_one_argument() {
        let text = "# A comment.\nmaxmemory 64mb\nsave 900 1 300 10\nsave \"\"\n";
        assert_eq!(
            commands(text),
            "CONFIG SET maxmemory \"64mb\"\nCONFIG SET save \"900 1 300 10\"\nCONFIG SET save \"\"\n"
        );
    }
}
