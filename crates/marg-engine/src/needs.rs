//! Which secrets an environment needs that only its operator can give, and which of them are missing.
//! Pure.

use std::collections::BTreeSet;

use marg_model::{Blueprint, EnvValue, SecretKind, Secrets};
use marg_resources::Role;

/// Names of secrets that variables of the inventory refer to.
pub(crate) fn named(blueprint: &Blueprint) -> BTreeSet<String> {
    let hosts = blueprint.hosts.iter();
    let of_hosts = hosts.flat_map(|host| [&host.env.shared, &host.env.local]);
    let of_apps = blueprint.apps.iter().map(|app| &app.env);
    let values = of_apps.chain(of_hosts).flatten();
    let secret = |value: &EnvValue| match value {
        EnvValue::Secret(name) => Some(name.clone()),
        EnvValue::Text(_) => None,
    };
    values.filter_map(|(_, value)| secret(value)).collect()
}

/// Every secret that nobody has given and no role makes.
pub(crate) fn missing(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    present: &Secrets,
) -> Vec<String> {
    let specs: Vec<_> = roles
        .iter()
        .flat_map(|role| role.secrets(blueprint))
        .collect();
    let of_kind = |given: bool| {
        let fits = specs
            .iter()
            .filter(move |spec| (spec.kind == SecretKind::Given) == given);
        fits.map(|spec| spec.name.clone())
    };
    let made: BTreeSet<String> = of_kind(false).collect();
    let needed: BTreeSet<String> = of_kind(true).chain(named(blueprint)).collect();
    let lacking = |name: &String| !made.contains(name) && present.get(name).is_none();
    needed.into_iter().filter(lacking).collect()
}

/// What a plan says of them.
pub(crate) fn note(missing: &[String]) -> Option<String> {
    let names = missing.join(", ");
    (!missing.is_empty()).then(|| {
        format!(
            "secrets that are not there: {names}; `provision` needs them in secrets.toml of this \
             environment as `name = \"value\"`, or as MARG_SECRET_<NAME>"
        )
    })
}
