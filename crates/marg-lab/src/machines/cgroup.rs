//! Control groups: every process of the lab lives in one, so that the kernel knows which they
//! are, whatever was killed or forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::command;
use crate::error::{LabError, LabResult};
use crate::files;
use crate::paths;

/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// The group of the API server.
pub(crate) const DAEMON: &str = "daemon";
/// The group of the apt cache.
pub(crate) const CACHE: &str = "cache";
/// The group of the image that is being built.
pub(crate) const BUILD: &str = "build";
/// A shell script that joins the group whose process file is its first argument, and becomes
/// the program that the other arguments name.
pub(crate) const JOIN_AND_RUN: &str = "echo $$ > \"$1\" && shift && exec \"$@\"";

/// The group of one machine.
pub(crate) fn machine(id: u64) -> String {
    format!("m-{id}")
}

/// Where the lab's own group is visible on this host. On hosts that still mount the legacy
/// hierarchy alone, the lab mounts the unified one for itself.
fn lab_group() -> LabResult<PathBuf> {
    let mounts = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(mounts).map_err(LabError::io("read", mounts))?;
    if let Some(root) = unified_mount(&text) {
        return Ok(root.join(paths::CGROUP));
    }
    let own = paths::run_dir().join("cgroup");
    files::private_dir(&own)?;
    command::run("mount", &["-t", "cgroup2", "none", &own.to_string_lossy()])?;
    Ok(own.join(paths::CGROUP))
}

/// The first writable mount of the whole unified hierarchy.
fn unified_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let writable = fields.get(5)?.split(',').any(|option| option == "rw");
        let whole = *fields.get(3)? == "/";
        (after.starts_with("cgroup2 ") && whole && writable).then(|| PathBuf::from(fields[4]))
    })
}

/// The folder of a group, made when it is missing.
pub(crate) fn make(name: &str) -> LabResult<PathBuf> {
    let path = lab_group()?.join(name);
    fs::create_dir_all(&path).map_err(LabError::io("create", &path))?;
    Ok(path)
}

/// Puts the calling process into a group.
pub(crate) fn enter(name: &str) -> LabResult<()> {
    let procs = make(name)?.join("cgroup.procs");
    fs::write(&procs, "0").map_err(LabError::io("write", &procs))
}

/// Whether any process lives in a group or below it.
pub(crate) fn populated(name: &str) -> LabResult<bool> {
    is_populated(&lab_group()?.join(name))
}

fn is_populated(group: &Path) -> LabResult<bool> {
    let events = group.join("cgroup.events");
    match fs::read_to_string(&events) {
        Ok(text) => Ok(text.lines().any(|line| line == "populated 1")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LabError::io("read", &events)(source)),
    }
}

/// The processes directly in a group, for example `m-7/supervisor`.
pub(crate) fn processes(name: &str) -> LabResult<Vec<i32>> {
    let procs = lab_group()?.join(name).join("cgroup.procs");
    match fs::read_to_string(&procs) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(LabError::io("read", &procs)(source)),
    }
}

/// Lets everything in a group stand still, or go on; waits until it does.
pub(crate) fn freeze(name: &str, on: bool) -> LabResult<()> {
    let group = lab_group()?.join(name);
    let switch = group.join("cgroup.freeze");
    fs::write(&switch, if on { "1" } else { "0" }).map_err(LabError::io("write", &switch))?;
    let events = group.join("cgroup.events");
    let wanted = if on { "frozen 1" } else { "frozen 0" };
    let deadline = Instant::now() + KILL_LIMIT;
    loop {
        let text = fs::read_to_string(&events).map_err(LabError::io("read", &events))?;
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(LabError::Deadline {
                what: format!("a standstill of the processes in {}", group.display()),
                seconds: KILL_LIMIT.as_secs(),
                next: "Try again".to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Kills everything in a group at once, waits until it is gone and removes the group.
pub(crate) fn kill(name: &str) -> LabResult<()> {
    kill_tree(&lab_group()?.join(name))
}

/// Kills every process of the lab. The daemon is the last, so that it collects the others' exits
/// and no zombie stays for a slow first process of the host.
pub(crate) fn kill_all() -> LabResult<()> {
    let lab = lab_group()?;
    if !lab.exists() {
        return Ok(());
    }
    let groups: Vec<PathBuf> = folders(&lab)?
        .into_iter()
        .filter(|group| !group.ends_with(DAEMON))
        .collect();
    for group in &groups {
        let switch = group.join("cgroup.kill");
        fs::write(&switch, "1").map_err(LabError::io("write", &switch))?;
    }
    for group in &groups {
        wait_until_empty(group, KILL_LIMIT)?;
    }
    kill_tree(&lab)
}

fn kill_tree(group: &Path) -> LabResult<()> {
    if !group.exists() {
        return Ok(());
    }
    let switch = group.join("cgroup.kill");
    fs::write(&switch, "1").map_err(LabError::io("write", &switch))?;
    wait_until_empty(group, KILL_LIMIT)?;
    remove_tree(group)
}

fn wait_until_empty(group: &Path, limit: Duration) -> LabResult<()> {
    let deadline = Instant::now() + limit;
    while is_populated(group)? {
        if Instant::now() > deadline {
            return Err(LabError::Deadline {
                what: format!("the end of the processes in {}", group.display()),
                seconds: limit.as_secs(),
                next: "Run `marg lab down` again".to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Control groups are removed from the leaves up; their files cannot be removed at all.
fn remove_tree(group: &Path) -> LabResult<()> {
    for folder in folders(group)? {
        remove_tree(&folder)?;
    }
    fs::remove_dir(group).map_err(LabError::io("remove", group))
}

fn folders(group: &Path) -> LabResult<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(group).map_err(LabError::io("read", group))? {
        let path = entry.map_err(LabError::io("read", group))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_among_the_mounts() {
        let cases = [
            (
                "30 25 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw",
                Some("/sys/fs/cgroup"),
            ),
            (
                "31 25 0:9 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 32 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 none rw",
                Some("/sys/fs/cgroup/unified"),
            ),
            (
                "30 25 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
                None,
            ),
            ("30 25 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw", None),
            ("30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw", None),
        ];
        for (mounts, expected) in cases {
            assert_eq!(
                unified_mount(mounts),
                expected.map(PathBuf::from),
                "{mounts}"
            );
        }
    }
}
