//! A team's project: an inventory, a repository with the demo applications, an environment.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::Marg;

/// Where all environments of the tests live; the same in every run, so that tests that run as
/// processes of their own find what another one has provisioned.
pub fn home() -> PathBuf {
    // tests/../target would be wrong with another target folder: the test itself lies in it.
    let own = std::env::current_exe().expect("the test knows its own path");
    own.ancestors()
        .nth(2)
        .expect("a profile's folder")
        .join("marg-e2e")
}

/// The inventory that comes with marg.
const SHIPPED: &str = include_str!("../../inventories/marg.toml");

/// One environment's files.
#[derive(Clone, Debug)]
pub struct Project {
    /// The environment's name.
    pub name: String,
    /// The folder in which the program is run.
    pub folder: PathBuf,
}

impl Project {
    /// The project of an environment, as it lies there or will lie there.
    pub fn at(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: home().join(name),
        }
    }

    /// Makes its files anew: the shipped inventory under this name, and the applications in a
    /// repository of their own. Nothing of an earlier run is kept, in the lab neither.
    pub fn fresh(name: &str) -> Self {
        let project = Self::at(name);
        if project.exists() {
            let outcome = project.marg(["destroy", "--confirm", name]).run();
            assert!(
                outcome.code == 0,
                "what an earlier run left cannot be destroyed:\n{outcome}"
            );
        }
        if project.folder.exists() {
            fs::remove_dir_all(&project.folder).expect("an old folder can be removed");
        }
        fs::create_dir_all(project.folder.join("inventories")).expect("a folder");
        project.write_inventory(&shipped(name));
        let repository = Repository::at(&project.folder.join("repo"));
        repository.fill();
        project
    }

    /// Whether its files are there.
    pub fn exists(&self) -> bool {
        self.inventory().exists()
    }

    /// The inventory.
    pub fn inventory(&self) -> PathBuf {
        self.folder
            .join("inventories")
            .join(format!("{}.toml", self.name))
    }

    /// Writes the inventory.
    pub fn write_inventory(&self, text: &str) {
        fs::write(self.inventory(), text).expect("the inventory can be written");
    }

    /// Writes an inventory of the same environment with some text replaced, to be named by
    /// `--inventory`. It lies beside the usual one and shares its secrets.
    #[track_caller]
    pub fn variant(&self, replacements: &[(&str, &str)]) -> PathBuf {
        let text = fs::read_to_string(self.inventory()).expect("the inventory");
        // A name that the search for the default inventory passes over.
        let path = self.folder.join("inventories/.variant.toml");
        fs::write(&path, replaced(&text, replacements)).expect("the variant can be written");
        path
    }

    /// The environment's own folder, with its secrets and keys.
    pub fn vault(&self) -> PathBuf {
        self.folder
            .join("inventories/.marg")
            .join(format!("{}@lab", self.name))
    }

    /// Gives a secret its value before marg would make one.
    pub fn give_secret(&self, name: &str, value: &str) {
        let folder = self.vault();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .expect("the vault");
        let path = folder.join("secrets.toml");
        let mut file = fs::OpenOptions::new();
        let mut file = file
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .expect("secrets.toml");
        let line = format!("{name} = {}\n", toml::Value::String(value.to_owned()));
        file.write_all(line.as_bytes())
            .expect("a secret can be written");
    }

    /// All secrets by name.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.vault().join("secrets.toml")).expect("secrets.toml");
        let table: toml::Table = text.parse().expect("secrets.toml is TOML");
        let secrets = table.into_iter();
        secrets
            .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// The repository of the applications.
    pub fn repository(&self) -> Repository {
        Repository::at(&self.folder.join("repo"))
    }

    /// The program in this project with the lab as its cloud.
    pub fn marg<S: Into<String>>(&self, arguments: impl IntoIterator<Item = S>) -> Marg {
        let mut all = vec!["--lab".to_owned()];
        all.extend(arguments.into_iter().map(Into::into));
        Marg::new(&self.folder, all).diary(&self.diary())
    }

    /// What the program has ever said in this project.
    pub fn diary(&self) -> PathBuf {
        self.folder.join("said.log")
    }
}

fn shipped(name: &str) -> String {
    replaced(
        SHIPPED,
        &[
            ("name = \"marg\" ", &format!("name = \"{name}\" ")),
            ("repository = \"..\"", "repository = \"../repo\""),
            ("path = \"tests/apps/flow.marg\"", "path = \"flow.marg\""),
            ("path = \"tests/apps/links.marg\"", "path = \"links.marg\""),
        ],
    )
}

/// The text with all replacements made; panics when one finds nothing to replace.
#[track_caller]
pub fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "the inventory has no `{old}` any more");
        text = text.replace(old, new);
    }
    text
}

/// A git repository with both applications.
#[derive(Clone, Debug)]
pub struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn fill(&self) {
        fs::create_dir_all(&self.folder).expect("a folder");
        let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps");
        for app in ["flow.marg", "links.marg"] {
            let status = Command::new("cp")
                .arg("-a")
                .arg(apps.join(app))
                .arg(&self.folder)
                .status();
            assert!(status.is_ok_and(|status| status.success()), "cp {app}");
            // What a developer tried by hand is no part of the application.
            for own in ["vendor", ".env"] {
                let path = self.folder.join(app).join(own);
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.commit("first");
    }

    /// The folder of an application's files.
    pub fn app(&self, app: &str) -> PathBuf {
        self.folder.join(app)
    }

    /// Replaces text in a file; panics when there is nothing to replace.
    #[track_caller]
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(old), "{file} has no `{old}`");
        fs::write(&path, text.replace(old, new)).expect("the file can be written");
    }

    /// Writes a file.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// Commits all changes and returns the commit.
    pub fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", subject]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Puts all files back to what they are at a commit, on the branch as it is.
    pub fn restore(&self, commit: &str) {
        self.git(&["rm", "-r", "--quiet", "."]);
        self.git(&["checkout", "--quiet", commit, "--", "."]);
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@marg.test"];
        let mut git = Command::new("git");
        let output = git
            .current_dir(&self.folder)
            .args(identity)
            .args(arguments)
            .output();
        let output = output.expect("git can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
