//! What a machine finds at its first boot: cloud-init's data and its own idea of its memory.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde_json::json;

use super::MachineSpec;
use crate::error::{LabError, LabResult};
use crate::files;

/// Writes the first-boot data into the machine's upper directory.
pub(crate) fn write(spec: &MachineSpec, upper: &Path) -> LabResult<()> {
    let cloud = upper.join("var/lib/cloud");
    make_dirs(
        upper,
        &["var", "var/lib", "var/lib/cloud", "var/lib/cloud/seed"],
        0o755,
    )?;
    let seed = cloud.join("seed/nocloud");
    files::private_dir(&seed)?;
    files::write_private(&seed.join("meta-data"), meta_data(spec).as_bytes())?;
    files::write_private(&seed.join("user-data"), user_data(spec).as_bytes())?;
    write_memory(spec, upper)
}

/// Writes what the machine believes about its memory.
pub(crate) fn write_memory(spec: &MachineSpec, upper: &Path) -> LabResult<()> {
    make_dirs(upper, &["usr", "usr/lib", "usr/lib/lab"], 0o755)?;
    files::write_by_rename(
        &upper.join("usr/lib/lab/meminfo"),
        meminfo(spec.memory_mb).as_bytes(),
        0o444,
    )
}

/// Directories of the upper layer show their mode in the machine.
fn make_dirs(upper: &Path, dirs: &[&str], mode: u32) -> LabResult<()> {
    for dir in dirs {
        let path = upper.join(dir);
        if !path.exists() {
            fs::DirBuilder::new()
                .mode(mode)
                .create(&path)
                .map_err(LabError::io("create", &path))?;
        }
    }
    Ok(())
}

/// JSON is YAML, which is what cloud-init reads.
fn meta_data(spec: &MachineSpec) -> String {
    json!({
        "instance-id": spec.id.to_string(),
        "local-hostname": spec.name,
        "public-keys": spec.public_keys,
    })
    .to_string()
}

fn user_data(spec: &MachineSpec) -> &str {
    if spec.user_data.is_empty() {
        "#cloud-config\n{}\n"
    } else {
        &spec.user_data
    }
}

/// What `free` shows on a droplet of that size. It does not move: the lab's machines share the
/// host's memory.
fn meminfo(memory_mb: u64) -> String {
    // A droplet's kernel keeps a few per cent of the memory for itself.
    let total = memory_mb * 1024 * 96 / 100;
    let (free, cached) = (total * 60 / 100, total * 20 / 100);
    let lines = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free + cached),
        ("Buffers", total * 2 / 100),
        ("Cached", cached),
        ("SwapCached", 0),
        ("Active", total * 15 / 100),
        ("Inactive", total * 10 / 100),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Shmem", 1024),
        ("Slab", total * 4 / 100),
        ("SReclaimable", total * 2 / 100),
    ];
    lines
        .iter()
        .map(|(name, kb)| format!("{:<16}{kb:>8} kB\n", format!("{name}:")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_droplets_own() {
        let text = meminfo(1024);
        assert!(text.starts_with("MemTotal:        1006632 kB\n"), "{text}");
    }
}
