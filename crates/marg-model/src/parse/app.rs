//! `[apps.NAME]`: the applications of an inventory.

use std::ops::RangeInclusive;

use super::node::Node;
use super::overrides::env;
use super::reader::Table;
use super::{refuse_repeated, rules};
use crate::inventory::{App, OnFailure, Tls};

/// The applications in the order of the file, each with the place to point at.
pub(crate) fn apps<'a>(table: &Table<'a>) -> Vec<(App, Node<'a>)> {
    let mut apps: Vec<(App, Node<'a>)> = Vec::new();
    for (name, node) in table.entries("apps") {
        node.key_passes(name, rules::app_name);
        let read = node.table(|table| app(name, table));
        apps.extend(read.map(|app| (app, node)));
    }
    refuse_shared_names(&apps);
    apps
}

fn app(name: &str, table: &Table<'_>) -> App {
    let text = |key, rule| table.optional(key).and_then(|node| node.text(rule));
    let number = |key, range, default| {
        let given = table.optional(key).and_then(|node| node.number(range));
        given
            .and_then(|number| u16::try_from(number).ok())
            .unwrap_or(default)
    };
    let commands = |key| {
        let given = table.optional(key);
        given
            .map(|node| node.texts(rules::filled))
            .unwrap_or_default()
    };
    let mut app = App {
        name: name.to_owned(),
        repository: table
            .required("repository", "\"https://git.example.test/shop.git\"")
            .and_then(|node| node.text(rules::repository))
            .unwrap_or_default(),
        path: text("path", rules::inner_path).unwrap_or_default(),
        reference: text("ref", rules::reference).unwrap_or_else(|| "HEAD".to_owned()),
        hostnames: hostnames(table),
        database: String::new(),
        database_user: String::new(),
        queue: String::new(),
        cache_port: number("cache_port", cache_ports(), App::usual_cache_port(name)),
        workers: number("workers", 0..=64, 3),
        schedule: table
            .optional("schedule")
            .and_then(|node| node.boolean())
            .unwrap_or(true),
        health: text("health", rules::url_path).unwrap_or_else(|| "/readyz".to_owned()),
        build: commands("build"),
        upload_limit: text("upload_limit", rules::upload_limit).unwrap_or_else(|| "20M".to_owned()),
        tls: table
            .optional("tls")
            .and_then(|node| node.table(tls))
            .flatten(),
        keep_releases: number("keep_releases", 2..=50, 5),
        on_failure: on_failure(table),
        before: commands("before"),
        after: commands("after"),
        env: env(table, "env"),
    };
    app.queue = text("queue", rules::queue).unwrap_or_else(|| app.slug());
    app.database =
        text("database", rules::database).unwrap_or_else(|| app.slug().replace('-', "_"));
    app.database_user =
        text("database_user", rules::database_user).unwrap_or_else(|| app.database.clone());
    app
}

fn cache_ports() -> RangeInclusive<u64> {
    u64::from(*App::CACHE_PORTS.start())..=u64::from(*App::CACHE_PORTS.end())
}

fn on_failure(table: &Table<'_>) -> OnFailure {
    let given = table
        .optional("on_failure")
        .and_then(|node| node.text(rules::on_failure));
    match given.as_deref() {
        Some("rollback") => OnFailure::Rollback,
        _ => OnFailure::Stop,
    }
}

fn hostnames(table: &Table<'_>) -> Vec<String> {
    let Some(node) = table.required("hostnames", "[\"shop.example.test\"]") else {
        return Vec::new();
    };
    if node.raw().as_array().is_some_and(|names| names.is_empty()) {
        node.refuse(
            "no host name leads to this application",
            "name at least one; the first becomes its APP_URL",
        );
    }
    node.texts(rules::domain)
}

fn tls(table: &Table<'_>) -> Option<Tls> {
    let path = |key, example| {
        table
            .required(key, example)
            .and_then(|node| node.text(rules::absolute_path))
    };
    let certificate = path("certificate", "\"/etc/ssl/marg/fullchain.pem\"");
    let key = path("key", "\"/etc/ssl/marg/privkey.pem\"");
    Some(Tls {
        certificate: certificate?,
        key: key?,
    })
}

/// What two applications must never share: a unix user, a queue, a cache, a host name.
fn refuse_shared_names(apps: &[(App, Node<'_>)]) {
    let slugs = apps.iter().map(|(app, node)| (app.slug(), node.clone()));
    refuse_repeated("user and pool name", slugs);
    for (app, node) in apps {
        let builds = |other: &&(App, Node<'_>)| other.0.build_user() == app.slug();
        if let Some((other, _)) = apps.iter().find(builds) {
            node.refuse_key(
                format!(
                    "`{}` is the account that builds `{}`",
                    app.slug(),
                    other.name
                ),
                "choose another name, one that does not end in -build",
            );
        }
    }
    let queues = apps
        .iter()
        .map(|(app, node)| (app.queue.clone(), node.child("queue")));
    refuse_repeated("queue", queues);
    let ports = apps
        .iter()
        .map(|(app, node)| (app.cache_port.to_string(), node.child("cache_port")));
    refuse_repeated("cache_port", ports);
    let hostnames = apps.iter().flat_map(|(_, node)| {
        let items = match node.raw().as_table().map(|table| table.get("hostnames")) {
            Some(Some(value)) if value.get_ref().is_array() => node.child("hostnames").items(),
            _ => Vec::new(),
        };
        items
            .into_iter()
            .filter_map(|item| Some((item.raw().as_str()?.to_owned(), item)))
    });
    refuse_repeated("host name", hostnames);
}
