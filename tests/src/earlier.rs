//! The program as it was, built from the project's own history: fleets that it made exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The last commit whose fleets have the form of old: releases that belong to the applications,
/// one php-fpm and one cache for all, one password of Redis.
pub const COMMIT: &str = "5e3b486";

/// The program of [`COMMIT`]. It is built once for each target folder, which takes some minutes.
#[track_caller]
pub fn marg() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

#[track_caller]
fn build() -> PathBuf {
    let folder = crate::project::home().join(format!("earlier-{COMMIT}"));
    let built = folder.join("target/debug/marg");
    if built.exists() {
        return built;
    }
    let sources = folder.join("sources");
    fs::create_dir_all(&sources).expect("a folder");
    let unpack = "git -C \"$1\" archive \"$2\" | tar -x -C \"$3\"";
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sh = Command::new("bash");
    let sh = sh.args(["-o", "pipefail", "-ec", unpack, "sh"]);
    let status = sh.arg(&project).arg(COMMIT).arg(&sources).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the project's history has no {COMMIT} here: fetch all of it (`git fetch --unshallow`)"
    );
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(["build", "--quiet", "--locked", "-p", "marg-cli"]);
    let cargo = cargo.arg("--target-dir").arg(folder.join("target"));
    let status = cargo.current_dir(&sources).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "marg of {COMMIT} cannot be built"
    );
    built
}
