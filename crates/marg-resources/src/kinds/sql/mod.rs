//! `sql`: databases and database users of the host's own server.

mod database;
mod user;

pub use database::Database;
pub use user::DatabaseUser;

use crate::answer::Misread;
use crate::change::Verdict;
use crate::kind::{Before, Kind};
use crate::kinds::State;

/// A database or a user: both are read by one call of the SQL client.
#[derive(Clone, Debug)]
pub enum Sql {
    /// A database.
    Database(Database),
    /// A user and its grants.
    User(DatabaseUser),
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

impl Kind for Sql {
    const NAME: &'static str = "sql";
    type Seen = ();

    fn id(&self) -> String {
        match self {
            Sql::Database(database) => format!("database {}", database.name),
            Sql::User(user) => format!("user {}@{}", user.name, user.host),
        }
    }

    fn probe(_all: &[&Self]) -> String {
        String::new()
    }

    fn read(_all: &[&Self], _lines: &[String]) -> Result<Vec<()>, Misread> {
        Err(Self::misread("this kind cannot be read yet"))
    }

    fn fresh(&self) {}

    fn diff(&self, _seen: &(), _before: &Before) -> Verdict {
        Verdict::Converged
    }
}
