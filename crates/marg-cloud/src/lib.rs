//! See the crate's description; the rooms are explained in `book/src/architecture.md`.
