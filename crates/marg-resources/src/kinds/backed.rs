//! What kinds share that consist of files of marg's own and of something that must know them: a
//! timer and its unit files, a kernel setting and its drop-in.
//!
//! Their own part of the probe prints lines that begin with `own` and the place of the resource
//! among its kind.

use crate::answer::Misread;
use crate::change::{Action, TextDiff, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::file::{File, FileSeen};
use crate::script::Shell;

/// What was seen of one resource: its files, and what follows `own PLACE ` on its lines.
pub(super) type Parts<'a> = (Vec<FileSeen>, Vec<&'a str>);

/// Cuts an answer into what belongs to each resource.
pub(super) fn read<'a, K: Kind>(
    all: &[&K],
    lines: &'a [String],
) -> Result<Vec<Parts<'a>>, Misread> {
    let (own, rest): (Vec<&String>, Vec<&String>) =
        lines.iter().partition(|line| line.starts_with("own "));
    let rest: Vec<String> = rest.into_iter().cloned().collect();
    let files: Vec<Vec<File>> = all.iter().map(|resource| resource.files()).collect();
    let flat: Vec<&File> = files.iter().flatten().collect();
    let mut seen = File::read(&flat, &rest)
        .map_err(|_| K::misread(rest.join(" | ")))?
        .into_iter();
    let mut parts: Vec<Parts> = files
        .iter()
        .map(|files| (seen.by_ref().take(files.len()).collect(), Vec::new()))
        .collect();
    for line in own {
        let place = line["own ".len()..]
            .split_once(' ')
            .and_then(|(place, rest)| Some((place.parse::<usize>().ok()?, rest)));
        let (place, rest) = place.ok_or_else(|| K::misread(line))?;
        let part = parts.get_mut(place).ok_or_else(|| K::misread(line))?;
        part.1.push(rest);
    }
    Ok(parts)
}

/// What has to be done to the files of one resource.
#[derive(Default)]
pub(super) struct FilesChange {
    /// Whether the first of them is new, changed or removed; `None` if nothing changes.
    pub(super) action: Option<Action>,
    /// One reason per file.
    pub(super) reasons: Vec<String>,
    /// The first difference.
    pub(super) diff: Option<TextDiff>,
    /// Commands that write all of them.
    pub(super) script: Shell,
}

/// Compares the files of one resource. `accepted` holds commands that run before a file goes
/// live, once its validator has accepted it.
pub(super) fn diff(files: &[File], seen: &[FileSeen], accepted: &str) -> FilesChange {
    let mut total = FilesChange::default();
    for (file, seen) in files.iter().zip(seen) {
        let Verdict::Will(change) = file.diff(seen, &Before::default()) else {
            continue;
        };
        total.action.get_or_insert(change.action);
        if !total.reasons.contains(&change.summary) {
            total.reasons.push(change.summary);
        }
        total.diff = total.diff.or(change.diff);
        total.script = match change.work {
            Work::Place(place) => total.script.then(place.script(accepted)),
            Work::Script(script) => total.script.then(script),
            Work::Install(_) | Work::Guarded(_) => total.script,
        };
    }
    total
}

/// Nothing of any file is there.
pub(super) fn missing(files: &[File]) -> Vec<FileSeen> {
    files.iter().map(|_| FileSeen::Missing).collect()
}
