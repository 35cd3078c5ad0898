//! Results as text for people. Pure: data in, text with styles out.

mod bake;
mod bill;
mod cost;
mod destroy;
mod diff;
mod failure;
mod lab;
mod plan;
mod promote;
mod releases;
mod report;
mod resize;
mod scale;
mod status;

#[cfg(test)]
mod samples;

pub use bake::{bake_preview, baked, bakes, bakes_removed, bakes_to_remove};
pub use bill::bill;
pub use cost::{Running, cost, cost_document};
pub use destroy::{destroy_preview, destroyed, nothing_to_destroy};
pub use failure::failure;
pub use lab::{lab_api_faults, lab_document, lab_down, lab_fault, lab_status, lab_up};
pub use plan::{plan, plan_document};
pub use promote::{promote_preview, promoted};
pub use releases::releases;
pub use report::{deployed, hosts_failed, report};
pub use resize::{resize_preview, resized};
pub use scale::{Scaled, scale};
pub use status::{hosts_lost, status};

use marg::{Action, Monthly};

use crate::output::{BOLD, CYAN, GREEN, RED, YELLOW, paint};

/// The mark of an action at the start of a line.
fn mark(action: Action) -> String {
    match action {
        Action::Create => paint(GREEN, "+"),
        Action::Update => paint(YELLOW, "~"),
        Action::Delete => paint(RED, "-"),
        Action::Run => paint(CYAN, "▸"),
    }
}

/// Dollars.
fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}

/// `$0.00 → $28.00 per month`.
fn monthly(monthly: Monthly) -> String {
    let (before, after) = (dollars(monthly.before), dollars(monthly.after));
    match before == after {
        true => format!("{after} per month"),
        false => format!("{before} → {} per month", paint(BOLD, &after)),
    }
}

/// Lines without spaces at their ends.
fn trimmed(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}
