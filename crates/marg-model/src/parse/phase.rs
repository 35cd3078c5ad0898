//! Reading `phases/phase-N.toml`.

use super::node::Node;
use super::overrides::MAX_COUNT;
use super::reader::{Reader, Table};
use super::{refuse_repeated, rules, words};
use crate::diagnostic::Diagnostics;
use crate::phase::{Capacity, Group, Limit, Phase};
use crate::schema::RoleSchema;

/// Reads a phase. `file_name` is only used in messages; `schemas` are the roles that exist.
///
/// # Errors
/// Everything that is wrong with the text, in the order of its lines.
pub fn phase(text: &str, file_name: &str, schemas: &[RoleSchema]) -> Result<Phase, Diagnostics> {
    Reader::document(file_name, text, |table| read(table, schemas))
}

fn read(table: &Table<'_>, schemas: &[RoleSchema]) -> Phase {
    let number = table
        .required("number", "2")
        .and_then(|node| node.number(1..=9))
        .and_then(|number| u8::try_from(number).ok());
    let title = table
        .required("title", "\"what the phase is for\"")
        .and_then(|node| node.text(rules::filled));
    let groups = groups(table, schemas);
    let entry = table
        .required("entry", "\"http\"")
        .and_then(|node| known_group(&node, &groups));
    let budget = table
        .required("budget", "[35, 45]")
        .and_then(|node| pair(&node));
    let capacity = table.required_table("capacity", |table| capacity(table, &groups));
    Phase {
        number: number.unwrap_or_default(),
        title: title.unwrap_or_default(),
        entry: entry.unwrap_or_default(),
        groups,
        capacity: capacity.unwrap_or(Capacity {
            users: (0, 0),
            requests_per_user_minute: 0,
            limits: Vec::new(),
        }),
        budget: budget.unwrap_or_default(),
    }
}

/// A text of a list, with the place to point at.
type Placed<'a> = (String, Node<'a>);

/// A group, and the places of the words in it that are checked against other groups.
struct Draft<'a> {
    group: Group,
    needs: Vec<Placed<'a>>,
    names: Vec<Placed<'a>>,
}

fn groups(table: &Table<'_>, schemas: &[RoleSchema]) -> Vec<Group> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let Some(node) = table.required("groups", "{ http = { … } }") else {
        return Vec::new();
    };
    for (name, node) in node.entries() {
        node.key_passes(name, rules::group_name);
        drafts.extend(node.table(|table| group(name, table, schemas)));
    }
    check_needs(&drafts);
    let names = drafts.iter().flat_map(|draft| draft.names.clone());
    refuse_repeated("internal name", names);
    drafts.into_iter().map(|draft| draft.group).collect()
}

fn group<'a>(name: &str, table: &Table<'a>, schemas: &[RoleSchema]) -> Draft<'a> {
    let placed = |key, rule| {
        let node = table.optional(key);
        node.map(|node| node.placed_texts(rule)).unwrap_or_default()
    };
    let needs = placed("needs", |_| Ok(()));
    let names = placed("names", rules::group_name);
    let group = Group {
        name: name.to_owned(),
        count: table
            .required("count", "1")
            .and_then(|node| node.number(1..=u64::from(MAX_COUNT)))
            .and_then(|count| u16::try_from(count).ok())
            .unwrap_or(1),
        size: table
            .required("size", "\"s-1vcpu-1gb\"")
            .and_then(|node| node.text(rules::slug))
            .unwrap_or_default(),
        roles: table
            .required("roles", "[\"base\", \"ufw\"]")
            .map(|node| roles(&node, schemas))
            .unwrap_or_default(),
        needs: words_of(&needs),
        holds_data: table
            .optional("holds_data")
            .and_then(|node| node.boolean())
            .unwrap_or(false),
        names: words_of(&names),
    };
    Draft {
        group,
        needs,
        names,
    }
}

fn words_of(placed: &[Placed<'_>]) -> Vec<String> {
    placed.iter().map(|(word, _)| word.clone()).collect()
}

fn roles(node: &Node<'_>, schemas: &[RoleSchema]) -> Vec<String> {
    let roles = node.placed_texts(|_| Ok(()));
    for (role, item) in &roles {
        if !schemas.iter().any(|schema| schema.name == role) {
            let known = schemas.iter().map(|schema| schema.name);
            item.refuse(
                format!("unknown role `{role}`"),
                words::hint(role, "roles", known),
            );
        }
    }
    let words = words_of(&roles);
    refuse_repeated("role", roles);
    words
}

/// Every needed group exists, and no group waits for itself, not even by way of others.
fn check_needs(drafts: &[Draft<'_>]) {
    let known = || drafts.iter().map(|draft| draft.group.name.as_str());
    for Draft { group, needs, .. } in drafts {
        for (need, item) in needs {
            if !known().any(|name| name == need) {
                item.refuse(
                    format!("unknown group `{need}`"),
                    words::hint(need, "groups", known()),
                );
            } else if waits_for(need, &group.name, drafts) {
                item.refuse(
                    match *need == group.name {
                        true => format!("`{need}` waits for itself"),
                        false => format!("`{}` and `{need}` wait for each other", group.name),
                    },
                    "remove it; a group needs only those that can be ready without it",
                );
            }
        }
    }
}

/// Whether `group` needs `target`, itself or by way of others. Each round adds one step, and
/// there are no more steps than groups.
fn waits_for(group: &str, target: &str, drafts: &[Draft<'_>]) -> bool {
    let mut reached = vec![group];
    for _ in drafts {
        let next: Vec<&str> = drafts
            .iter()
            .filter(|draft| reached.contains(&draft.group.name.as_str()))
            .flat_map(|draft| draft.group.needs.iter().map(String::as_str))
            .filter(|need| !reached.contains(need))
            .collect();
        reached.extend(next);
    }
    reached.contains(&target)
}

fn capacity(table: &Table<'_>, groups: &[Group]) -> Capacity {
    let limits = table.entries("limits").into_iter();
    Capacity {
        users: table
            .required("users", "[0, 500]")
            .and_then(|node| pair(&node))
            .unwrap_or_default(),
        requests_per_user_minute: table
            .required("requests_per_user_minute", "10")
            .and_then(|node| small_number(&node))
            .unwrap_or_default(),
        limits: limits
            .filter_map(|(component, node)| {
                node.table(|table| limit(component, table, groups))
                    .flatten()
            })
            .collect(),
    }
}

fn limit(component: &str, table: &Table<'_>, groups: &[Group]) -> Option<Limit> {
    let unit = table.required("unit", "\"requests\"");
    let unit = unit.and_then(|node| node.text(rules::filled));
    let per_second = table.required("per_second", "200");
    let per_second = per_second.and_then(|node| small_number(&node));
    let group = table.optional("per_host");
    let group = group.and_then(|node| known_group(&node, groups));
    Some(Limit {
        component: component.to_owned(),
        unit: unit?,
        per_second: per_second?,
        per_host: group,
    })
}

fn known_group(node: &Node<'_>, groups: &[Group]) -> Option<String> {
    let name = node.text(|_| Ok(()))?;
    if groups.iter().any(|group| group.name == name) {
        return Some(name);
    }
    let known = groups.iter().map(|group| group.name.as_str());
    node.refuse(
        format!("unknown group `{name}`"),
        words::hint(&name, "groups", known),
    );
    None
}

/// Two numbers, the second not below the first.
fn pair(node: &Node<'_>) -> Option<(u32, u32)> {
    let items = node.items();
    if node.raw().as_array().is_some() && items.len() != 2 {
        node.refuse(
            "expected two numbers",
            "write from and to, such as [0, 500]",
        );
        return None;
    }
    let mut numbers = items.iter().map(small_number);
    let (from, to) = (numbers.next()??, numbers.next()??);
    if from > to {
        node.refuse(
            format!("{from} to {to} runs backwards"),
            format!("write [{to}, {from}]"),
        );
        return None;
    }
    Some((from, to))
}

fn small_number(node: &Node<'_>) -> Option<u32> {
    let number = node.number(0..=u64::from(u32::MAX))?;
    u32::try_from(number).ok()
}
