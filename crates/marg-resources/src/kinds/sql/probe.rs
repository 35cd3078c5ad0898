//! The one call of the client that reads databases, users and variables, and what it answers.

use std::collections::BTreeMap;

use marg_model::{Secret, SqlEngine};

use super::quote::{PREPARED, text, unbatch, unhex};
use super::{DatabaseUser, Sql, SqlSeen, UserSeen, client, command};
use crate::answer::Misread;
use crate::kind::Kind;

pub(super) fn script(all: &[&Sql]) -> String {
    let engine = all.first().map_or(SqlEngine::MariaDb, |sql| sql.engine());
    let (client, command) = (client(engine), command(engine));
    // 2002 is the client's own number for "nobody listens at the socket". Of other errors only
    // the message is shown, because rows before it hold hashes of passwords.
    format!(
        "if command -v {client} >/dev/null; then
marg_sql=$({command} 2>&1 <<'MARG_SQL'
{}MARG_SQL
)
case $?:$marg_sql in
  0:*) printf '%s\\n' \"$marg_sql\" ;;
  *'ERROR 2002 '*) echo down ;;
  *) echo \"ERROR ${{marg_sql##*ERROR}}\"; false ;;
esac
else echo down; fi",
        queries(engine, all)
    )
}

fn queries(engine: SqlEngine, all: &[&Sql]) -> String {
    let mut sql = String::from("SET SESSION sql_mode = '';\n");
    let databases: Vec<String> = all
        .iter()
        .filter_map(|sql| match sql {
            Sql::Database(database) => Some(text(&database.name)),
            Sql::User(_) | Sql::Variable(_) => None,
        })
        .collect();
    if !databases.is_empty() {
        sql.push_str(&format!(
            "SELECT 'd', HEX(SCHEMA_NAME), DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME \
             FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ({});\n",
            databases.join(", ")
        ));
    }
    let users: Vec<&DatabaseUser> = users(all);
    if !users.is_empty() {
        sql.push_str(&accounts(engine, &users));
    }
    for user in users {
        sql.push_str(&grants(user));
    }
    for own in all {
        if let Sql::Variable(variable) = own {
            sql.push_str(&variable.question());
        }
    }
    sql.push_str("SELECT 'end';\n");
    sql
}

fn users<'a>(all: &[&'a Sql]) -> Vec<&'a DatabaseUser> {
    let user = |sql: &&'a Sql| match sql {
        Sql::User(user) => Some(user),
        Sql::Database(_) | Sql::Variable(_) => None,
    };
    all.iter().filter_map(user).collect()
}

fn accounts(engine: SqlEngine, users: &[&DatabaseUser]) -> String {
    let names: Vec<String> = users.iter().map(|user| text(&user.name)).collect();
    let columns = match engine {
        SqlEngine::MariaDb => {
            "IFNULL(JSON_VALUE(Priv, '$.plugin'), ''), \
             HEX(IFNULL(JSON_VALUE(Priv, '$.authentication_string'), '')), \
             JSON_EXISTS(Priv, '$.auth_or') FROM mysql.global_priv"
        }
        SqlEngine::MySql => {
            "plugin, HEX(IFNULL(authentication_string, '')), \
             IFNULL(JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), 0) \
             FROM mysql.user"
        }
    };
    format!(
        "SELECT 'u', HEX(User), HEX(Host), {columns} WHERE User IN ({});\n",
        names.join(", ")
    )
}

/// `SHOW GRANTS` fails for a user that does not exist, so the server decides whether to ask.
fn grants(user: &DatabaseUser) -> String {
    let (name, host) = (text(&user.name), text(&user.host));
    let show = text(&format!("SHOW GRANTS FOR {}", user.account()));
    format!(
        "SET @marg = IF(EXISTS(SELECT 1 FROM mysql.user WHERE User = {name} AND Host = {host}), \
         {show}, 'DO 0');\nSELECT 'g', HEX({name}), HEX({host});\n{PREPARED}"
    )
}

/// Name and host of an account.
type Account = (String, String);

#[derive(Default)]
struct Answers {
    databases: BTreeMap<String, (String, String)>,
    variables: BTreeMap<String, u64>,
    users: BTreeMap<Account, UserSeen>,
    asked: BTreeMap<Account, Vec<String>>,
    current: Option<Account>,
    complete: bool,
}

pub(super) fn read(all: &[&Sql], lines: &[String]) -> Result<Vec<SqlSeen>, Misread> {
    if let [line] = lines
        && line == "down"
    {
        return Ok(vec![SqlSeen::Down; all.len()]);
    }
    let mut answers = Answers::default();
    for (index, line) in lines.iter().enumerate() {
        // The line itself is not shown: it may hold the hash of a password.
        answers.take(line).ok_or_else(|| {
            Sql::misread(format!("line {} of {}", index + 1, lines.len()))
        })?;
    }
    if !answers.complete {
        return Err(Sql::misread("the answer is cut off"));
    }
    all.iter().map(|sql| answers.of(sql)).collect()
}

impl Answers {
    /// Takes a line; `None` if it makes no sense.
    fn take(&mut self, line: &str) -> Option<()> {
        if self.complete {
            return None;
        }
        if line == "end" {
            self.complete = true;
            return Some(());
        }
        // A default role means nothing without the grant of that role, which has its own line.
        if line.starts_with("SET DEFAULT ROLE ") {
            return Some(());
        }
        if line.starts_with("GRANT ") || line.starts_with("REVOKE ") {
            let account = self.current.clone()?;
            self.asked.get_mut(&account)?.push(without_password(&unbatch(line)));
            return Some(());
        }
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["d", name, charset, collation] => {
                let defaults = ((*charset).to_owned(), (*collation).to_owned());
                self.databases.insert(word(name)?, defaults);
            }
            ["u", name, host, plugin, hash, other] if ["0", "1"].contains(other) => {
                unhex(hash)?;
                let seen = UserSeen {
                    plugin: (*plugin).to_owned(),
                    hash: Secret::new(*hash),
                    other_ways: *other == "1",
                    grants: Vec::new(),
                };
                self.users.insert((word(name)?, word(host)?), seen);
            }
            ["v", name, value] => {
                self.variables.insert((*name).to_owned(), value.parse().ok()?);
            }
            ["g", name, host] => {
                let account = (word(name)?, word(host)?);
                self.asked.insert(account.clone(), Vec::new());
                self.current = Some(account);
            }
            _ => return None,
        }
        Some(())
    }

    fn of(&mut self, sql: &Sql) -> Result<SqlSeen, Misread> {
        let user = match sql {
            Sql::Database(database) => {
                return Ok(SqlSeen::Database(self.databases.get(&database.name).cloned()));
            }
            Sql::Variable(variable) => {
                let value = self.variables.get(variable.name).copied().map(SqlSeen::Variable);
                return value.ok_or_else(|| Sql::misread(format!("the value of {}", variable.name)));
            }
            Sql::User(user) => user,
        };
        let account = (user.name.clone(), user.host.clone());
        let missing = || Sql::misread(format!("the grants of {}", user.account()));
        let grants = self.asked.get(&account).ok_or_else(missing)?;
        match self.users.get(&account) {
            None if grants.is_empty() => Ok(SqlSeen::User(None)),
            // An existing user has at least USAGE.
            Some(seen) if !grants.is_empty() => {
                let grants = grants.clone();
                Ok(SqlSeen::User(Some(UserSeen { grants, ..seen.clone() })))
            }
            _ => Err(missing()),
        }
    }
}

fn word(digits: &str) -> Option<String> {
    String::from_utf8(unhex(digits)?).ok()
}

/// MariaDB shows the hash beside the global grant.
fn without_password(grant: &str) -> String {
    match grant.rfind(" IDENTIFIED ") {
        Some(at) if grant.contains(" ON *.* TO ") => grant[..at].to_owned(),
        _ => grant.to_owned(),
    }
}
