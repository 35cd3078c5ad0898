//! A database user: its password and exactly its grants.

use marg_model::{Secret, SqlEngine};

use super::quote::{account, hex, identifier, pattern, statement};
use super::{UserSeen, call, hash};
use crate::change::{Action, Change, Verdict, Work};
use crate::script::Shell;

/// A user of the host's database server, with all privileges on some databases and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseUser {
    pub(super) engine: SqlEngine,
    pub(super) name: String,
    pub(super) host: String,
    password: Option<Secret>,
    databases: Vec<String>,
}

impl DatabaseUser {
    /// The user exists for clients from `host` (`localhost`, an address, or a pattern such as
    /// `10.1.%`), with that password and no other way to log in.
    #[must_use]
    pub fn new(
        engine: SqlEngine,
        name: impl Into<String>,
        host: impl Into<String>,
        password: Secret,
    ) -> Self {
        let host = host.into().to_lowercase();
        let databases = Vec::new();
        Self { engine, name: name.into(), host, password: Some(password), databases }
    }

    /// The user does not exist for clients from `host`.
    #[must_use]
    pub fn absent(engine: SqlEngine, name: impl Into<String>, host: impl Into<String>) -> Self {
        let host = host.into().to_lowercase();
        Self { engine, name: name.into(), host, password: None, databases: Vec::new() }
    }

    /// All privileges on that database, by its exact name. Grants that are not named here are
    /// taken away.
    #[must_use]
    pub fn grant_all(mut self, database: impl Into<String>) -> Self {
        self.databases.push(database.into());
        self
    }

    pub(super) fn account(&self) -> String {
        account(&self.name, &self.host)
    }

    pub(super) fn diff(&self, seen: Option<&UserSeen>) -> Verdict {
        match (&self.password, seen) {
            (None, None) => Verdict::Converged,
            (None, Some(_)) => Verdict::Will(self.ensure()),
            (Some(password), None) => {
                let sql = self.identify(password).text(self.grants(&self.databases));
                Verdict::Will(self.change(Action::Create, "create".to_owned(), sql))
            }
            (Some(password), Some(seen)) => self.compare(password, seen),
        }
    }

    fn compare(&self, password: &Secret, seen: &UserSeen) -> Verdict {
        let (mut words, mut sql) = (Vec::new(), Shell::default());
        if !self.knows(password, seen) {
            words.push("password".to_owned());
            sql = sql.then(self.identify(password));
        }
        let missing: Vec<String> = self
            .databases
            .iter()
            .filter(|database| !seen.grants.contains(&self.granted(database)))
            .cloned()
            .collect();
        if !missing.is_empty() {
            words.push(format!("grant {}", missing.join(", ")));
        }
        sql = sql.text(self.grants(&missing));
        let surplus: Vec<&String> =
            seen.grants.iter().filter(|grant| !self.is_wanted(grant)).collect();
        if !surplus.is_empty() {
            let names: Vec<&str> = surplus.iter().map(|grant| self.object(grant)).collect();
            words.push(format!("revoke {}", names.join(", ")));
            sql = sql.text(self.revoke(&surplus));
        }
        if words.is_empty() {
            return Verdict::Converged;
        }
        Verdict::Will(self.change(Action::Update, words.join(", "), sql))
    }

    /// What is done without knowing what is there.
    pub(super) fn ensure(&self) -> Change {
        let Some(password) = &self.password else {
            let sql = statement(&format!("DROP USER IF EXISTS {}", self.account()));
            return self.change(Action::Delete, "drop".to_owned(), Shell::new(sql));
        };
        let sql = self.identify(password).text(self.grants_anew());
        self.change(Action::Create, "create".to_owned(), sql)
    }

    fn change(&self, action: Action, summary: String, sql: Shell) -> Change {
        Change { action, summary, diff: None, work: Work::Script(call(self.engine, sql)) }
    }

    /// Creates the user where it is missing and sets its password, as a hash.
    fn identify(&self, password: &Secret) -> Shell {
        let account = self.account();
        let (how, hash) = match self.engine {
            SqlEngine::MariaDb => {
                let hash = hash::native(password.expose());
                ("VIA mysql_native_password USING", format!("'{hash}'"))
            }
            SqlEngine::MySql => {
                let hash = hash::caching_sha2(&account, password.expose());
                ("WITH caching_sha2_password AS", format!("0x{}", hex(&hash)))
            }
        };
        let mut sql = Shell::new(statement(&format!("CREATE USER IF NOT EXISTS {account}")));
        let open = format!("ALTER USER {account} IDENTIFIED {how} ");
        if statement(&open).starts_with("SET ") {
            let hidden = statement(&format!("{open}{hash}"));
            sql = sql.secret(Secret::new(hidden));
        } else {
            sql = sql.text(open).secret(Secret::new(hash)).text(";\n");
        }
        sql
    }

    fn grants(&self, databases: &[String]) -> String {
        databases
            .iter()
            .map(|database| statement(&self.granted(database)))
            .collect()
    }

    /// Takes everything away and grants what is wanted.
    fn grants_anew(&self) -> String {
        let revoke = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {}", self.account());
        statement(&revoke) + &self.grants(&self.databases)
    }

    /// Takes away what is too much. Where all of it is roles and privileges on whole databases,
    /// the wanted grants are not touched, so that no query in between is refused.
    fn revoke(&self, surplus: &[&String]) -> String {
        let one_by_one: Vec<Option<String>> =
            surplus.iter().map(|grant| self.revoke_one(grant)).collect();
        let rest = if one_by_one.contains(&None) { self.grants_anew() } else { String::new() };
        one_by_one.into_iter().flatten().collect::<String>() + &rest
    }

    fn revoke_one(&self, grant: &str) -> Option<String> {
        let object = self.object(grant);
        let account = self.account();
        if is_whole_database(object) {
            let all = statement(&format!("REVOKE ALL PRIVILEGES ON {object} FROM {account}"));
            let option = statement(&format!("REVOKE GRANT OPTION ON {object} FROM {account}"));
            let has_option = grant.ends_with(" WITH GRANT OPTION");
            return Some(if has_option { all + &option } else { all });
        }
        is_role(object).then(|| statement(&format!("REVOKE {object} FROM {account}")))
    }

    /// The line that the server shows for a wanted grant; also the statement that makes it.
    fn granted(&self, database: &str) -> String {
        format!("GRANT ALL PRIVILEGES ON {}.* TO {}", pattern(database), self.account())
    }

    fn is_wanted(&self, grant: &str) -> bool {
        // USAGE is the server's word for "no privileges".
        let usage = format!("GRANT USAGE ON *.* TO {}", self.account());
        let nothing = grant.starts_with(&usage) && !grant.ends_with(" WITH GRANT OPTION");
        nothing || self.databases.iter().any(|database| grant == self.granted(database))
    }

    /// What a grant speaks about: `` `other`.* `` or a role.
    fn object<'a>(&self, grant: &'a str) -> &'a str {
        let end = grant.rfind(&format!(" TO {}", self.account())).unwrap_or(grant.len());
        let start = match grant[..end].find(" ON ") {
            Some(on) => on + " ON ".len(),
            None => grant.len().min("GRANT ".len()),
        };
        grant.get(start..end).unwrap_or(grant)
    }

    fn knows(&self, password: &Secret, seen: &UserSeen) -> bool {
        let stored = seen.hash.expose();
        let matches = match self.engine {
            SqlEngine::MariaDb => {
                seen.plugin == "mysql_native_password"
                    && super::quote::unhex(stored)
                        == Some(hash::native(password.expose()).into_bytes())
            }
            SqlEngine::MySql => {
                seen.plugin == "caching_sha2_password"
                    && super::quote::unhex(stored)
                        .is_some_and(|hash| hash::is_caching_sha2(&hash, password.expose()))
            }
        };
        matches && !seen.other_ways
    }
}

/// Whether it is one backticked name and `.*`.
fn is_whole_database(object: &str) -> bool {
    object.strip_suffix(".*").is_some_and(is_identifier)
}

/// Whether it is one backticked name, perhaps with a host.
fn is_role(object: &str) -> bool {
    is_identifier(object) || object.strip_suffix("@`%`").is_some_and(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let inner = text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.is_some_and(|inner| identifier(&inner.replace("``", "`")) == text)
}
