//! What the operator is shown before droplets are created that cost money.

use marg::{Action, CloudChange, CloudKind, Monthly};

use super::plan::cloud_changes;
use super::{monthly, trimmed};
use crate::output::{BOLD, count, paint};

/// The droplets to create and the monthly cost before and after.
pub fn bill(environment: &str, changes: &[CloudChange], cost: Monthly) -> String {
    let droplets = |action: Action| {
        let of = move |c: &&CloudChange| c.kind == CloudKind::Droplet && c.action == action;
        changes.iter().filter(of).collect::<Vec<_>>()
    };
    let (created, gone) = (droplets(Action::Create), droplets(Action::Delete));
    let title = match (created.len(), gone.len()) {
        (more, 0) => format!("{environment} needs {}:", count(more, "more droplet")),
        (0, less) => format!("{environment} needs {}:", count(less, "fewer droplet")),
        (more, less) => format!(
            "{environment} needs {}, and {less} go:",
            count(more, "more droplet")
        ),
    };
    let lines = cloud_changes(created.into_iter().chain(gone), false);
    let cost = format!("  together with what is there: {}", monthly(cost));
    trimmed(&format!("{}\n{lines}{cost}\n", paint(BOLD, &title)))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn droplets_and_their_cost() {
        let (_, plan) = samples::fresh_plan();
        let cost = plan.monthly.unwrap_or_default();
        insta::assert_snapshot!("bill", plain(&bill("marg", &plan.cloud, cost)));
    }
}
