//! Which keys of the common instance are an application's. What begins with its prefix is its own; where
//! the inventory gives several applications one prefix, because they share a session, all of that is
//! shared but the queues: whoever may write into another's queue may have any class made there.
//!
//! Rules of Redis only allow. That somebody may reach everything but what begins with some words is
//! therefore written as all the ways in which a key can differ from them.

use std::collections::BTreeSet;

use marg_model::{App, EarlierForm, EnvValue};
use marg_resources::{Context, RoleError};

use super::logins::OF_APPLICATIONS;
use crate::app::environment;

/// How Laravel's queues begin, after the prefix.
const QUEUES: &str = "queues:";

/// What would tell of others' keys.
const NOT_OF_OTHERS: &str = "-scan -randomkey -pubsub -client|tracking -client|caching";

/// What an application may do on the common instance. As long as one of them may still be as an
/// earlier version of marg made it, every key is everybody's.
pub fn rights(context: &Context, app: &App) -> Result<String, RoleError> {
    let of = if context.fleet.earlier == EarlierForm::Kept {
        "~* &*".to_owned()
    } else {
        own(context, app)?
    };
    Ok(format!("{of} {OF_APPLICATIONS} {NOT_OF_OTHERS}"))
}

fn own(context: &Context, app: &App) -> Result<String, RoleError> {
    let prefixes = prefixes(context, app)?;
    let mut others = BTreeSet::new();
    for other in context.blueprint().apps.iter() {
        if other.name != app.name {
            others.extend(self::prefixes(context, other)?);
        }
    }
    let mut rules = Vec::new();
    for prefix in &prefixes {
        let theirs: BTreeSet<&str> = others
            .iter()
            .filter_map(|other| other.strip_prefix(prefix.as_str()))
            .map(|rest| if rest.is_empty() { QUEUES } else { rest })
            .collect();
        let all = all_but(prefix, &theirs).into_iter();
        rules.extend(all.map(|pattern| format!("~{pattern}")));
        if theirs.contains(QUEUES) {
            let queue = format!("~{prefix}{QUEUES}{}", app.queue);
            rules.push(queue.clone());
            rules.push(format!("{queue}:*"));
        }
        rules.push(format!("&{prefix}*"));
    }
    Ok(rules.join(" "))
}

/// What an application's keys begin with, on any host; two, where it is Laravel that chooses: the
/// usual prefix is another one in newer applications.
pub fn prefixes(context: &Context, app: &App) -> Result<BTreeSet<String>, RoleError> {
    let mut prefixes = BTreeSet::new();
    for host in context.blueprint().with_role("app") {
        let there = Context { host, ..*context };
        let variables = environment::variables(&there, app);
        let text = |name: &str| match variables.get(name) {
            Some(EnvValue::Text(text)) => Some(text.as_str()),
            Some(EnvValue::Secret(name)) => context.secret(name).ok().map(|secret| secret.expose()),
            None => None,
        };
        let refused = |variable: &str| RoleError::Setting {
            host: host.name.clone(),
            message: format!(
                "{variable} of {} has characters that a rule of Redis cannot hold; write REDIS_PREFIX \
                 with letters, digits and `_-:.` only",
                app.name
            ),
        };
        match (text("REDIS_PREFIX"), text("APP_NAME")) {
            (Some(prefix), _) if prefix.chars().all(may_stand) => {
                prefixes.insert(prefix.to_owned());
            }
            (Some(_), _) => return Err(refused("REDIS_PREFIX")),
            (None, Some(name)) if name.is_ascii() => {
                prefixes.extend(['_', '-'].map(|dash| usual_prefix(name, dash)));
            }
            (None, _) => return Err(refused("APP_NAME")),
        }
    }
    Ok(prefixes)
}

fn may_stand(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-:.{}/@+,".contains(c)
}

/// Laravel's `Str::slug(APP_NAME, dash).dash.'database'.dash`.
fn usual_prefix(name: &str, dash: char) -> String {
    let other = if dash == '_' { '-' } else { '_' };
    let spaced = name.to_lowercase().replace('@', &format!("{dash}at{dash}"));
    let words = spaced.split(|c: char| c == dash || c == other || c.is_ascii_whitespace());
    let words: Vec<String> = words
        .map(|word| word.chars().filter(char::is_ascii_alphanumeric).collect())
        .filter(|word: &String| !word.is_empty())
        .collect();
    format!("{}{dash}database{dash}", words.join(&dash.to_string()))
}

/// Patterns of all keys with the prefix behind which none of the words follows.
fn all_but(prefix: &str, words: &BTreeSet<&str>) -> Vec<String> {
    if words.is_empty() {
        return vec![format!("{prefix}*")];
    }
    let begins = |beginning: &str| words.iter().any(|word| beginning.starts_with(word));
    let beginnings: BTreeSet<&str> = words
        .iter()
        .flat_map(|word| (0..word.len()).map(|length| &word[..length]))
        .filter(|beginning| !begins(beginning))
        .collect();
    let mut patterns = Vec::new();
    for beginning in beginnings {
        let next: BTreeSet<char> = words
            .iter()
            .filter_map(|word| word.strip_prefix(beginning)?.chars().next())
            .collect();
        let next: String = next.into_iter().map(|c| format!("\\{c}")).collect();
        patterns.push(format!("{prefix}{beginning}"));
        patterns.push(format!("{prefix}{beginning}[^{next}]*"));
    }
    patterns
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg_model::EnvValue;

    use super::*;
    use crate::testing::World;

    /// What Redis's own matcher says of the few signs that are used here.
    fn matches(pattern: &str, key: &str) -> bool {
        let Some(first) = pattern.chars().next() else {
            return key.is_empty();
        };
        let rest = &pattern[1..];
        match first {
            '*' => (0..=key.len()).any(|from| matches(rest, &key[from..])),
            '[' => {
                let (class, rest) = rest.split_once("]").unwrap();
                let class = class.strip_prefix('^').unwrap();
                let refused: Vec<char> =
                    class.split('\\').filter_map(|c| c.chars().next()).collect();
                let mut chars = key.chars();
                chars.next().is_some_and(|c| !refused.contains(&c)) && matches(rest, chars.as_str())
            }
            c => key.strip_prefix(c).is_some_and(|key| matches(rest, key)),
        }
    }

    fn may(world: &World, app: usize, key: &str) -> bool {
        let context = world.context("redis1", "debian-13");
        let rights = rights(&context, &world.fleet.blueprint.apps[app]).unwrap();
        let mut rules = rights.split(' ').filter_map(|rule| rule.strip_prefix('~'));
        rules.any(|pattern| matches(pattern, key))
    }

    fn with_prefixes(prefixes: [&str; 2]) -> World {
        let mut world = World::new(2);
        for (app, prefix) in world.fleet.blueprint.apps.iter_mut().zip(prefixes) {
            let prefix = EnvValue::Text(prefix.to_owned());
            app.env.insert("REDIS_PREFIX".to_owned(), prefix);
        }
        world
    }

    #[test]
    fn only_queues_are_apart_under_one_prefix() {
        let world = with_prefixes(["shop_", "shop_"]);
        for (key, expected) in [
            ("shop_queues:flow", [true, false]),
            ("shop_queues:flow:reserved", [true, false]),
            ("shop_queues:links:notify", [false, true]),
            ("shop_queues:linkage", [false, false]),
            ("shop_queues:", [false, false]),
            ("shop_queues", [true, true]),
            ("shop_queue", [true, true]),
            ("shop_qu:x", [true, true]),
            ("shop_", [true, true]),
            ("shop_marg:0123456789abcdef", [true, true]),
            ("shop", [false, false]),
            ("other", [false, false]),
        ] {
            let found = [0, 1].map(|app| may(&world, app, key));
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn prefixes_part_everything() {
        let world = with_prefixes(["shop_", "shop_eu_"]);
        for (key, expected) in [
            ("shop_queues:links", [true, false]),
            ("shop_eu_queues:links", [false, true]),
            ("shop_eu_x", [false, true]),
            ("shop_e", [true, false]),
            ("shop_europe", [true, false]),
        ] {
            let found = [0, 1].map(|app| may(&world, app, key));
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn without_a_prefix_it_is_laravels() {
        let world = World::new(2);
        for (key, expected) in [
            ("flowmarg_database_queues:flow", [true, false]),
            ("flowmarg-database-x", [true, false]),
            ("linksmarg_database_x", [false, true]),
            ("laravel_database_x", [false, false]),
        ] {
            let found = [0, 1].map(|app| may(&world, app, key));
            assert_eq!(found, expected, "{key}");
        }
        for (name, expected) in [
            ("My Shop", "my_shop_database_"),
            ("it's a-b_c", "its_a_b_c_database_"),
            ("a@b", "a_at_b_database_"),
        ] {
            assert_eq!(usual_prefix(name, '_'), expected);
        }
    }

    #[test]
    fn a_prefix_that_no_rule_can_hold_is_refused() {
        let world = with_prefixes(["shop*", "links_"]);
        let context = world.context("redis1", "debian-13");
        let error = rights(&context, &world.fleet.blueprint.apps[0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "http1: REDIS_PREFIX of flow.marg has characters that a rule of Redis cannot hold; write \
             REDIS_PREFIX with letters, digits and `_-:.` only"
        );
    }
}
