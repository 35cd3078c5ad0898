//! Changes of an inventory in place: one value is written, every comment and every other line
//! stays as its operator wrote it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use marg_model::{parse, resolve};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use super::Project;
use crate::error::Error;

/// An inventory with one value changed: not yet written to the file.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The project as it would be.
    pub project: Project,
    /// The change in TOML's words, for example `phases.3.groups.http.count = 4`.
    pub change: String,
    before: String,
}

impl Project {
    /// The inventory with another number of hosts for a group, in that phase alone.
    ///
    /// # Errors
    /// The group is not there or must keep its number, the number is out of range, or the file
    /// cannot be edited.
    pub fn with_count(&self, phase: u8, group: &str, count: i64) -> Result<Edited, Error> {
        let groups = &self.phase(phase)?.groups;
        let found = groups.iter().find(|one| one.name == group);
        let found = found.ok_or_else(|| Error::NoGroup {
            group: group.to_owned(),
            phase,
            hint: parse::hint(group, "groups", groups.iter().map(|one| one.name.as_str())),
        })?;
        if found.holds_data {
            return Err(Error::FixedGroup {
                group: group.to_owned(),
                phase,
                count: found.count,
            });
        }
        let most = parse::MAX_COUNT;
        if !(1..=i64::from(most)).contains(&count) {
            return Err(Error::Count {
                group: group.to_owned(),
                count,
                most,
            });
        }
        let number = phase.to_string();
        let path = ["phases", &number, "groups", group];
        self.with(&path, "count", count.into())
    }

    /// The inventory with another size for one host.
    ///
    /// # Errors
    /// No phase has the host, or the file cannot be edited.
    pub fn with_size(&self, host: &str, size: &str) -> Result<Edited, Error> {
        self.with(&["hosts", host], "size", size.into())
    }

    fn with(&self, path: &[&str], key: &str, value: Value) -> Result<Edited, Error> {
        let (name, before) = &self.source;
        let keys = path.iter().chain([&key]).map(|key| (*key).to_owned());
        let error = resolve::ResolveError {
            keys: keys.collect(),
            message: String::new(),
            help: String::new(),
        };
        let change = format!("{} = {value}", error.path());
        let after = set(before, path, key, value).map_err(|reason| Error::Uneditable {
            inventory: name.clone(),
            change: change.clone(),
            reason,
        })?;
        let inventory = parse::inventory(&after, name, &marg_roles::schemas(), &self.phases);
        let project = Project {
            inventory: inventory.map_err(Error::Invalid)?,
            source: (name.clone(), after),
            ..self.clone()
        };
        Ok(Edited {
            project,
            change,
            before: before.clone(),
        })
    }
}

impl Edited {
    /// Whether the file would be another one.
    pub fn changes(&self) -> bool {
        self.before != self.project.source.1
    }

    /// Writes the file in one step: whoever reads it meanwhile sees the old text or the new one.
    ///
    /// # Errors
    /// The file is no longer what was read, or cannot be written; it is then as it was.
    pub fn save(&self) -> Result<(), Error> {
        let path = &self.project.path;
        let refused = |source| Error::Write {
            path: path.clone(),
            change: self.change.clone(),
            source,
        };
        // A link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(path).map_err(refused)?;
        if fs::read_to_string(&path).map_err(refused)? != self.before {
            return Err(Error::ChangedMeanwhile { path });
        }
        if self.changes() {
            replace(&path, &self.project.source.1).map_err(refused)?;
        }
        Ok(())
    }
}

/// Replaces a file by rename; the new one has the old one's owner and mode.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = beside(path)?;
    let written = write_like(path, &fresh, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() && fresh.exists() {
        fs::remove_file(&fresh)?;
    }
    written
}

/// A hidden name in the same folder: hidden files are not taken for inventories.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let name = format!(".{}.{}", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(name))
}

fn write_like(path: &Path, fresh: &Path, text: &str) -> io::Result<()> {
    let like = fs::metadata(path)?;
    let mut file = File::create(fresh)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        chown(fresh, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The text with one value set. Says in a few words what is in the way if it cannot.
fn set(text: &str, path: &[&str], key: &str, value: Value) -> Result<String, String> {
    // The editor writes plain newlines.
    let windows = text.contains("\r\n");
    let plain = text.replace("\r\n", "\n");
    let document = plain.parse::<DocumentMut>();
    let mut document = document.map_err(|error| error.message().to_owned())?;
    let comment = document.trailing().as_str().unwrap_or_default().to_owned();
    let mut header = false;
    let mut item = document.as_item_mut();
    for (depth, step) in path.iter().enumerate() {
        let behind = (depth + 1 == path.len()).then_some(comment.as_str());
        header |= ensure_table(item, step, behind);
        item = item
            .get_mut(step)
            .filter(|item| item.is_table_like())
            .ok_or_else(|| format!("`{}` is no table", path[..=depth].join(".")))?;
    }
    match item.get_mut(key) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        _ => item[key] = Item::Value(value),
    }
    if header {
        document.set_trailing("");
    }
    let text = document.to_string();
    Ok(match windows {
        true => text.replace('\n', "\r\n"),
        false => text,
    })
}

/// Makes sure that a table exists, in the manner of its parent. `behind` is given for the innermost
/// one: if it has no header yet it gets one at the very end of the file, behind the comment that
/// stands there. Says whether it did.
fn ensure_table(parent: &mut Item, key: &str, behind: Option<&str>) -> bool {
    let Item::Table(parent) = parent else {
        if parent.get(key).is_none() {
            parent[key] = InlineTable::new().into();
        }
        return false;
    };
    let dotted = parent.is_dotted();
    let fresh = || {
        let mut table = Table::new();
        table.set_dotted(dotted);
        table.set_implicit(!dotted);
        Item::Table(table)
    };
    let Some(table) = parent.entry(key).or_insert_with(fresh).as_table_mut() else {
        return false;
    };
    let Some(comment) = behind.filter(|_| table.is_implicit()) else {
        return false;
    };
    table.set_implicit(false);
    table.set_position(Some(isize::MAX));
    table.decor_mut().set_prefix(format!("{comment}\n"));
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CASES: &str = include_str!("edit_cases.txt");

    /// Each case: the path, `-----`, the text before, `-----`, the text after.
    #[test]
    fn one_value_is_written_and_all_else_stays() {
        for case in CASES.trim_end().split("=====\n").skip(1) {
            let parts: Vec<&str> = case.splitn(3, "-----\n").collect();
            let (change, before, after) = (parts[0].trim(), parts[1], parts[2].trim_end());
            let (path, value) = change.split_once(" = ").unwrap();
            let (path, key) = path.rsplit_once('.').unwrap();
            let path: Vec<&str> = path.split('.').collect();
            let edit = |text: &str| set(text, &path, key, value.parse().unwrap()).unwrap();
            let once = edit(before);
            assert_eq!(once.trim_end(), after, "{change}");
            assert!(once.ends_with('\n'), "{change}");
            assert_eq!(edit(&once), once, "{change}, again");
        }
    }

    #[test]
    fn lines_keep_the_ends_that_they_have() {
        let edit = |text: &str| set(text, &["a"], "count", 3.into()).unwrap();
        let before = "[a] # x\r\ncount = 2\r\n";
        assert_eq!(edit(before), "[a] # x\r\ncount = 3\r\n");
    }

    #[test]
    fn what_is_no_table_is_left_alone() {
        let refused = |text| set(text, &["a", "b"], "count", 3.into()).unwrap_err();
        assert_eq!(refused("a = 1\n"), "`a` is no table");
        assert_eq!(refused("[a]\nb = [1]\n"), "`a.b` is no table");
    }

    const SHOP: &str = "\
[environment]
name = \"shop\" # ours
region = \"fra1\"
domain = \"shop.test\"
[apps.shop]
repository = \"https://git.test/shop.git\"
hostnames = [\"shop.test\"]
";

    fn shop(folder: &Path) -> Project {
        fs::create_dir(folder.join("inventories")).unwrap();
        fs::write(folder.join("inventories/shop.toml"), SHOP).unwrap();
        Project::open(None, folder).unwrap()
    }

    #[test]
    fn nothing_is_written_before_it_is_saved_and_the_mode_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let project = shop(folder.path());
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(project.path(), mode).unwrap();
        let edited = project.with_count(3, "http", 5).unwrap();
        assert_eq!(edited.change, "phases.3.groups.http.count = 5");
        let hosts = |project: &Project| {
            let blueprint = project.blueprint(Some(3)).unwrap();
            blueprint.hosts.iter().filter(|h| h.group == "http").count()
        };
        assert_eq!((hosts(&project), hosts(&edited.project)), (3, 5));
        let written = || fs::read_to_string(project.path()).unwrap();
        assert_eq!(written(), SHOP);
        edited.save().unwrap();
        let expected = format!("{SHOP}\n[phases.3.groups.http]\ncount = 5\n");
        assert_eq!(written(), expected);
        let kept = fs::metadata(project.path()).unwrap().permissions();
        assert_eq!(kept.mode() & 0o777, 0o640);
        let files = fs::read_dir(folder.path().join("inventories")).unwrap();
        assert_eq!(files.count(), 1);
        assert!(!edited.project.with_count(3, "http", 5).unwrap().changes());
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let edited = shop(folder.path()).with_size("http1", "s-1vcpu-2gb");
        let edited = edited.unwrap();
        let theirs = format!("# theirs\n{SHOP}");
        fs::write(edited.project.path(), &theirs).unwrap();
        let error = edited.save().unwrap_err();
        assert!(matches!(error, Error::ChangedMeanwhile { .. }), "{error}");
        assert_eq!(fs::read_to_string(edited.project.path()).unwrap(), theirs);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let project = shop(folder.path());
        let refused = |edited: Result<Edited, Error>| edited.unwrap_err().to_string();
        for (said, expected) in [
            (
                refused(project.with_count(3, "mysql", 2)),
                "phase 3 is made for 1 of it",
            ),
            (
                refused(project.with_count(2, "htpp", 2)),
                "phase 2 has no group `htpp`; did you mean `http`?",
            ),
            (
                refused(project.with_count(3, "http", -1)),
                "`http` cannot have -1 hosts: a group has 1 to 100",
            ),
            (refused(project.with_count(7, "http", 2)), "no phase 7"),
            (
                refused(project.with_size("http9", "s-1vcpu-2gb")),
                "no host `http9`",
            ),
        ] {
            assert!(said.contains(expected), "{said}");
        }
    }
}
