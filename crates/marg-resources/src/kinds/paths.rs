//! How paths are looked at: one part of the probe says of the paths of all kinds at once what they
//! are, because a process costs more than what it looks at.

use std::collections::{BTreeMap, BTreeSet};

use crate::quote::{quote, quote_all};

/// Name of that part.
pub(super) const SECTION: &str = "path";

/// What a host says of a path. Links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Permission bits.
    pub(super) mode: u32,
    /// Owner's name.
    pub(super) owner: String,
    /// Group's name.
    pub(super) group: String,
    /// What it is.
    pub(super) what: What,
    /// Where it leads, if it is a link.
    pub(super) target: Option<String>,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Directory,
    Link,
    Special,
    /// Somebody's link above it leads elsewhere: what is there has not been looked at.
    Led,
}

impl What {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            What::File => "regular file",
            What::Directory => "directory",
            What::Link => "symbolic link",
            What::Special => "special file",
            What::Led => "path that a foreign link leads elsewhere",
        }
    }
}

/// Folders in which others than root may make, replace and rename what they like.
const LOOSE: &str = "'(' ! -uid 0 -o -perm /022 ! -perm -1000 ')'";

/// A file larger than this is none of marg's: its content is not read to the end.
const HUGE: &str = "+16M";

/// Asks about all of them. Paths that do not exist are reported on standard error only: that is
/// an answer, too. As long as only root can change what is above them one process looks at all;
/// otherwise each such folder is entered first, so that no link leads out of it. `files` are those
/// whose content will be read, too.
pub(super) fn probe(paths: &BTreeSet<String>, files: &BTreeSet<String>) -> String {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder).or_default().push(name);
    }
    let mut above: BTreeSet<&str> = BTreeSet::new();
    for folder in folders.keys() {
        above.extend(
            folder
                .match_indices('/')
                .skip(1)
                .map(|(end, _)| &folder[..end]),
        );
        above.extend((!folder.is_empty()).then_some(*folder));
    }
    let mut script =
        String::from("marg_others= marg_far= marg_huge= marg_paths= marg_names= marg_open=2\n");
    if !above.is_empty() {
        script.push_str(&format!(
            "marg_others=$(find {} -maxdepth 0 {LOOSE} -print 2>/dev/null || :)\n",
            quote_all(above)
        ));
    }
    let all = quote_all(paths);
    script.push_str(&format!(
        "if [ -z \"$marg_others\" ]; then set -- {all}; else set --\n"
    ));
    for (folder, names) in &folders {
        let far = names
            .iter()
            .any(|name| files.contains(&format!("{folder}/{name}")));
        script.push_str(&format!(
            "if marg_loose {folder}/.; then {far}marg_apart {folder} {names}; else set -- \"$@\" {own}; fi\n",
            folder = quote(folder),
            far = if far { "marg_far=yes; " } else { "" },
            own = quote_all(names.iter().map(|name| format!("{folder}/{name}"))),
            names = quote_all(names.iter().map(|name| quote(name))),
        ));
    }
    script.push_str(&format!(
        "marg_apart_end; fi\n[ $# -eq 0 ] || marg_paths=$(find \"$@\" -maxdepth 0 -printf 's %m %u %g %y|%p\\n' \
         -type l -printf 'l %p|%l\\n' -o -type f -size {HUGE} -printf 'h %p\\n' 2>/dev/null || :)\n\
         [ -z \"$marg_paths\" ] || printf '%s\\n' \"$marg_paths\"\n\
         case $marg_paths in *'\nh '*) marg_huge=$marg_paths ;; esac"
    ));
    script
}

/// Takes what is said about paths out of the lines that a kind reads; the line that makes no
/// sense in case of an error. What is said first wins.
pub(super) fn take(lines: &[String]) -> Result<(BTreeMap<String, Path>, Vec<String>), &String> {
    let (mut paths, mut rest) = (BTreeMap::new(), Vec::new());
    // Folders that were held open, by the names under which they were looked into.
    let mut open: Vec<(&str, &str)> = Vec::new();
    let mut last: Option<(&str, String)> = None;
    let mut lines = lines.iter();
    while let Some(line) = lines.next() {
        if let Some(held) = line.strip_prefix("f ") {
            open.insert(0, held.split_once(' ').ok_or(line)?);
        } else if let Some(stat) = line.strip_prefix("s ") {
            let (stat, said) = stat.split_once('|').ok_or(line)?;
            let seen = read(stat).ok_or(line)?;
            let within = |(name, folder): &(&str, &str)| {
                Some(format!("{folder}{}", said.strip_prefix(name)?))
            };
            let path = open.iter().find_map(within);
            let path = path.unwrap_or_else(|| said.to_owned());
            paths.entry(path.clone()).or_insert(seen);
            last = Some((said, path));
        } else if let Some(link) = line.strip_prefix("l ") {
            take_target(&mut paths, last.as_ref(), link).ok_or(line)?;
        } else if let Some(link) = line.strip_prefix("L ") {
            // A stranger's link: where it leads may have lines of its own.
            let mut link = link.to_owned();
            while !link.ends_with('\0') {
                link.push('\n');
                link.push_str(lines.next().ok_or(line)?);
            }
            let link = link.trim_end_matches('\0');
            take_target(&mut paths, last.as_ref(), link).ok_or(line)?;
        } else if let Some(path) = line.strip_prefix("e ") {
            paths.entry(path.to_owned()).or_insert_with(Path::led);
        } else if !line.starts_with("h ") {
            rest.push(line.clone());
        }
    }
    Ok((paths, rest))
}

impl Path {
    fn led() -> Path {
        let unknown = || "nobody knows".to_owned();
        let (owner, group) = (unknown(), unknown());
        Path {
            mode: 0,
            owner,
            group,
            what: What::Led,
            target: None,
        }
    }
}

/// Takes `PATH|TARGET`. A path may hold a bar itself: which one it is stands on the line before, as it
/// was said there and as it is.
fn take_target(
    paths: &mut BTreeMap<String, Path>,
    last: Option<&(&str, String)>,
    link: &str,
) -> Option<()> {
    let (said, path) = last?;
    let target = link.strip_prefix(said)?.strip_prefix('|')?;
    paths.get_mut(path)?.target = Some(target.to_owned());
    Some(())
}

fn read(stat: &str) -> Option<Path> {
    let mut words = stat.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let (owner, group) = (words.next()?.to_owned(), words.next()?.to_owned());
    let what = match words.next()? {
        "f" => What::File,
        "d" => What::Directory,
        "l" => What::Link,
        "b" | "c" | "p" | "s" => What::Special,
        _ => return None,
    };
    words.next().is_none().then_some(Path {
        mode,
        owner,
        group,
        what,
        target: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::kinds::{Link, State};
    use crate::testing::Host;
    use crate::{Answer, probe_script};

    #[test]
    fn where_a_link_leads_answers_for_no_other_path() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(&folder.path().join("marg"));
        let loose = folder.path().join("loose");
        fs::create_dir(&loose).unwrap();
        fs::set_permissions(&loose, fs::Permissions::from_mode(0o777)).unwrap();
        let path = |name: &str| loose.join(name).display().to_string();
        let (planted, other) = (path("a|b"), path("other"));
        let target = format!("/x\ns 644 root root f|{other}\nl {other}|/y");
        symlink(&target, &planted).unwrap();
        let states = [&planted, &other].map(|path| State::from(Link::new(path, "/")));
        let said = host.look(&probe_script(&states.each_ref()));
        let answer = Answer::parse(&said);
        let (paths, rest) = take(answer.section(SECTION).unwrap()).unwrap();
        assert_eq!(paths[&planted].target.as_deref(), Some(target.as_str()));
        assert_eq!((paths.get(&other), rest), (None, Vec::new()));
    }
}
