//! The program `marg`.
fn main() {}
