//! How paths are looked at: one part of the probe says of the paths of all kinds at once what they
//! are, because a process costs more than what it looks at.

use std::collections::BTreeMap;

use crate::quote::quote_all;

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
}

impl What {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            What::File => "regular file",
            What::Directory => "directory",
            What::Link => "symbolic link",
            What::Special => "special file",
        }
    }
}

/// Asks about all of them. Paths that do not exist are reported on standard error only: that is
/// an answer, too.
pub(super) fn probe<T: AsRef<str>>(paths: &[T]) -> String {
    let paths = quote_all(paths.iter().map(AsRef::as_ref));
    format!(
        "find {paths} -maxdepth 0 -printf 's %m %u %g %y|%p\\n' -type l -printf 'l %p|%l\\n' \
         2>/dev/null || :"
    )
}

/// Takes what is said about paths out of the lines that a kind reads; the line that makes no
/// sense in case of an error. What is said first wins.
pub(super) fn take(lines: &[String]) -> Result<(BTreeMap<String, Path>, Vec<String>), &String> {
    let (mut paths, mut rest) = (BTreeMap::new(), Vec::new());
    let mut last: Option<&str> = None;
    for line in lines {
        if let Some(stat) = line.strip_prefix("s ") {
            let (stat, path) = stat.split_once('|').ok_or(line)?;
            let seen = read(stat).ok_or(line)?;
            paths.entry(path.to_owned()).or_insert(seen);
            last = Some(path);
        } else if let Some(link) = line.strip_prefix("l ") {
            // A path may hold a bar itself: which one it is stands on the line before.
            let path = last.ok_or(line)?;
            let target = link
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('|'));
            let seen = paths.get_mut(path).ok_or(line)?;
            seen.target = Some(target.ok_or(line)?.to_owned());
        } else {
            rest.push(line.clone());
        }
    }
    Ok((paths, rest))
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
