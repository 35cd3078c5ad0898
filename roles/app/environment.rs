//! The variables of an application on a host: what marg knows itself, then what the inventory
//! says, the narrower word last.

use std::collections::BTreeMap;

use marg_model::{App, EnvValue, Secret};
use marg_resources::{Context, RoleError};

use super::{APP_KEY, dotenv};
use crate::{mysql, network, redis};

/// Variables by name, not yet looked up.
pub type Variables = BTreeMap<String, EnvValue>;

/// The whole `.env` of an application on this host.
pub fn file(context: &Context, app: &App) -> Result<Secret, RoleError> {
    let mut text = format!("# Made by marg for {}; changes here are lost.\n", app.name);
    for (name, value) in variables(context, app) {
        let value = match &value {
            EnvValue::Text(text) => text.as_str(),
            EnvValue::Secret(secret) => context.secret(secret)?.expose(),
        };
        text.push_str(&dotenv::line(&name, value));
    }
    Ok(Secret::new(text))
}

/// The layers, one over the other: marg, inventory, application, group and host.
pub fn variables(context: &Context, app: &App) -> Variables {
    let env = &context.host.env;
    let mut variables = defaults(context, app);
    for layer in [&env.shared, &app.env, &env.local] {
        variables.extend(layer.clone());
    }
    let has_rbac = variables.keys().any(|name| name.starts_with("RBAC_DB_"));
    for prefix in ["DB", "RBAC_DB"] {
        if prefix == "DB" || has_rbac {
            connect(context, app, prefix, &mut variables);
        }
    }
    // Laravel 10 asks for CACHE_DRIVER, later ones for CACHE_STORE.
    if let Some(store) = variables.get("CACHE_STORE").cloned() {
        variables.entry("CACHE_DRIVER".to_owned()).or_insert(store);
    }
    variables
}

fn text(value: impl ToString) -> EnvValue {
    EnvValue::Text(value.to_string())
}

fn secret(name: impl Into<String>) -> EnvValue {
    EnvValue::Secret(name.into())
}

/// What marg knows better than an inventory; what the inventory says all the same wins.
fn defaults(context: &Context, app: &App) -> Variables {
    let scheme = if app.tls.is_some() { "https" } else { "http" };
    let host = app.hostnames.first().unwrap_or(&app.name);
    let mut known = vec![
        ("APP_NAME", text(&app.name)),
        ("APP_ENV", text("production")),
        ("APP_KEY", secret(APP_KEY)),
        ("APP_DEBUG", text(false)),
        ("APP_URL", text(format!("{scheme}://{host}"))),
        ("LOG_CHANNEL", text("single")),
        ("LOG_LEVEL", text("info")),
        ("FILESYSTEM_DISK", text("local")),
        ("DB_DATABASE", text(&app.database)),
        ("DB_USERNAME", text(&app.database_user)),
    ];
    match network::service(context.blueprint(), "redis") {
        Some(host) => known.extend(redis_variables(&host, app)),
        None => known.push(("QUEUE_CONNECTION", text("database"))),
    }
    let named = known.into_iter();
    named
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn redis_variables(host: &str, app: &App) -> Vec<(&'static str, EnvValue)> {
    vec![
        ("REDIS_CLIENT", text("phpredis")),
        ("REDIS_HOST", text(host)),
        ("REDIS_PORT", text(redis::PORT)),
        ("REDIS_USERNAME", text(redis::logins::user(app))),
        ("REDIS_PASSWORD", secret(redis::password_secret_of(app))),
        ("REDIS_CACHE_HOST", text(host)),
        ("REDIS_CACHE_PORT", text(app.cache_port)),
        (
            "REDIS_CACHE_PASSWORD",
            secret(redis::cache::password_secret(app)),
        ),
        ("REDIS_QUEUE", text(&app.queue)),
        ("CACHE_STORE", text("redis")),
        ("SESSION_DRIVER", text("redis")),
        ("QUEUE_CONNECTION", text("redis")),
    ]
}

/// Host, port and password of a connection, whose user may have been named by the inventory.
fn connect(context: &Context, app: &App, prefix: &str, variables: &mut Variables) {
    let name = |part: &str| format!("{prefix}_{part}");
    let mut known = vec![("USERNAME", text(&app.database_user))];
    if let Some(host) = network::service(context.blueprint(), "mysql") {
        known.push(("HOST", text(host)));
        known.push(("PORT", text(mysql::PORT)));
        if prefix == "DB" {
            known.push(("CONNECTION", text("mysql")));
            known.extend(read_host(context).map(|host| ("READ_HOST", text(host))));
        }
    }
    for (part, value) in known {
        variables.entry(name(part)).or_insert(value);
    }
    let users = &context.blueprint().database_users;
    let user = match variables.get(&name("USERNAME")) {
        Some(EnvValue::Text(user)) => users.iter().find(|known| known.name == *user),
        _ => None,
    };
    if let Some(user) = user {
        let password = secret(mysql::password_secret(&user.name));
        variables.entry(name("PASSWORD")).or_insert(password);
    }
}

/// Where replicas are read; only where there are any. After a write the same request reads from
/// the primary: the connection is `sticky`.
fn read_host(context: &Context) -> Option<String> {
    let mut replicated = context.blueprint().with_role("mysql-replication");
    replicated.next()?;
    Some(network::internal(context.blueprint(), "mysql-read"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::World;

    fn of(world: &World, host: &str, app: &str) -> BTreeMap<String, String> {
        let context = world.context(host, "debian-13");
        let app = world.fleet.blueprint.app(app).unwrap();
        let shown = |value: EnvValue| match value {
            EnvValue::Text(text) => text,
            EnvValue::Secret(name) => format!("secret {name}"),
        };
        let all = variables(&context, app).into_iter();
        all.map(|(name, value)| (name, shown(value))).collect()
    }

    #[test]
    fn what_follows_from_the_fleet() {
        let world = World::new(2);
        let flow = of(&world, "http1", "flow.marg");
        for (name, expected) in [
            ("APP_NAME", "flow.marg"),
            ("APP_KEY", "secret app_key"),
            ("APP_URL", "http://flow.marg.test"),
            ("APP_DEBUG", "false"),
            ("DB_HOST", "mysql.marg.internal"),
            ("DB_PORT", "3306"),
            ("DB_DATABASE", "klueportal"),
            ("DB_USERNAME", "marg_user"),
            ("DB_PASSWORD", "secret db_password_marg_user"),
            ("REDIS_HOST", "redis.marg.internal"),
            ("REDIS_USERNAME", "app-flow-marg"),
            ("REDIS_PASSWORD", "secret redis_password_flow_marg"),
            ("REDIS_CACHE_PORT", "7328"),
            (
                "REDIS_CACHE_PASSWORD",
                "secret redis_cache_password_flow_marg",
            ),
            ("REDIS_QUEUE", "flow"),
            ("RBAC_DB_HOST", "mysql.marg.internal"),
            // Another user than the application's own, and so another password.
            ("RBAC_DB_USERNAME", "rbac"),
            ("RBAC_DB_PASSWORD", "secret db_password_rbac"),
            ("CACHE_DRIVER", "redis"),
            ("QUEUE_CONNECTION", "redis"),
        ] {
            assert_eq!(flow.get(name).map(String::as_str), Some(expected), "{name}");
        }
        assert_eq!(of(&world, "http1", "links.marg")["REDIS_QUEUE"], "links");
        // The shape of the file is the same on one machine.
        let one = of(&World::new(1), "app1", "flow.marg");
        assert_eq!(one, flow);
    }

    #[test]
    fn replicas_are_read_where_there_are_any() {
        for (phase, expected) in [(2, None), (3, None), (4, Some("mysql-read.marg.internal"))] {
            let flow = of(&World::new(phase), "http1", "flow.marg");
            let found = flow.get("DB_READ_HOST").map(String::as_str);
            assert_eq!(found, expected, "phase {phase}");
        }
    }

    #[test]
    fn the_narrower_word_wins() {
        let mut world = World::new(2);
        let set = |value: &str| EnvValue::Text(value.to_owned());
        let blueprint = &mut world.fleet.blueprint;
        let host = &mut blueprint.hosts[0].env;
        for (layer, names) in [
            (&mut host.shared, vec!["A", "B", "C", "APP_ENV"]),
            (&mut blueprint.apps[0].env, vec!["B", "C"]),
            (&mut host.local, vec!["C"]),
        ] {
            for name in &names {
                layer.insert((*name).to_owned(), set(&names.len().to_string()));
            }
        }
        let seen = of(&world, "http1", "flow.marg");
        let found = ["A", "B", "C", "APP_ENV"].map(|name| seen[name].as_str());
        assert_eq!(found, ["4", "2", "1", "4"]);
    }

    #[test]
    fn without_redis_the_queue_is_in_the_database() {
        let mut world = World::new(2);
        world
            .fleet
            .blueprint
            .hosts
            .retain(|host| !host.has_role("redis"));
        let groups = &mut world.fleet.blueprint.phase.groups;
        groups.retain(|group| group.name != "redis");
        let seen = of(&world, "http1", "flow.marg");
        assert_eq!(seen["QUEUE_CONNECTION"], "database");
        assert!(!seen.keys().any(|name| name.starts_with("REDIS_")));
    }

    #[test]
    fn the_file_holds_what_is_secret_and_says_what_is_missing() {
        let mut world = World::new(2);
        let app = world.fleet.blueprint.apps[0].clone();
        let text = file(&world.context("http1", "debian-13"), &app).unwrap();
        assert!(
            text.expose().contains(
                "\nREDIS_PASSWORD=\"canary of redis_password_flow_marg \\$1 \\\"q\\\"\"\n"
            )
        );
        assert!(text.expose().contains("\nMAIL_PASSWORD="));
        world.secrets = marg_model::Secrets::default();
        let error = file(&world.context("http1", "debian-13"), &app).unwrap_err();
        assert!(matches!(error, RoleError::MissingSecret { .. }));
    }
}
