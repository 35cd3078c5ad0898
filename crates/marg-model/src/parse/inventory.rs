//! Reading `inventories/*.toml`.

use std::collections::BTreeMap;

use super::app::apps;
use super::node::Node;
use super::overrides::{GroupWords, env, groups, groups_of, hosts, image, settings};
use super::phase_overrides::phases as phase_overrides;
use super::reader::{Reader, Table};
use super::{networks, rules, words};
use crate::diagnostic::Diagnostics;
use crate::inventory::{
    App, Database, DatabaseUser, Environment, GroupOverride, Inventory, PhaseOverride,
};
use crate::phase::Phase;
use crate::schema::RoleSchema;

/// Reads an inventory.
///
/// `file_name` is only used in messages. `schemas` are the roles that exist, and `phases` all
/// phases that the environment may ever be in: an override of a group that only another phase
/// has is right, an override of a group that no phase has is a typing error.
///
/// # Errors
/// Everything that is wrong with the text, in the order of its lines.
pub fn inventory(
    text: &str,
    file_name: &str,
    schemas: &[RoleSchema],
    phases: &[Phase],
) -> Result<Inventory, Diagnostics> {
    let known = groups_of(phases);
    Reader::document(file_name, text, |table| {
        read(table, schemas, &known, phases)
    })
}

fn read(
    table: &Table<'_>,
    schemas: &[RoleSchema],
    known: &[GroupWords<'_>],
    phases: &[Phase],
) -> Inventory {
    let environment = table
        .required_table("environment", environment)
        .unwrap_or_else(no_environment);
    let apps = apps(table);
    let databases = databases(table, &apps);
    let database_users = database_users(table, &apps, &databases);
    let groups = groups(table, schemas, known);
    let phases = phase_overrides(table, phases);
    let counts = counts(&groups, &phases);
    Inventory {
        environment,
        databases,
        database_users,
        env: env(table, "env"),
        settings: settings(table, "settings", schemas, None),
        hosts: hosts(table, schemas, known, &counts),
        groups,
        phases,
        apps: apps.into_iter().map(|(app, _)| app).collect(),
    }
}

/// Every number of hosts that the inventory gives to a group, in all phases or in one.
fn counts<'a>(
    groups: &'a BTreeMap<String, GroupOverride>,
    phases: &'a BTreeMap<u8, PhaseOverride>,
) -> Vec<(&'a str, u16)> {
    let everywhere = groups.iter().map(|(name, group)| (name, group.count));
    let in_phases = phases.values().flat_map(|phase| &phase.groups);
    let in_phases = in_phases.map(|(name, group)| (name, group.count));
    everywhere
        .chain(in_phases)
        .filter_map(|(name, count)| Some((name.as_str(), count?)))
        .collect()
}

fn environment(table: &Table<'_>) -> Environment {
    let required = |key, example, rule| {
        table
            .required(key, example)
            .and_then(|node| node.text(rule))
            .unwrap_or_default()
    };
    let name = required("name", "\"shop\"", rules::environment_name);
    let internal_domain = table
        .optional("internal_domain")
        .and_then(|node| node.text(rules::domain));
    Environment {
        phase: table
            .optional("phase")
            .and_then(|node| node.number(1..=9))
            .and_then(|phase| u8::try_from(phase).ok()),
        region: required("region", "\"fra1\"", rules::slug),
        image: table
            .optional("image")
            .and_then(|node| image(&node))
            .unwrap_or_else(|| "debian-13-x64".to_owned()),
        domain: required("domain", "\"example.test\"", rules::domain),
        internal_domain: internal_domain.unwrap_or_else(|| format!("{name}.internal")),
        ssh_from: ssh_from(table),
        vpc_range: table
            .optional("vpc_range")
            .and_then(|node| node.text(networks::vpc_range)),
        name,
    }
}

/// Port 22 is open to all when nothing is said, and never closed to everybody.
fn ssh_from(table: &Table<'_>) -> Vec<String> {
    let Some(node) = table.optional("ssh_from") else {
        return vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    };
    if node.raw().as_array().is_some_and(|from| from.is_empty()) {
        node.refuse(
            "nobody could reach port 22, marg included",
            "name the networks of the operators, or remove the line to allow all",
        );
    }
    node.texts(networks::network)
}

/// Stands in for an environment that was refused; never returned to a caller.
fn no_environment() -> Environment {
    Environment {
        name: String::new(),
        phase: None,
        region: String::new(),
        image: String::new(),
        domain: String::new(),
        internal_domain: String::new(),
        ssh_from: Vec::new(),
        vpc_range: None,
    }
}

const CHARSET: &str = "utf8mb4";
const COLLATION: &str = "utf8mb4_unicode_ci";

/// The databases of the applications first, then those that are only declared.
fn databases(table: &Table<'_>, apps: &[(App, Node<'_>)]) -> Vec<Database> {
    let mut databases: Vec<Database> = Vec::new();
    for (app, _) in apps {
        if !databases.iter().any(|one| one.name == app.database) {
            databases.push(Database {
                name: app.database.clone(),
                charset: CHARSET.to_owned(),
                collation: COLLATION.to_owned(),
            });
        }
    }
    for (name, node) in table.entries("databases") {
        node.key_passes(name, rules::database);
        let Some(declared) = node.table(|table| database(name, table)) else {
            continue;
        };
        match databases.iter_mut().find(|one| one.name == name) {
            Some(own) => *own = declared,
            None => databases.push(declared),
        }
    }
    databases
}

fn database(name: &str, table: &Table<'_>) -> Database {
    let word = |key, default: &str| {
        let given = table
            .optional(key)
            .and_then(|node| node.text(rules::charset));
        given.unwrap_or_else(|| default.to_owned())
    };
    let database = Database {
        name: name.to_owned(),
        charset: word("charset", CHARSET),
        collation: word("collation", COLLATION),
    };
    if !database.collation.starts_with(&database.charset)
        && let Some(node) = table.optional("collation").or(table.optional("charset"))
    {
        node.refuse(
            format!(
                "the collation {} does not belong to the character set {}",
                database.collation, database.charset
            ),
            format!("choose one that begins with {}", database.charset),
        );
    }
    database
}

/// Declared users first; then one of its own for every application that names none.
fn database_users(
    table: &Table<'_>,
    apps: &[(App, Node<'_>)],
    databases: &[Database],
) -> Vec<DatabaseUser> {
    let mut users: Vec<DatabaseUser> = table
        .entries("database_users")
        .into_iter()
        .filter_map(|(name, node)| {
            node.key_passes(name, rules::database_user);
            node.table(|table| DatabaseUser {
                name: name.to_owned(),
                databases: granted(table, databases),
            })
        })
        .collect();
    for (app, node) in apps {
        let declared = users.iter().position(|user| user.name == app.database_user);
        let given = node.raw().as_table().and_then(|t| t.get("database_user"));
        let named = given.is_some();
        if given.is_some_and(|given| given.get_ref().as_str() != Some(&app.database_user)) {
            // It was refused when it was read, and its default stands in for it.
            continue;
        }
        match declared {
            Some(at) if users[at].databases.contains(&app.database) => {}
            Some(_) => node.child("database_user").refuse(
                format!(
                    "`{}` may not use the database `{}`",
                    app.database_user, app.database
                ),
                format!("add it to database_users.{}.databases", app.database_user),
            ),
            None if named => node.child("database_user").refuse(
                format!("unknown database user `{}`", app.database_user),
                words::hint(
                    &app.database_user,
                    "database users",
                    users.iter().map(|user| user.name.as_str()),
                ),
            ),
            None => {
                if let Err(refusal) = rules::database_user(&app.database_user) {
                    let help = "give the application a database_user of its own";
                    node.refuse_key(refusal.message, help);
                }
                users.push(DatabaseUser {
                    name: app.database_user.clone(),
                    databases: vec![app.database.clone()],
                });
            }
        }
    }
    users
}

fn granted(table: &Table<'_>, databases: &[Database]) -> Vec<String> {
    let Some(node) = table.required("databases", "[\"shop\"]") else {
        return Vec::new();
    };
    let known = |item: &Node<'_>| {
        let name = item.text(|_| Ok(()))?;
        if databases.iter().any(|database| database.name == name) {
            return Some(name);
        }
        item.refuse(
            format!("unknown database `{name}`"),
            words::hint(
                &name,
                "databases",
                databases.iter().map(|one| one.name.as_str()),
            ),
        );
        None
    };
    node.items().iter().filter_map(known).collect()
}
