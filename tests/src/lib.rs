//! What the end-to-end tests share: a fleet on lab machines, the program as its users run it,
//! and eyes for pages, ports, processes and secrets.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

pub mod account;
pub mod api;
pub mod earlier;
pub mod fleet;
pub mod hunt;
pub mod leftovers;
pub mod load;
pub mod program;
pub mod project;
pub mod scan;
pub mod visitors;
pub mod wait;
pub mod web;
