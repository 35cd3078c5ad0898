//! Plans, reports and states made by hand, for the snapshots.

mod fleet;
mod plans;

pub use fleet::{lost_host, releases, replicated_status, reports, status};
pub use plans::{blueprint, converged_plan, fresh_plan, mixed_plan};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
