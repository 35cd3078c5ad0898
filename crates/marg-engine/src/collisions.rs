//! Names of the inventory that lead to something which has another owner already: a secret that two
//! things derive, a file or an account that two roles want differently. The roles themselves are
//! asked, so nobody keeps a list. Pure.

use std::collections::{BTreeMap, BTreeSet};

use marg_model::{Blueprint, Fleet, ResolveError, SecretKind, Secrets};
use marg_resources::Role;

use crate::desired::{Desired, promised};
use crate::plan::invented;

/// Every name of the blueprint that must be another one, with its place in the inventory.
pub fn collisions(blueprint: &Blueprint, roles: &[&dyn Role]) -> Vec<ResolveError> {
    let found = clashes(blueprint, roles);
    let blamed = found.iter().filter_map(|what| {
        let keys = culprit(blueprint, roles, what)?;
        Some(ResolveError {
            message: format!(
                "in phase {} it would share {what} with something else",
                blueprint.phase.number
            ),
            help: "choose another name".to_owned(),
            keys,
        })
    });
    blamed.collect()
}

/// What is wanted twice, and not in the same way.
fn clashes(blueprint: &Blueprint, roles: &[&dyn Role]) -> BTreeSet<String> {
    let specs = roles.iter().flat_map(|role| role.secrets(blueprint));
    let made = specs.filter(|spec| spec.kind != SecretKind::Given);
    let (mut names, mut found) = (BTreeSet::new(), BTreeSet::new());
    for spec in made {
        if !names.insert(spec.name.clone()) {
            found.insert(format!("the secret `{}`", spec.name));
        }
    }
    let fleet = Fleet::pending(blueprint);
    let secrets = invented(blueprint, roles, Secrets::default());
    let desired = Desired {
        fleet: &fleet,
        roles,
        secrets: &secrets,
    };
    for (host, machine) in fleet.hosts() {
        // What a role cannot say is told by the plan, with its reason.
        let Some(resources) = promised(host)
            .and_then(|distro| desired.resources(host, machine, distro))
            .ok()
        else {
            continue;
        };
        let mut wanted = BTreeMap::new();
        for resource in resources {
            let name = resource.name();
            let how = format!("{:?}", resource.state);
            if *wanted.entry(name.clone()).or_insert_with(|| how.clone()) != how {
                found.insert(format!("`{name}`"));
            }
        }
    }
    found
}

/// The application or the database user without which there would be no clash: the last of them,
/// since the one that was there first keeps its name.
fn culprit(blueprint: &Blueprint, roles: &[&dyn Role], what: &str) -> Option<Vec<String>> {
    let cured = |without: &Blueprint| !clashes(without, roles).contains(what);
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    for (index, app) in blueprint.apps.iter().enumerate().rev() {
        let mut without = blueprint.clone();
        without.apps.remove(index);
        if cured(&without) {
            return Some(keys(&["apps", &app.name]));
        }
    }
    for (index, user) in blueprint.database_users.iter().enumerate().rev() {
        let mut without = blueprint.clone();
        without.database_users.remove(index);
        if !cured(&without) {
            continue;
        }
        let mut apps = blueprint.apps.iter();
        let own = apps.find(|app| app.database_user == user.name && app.database == user.name);
        return Some(match own {
            Some(app) => keys(&["apps", &app.name, "database_user"]),
            None => keys(&["database_users", &user.name]),
        });
    }
    None
}
