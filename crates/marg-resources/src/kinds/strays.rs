//! `strays`: files that marg once wrote into a folder and that nobody wants any more, such as the
//! site of an application that has left the inventory. Which of a folder's files are marg's stands
//! in their first line; what others have put there is left alone.

use super::paths;
use crate::answer::Misread;
use crate::change::{Action, Change, Place, Validator, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;
use crate::script::Shell;

/// A folder in which only wanted files of marg's are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strays {
    folder: String,
    suffix: String,
    mark: String,
    wanted: Vec<String>,
    validator: Option<Validator>,
    stop: String,
    forget: String,
}

impl Strays {
    /// Of the files `FOLDER/NAMESUFFIX` whose first line is `mark`, only those of these names are
    /// left.
    #[must_use]
    pub fn new<S: Into<String>>(
        folder: impl Into<String>,
        suffix: impl Into<String>,
        mark: impl Into<String>,
        wanted: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            folder: folder.into(),
            suffix: suffix.into(),
            mark: mark.into(),
            wanted: wanted.into_iter().map(Into::into).collect(),
            validator: None,
            stop: String::new(),
            forget: String::new(),
        }
    }

    /// The program that must accept the state without a file. Folders below `/etc` only.
    #[must_use]
    pub fn validate(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    /// Commands that run before a file goes, with its name in `$name`. While they fail the file
    /// stays, so that they run again.
    #[must_use]
    pub fn stop(mut self, commands: impl Into<String>) -> Self {
        self.stop = commands.into();
        self
    }

    /// Commands that run when a file is gone, with its name in `$name`.
    #[must_use]
    pub fn forget(mut self, commands: impl Into<String>) -> Self {
        self.forget = commands.into();
        self
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}{}", self.folder, self.suffix)
    }

    fn removal(&self, name: &str) -> Shell {
        let path = self.path(name);
        let removal = match &self.validator {
            None => Shell::new(format!("remove {}\n", quote(&path))),
            Some(_) => Place::removal(&path, self.validator.clone()).script(""),
        };
        Shell::new(format!("name={}\n{}\n", quote(name), self.stop))
            .then(removal)
            .text(format!("{}\n", self.forget))
    }
}

impl Kind for Strays {
    const NAME: &'static str = "strays";
    /// Names of the files that are too many.
    type Seen = Vec<String>;

    fn id(&self) -> String {
        self.path("*")
    }

    fn paths(&self) -> Vec<String> {
        // Its name is no matter: whether others can change the folder is.
        vec![self.path("*")]
    }

    fn probe(all: &[&Self]) -> String {
        let looks = all.iter().enumerate().map(|(place, strays)| {
            let wanted: Vec<String> =
                strays.wanted.iter().map(|name| quote(&strays.path(name))).collect();
            let wanted = if wanted.is_empty() { "''".to_owned() } else { wanted.join("|") };
            format!(
                "for path in {}/*{}; do
  case $path in {wanted}) continue ;; esac
  [ -f \"$path\" ] || continue
  first=
  if marg_loose \"$path\"; then first=$(marg_first \"$path\"); else IFS= read -r first < \"$path\" || :; fi
  [ \"$first\" != {} ] || printf '%s\\n' \"{place} $path\"
done\n",
                quote(&strays.folder),
                quote(&strays.suffix),
                quote(&strays.mark),
            )
        });
        looks.collect()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<Vec<String>>, Misread> {
        let (_, lines) = paths::take(lines).map_err(Self::misread)?;
        let mut found = vec![Vec::new(); all.len()];
        for line in &lines {
            let stray = line.split_once(' ').and_then(|(place, path)| {
                let place: usize = place.parse().ok()?;
                let strays = all.get(place)?;
                let name = path.strip_prefix(&strays.folder)?.strip_prefix('/')?;
                Some((place, name.strip_suffix(&strays.suffix)?))
            });
            let (place, name) = stray.ok_or_else(|| Self::misread(line))?;
            found[place].push(name.to_owned());
        }
        Ok(found)
    }

    fn fresh(&self) -> Vec<String> {
        Vec::new()
    }

    fn diff(&self, seen: &Vec<String>, _before: &Before) -> Verdict {
        if seen.is_empty() {
            return Verdict::Converged;
        }
        let all = seen.iter().fold(Shell::default(), |all, name| all.then(self.removal(name)));
        Verdict::Will(Change {
            action: Action::Delete,
            summary: format!("remove {}, which nobody wants any more", seen.join(", ")),
            diff: None,
            work: Work::Script(all),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    const MARK: &str = "# Made by marg's test.";

    #[test]
    fn junk_is_an_error() {
        let strays = Strays::new("/etc/x", ".conf", MARK, ["a"]);
        assert_eq!(Strays::read(&[&strays], &["0 /etc/x/b.conf".to_owned()]).unwrap(), [["b"]]);
        for line in ["junk", "1 /etc/x/b.conf", "0 /etc/y/b.conf", "0 /etc/x/b.txt", "x /etc/x/b.conf"] {
            assert!(Strays::read(&[&strays], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    #[test]
    fn only_own_files_that_nobody_wants_go() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let own = folder.path().join("it's here");
        fs::create_dir(&own).unwrap();
        let files = [
            ("wanted.conf", MARK),
            ("old 'one'.conf", MARK),
            ("old-two.conf", MARK),
            ("old.txt", MARK),
            ("theirs.conf", "# Made by marg's test. Not."),
            ("empty.conf", ""),
        ];
        for (name, first) in files {
            fs::write(own.join(name), format!("{first}\nand more\n")).unwrap();
        }
        let said = folder.path().join("said").display().to_string();
        let strays = Strays::new(own.display().to_string(), ".conf", MARK, ["wanted", "absent"])
            .stop(format!("echo \"stop $name\" >> {}", quote(&said)))
            .forget(format!("echo \"forget $name\" >> {}", quote(&said)));
        let wanted = [Resource::from(strays)];
        let summaries = host.converge(&wanted);
        assert_eq!(summaries, ["remove old 'one', old-two, which nobody wants any more"]);
        assert_eq!(host.converge(&wanted), [""; 0]);
        let mut left: Vec<_> = fs::read_dir(&own)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["empty.conf", "old.txt", "theirs.conf", "wanted.conf"]);
        let said = fs::read_to_string(said).unwrap();
        assert_eq!(said, "stop old 'one'\nforget old 'one'\nstop old-two\nforget old-two\n");
    }

    #[test]
    fn what_cannot_be_stopped_stays() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let path = folder.path().join("old.conf");
        fs::write(&path, format!("{MARK}\n")).unwrap();
        let none: [&str; 0] = [];
        let strays = Strays::new(folder.path().display().to_string(), ".conf", MARK, none);
        host.apply(&host.plan(&[strays.stop("false").into()]));
        assert!(path.exists());
    }
}
