//! Users of Redis: who may log in, and what each may do. ACLs are not replicated, so every host
//! gets them all, in a file that Redis reads when it starts and is told of while it runs.

use marg_model::{App, Secret};
use marg_resources::kinds::{Command, File};
use marg_resources::quote;

use super::ask;
use crate::quoting;

/// marg's own user: it may do everything.
pub const ADMIN: &str = "marg";
/// What proxies log in as when they look whether somebody lives. It has no password, and may ask
/// nothing that is worth one.
pub const CHECK: &str = "check";
/// Name of the secret with which [`ADMIN`] logs in.
pub const ADMIN_SECRET: &str = "redis_admin_password";
/// What a replica logs in as at its master.
pub const REPLICA: &str = "replica";
/// Name of its secret.
pub const REPLICA_SECRET: &str = "redis_replica_password";
/// What the Sentinels log in as.
pub const SENTINEL: &str = "sentinel";
/// Name of their secret.
pub const SENTINEL_SECRET: &str = "redis_sentinel_password";

/// What applications may not do anywhere: neither what is an administrator's, nor what concerns
/// others. `SORT` counts as dangerous, and is none for those who may read only their own.
pub const OF_APPLICATIONS: &str =
    "+@all -@admin -@dangerous +sort +sort_ro -function -script|flush -script|kill";

/// The user of an application.
pub fn user(app: &App) -> String {
    format!("app-{}", app.slug())
}

/// One who may log in.
pub struct Login<'a> {
    name: String,
    on: bool,
    passwords: Vec<&'a str>,
    rights: String,
}

impl<'a> Login<'a> {
    /// With any of these passwords; without any when there is none.
    pub fn new(
        name: impl Into<String>,
        passwords: impl IntoIterator<Item = &'a str>,
        rights: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            on: true,
            passwords: passwords.into_iter().collect(),
            rights: rights.into(),
        }
    }

    /// Nobody can log in under that name.
    pub fn off(name: &str) -> Self {
        let mut login = Self::new(name, [], "");
        login.on = false;
        login
    }

    /// As [`ask`] reads it, marg's own has one password and stands in one form.
    fn line(&self) -> String {
        if !self.on {
            return format!("user {} off\n", self.name);
        }
        let passwords = self.passwords.iter();
        let passwords: Vec<String> = passwords
            .map(|password| quoting::redis(&format!(">{password}")))
            .collect();
        let how = match passwords.as_slice() {
            [] => "nopass".to_owned(),
            some => some.join(" "),
        };
        format!("user {} on {how} {}\n", self.name, self.rights)
    }
}

/// Who may log in to one instance.
pub struct Logins {
    path: String,
    port: u16,
    text: String,
    before: String,
}

impl Logins {
    /// The users of the instance on that port. Whoever is told of himself last is still logged in:
    /// the default user stands last.
    pub fn new(path: impl Into<String>, port: u16, logins: &[Login<'_>]) -> Self {
        Self {
            path: path.into(),
            port,
            text: logins.iter().map(Login::line).collect(),
            before: String::new(),
        }
    }

    /// Lines that do not stand for a user.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        self.text.insert_str(0, lines);
        self
    }

    /// Commands that run before Redis is told.
    #[must_use]
    pub fn before(mut self, commands: String) -> Self {
        self.before = commands;
        self
    }

    /// What Redis reads when it starts.
    pub fn file(&self) -> File {
        let file = File::secret(&self.path, Secret::new(self.text.as_str()));
        file.owner("redis", "redis")
    }

    /// Tells the running Redis, which forgets users that nobody wants any more.
    pub fn set(&self) -> Command {
        let (path, port) = (quote(&self.path), self.port);
        let mark = quote(&format!("/var/lib/marg/redis-{port}.logins"));
        let body = format!(
            "{functions}{before}said=$({{\n\
             for user in $(echo 'ACL USERS' | ask {path} {port}); do\n  \
             case $user in app-*) grep -q \"^user $user \" {path} || echo \"ACL DELUSER $user\" ;; esac\n\
             done\n\
             sed -n -e 's/^user \\([^ ]*\\) /ACL SETUSER \\1 reset /p' \
             -e 's/^masteruser /CONFIG SET masteruser /p' \
             -e 's/^masterauth /CONFIG SET masterauth /p' {path}\n\
             }} | ask {path} {port})\n\
             case $said in ''|*ERR*|*NOAUTH*|*NOPERM*) echo 'redis did not take its users'; exit 1 ;; esac\n\
             : > {mark}",
            functions = ask::functions(),
            before = self.before,
        );
        Command::new(format!("redis on port {port} knows its users"), body)
            .unless(format!("[ {mark} -nt {path} ]"))
            .watch([format!("file {}", self.path)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each() {
        let line = |passwords: &[&'static str]| {
            Login::new("a", passwords.iter().copied(), "~* +@all").line()
        };
        assert_eq!(line(&[]), "user a on nopass ~* +@all\n");
        assert_eq!(line(&["x"]), "user a on \">x\" ~* +@all\n");
        let both = "user a on \">x y\" \">\\\"\" ~* +@all\n";
        assert_eq!(line(&["x y", "\""]), both);
        assert_eq!(Login::off("default").line(), "user default off\n");
    }
}
