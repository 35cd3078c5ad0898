//! What the operator is shown before droplets are created that cost money.

use marg::{Action, CloudChange, CloudKind, Monthly};

use super::plan::cloud_changes;
use super::{monthly, trimmed};
use crate::output::{BOLD, count, paint};

/// The droplets to create and the monthly cost before and after.
pub fn bill(environment: &str, changes: &[CloudChange], cost: Monthly) -> String {
    let created = |c: &&CloudChange| c.kind == CloudKind::Droplet && c.action == Action::Create;
    let droplets: Vec<&CloudChange> = changes.iter().filter(created).collect();
    let title = format!(
        "{environment} needs {}:",
        count(droplets.len(), "more droplet")
    );
    let lines = cloud_changes(droplets.iter().copied(), false);
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
