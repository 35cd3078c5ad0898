//! Snapshots: what a machine's disk holds on top of its image, kept as a layer from which other
//! machines start.

use std::fs;
use std::path::Path;

use super::image;
use crate::command;
use crate::disk;
use crate::error::{LabError, LabResult};
use crate::files;
use crate::mirror::Mirrors;
use crate::paths;

/// The layers below a machine of this image, the uppermost first, as the kernel's overlay takes
/// them. `image` is a slug, built when it is missing, or the id of a snapshot.
pub(crate) fn below(image: &str, mirrors: &Mirrors) -> LabResult<String> {
    let folder = paths::snapshots_dir().join(image);
    if folder.is_dir() {
        return layers(&folder);
    }
    let image = image::known(image)?;
    image::ensure(image, mirrors, &mut |line| {
        tracing::info!("{}: {line}", image.slug)
    })?;
    Ok(image::root(image).to_string_lossy().into_owned())
}

fn layers(snapshot: &Path) -> LabResult<String> {
    let file = snapshot.join("below");
    let below = fs::read_to_string(&file).map_err(LabError::io("read", &file))?;
    Ok(format!("{}:{below}", snapshot.join("layer").display()))
}

/// Copies a machine's layer; gives its size in bytes.
pub(crate) fn take(machine: u64, snapshot: u64) -> LabResult<u64> {
    let dir = paths::snapshots_dir();
    files::private_dir(&dir)?;
    disk::check_room(&dir)?;
    let folder = dir.join(snapshot.to_string());
    files::remove(&folder)?;
    files::private_dir(&folder)?;
    let (upper, layer) = (
        paths::machine_dir(machine).join("upper"),
        folder.join("layer"),
    );
    // All of it: owners, extended attributes and the marks of deleted files.
    command::run(
        "cp",
        &[
            "-a",
            "--reflink=auto",
            &upper.to_string_lossy(),
            &layer.to_string_lossy(),
        ],
    )?;
    let chosen = paths::machine_dir(machine).join("image");
    let below = fs::read(&chosen).map_err(LabError::io("read", &chosen))?;
    files::write_private(&folder.join("below"), &below)?;
    let used = command::run("du", &["-s", "-B1", &layer.to_string_lossy()])?;
    let bytes = used
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    Ok(bytes.unwrap_or_default())
}

/// Removes every snapshot's folder that is neither wanted nor stood on.
pub(crate) fn sweep(kept: &[u64]) -> LabResult<()> {
    let mut stood_on = String::new();
    for machine in entries(&paths::machines_dir())? {
        // A machine that is being removed just now stands on nothing.
        stood_on += &fs::read_to_string(machine.join("image")).unwrap_or_default();
        stood_on.push(':');
    }
    for folder in entries(&paths::snapshots_dir())? {
        if is_kept(&folder, kept) {
            stood_on += &layers(&folder)?;
            stood_on.push(':');
        }
    }
    for folder in entries(&paths::snapshots_dir())? {
        let layer = folder.join("layer");
        if !stood_on.split(':').any(|known| Path::new(known) == layer) {
            files::remove(&folder)?;
        }
    }
    Ok(())
}

fn is_kept(folder: &Path, kept: &[u64]) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.parse().is_ok_and(|id| kept.contains(&id))
}

fn entries(dir: &Path) -> LabResult<Vec<std::path::PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(LabError::io("read", dir))? {
        found.push(entry.map_err(LabError::io("read", dir))?.path());
    }
    Ok(found)
}
