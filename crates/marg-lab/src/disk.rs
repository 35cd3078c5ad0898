//! The disk below the lab's folders: its free space, and what is mounted there.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use crate::command;
use crate::error::{LabError, LabResult};

/// Room for an image, and for what a few machines write.
const NEEDED_MB: u64 = 3 * 1024;

/// Refuses when too little is free on the disk of an existing folder.
pub(crate) fn check_room(path: &Path) -> LabResult<()> {
    let disk = statvfs(path).map_err(|errno| LabError::io("measure", path)(errno.into()))?;
    let free_mb = disk.f_bavail.saturating_mul(disk.f_frsize) / (1024 * 1024);
    if free_mb >= NEEDED_MB {
        return Ok(());
    }
    Err(LabError::NoRoom {
        path: path.to_owned(),
        free_mb,
        needed_mb: NEEDED_MB,
    })
}

/// Unmounts whatever is mounted below some folders, the newest first. Without this, removing
/// such a folder would reach into what is mounted there.
pub(crate) fn unmount_below(folders: &[&Path]) -> LabResult<()> {
    let mounts = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(mounts).map_err(LabError::io("read", mounts))?;
    for point in mount_points(&text, folders).iter().rev() {
        command::run("umount", &["--lazy", &point.to_string_lossy()])?;
    }
    Ok(())
}

fn mount_points(mountinfo: &str, folders: &[&Path]) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .filter(|point| folders.iter().any(|folder| point.starts_with(folder)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_below_the_folders_alone() {
        let text = "31 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n\
             40 23 0:40 / /lab/images/a.building/proc rw - proc proc rw\n\
             41 23 0:41 / /laboratory rw - tmpfs none rw\n";
        let found = mount_points(text, &[Path::new("/lab")]);
        assert_eq!(found, [PathBuf::from("/lab/images/a.building/proc")]);
    }

    #[test]
    fn a_file_system_without_room_is_refused_in_words() {
        // /proc is never big enough for anything.
        let error = check_room(Path::new("/proc"))
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some(
                "only 0 MB are free on the disk of /proc, and the lab wants 3072 MB. Free some \
                 space; `marg lab down --purge` removes its images and its apt cache"
            )
        );
    }
}
