//! A small world for the tests of this crate: roles, the built-in phases, an inventory.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::inventory::Inventory;
use crate::phase::Phase;
use crate::schema::{RoleSchema, Setting, SettingKind};
use crate::{builtin, parse};

const fn role(name: &'static str, settings: &'static [Setting]) -> RoleSchema {
    RoleSchema {
        name,
        doc: "",
        settings,
    }
}

const fn setting(name: &'static str, kind: SettingKind) -> Setting {
    Setting {
        name,
        kind,
        default: "",
        doc: "",
    }
}

/// The roles that the phases name, some of them with settings of every kind.
pub const SCHEMAS: &[RoleSchema] = &[
    role("base", &[setting("packages", SettingKind::List)]),
    role("ufw", &[]),
    role("nginx", &[setting("rate_limit", SettingKind::Text)]),
    role(
        "php-fpm",
        &[
            setting("max_children", SettingKind::Integer),
            setting("opcache", SettingKind::Bool),
        ],
    ),
    role("app", &[setting("packages", SettingKind::List)]),
    role("redis", &[]),
    role("redis-sentinel", &[]),
    role("mysql", &[]),
    role("mysql-replication", &[]),
    role("proxy", &[]),
    role("keepalived", &[]),
    role("worker", &[]),
    role("scheduler", &[]),
    role("haproxy", &[]),
];

/// All built-in phases.
pub fn phases() -> Vec<Phase> {
    builtin::phases(SCHEMAS).unwrap()
}

/// The smallest inventory; tests add lines behind it.
pub const SMALL: &str = r#"[environment]
name = "shop"
region = "fra1"
domain = "shop.test"
[apps.shop]
repository = "https://git.test/shop.git"
hostnames = ["shop.test"]
"#;

/// An inventory that is right: the smallest one and more lines.
pub fn inventory(more: &str) -> Inventory {
    let text = format!("{SMALL}{more}");
    parse::inventory(&text, "shop.toml", SCHEMAS, &phases()).unwrap()
}

/// A file of the workspace.
pub fn workspace_file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}
