//! What a host answers to the question who leads.

use std::collections::BTreeMap;

use marg_model::{Fleet, Host};
use marg_resources::{HostAnswer, HostAnswers, RoleError};

use super::position::Position;

/// What is known of a host's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// There is no machine or no server on it yet.
    Nothing,
    /// It exists and does not answer; why.
    Away(&'static str),
    /// It answers.
    Up(Server),
}

/// A server that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Whether it takes writes.
    pub writable: bool,
    /// Private address of whom it follows.
    pub source: Option<String>,
    /// Whether it hears whom it follows.
    pub hears: bool,
    /// Whether it executes what it hears.
    pub executes: bool,
    /// All that it has, executed or only received.
    pub has: u64,
    /// Databases that are not the server's own.
    pub databases: u64,
}

/// All hosts of the group by name.
pub type Group = BTreeMap<String, Known>;

/// Everybody who is concerned: hosts with the role, and those who are asked because they have, or
/// had, fellows with it.
pub fn group<'a>(fleet: &'a Fleet, answers: &'a HostAnswers) -> impl Iterator<Item = &'a Host> {
    let concerned =
        |host: &&Host| host.has_role("mysql-replication") || answers.contains_key(&host.name);
    fleet.peers().filter(concerned)
}

/// Reads the answers of a fleet.
pub fn read(fleet: &Fleet, answers: &HostAnswers) -> Result<Group, RoleError> {
    let known = group(fleet, answers).map(|host| {
        let known = match answers.get(&host.name) {
            None | Some(HostAnswer::NotThere) => Known::Nothing,
            Some(HostAnswer::Silent) => Known::Away("does not answer"),
            Some(HostAnswer::Said(text)) => known(&host.name, text)?,
        };
        Ok((host.name.clone(), known))
    });
    known.collect()
}

fn known(host: &str, text: &str) -> Result<Known, RoleError> {
    let lines = text
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")));
    let said: BTreeMap<&str, &str> = lines.collect();
    match said.get("server") {
        Some(&"none") => Ok(Known::Nothing),
        Some(&"down") => Ok(Known::Away("runs no database server")),
        Some(&"silent") => Ok(Known::Away("has a database server that does not answer")),
        Some(&"up") => server(&said).map(Known::Up).ok_or_else(|| junk(host, text)),
        _ => Err(junk(host, text)),
    }
}

fn junk(host: &str, text: &str) -> RoleError {
    RoleError::Leader {
        of: "mysql",
        message: format!("the answer of {host} makes no sense: {}", text.trim()),
    }
}

fn server(said: &BTreeMap<&str, &str>) -> Option<Server> {
    let text = |key| said.get(key).copied().filter(|value| *value != "NULL");
    let position = |key| Position::read(text(key).unwrap_or_default());
    Some(Server {
        writable: match text("read_only")? {
            "0" => true,
            "1" => false,
            _ => return None,
        },
        source: text("source")
            .filter(|source| !source.is_empty())
            .map(str::to_owned),
        hears: text("io") == Some("Yes"),
        executes: text("sql") == Some("Yes"),
        has: position("executed")?.and(position("received")?).count(),
        databases: text("schemata")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn answers_of_both_engines() {
        let replica = "read_only 1\nexecuted 0-1-90\nsemi_primary 0\nclients 0\nschemata 4\n\
             source 10.20.0.4\nio Yes\nsql Yes\nlag 0\nauto Slave_Pos\nreceived 0-1-100\n\
             io_errno 0\nio_error \nserver up\n";
        let primary = "read_only 0\nexecuted 3e11-a:1-7\nsemi_primary 1\nclients 2\nschemata 4\n\
             server up\n";
        for (text, expected) in [
            ("server none\n", Known::Nothing),
            ("server down\n", Known::Away("runs no database server")),
            (
                replica,
                Known::Up(Server {
                    source: Some("10.20.0.4".to_owned()),
                    hears: true,
                    executes: true,
                    has: 100,
                    databases: 4,
                    ..Server::default()
                }),
            ),
            (
                primary,
                Known::Up(Server {
                    writable: true,
                    has: 7,
                    databases: 4,
                    ..Server::default()
                }),
            ),
        ] {
            assert_eq!(known("mysql1", text).unwrap(), expected);
        }
        for junk in [
            "",
            "server odd",
            "read_only 2\nserver up",
            "read_only 1\nserver up",
        ] {
            let error = known("mysql1", junk).unwrap_err().to_string();
            assert!(error.contains("mysql1 makes no sense"), "{error}");
        }
    }
}
