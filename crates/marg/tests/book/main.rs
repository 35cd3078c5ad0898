//! The book is true: its reference is what the code says, its links lead somewhere, its example
//! inventory is one that marg takes.
//!
//! `MARG_UPDATE_BOOK=1 cargo test -p marg --test book` rewrites the generated pages.
#![allow(clippy::unwrap_used)]

mod example;
mod generated;
mod links;

use std::path::{Path, PathBuf};

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The book's pages.
fn pages() -> PathBuf {
    root().join("book/src")
}

/// The text of a file of the workspace.
fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
