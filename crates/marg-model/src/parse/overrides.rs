//! Variables, settings of roles, and what an inventory changes per group and host.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::node::Node;
use super::reader::Table;
use super::{rules, words};
use crate::guard;
use crate::inventory::{Env, EnvValue, GroupOverride, HostOverride, Settings};
use crate::phase::Phase;
use crate::schema::{RoleSchema, Setting, SettingKind, SettingValue};

/// Largest number of hosts in a group: far above the guide's five, far below a typing error.
pub const MAX_COUNT: u16 = 100;

/// The variables below a key.
pub(crate) fn env(table: &Table<'_>, key: &'static str) -> Env {
    let read = |(name, node): (&str, Node<'_>)| {
        let fits = node.key_passes(name, rules::variable);
        let value = env_value(name, &node).filter(|_| fits)?;
        Some((name.to_owned(), value))
    };
    table.entries(key).into_iter().filter_map(read).collect()
}

fn env_value(name: &str, node: &Node<'_>) -> Option<EnvValue> {
    let text = match node.raw() {
        DeValue::String(_) => node.any_text(&['\n', '\t'])?.to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => {
                node.refuse("the number is too large", "write it in quotes");
                return None;
            }
        },
        DeValue::Table(_) => return node.table(named_value).flatten(),
        _ => {
            node.refuse_kind("a text");
            return None;
        }
    };
    // A number is none, whatever its name; quotes make it a text that may be one.
    let judged = matches!(node.raw(), DeValue::String(_));
    if let Some(why) = guard::suspicion(name, &text).filter(|_| judged) {
        let colon = if why.is_empty() { "" } else { ": " };
        node.refuse(
            format!(
                "a secret stands in the inventory, which is committed and shown in plans{colon}{why}"
            ),
            format!(
                "write {{ secret = \"{}\" }} and keep the value in secrets.toml; if everybody may \
                 know it, write {{ public = \"…\" }}",
                name.to_lowercase()
            ),
        );
        return None;
    }
    Some(EnvValue::Text(text))
}

/// `{ secret = "its name" }`, or `{ public = "the value" }` for what looks like a secret and is
/// none.
fn named_value(table: &Table<'_>) -> Option<EnvValue> {
    if let Some(public) = table.optional("public") {
        if table.optional("secret").is_some() {
            public.refuse(
                "it cannot be secret and public",
                "keep one of the two and remove the other",
            );
            return None;
        }
        return Some(EnvValue::Text(public.any_text(&['\n', '\t'])?.to_owned()));
    }
    let secret = table.required("secret", "\"mail_password\"")?;
    Some(EnvValue::Secret(secret.text(rules::secret_name)?))
}

/// The settings of roles below a key. `group` restricts them to the roles that a group can have.
pub(crate) fn settings(
    table: &Table<'_>,
    key: &'static str,
    schemas: &[RoleSchema],
    group: Option<&GroupWords<'_>>,
) -> Settings {
    let mut settings = Settings::new();
    for (role, node) in table.entries(key) {
        let Some(schema) = schemas.iter().find(|schema| schema.name == role) else {
            let hint = words::hint(role, "roles", schemas.iter().map(|schema| schema.name));
            node.refuse_key(format!("unknown role `{}`", role.escape_debug()), hint);
            continue;
        };
        if let Some(group) = group.filter(|group| !group.roles.contains(&role)) {
            node.refuse_key(
                format!("no phase gives the role `{role}` to `{}`", group.name),
                format!("roles of `{}`: {}", group.name, words::list(&group.roles)),
            );
            continue;
        }
        settings.insert(role.to_owned(), role_settings(&node, schema));
    }
    settings
}

fn role_settings(node: &Node<'_>, schema: &RoleSchema) -> BTreeMap<String, SettingValue> {
    let read = |(name, node): (&str, Node<'_>)| {
        let Some(setting) = schema.settings.iter().find(|setting| setting.name == name) else {
            let what = format!("settings of {}", schema.name);
            let known = schema.settings.iter().map(|setting| setting.name);
            let help = match schema.settings {
                [] => format!("remove it; {} has no settings", schema.name),
                _ => words::hint(name, &what, known),
            };
            node.refuse_key(
                format!(
                    "unknown setting `{}` of {}",
                    name.escape_debug(),
                    schema.name
                ),
                help,
            );
            return None;
        };
        Some((name.to_owned(), setting_value(&node, setting)?))
    };
    node.entries().into_iter().filter_map(read).collect()
}

fn setting_value(node: &Node<'_>, setting: &Setting) -> Option<SettingValue> {
    Some(match setting.kind {
        SettingKind::Integer => SettingValue::Integer(node.number(0..=u64::MAX)?),
        SettingKind::Text => SettingValue::Text(node.text(|_| Ok(()))?),
        SettingKind::Bool => SettingValue::Bool(node.boolean()?),
        SettingKind::List => match node.raw() {
            DeValue::Array(_) => SettingValue::List(node.texts(|_| Ok(()))),
            _ => {
                node.refuse_kind("a list of texts");
                return None;
            }
        },
    })
}

/// What the phases say about a group: all of them together, because one inventory serves all.
pub(crate) struct GroupWords<'p> {
    /// The group's name.
    pub name: &'p str,
    /// Largest count in any phase.
    pub count: u16,
    /// Every role that it has in any phase.
    pub roles: Vec<&'p str>,
}

/// The groups of all phases.
pub(crate) fn groups_of(phases: &[Phase]) -> Vec<GroupWords<'_>> {
    let mut known: Vec<GroupWords<'_>> = Vec::new();
    for group in phases.iter().flat_map(|phase| &phase.groups) {
        let at = known.iter().position(|one| one.name == group.name);
        let at = at.unwrap_or_else(|| {
            known.push(GroupWords {
                name: &group.name,
                count: 0,
                roles: Vec::new(),
            });
            known.len() - 1
        });
        known[at].count = known[at].count.max(group.count);
        for role in &group.roles {
            if !known[at].roles.contains(&role.as_str()) {
                known[at].roles.push(role);
            }
        }
    }
    known
}

/// `[groups.NAME]`.
pub(crate) fn groups(
    table: &Table<'_>,
    schemas: &[RoleSchema],
    known: &[GroupWords<'_>],
) -> BTreeMap<String, GroupOverride> {
    let mut groups = BTreeMap::new();
    for (name, node) in table.entries("groups") {
        let Some(group) = known.iter().find(|group| group.name == name) else {
            node.refuse_key(
                format!("no phase has a group `{}`", name.escape_debug()),
                words::hint(name, "groups", known.iter().map(|group| group.name)),
            );
            continue;
        };
        let read = node.table(|table| GroupOverride {
            count: group_count(table),
            size: group_size(table),
            image: table.optional("image").and_then(|node| image(&node)),
            settings: settings(table, "settings", schemas, Some(group)),
            env: env(table, "env"),
        });
        groups.extend(read.map(|read| (name.to_owned(), read)));
    }
    groups
}

/// `count` of a group.
pub(super) fn group_count(table: &Table<'_>) -> Option<u16> {
    let count = table.optional("count")?.number(1..=u64::from(MAX_COUNT))?;
    u16::try_from(count).ok()
}

/// `size` of a group.
pub(super) fn group_size(table: &Table<'_>) -> Option<String> {
    table.optional("size")?.text(rules::slug)
}

/// `[hosts.NAME]`; `counts` are the numbers of hosts that the inventory gives to groups.
pub(crate) fn hosts(
    table: &Table<'_>,
    schemas: &[RoleSchema],
    known: &[GroupWords<'_>],
    counts: &[(&str, u16)],
) -> BTreeMap<String, HostOverride> {
    let mut hosts = BTreeMap::new();
    for (name, node) in table.entries("hosts") {
        let Some(group) = group_of_host(name, known, counts, &node) else {
            continue;
        };
        let read = node.table(|table| HostOverride {
            size: table
                .optional("size")
                .and_then(|node| node.text(rules::slug)),
            image: table.optional("image").and_then(|node| image(&node)),
            settings: settings(table, "settings", schemas, Some(group)),
            env: env(table, "env"),
        });
        hosts.extend(read.map(|read| (name.to_owned(), read)));
    }
    hosts
}

/// The group of a host's name, if any phase can have that host; refuses the name otherwise.
fn group_of_host<'k, 'p>(
    name: &str,
    known: &'k [GroupWords<'p>],
    counts: &[(&str, u16)],
    node: &Node<'_>,
) -> Option<&'k GroupWords<'p>> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[stem.len()..];
    let Some(group) = known.iter().find(|group| group.name == stem) else {
        let all = || known.iter().map(|group| group.name);
        let number = if digits.is_empty() { "1" } else { digits };
        let help = match words::nearest(stem, all()) {
            Some(near) => format!("did you mean `{near}{number}`?"),
            None => words::hint(stem, "groups", all()),
        };
        node.refuse_key(
            format!("no phase has a host `{}`", name.escape_debug()),
            help,
        );
        return None;
    };
    let own = counts.iter().filter(|(name, _)| *name == stem);
    let most = own.fold(group.count, |most, (_, count)| most.max(*count));
    let number = digits
        .parse::<u16>()
        .ok()
        .filter(|_| !digits.starts_with('0'));
    if !number.is_some_and(|number| (1..=most).contains(&number)) {
        let hosts = match most {
            1 => format!("`{stem}1` is its only host"),
            most => format!("its hosts are `{stem}1` to `{stem}{most}`"),
        };
        node.refuse_key(
            format!("the group `{stem}` has no host `{name}` in any phase"),
            format!("{hosts}; more with groups.{stem}.count"),
        );
        return None;
    }
    Some(group)
}

/// An image slug that marg knows.
pub(crate) fn image(node: &Node<'_>) -> Option<String> {
    use crate::distro::{DISTROS, Distro};
    let text = node.any_text(&[])?;
    if Distro::by_image(text).is_none() {
        let known = DISTROS.iter().map(|distro| distro.image);
        node.refuse(
            format!("unknown image `{text}`"),
            words::hint(text, "images", known),
        );
        return None;
    }
    Some(text.to_owned())
}
