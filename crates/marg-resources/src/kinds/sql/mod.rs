//! `sql`: databases, database users and live settings of the host's own server. All of them are
//! read by one call of the SQL client, which runs as root over the server's socket.

#[cfg(test)]
mod cases;
mod database;
mod hash;
mod probe;
mod quote;
mod user;
mod variable;

pub use database::Database;
pub use user::DatabaseUser;
pub use variable::Variable;

use marg_model::{Secret, SqlEngine};

use crate::answer::Misread;
use crate::change::Verdict;
use crate::kind::{Before, Kind};
use crate::kinds::State;
use crate::script::Shell;

/// A database, a user or a live setting.
#[derive(Clone, Debug)]
pub enum Sql {
    /// A database.
    Database(Database),
    /// A user and its grants.
    User(DatabaseUser),
    /// A global variable.
    Variable(Variable),
}

impl From<Variable> for State {
    fn from(variable: Variable) -> Self {
        State::Sql(Sql::Variable(variable))
    }
}

impl From<Database> for State {
    fn from(database: Database) -> Self {
        State::Sql(Sql::Database(database))
    }
}

impl From<DatabaseUser> for State {
    fn from(user: DatabaseUser) -> Self {
        State::Sql(Sql::User(user))
    }
}

/// Default character set and collation of a database, if it exists.
pub type DatabaseSeen = Option<(String, String)>;

/// What the server says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSeen {
    /// How it logs in.
    pub plugin: String,
    /// Its password's hash, in hexadecimal digits.
    pub hash: Secret,
    /// Whether it may log in in other ways, too.
    pub other_ways: bool,
    /// What `SHOW GRANTS` says, without passwords.
    pub grants: Vec<String>,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlSeen {
    /// No server runs.
    Down,
    /// Of a database.
    Database(DatabaseSeen),
    /// Of a user.
    User(Option<UserSeen>),
    /// Of a global variable.
    Variable(u64),
}

impl Sql {
    fn engine(&self) -> SqlEngine {
        match self {
            Sql::Database(database) => database.engine,
            Sql::User(user) => user.engine,
            Sql::Variable(variable) => variable.engine,
        }
    }
}

/// The client with its options. It speaks over a socket that never leaves the host, so TLS, which
/// takes MariaDB's client longer than all the rest, protects nothing.
fn command(engine: SqlEngine) -> String {
    let plain = match engine {
        SqlEngine::MariaDb => "--skip-ssl",
        SqlEngine::MySql => "--ssl-mode=DISABLED",
    };
    format!(
        "{} {plain} --batch --skip-column-names --default-character-set=utf8mb4",
        client(engine)
    )
}

/// The client's name.
fn client(engine: SqlEngine) -> &'static str {
    match engine {
        SqlEngine::MariaDb => "mariadb",
        SqlEngine::MySql => "mysql",
    }
}

/// One call of the client, with statements on its standard input. It ends at the first error.
fn call(engine: SqlEngine, statements: Shell) -> Shell {
    let head = format!(
        "{} <<'MARG_SQL'\nSET SESSION sql_mode = '';\n",
        command(engine)
    );
    Shell::new(head).then(statements).text("MARG_SQL")
}

impl Kind for Sql {
    const NAME: &'static str = "sql";
    type Seen = SqlSeen;

    fn id(&self) -> String {
        match self {
            Sql::Database(database) => format!("database {}", database.name),
            Sql::User(user) => format!("user {}@{}", user.name, user.host),
            Sql::Variable(variable) => format!("variable {}", variable.name),
        }
    }

    fn probe(all: &[&Self]) -> String {
        probe::script(all)
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<SqlSeen>, Misread> {
        probe::read(all, lines)
    }

    fn fresh(&self) -> SqlSeen {
        SqlSeen::Down
    }

    fn diff(&self, seen: &SqlSeen, _before: &Before) -> Verdict {
        match (self, seen) {
            (Sql::Database(database), SqlSeen::Database(seen)) => database.diff(seen),
            (Sql::User(user), SqlSeen::User(seen)) => user.diff(seen.as_ref()),
            (Sql::Variable(variable), SqlSeen::Variable(seen)) => variable.diff(*seen),
            (Sql::Database(database), _) => self.later(database.ensure()),
            (Sql::User(user), _) => self.later(user.ensure()),
            (Sql::Variable(variable), _) => self.later(variable.ensure()),
        }
    }
}

impl Sql {
    fn later(&self, change: crate::change::Change) -> Verdict {
        let until = format!("service {} runs", client(self.engine()));
        Verdict::Unknown { until, change }
    }
}
