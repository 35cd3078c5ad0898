//! Building machine images with mmdebstrap.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use super::cgroup;
use super::network::{CACHE_PORT, OPERATOR};
use super::recipe::{self, Image};
use crate::command;
use crate::disk;
use crate::error::{LabError, LabResult};
use crate::files;
use crate::mirror::{self, Mirrors};
use crate::paths;

/// The image of that slug.
pub(crate) fn known(slug: &str) -> LabResult<&'static Image> {
    recipe::image(slug).ok_or_else(|| LabError::NoSuchImage {
        slug: slug.to_owned(),
        known: recipe::IMAGES.map(|image| image.slug).join(", "),
    })
}

/// Where the image lies when it is built. The name changes with the recipe, so that machines of
/// an older image keep theirs.
pub(crate) fn root(image: &Image) -> PathBuf {
    paths::images_dir().join(format!("{}-{}", image.slug, recipe::fingerprint(image)))
}

/// Whether the image is built.
pub(crate) fn is_built(image: &Image) -> bool {
    root(image).is_dir()
}

/// Builds the image when it is missing.
pub(crate) fn ensure(
    image: &Image,
    mirrors: &Mirrors,
    on_line: &mut dyn FnMut(&str),
) -> LabResult<()> {
    let images = paths::images_dir();
    files::private_dir(&paths::state_dir())?;
    fs::create_dir_all(&images).map_err(LabError::io("create", &images))?;
    // Whoever asks for the same missing image, here or in another process, waits for one build.
    let turn = fs::File::open(&images).map_err(LabError::io("open", &images))?;
    flock(&turn, FlockOperation::LockExclusive)
        .map_err(|errno| LabError::io("lock", &images)(errno.into()))?;
    if is_built(image) {
        return Ok(());
    }
    disk::check_room(&images)?;
    cgroup::kill(cgroup::BUILD)?;
    let unfinished = images.join(format!("{}.building", image.slug));
    disk::unmount_below(&[&unfinished])?;
    files::remove(&unfinished)?;
    let security = match image.security_suite {
        Some(suite) => mirror::has_suite(&mirrors.security, suite)?,
        None => false,
    };
    bootstrap(image, mirrors, security, &unfinished, on_line)?;
    finish(image, security, &unfinished)?;
    let root = root(image);
    fs::rename(&unfinished, &root).map_err(LabError::io("rename", &unfinished))
}

fn bootstrap(
    image: &Image,
    mirrors: &Mirrors,
    security: bool,
    target: &Path,
    on_line: &mut dyn FnMut(&str),
) -> LabResult<()> {
    let options = paths::run_dir().join("image-apt.conf");
    files::write_private(&options, bootstrap_options(mirrors).as_bytes())?;
    // In a group of its own a build can be found and ended, whoever was killed meanwhile.
    let group = cgroup::make(cgroup::BUILD)?.join("cgroup.procs");
    let mut command = Command::new("sh");
    command
        .args(["-c", cgroup::JOIN_AND_RUN, "sh"])
        .arg(group)
        .args([
            "mmdebstrap",
            "--variant=minbase",
            "--architectures=amd64",
            "--verbose",
            "--skip=cleanup/apt",
        ])
        .arg(format!("--aptopt={}", options.display()))
        .arg(format!("--include={}", recipe::PACKAGES.join(",")))
        .arg(image.suite)
        .arg(target);
    let mut suites = vec![image.suite];
    suites.extend(image.more_suites);
    for suite in suites {
        command.arg(format!("deb {} {suite} main", mirrors.main));
    }
    if let Some(suite) = image.security_suite.filter(|_| security) {
        command.arg(format!("deb {} {suite} main", mirrors.security));
    }
    command::stream(&mut command, on_line)?;
    files::remove(&options)
}

/// Options by file and not by argument: a proxy's address may hold a password.
fn bootstrap_options(mirrors: &Mirrors) -> String {
    let mut text = "APT::Install-Recommends \"false\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n"
        .to_owned();
    if let Some(proxy) = &mirrors.proxy {
        text.push_str(&format!("Acquire::http::Proxy \"{}\";\n", proxy.0));
    }
    text
}

/// Turns a bare Debian into a droplet's image.
fn finish(image: &Image, security: bool, root: &Path) -> LabResult<()> {
    for leftover in [
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/0000sources.list",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "var/lib/dbus/machine-id",
        "etc/machine-id",
        "etc/hostname",
        "etc/resolv.conf",
    ] {
        files::remove(&root.join(leftover))?;
    }
    remove_host_keys(&root.join("etc/ssh"))?;
    for file in recipe::files(image, security) {
        write_file(&root.join(file.path), &file.content, file.mode)?;
    }
    arrange_units(root)?;
    rename_lists(image, &root.join("var/lib/apt/lists"))?;
    fill_apt_caches(root)
}

fn remove_host_keys(dir: &Path) -> LabResult<()> {
    for entry in fs::read_dir(dir).map_err(LabError::io("read", dir))? {
        let entry = entry.map_err(LabError::io("read", dir))?;
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, content: &str, mode: u32) -> LabResult<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(LabError::io("create", parent))?;
    }
    fs::write(path, content).map_err(LabError::io("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(LabError::io("protect", path))
}

fn arrange_units(root: &Path) -> LabResult<()> {
    let etc = root.join("etc/systemd/system");
    for unit in recipe::MASKED_UNITS {
        link("/dev/null", &etc.join(unit))?;
    }
    for timer in recipe::DISABLED_TIMERS {
        files::remove(&etc.join("timers.target.wants").join(timer))?;
    }
    link(
        "/usr/lib/systemd/system/lab-own-settings.service",
        &etc.join("sysinit.target.wants/lab-own-settings.service"),
    )
}

fn link(target: &str, path: &Path) -> LabResult<()> {
    files::remove(path)?;
    symlink(target, path).map_err(LabError::io("link", path))
}

/// apt names its lists after the address they came from. Named after the cache, they are up to
/// date for the machines from the start.
fn rename_lists(image: &Image, lists: &Path) -> LabResult<()> {
    let host = format!("{OPERATOR}:{CACHE_PORT}");
    for entry in fs::read_dir(lists).map_err(LabError::io("read", lists))? {
        let path = entry.map_err(LabError::io("read", lists))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some((_, rest)) = name.split_once("_dists_") else {
            continue;
        };
        let security = image
            .security_suite
            .is_some_and(|suite| rest.starts_with(suite));
        let archive = if security {
            "debian-security"
        } else {
            "debian"
        };
        let renamed = lists.join(format!("{host}_{archive}_dists_{rest}"));
        fs::rename(&path, &renamed).map_err(LabError::io("rename", &path))?;
    }
    Ok(())
}

/// apt's binary caches, so that no machine has to compute them.
fn fill_apt_caches(root: &Path) -> LabResult<()> {
    let caches = root.join("var/cache/apt");
    for name in ["pkgcache.bin", "srcpkgcache.bin", "archives"] {
        files::remove(&caches.join(name))?;
    }
    let partial = caches.join("archives/partial");
    fs::create_dir_all(&partial).map_err(LabError::io("create", &partial))?;
    command::run(
        "chroot",
        &[&root.to_string_lossy(), "apt-cache", "gencaches"],
    )
    .map(drop)
}

/// Removes images of older recipes and what an interrupted build left.
pub(crate) fn remove_outdated() -> LabResult<()> {
    let images = paths::images_dir();
    if !images.exists() {
        return Ok(());
    }
    let current: Vec<PathBuf> = recipe::IMAGES.iter().map(root).collect();
    for entry in fs::read_dir(&images).map_err(LabError::io("read", &images))? {
        let path = entry.map_err(LabError::io("read", &images))?.path();
        if !current.contains(&path) {
            files::remove(&path)?;
        }
    }
    Ok(())
}
