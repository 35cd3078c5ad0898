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

/// The group of the API server.
pub(crate) const DAEMON: &str = "daemon";
/// The group of the apt cache.
pub(crate) const CACHE: &str = "cache";

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

/// Kills everything in a group at once, waits until it is gone and removes the group.
pub(crate) fn kill(name: &str) -> LabResult<()> {
    kill_tree(&lab_group()?.join(name))
}

/// Kills every process of the lab.
pub(crate) fn kill_all() -> LabResult<()> {
    kill_tree(&lab_group()?)
}

fn kill_tree(group: &Path) -> LabResult<()> {
    if !group.exists() {
        return Ok(());
    }
    let switch = group.join("cgroup.kill");
    fs::write(&switch, "1").map_err(LabError::io("write", &switch))?;
    wait_until_empty(group, Duration::from_secs(20))?;
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
    for entry in fs::read_dir(group).map_err(LabError::io("read", group))? {
        let entry = entry.map_err(LabError::io("read", group))?;
        if entry.path().is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group).map_err(LabError::io("remove", group))
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
            ("30 25 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw", None),
            ("30 25 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw", None),
            ("30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw", None),
        ];
        for (mounts, expected) in cases {
            assert_eq!(unified_mount(mounts), expected.map(PathBuf::from), "{mounts}");
        }
    }
}
