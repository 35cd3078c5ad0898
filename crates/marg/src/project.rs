//! An inventory file, found and read, with the phases beside it.

mod edit;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use marg_cloud::DigitalOcean;
use marg_engine::{Engine, EngineError, EnvironmentPlan, Options, Vault};
use marg_model::{
    Blueprint, Event, EventSink, Inventory, Phase, ResolveError, ResolveErrors, Secret, builtin,
    parse, resolve,
};
use marg_roles::ROLES;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::names::{meeting, taken};

pub use edit::Edited;

/// Name of the secret with which balancers take the entry address.
const ENTRY_TOKEN: &str = marg_roles::keepalived::TOKEN;
/// Phases are numbered from 1 to this; four are built in, a project may add its own.
const LAST_PHASE: u8 = 9;

/// One environment's inventory and the place it lives in.
#[derive(Clone, Debug)]
pub struct Project {
    path: PathBuf,
    folder: PathBuf,
    /// The file's name as messages show it, and its text.
    source: (String, String),
    inventory: Inventory,
    phases: Vec<Phase>,
    /// Names of the environments whose inventories lie in the same folder, with their files.
    neighbours: Vec<(String, String)>,
}

impl Project {
    /// Reads the inventory file that is named, or else the only one in the nearest `inventories`
    /// folder at or above `folder`. The project's own `phases/phase-N.toml`, in the inventory's
    /// folder or beside it, win over those that are built in.
    pub fn open(inventory: Option<&Path>, folder: &Path) -> Result<Project, Error> {
        let path = match inventory {
            Some(path) => folder.join(path),
            None => find_inventory(folder)?,
        };
        let source = (shown(&path, folder), read(&path)?);
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        let phases = phases(&parent, folder)?;
        let inventory = parse::inventory(&source.1, &source.0, &marg_roles::schemas(), &phases);
        let inventory = inventory.map_err(Error::Invalid)?;
        refuse_collisions(&inventory, &phases, &source)?;
        let neighbours = neighbours(&parent)?;
        Ok(Project {
            path,
            folder: parent,
            source,
            inventory,
            phases,
            neighbours,
        })
    }

    /// What the file says.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All phases that there are, in order.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The inventory in a phase: every host by name. Without a number the inventory's own phase
    /// is meant.
    pub fn blueprint(&self, number: Option<u8>) -> Result<Blueprint, Error> {
        let number =
            number
                .or(self.inventory.environment.phase)
                .ok_or_else(|| Error::PhaseNotChosen {
                    inventory: self.source.0.clone(),
                })?;
        let phase = self.phase(number)?;
        self.refuse_meeting_names(phase)?;
        let (name, text) = &self.source;
        let blueprint = resolve::blueprint(&self.inventory, phase);
        blueprint.map_err(|misfits| Error::Invalid(misfits.locate(name, text)))
    }

    /// Refuses names that this environment and one beside it would both need in the cloud.
    fn refuse_meeting_names(&self, phase: &Phase) -> Result<(), Error> {
        if let Some(group) = taken(phase) {
            return Err(Error::NameOfBuilders {
                group: group.to_owned(),
                phase: phase.number,
            });
        }
        let own = self.inventory.environment.name.as_str();
        for (other, file) in self.neighbours.iter().filter(|(other, _)| other != own) {
            if let Some((name, group, theirs)) =
                meeting((own, phase), (other.as_str(), &self.phases[..]))
            {
                return Err(Error::NamesMeet {
                    name,
                    own: format!("{own} (group {group})"),
                    other: format!("{other} (group {theirs}, {file})"),
                });
            }
        }
        Ok(())
    }

    /// The phase of that number.
    fn phase(&self, number: u8) -> Result<&Phase, Error> {
        let phase = self.phases.iter().find(|phase| phase.number == number);
        phase.ok_or_else(|| Error::NoPhase {
            number,
            known: self
                .phases
                .iter()
                .map(|phase| phase.number.to_string())
                .collect(),
        })
    }

    /// Folder of the environment's secrets, keys and pinned host keys. The lab has its own, so
    /// that trying something there never touches what production knows.
    pub fn vault_folder(&self, endpoint: &Endpoint) -> PathBuf {
        self.folder_of(endpoint.is_local())
    }

    fn folder_of(&self, lab: bool) -> PathBuf {
        let name = &self.inventory.environment.name;
        let lab = if lab { "@lab" } else { "" };
        self.folder.join(".marg").join(format!("{name}{lab}"))
    }

    /// An engine for this environment that tells `events` what it does.
    pub fn engine(&self, endpoint: &Endpoint, events: Arc<dyn EventSink>) -> Result<Engine, Error> {
        let token = endpoint.token().clone();
        let cloud = DigitalOcean::new(endpoint.url(), token, telling(&events))?;
        let vault = Vault::open(self.vault_folder(endpoint))?;
        let vault = match endpoint.entry_token() {
            Some(token) => vault.giving(ENTRY_TOKEN, token.clone()),
            None => vault,
        };
        let options = Options {
            who: who(),
            inventory_dir: self.folder.clone(),
            api_url: Some(endpoint.hosts_url().to_owned()),
            phases: self.phases.clone(),
        };
        Ok(Engine::new(Arc::new(cloud), ROLES, vault, events, options)?)
    }

    /// A plan for a fleet of which nothing exists yet. Needs neither network nor token.
    pub fn plan_offline(&self, blueprint: &Blueprint) -> Result<EnvironmentPlan, EngineError> {
        let secrets = Vault::peek(self.folder_of(false))?;
        marg_engine::plan_offline(blueprint, ROLES, &secrets)
    }

    /// The same for the lab, which has secrets of its own.
    pub fn plan_offline_in_lab(
        &self,
        blueprint: &Blueprint,
    ) -> Result<EnvironmentPlan, EngineError> {
        let mut secrets = Vault::peek(self.folder_of(true))?;
        if secrets.get(ENTRY_TOKEN).is_none() {
            // The lab brings it.
            secrets.insert(ENTRY_TOKEN, Secret::new(""));
        }
        marg_engine::plan_offline(blueprint, ROLES, &secrets)
    }
}

/// Names that would be something else's, in whatever phase: they are refused before the environment
/// goes there.
fn refuse_collisions(
    inventory: &Inventory,
    phases: &[Phase],
    (file, text): &(String, String),
) -> Result<(), Error> {
    // What does not fit together is told by the phase that is asked for.
    let blueprints = phases
        .iter()
        .filter_map(|phase| resolve::blueprint(inventory, phase).ok());
    let mut found: Vec<ResolveError> = Vec::new();
    for error in blueprints.flat_map(|blueprint| marg_engine::collisions(&blueprint, ROLES)) {
        if !found.iter().any(|earlier| earlier.keys == error.keys) {
            found.push(error);
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(ResolveErrors(found).locate(file, text))),
    }
}

/// The cloud client's usual ways; pauses that the request limit forces become notes.
fn telling(events: &Arc<dyn EventSink>) -> marg_cloud::Options {
    let events = Arc::clone(events);
    let on_wait = marg_cloud::OnWait::new(move |wait| {
        events.emit(Event::Note {
            host: None,
            message: wait.to_string(),
        });
    });
    marg_cloud::Options {
        on_wait,
        ..marg_cloud::Options::default()
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// The path as the operator would write it: relative where it lies below the working folder.
fn shown(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// All phases: the project's own file where there is one, else the one that is built in.
fn phases(inventories: &Path, folder: &Path) -> Result<Vec<Phase>, Error> {
    let places = [Some(inventories), inventories.parent()];
    let mut phases = Vec::new();
    for number in 1..=LAST_PHASE {
        let name = format!("phases/phase-{number}.toml");
        let mut own = places.into_iter().flatten().map(|place| place.join(&name));
        let (file, text) = match own.find(|path| path.exists()) {
            Some(path) => (shown(&path, folder), read(&path)?),
            None => match builtin::phase_text(number) {
                Some((file, text)) => (file.to_owned(), text.to_owned()),
                None => continue,
            },
        };
        phases.push(parse::phase(&text, &file, &marg_roles::schemas()).map_err(Error::Invalid)?);
    }
    Ok(phases)
}

/// Environments of the inventories in a folder. What cannot be read there is no matter of this
/// one's: whoever uses it is told.
fn neighbours(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for file in inventory_files(folder)? {
        let Ok(text) = fs::read_to_string(folder.join(&file)) else {
            continue;
        };
        let document = text.parse::<toml_edit::DocumentMut>();
        let name = document.ok().and_then(|document| {
            let name = document.get("environment")?.get("name")?;
            name.as_str().map(str::to_owned)
        });
        found.extend(name.map(|name| (name, file)));
    }
    Ok(found)
}

/// Names of the inventory files in a folder.
fn inventory_files(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let unreadable = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry
            .map_err(unreadable)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        let hidden = name.starts_with('.');
        if name.ends_with(".toml") && !hidden && !name.contains("secrets") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn find_inventory(folder: &Path) -> Result<PathBuf, Error> {
    let inventories = folder.ancestors().map(|parent| parent.join("inventories"));
    let Some(inventories) = inventories.into_iter().find(|folder| folder.is_dir()) else {
        return Err(Error::NoInventory {
            folder: folder.to_owned(),
        });
    };
    let names = inventory_files(&inventories)?;
    let mut found = names.iter();
    match (found.next(), found.next()) {
        (None, _) => Err(Error::EmptyFolder {
            folder: inventories,
        }),
        (Some(only), None) => Ok(inventories.join(only)),
        _ => Err(Error::SeveralInventories {
            folder: inventories,
            names: names.into_iter().collect(),
        }),
    }
}

/// Who holds a lock or deployed a release, for the next person: `user@machine`.
fn who() -> String {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let user = user
        .or_else(account)
        .unwrap_or_else(|| "someone".to_owned());
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(machine) => format!("{user}@{}", machine.trim()),
        Err(_) => user,
    }
}

/// The account's name, for cron jobs and other places without the variables.
fn account() -> Option<String> {
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts
        .lines()
        .find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TWO: &str = "[environment]\nname = \"shop\"\nregion = \"fra1\"\ndomain = \"shop.test\"\n\
        [apps.shop]\nrepository = \"..\"\nhostnames = [\"shop.test\"]\n\
        [apps.blog]\nrepository = \"..\"\nhostnames = [\"blog.test\"]\n";

    /// The roles are asked, not a list: the names that the inventory's reader refuses are put in
    /// behind its back.
    #[test]
    fn a_name_that_leads_to_what_something_else_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.toml");
        fs::write(&path, TWO).unwrap();
        let project = Project::open(Some(&path), folder.path()).unwrap();
        let said = |phase: u8, change: &dyn Fn(&mut Blueprint)| {
            let mut blueprint = project.blueprint(Some(phase)).unwrap();
            change(&mut blueprint);
            let found = marg_engine::collisions(&blueprint, ROLES);
            ResolveErrors(found).to_string()
        };
        let renamed = |blueprint: &mut Blueprint| {
            for user in &mut blueprint.database_users {
                user.name = user.name.replace("blog", "replication");
            }
        };
        assert_eq!(said(4, &|_| ()), "");
        assert_eq!(said(2, &renamed), "");
        assert_eq!(
            said(4, &renamed),
            "database_users.replication: in phase 4 it would share the secret \
             `db_password_replication` with something else (choose another name)"
        );
        let alike = |blueprint: &mut Blueprint| {
            blueprint.apps[0].name = "a-b".to_owned();
            blueprint.apps[1].name = "a.b".to_owned();
        };
        assert!(said(2, &alike).contains("apps.\"a.b\": in phase 2 it would share `"));
    }

    #[test]
    fn a_plan_names_every_secret_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.toml");
        let more = "[apps.blog.env]\nSTRIPE_SECRET_KEY = { secret = \"stripe\" }\n\
            DB_OTHER = { secret = \"db_password_ghost\" }\nDB_OWN = { secret = \"db_password_shop\" }\n\
            [hosts.http1.env]\nMAIL_PASSWORD = { secret = \"mail\" }\n";
        fs::write(&path, format!("{TWO}{more}")).unwrap();
        let project = Project::open(Some(&path), folder.path()).unwrap();
        let missing = |phase| {
            let plan = project
                .plan_offline(&project.blueprint(Some(phase)).unwrap())
                .unwrap();
            let note = plan.notes.last().unwrap().clone();
            assert!(note.contains(&plan.missing_secrets.join(", ")), "{note}");
            plan.missing_secrets.join(" ")
        };
        assert_eq!(missing(2), "db_password_ghost mail stripe");
        assert_eq!(missing(4), "db_password_ghost entry_token mail stripe");
        let vault = folder.path().join(".marg/shop");
        assert!(!vault.exists(), "looking made something");
        fs::create_dir_all(&vault).unwrap();
        let secrets = vault.join("secrets.toml");
        fs::write(&secrets, "mail = \"a\"\ndb_password_ghost = \"b\"\n").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&secrets, private).unwrap();
        assert_eq!(missing(2), "stripe");
        let four = project.blueprint(Some(4)).unwrap();
        let lab = project.plan_offline_in_lab(&four).unwrap();
        assert_eq!(lab.missing_secrets, ["db_password_ghost", "mail", "stripe"]);
    }

    /// A folder with these files (empty), and the folder to search from.
    fn search(files: &[&str], from: &str) -> Result<String, String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let from = root.path().join(from);
        fs::create_dir_all(&from).unwrap();
        let clean = |text: String| text.replace(&root.path().display().to_string(), "ROOT");
        find_inventory(&from)
            .map(|path| clean(path.display().to_string()))
            .map_err(|error| clean(error.to_string()))
    }

    #[test]
    fn the_nearest_inventories_folder_is_searched() {
        let found = |files: &[&str], from| search(files, from).unwrap();
        assert_eq!(
            found(&["inventories/a.toml"], ""),
            "ROOT/inventories/a.toml"
        );
        let nested = ["inventories/a.toml", "app/inventories/b.toml"];
        assert_eq!(found(&nested, "app/src"), "ROOT/app/inventories/b.toml");
        let beside = [
            "inventories/a.toml",
            "inventories/a.secrets.toml",
            "inventories/README.md",
        ];
        assert_eq!(found(&beside, "x/y"), "ROOT/inventories/a.toml");
    }

    #[test]
    fn environments_of_one_folder_whose_names_would_meet_in_the_cloud_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        fs::create_dir_all(folder.join("inventories")).unwrap();
        fs::create_dir_all(folder.join("phases")).unwrap();
        let phase = |number: u8, groups: &[&str]| {
            let group = |name: &&str| {
                format!("[groups.{name}]\ncount = 1\nsize = \"s-1vcpu-1gb\"\nroles = [\"base\"]\n")
            };
            let groups: String = groups.iter().map(group).collect();
            let text = format!(
                "number = {number}\ntitle = \"bare\"\nentry = \"http\"\nbudget = [0, 0]\n{groups}\
                 [capacity]\nusers = [0, 0]\nrequests_per_user_minute = 1\n"
            );
            fs::write(folder.join(format!("phases/phase-{number}.toml")), text).unwrap();
        };
        phase(5, &["http", "eu-http"]);
        phase(6, &["http"]);
        phase(7, &["http", "bake"]);
        let environment = |name: &str| {
            let text = format!(
                "[environment]\nname = \"{name}\"\nregion = \"fra1\"\ndomain = \"a.test\"\n"
            );
            fs::write(folder.join(format!("inventories/{name}.toml")), text).unwrap();
        };
        let blueprint = |name: &str, number: u8| {
            let file = format!("inventories/{name}.toml");
            let project = Project::open(Some(Path::new(&file)), folder).unwrap();
            let blueprint = project.blueprint(Some(number));
            blueprint.map(drop).map_err(|error| error.to_string())
        };
        environment("shop");
        environment("shopeu");
        fs::write(folder.join("inventories/broken.toml"), "[environment").unwrap();
        assert_eq!(blueprint("shop", 5), Ok(()));
        environment("shop-eu");
        let met = blueprint("shop", 5).unwrap_err();
        assert!(
            met.contains("marg-shop-eu-http") && met.contains("shop-eu.toml"),
            "{met}"
        );
        assert_eq!(blueprint("shop", 6), Ok(()));
        assert!(
            blueprint("shop-eu", 6)
                .unwrap_err()
                .contains("marg-shop-eu-http")
        );
        assert!(blueprint("shop", 7).unwrap_err().contains("`bake`"));
    }

    #[test]
    fn a_search_that_finds_nothing_or_too_much_says_what_to_do() {
        let error = |files: &[&str]| search(files, "").unwrap_err();
        assert!(error(&["inventories/README.md"]).contains("has no .toml file"));
        let several = error(&["inventories/b.toml", "inventories/a.toml"]);
        assert!(several.contains("a.toml, b.toml; name the one you mean with --inventory FILE"));
    }
}
