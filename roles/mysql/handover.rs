//! The inventory's databases move from one server to another.

use marg_model::{Blueprint, SqlEngine};
use marg_resources::quote::quote_all;
use marg_resources::{Context, Handover, Shell, quote};

/// By way of a dump.
pub const HANDOVER: Handover = Handover {
    what: "databases",
    export,
    import,
};

fn names(blueprint: &Blueprint) -> String {
    quote_all(blueprint.databases.iter().map(|database| &database.name))
}

/// One transaction sees everything at one moment. Users are not in it: marg makes them.
fn export(context: &Context) -> String {
    let dump = match context.distro.sql {
        SqlEngine::MariaDb => "mariadb-dump",
        SqlEngine::MySql => "mysqldump --set-gtid-purged=OFF",
    };
    format!(
        "exec {dump} --single-transaction --quick --routines --triggers --events \
         --databases {}",
        names(context.blueprint())
    )
}

fn import(context: &Context, path: &str) -> Shell {
    Shell::new(format!(
        "{} < {}\n",
        context.distro.sql_client(),
        quote(path)
    ))
}
