//! `directory`: a directory with its mode and owner.

use super::paths::{self, Path, What};
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::{quote, quote_all};

/// A directory, or a link to one that only root can have made. Owned by root and readable by all unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: String,
    mode: u32,
    owner: String,
    group: String,
}

/// What a host says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectorySeen {
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Other(String),
    /// A directory.
    Present {
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
    },
}

impl Directory {
    /// The directory exists. Its content is left alone.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        let (owner, group) = ("root".to_owned(), "root".to_owned());
        Self { path: path.into(), mode: 0o755, owner, group }
    }

    /// Permission bits, for example `0o750`.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Owner and group.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>, group: impl Into<String>) -> Self {
        self.owner = owner.into();
        self.group = group.into();
        self
    }

    fn change(&self, action: Action, summary: String) -> Verdict {
        let script = format!(
            "own_folder {} {:04o} {}",
            quote(&self.path),
            self.mode,
            quote(&format!("{}:{}", self.owner, self.group)),
        );
        Verdict::Will(Change { action, summary, diff: None, work: Work::Script(script.into()) })
    }
}

impl Kind for Directory {
    const NAME: &'static str = "directory";
    type Seen = DirectorySeen;

    fn id(&self) -> String {
        self.path.clone()
    }

    fn paths(&self) -> Vec<String> {
        vec![self.path.clone()]
    }

    fn probe(all: &[&Self]) -> String {
        // A link to a directory will do, where only root can have made it: it is followed.
        format!(
            "set --\nfor path in {}; do
  [ ! -L \"$path\" ] || marg_loose \"$path\" || set -- \"$@\" \"$path\"\ndone
[ $# -eq 0 ] || find -L \"$@\" -maxdepth 0 -printf 's %m %u %g %y|%p\\n' 2>/dev/null || :",
            quote_all(all.iter().map(|directory| &directory.path))
        )
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<DirectorySeen>, Misread> {
        let (paths, rest) = paths::take(lines).map_err(Self::misread)?;
        if let Some(line) = rest.first() {
            return Err(Self::misread(line));
        }
        let seen = |path: Path| match path {
            Path { mode, owner, group, what: What::Directory, .. } => {
                DirectorySeen::Present { mode, owner, group }
            }
            other => DirectorySeen::Other(other.what.name().to_owned()),
        };
        let answer = |directory: &&Self| {
            paths.get(&directory.path).cloned().map_or(DirectorySeen::Missing, seen)
        };
        Ok(all.iter().map(answer).collect())
    }

    fn fresh(&self) -> DirectorySeen {
        DirectorySeen::Missing
    }

    fn diff(&self, seen: &DirectorySeen, _before: &Before) -> Verdict {
        match seen {
            DirectorySeen::Missing => self.change(Action::Create, "create".to_owned()),
            DirectorySeen::Other(what) => {
                self.change(Action::Create, format!("create where a {what} is in the way"))
            }
            DirectorySeen::Present { mode, owner, group } => {
                let mut reasons = Vec::new();
                if *mode != self.mode {
                    reasons.push(format!("mode {mode:04o} → {:04o}", self.mode));
                }
                if (owner, group) != (&self.owner, &self.group) {
                    reasons.push(format!("owner {owner}:{group} → {}:{}", self.owner, self.group));
                }
                if reasons.is_empty() {
                    return Verdict::Converged;
                }
                self.change(Action::Update, reasons.join(", "))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::kind::Resource;
    use crate::testing::{Host, names};

    fn summary(desired: &Directory, lines: &[&str]) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let seen = Directory::read(&[desired], &lines).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let shared = Directory::new("/var/www/shared").mode(0o2750).owner("flow", "www-data");
        for (lines, expected) in [
            (vec!["s 2750 flow www-data d|/var/www/shared"], None),
            (vec![], Some("create")),
            (vec!["s 755 flow www-data d|/var/www/shared"], Some("mode 0755 → 2750")),
            (vec!["s 2750 root root d|/var/www/shared"],
                Some("owner root:root → flow:www-data")),
            (vec!["s 644 root root f|/var/www/shared"],
                Some("create where a regular file is in the way")),
        ] {
            assert_eq!(summary(&shared, &lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        let shared = Directory::new("/a");
        for line in ["junk", "s x root root d|/a", "s 755 root root ?|/a", "s 755|/a"] {
            assert!(Directory::read(&[&shared], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    #[test]
    fn directories_converge_on_a_real_shell() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let path = folder.path().join("a b'$x").join("c");
        let (user, group) = names(folder.path());
        let wanted = |mode| {
            let directory = Directory::new(path.display().to_string());
            [Resource::from(directory.mode(mode).owner(&user, &group))]
        };
        assert_eq!(host.converge(&wanted(0o750)), ["create"]);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
        let parent = path.parent().unwrap();
        assert_eq!(std::fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(host.converge(&wanted(0o2755)), ["mode 0750 → 2755"]);
        assert_eq!(host.converge(&wanted(0o2755)), [""; 0]);
        assert_eq!(host.converge(&wanted(0o750)), ["mode 2755 → 0750"]);
    }

    #[test]
    fn a_link_to_a_directory_will_do_and_a_file_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let (user, group) = names(folder.path());
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        std::fs::create_dir(folder.path().join("real")).unwrap();
        symlink("real", &link).unwrap();
        std::fs::write(&file, "data").unwrap();
        let wanted = |path: &std::path::Path| {
            let directory = Directory::new(path.display().to_string());
            [Resource::from(directory.mode(0o700).owner(&user, &group))]
        };
        host.converge(&wanted(&link));
        assert!(link.is_symlink());
        let output = host.apply(&host.plan(&wanted(&file)));
        assert!(output.contains("is in the way") && output.contains("end 1"), "{output}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "data");
    }
}
