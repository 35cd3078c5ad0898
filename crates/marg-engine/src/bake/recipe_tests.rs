//! What goes into an image, and what is taken away before it becomes one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use marg_model::{RoleSchema, SecretKind, SecretSpec};
use marg_resources::kinds::{File, Package, Service};
use marg_resources::{Context, RoleError};

use super::*;
use crate::cloud::situation::tests::blueprint;

/// A role with everything that an image must not have.
struct Web;

impl Role for Web {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "app",
            doc: "",
            settings: &[],
        }
    }

    fn secrets(&self, _blueprint: &Blueprint) -> Vec<SecretSpec> {
        vec![SecretSpec {
            name: "app_key".to_owned(),
            kind: SecretKind::Given,
        }]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let key = context.secret("app_key")?;
        Ok(vec![
            Package::new("nginx").into(),
            File::new("/etc/app.env", key.expose().to_owned()).into(),
            Service::running("nginx").into(),
            Service::stopped("apache2").into(),
            Package::new("nginx").into(),
            Package::new("curl").into(),
        ])
    }
}

const ROLES: &[&dyn Role] = &[&Web];

fn served() -> Blueprint {
    let mut blueprint = blueprint();
    for host in &mut blueprint.hosts {
        host.roles = vec!["app".to_owned()];
    }
    blueprint
}

#[test]
fn an_image_has_packages_and_nothing_else() {
    let recipe = Recipe::of(&served(), ROLES, "http").unwrap();
    let names: Vec<String> = recipe.resources.iter().map(Resource::name).collect();
    assert_eq!(names, ["package nginx", "package curl"]);
    assert_eq!(recipe.units, ["nginx"]);
    assert_eq!(recipe.host.name, "bake-http");
    let scripts: String = recipe
        .cleaning()
        .iter()
        .map(|step| step.body.to_string())
        .collect();
    assert!(scripts.contains("systemctl -q disable nginx"), "{scripts}");
    assert!(!scripts.contains("app_key"), "{scripts}");
}

#[test]
fn the_fingerprint_follows_what_is_in_it() {
    let base = Recipe::of(&served(), ROLES, "http").unwrap();
    let again = Recipe::of(&served(), ROLES, "http").unwrap();
    assert_eq!(base.fingerprint, again.fingerprint);
    assert_eq!(base.fingerprint.len(), 8);
    let mut other = served();
    for host in &mut other.hosts {
        host.image = "ubuntu-24-04-x64".to_owned();
    }
    let other = Recipe::of(&other, ROLES, "http").unwrap();
    assert_ne!(base.fingerprint, other.fingerprint);
    let fewer = &base.resources[..1];
    let fewer = fingerprint(&base.host.image, fewer, &base.units);
    assert_ne!(base.fingerprint, fewer);
}

#[test]
fn groups_that_scale_are_baked_unless_others_are_named() {
    let blueprint = served();
    let groups = |named: &[&str]| {
        let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
        let recipes = recipes(&blueprint, ROLES, &named).map_err(|error| error.to_string())?;
        Ok::<Vec<String>, String>(recipes.into_iter().map(|recipe| recipe.group).collect())
    };
    assert_eq!(groups(&[]).unwrap(), ["http"]);
    assert_eq!(groups(&["http", "http"]).unwrap(), ["http"]);
    assert!(
        groups(&["redis"])
            .unwrap_err()
            .contains("`redis` holds data")
    );
    let unknown = groups(&["htpp"]).unwrap_err();
    assert!(
        unknown.contains("\"htpp\"") && unknown.contains("http"),
        "{unknown}"
    );
    let mut none = served();
    none.hosts.retain(|host| host.holds_data);
    let error = recipes(&none, ROLES, &[]).map(drop).unwrap_err();
    assert!(
        error.to_string().contains("phase 2 has no group"),
        "{error}"
    );
}

/// Makes a file with some content, and its folders.
fn put(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "content\n").unwrap();
}

/// All files below a folder with their sizes.
fn files(root: &Path) -> Vec<String> {
    let mut list = Command::new("find");
    let list = list.args([".", "-type", "f", "-printf", "%P %s\n"]);
    let output = list.current_dir(root).output().unwrap();
    let mut files: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    files.sort();
    files
}

fn clean(root: &Path) -> (bool, String) {
    let script = format!(
        "set -e\nROOT={}\n{CLEAN}",
        quote(&root.display().to_string())
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text + &errors)
}

#[test]
fn what_is_a_machines_own_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in [
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "etc/ssh/marg_next_ed25519_key",
        "etc/ssh/sshd_config",
        "etc/machine-id",
        "root/.ssh/authorized_keys",
        "root/.bash_history",
        "root/.profile",
        "home/admin/.ssh/id_ed25519",
        "var/lib/cloud/instances/7/user-data.txt",
        "var/lib/cloud/seed/nocloud/user-data",
        "var/lib/dpkg/status",
        "var/lib/marg/owed/nginx.reload",
        "var/lib/systemd/random-seed",
        "var/lib/apt/lists/mirror.test_dists_trixie_InRelease",
        "var/cache/apt/archives/nginx.deb",
        "var/log/journal/0123/system.journal",
        "var/log/nginx/access.log",
        "var/log/dpkg.log.1",
        "var/log/apt/term.log.2.gz",
        "tmp/x",
        "var/tmp/x",
        "usr/sbin/nginx",
    ] {
        put(root, path);
    }
    fs::create_dir_all(root.join("var/lib/dbus")).unwrap();
    symlink("/etc/machine-id", root.join("var/lib/dbus/machine-id")).unwrap();
    let (ended_well, said) = clean(root);
    assert!(ended_well, "{said}");
    let expected = [
        "etc/machine-id 0",
        "etc/ssh/sshd_config 8",
        "root/.profile 8",
        "usr/sbin/nginx 8",
        "var/lib/dpkg/status 8",
        "var/log/nginx/access.log 0",
    ];
    assert_eq!(files(root), expected);
    assert!(root.join("var/lib/dbus/machine-id").is_symlink());
    let (again, said) = clean(root);
    assert!(again, "{said}");
}

#[test]
fn a_host_with_secrets_never_becomes_an_image() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["etc/machine-id", "var/log/x", "var/www/shop/shared/.env"] {
        put(folder.path(), path);
    }
    let (ended_well, said) = clean(folder.path());
    assert!(!ended_well);
    assert!(said.contains("shared/.env is still there"), "{said}");
}

#[test]
fn without_a_root_nothing_is_touched() {
    let script = format!(
        "unset ROOT\n{}",
        CLEAN.lines().take(5).collect::<Vec<_>>().join("\n")
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(!output.status.success());
}
