//! The client against a scripted API on loopback: every fault that the contract knows.
#![allow(clippy::unwrap_used)]

mod converging;
mod creating;
mod images;
mod network;
mod power;
mod proxies;
mod requests;
mod script;
mod server;
mod simulated;
