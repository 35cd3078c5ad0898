//! What another number of hosts means, before it is made true.

use marg::{Action, CloudChange, CloudKind, Monthly};

use super::plan::cloud_changes;
use super::{monthly, trimmed};
use crate::output::{BOLD, count, paint};

/// A group before and after.
#[derive(Clone, Copy, Debug)]
pub struct Scaled<'a> {
    /// The group.
    pub group: &'a str,
    /// Number of the phase.
    pub phase: u8,
    /// Hosts now, as the inventory says.
    pub from: usize,
    /// Hosts then.
    pub to: usize,
}

/// The group, the droplets that come and go, the monthly cost before and after.
pub fn scale(scaled: &Scaled<'_>, changes: &[CloudChange], cost: Monthly) -> String {
    let comes_or_goes = |change: &&CloudChange| {
        change.kind == CloudKind::Droplet
            && matches!(change.action, Action::Create | Action::Delete)
    };
    let Scaled {
        group,
        phase,
        from,
        to,
    } = scaled;
    let title = match from == to {
        true => format!("{group}: {} in phase {phase} already", count(*to, "host")),
        false => format!("{group}: {from} → {} in phase {phase}", count(*to, "host")),
    };
    let lines = cloud_changes(changes.iter().filter(comes_or_goes), false);
    let text = format!(
        "{}\n{lines}  droplets: {}\n",
        paint(BOLD, &title),
        monthly(cost)
    );
    trimmed(&text)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn more_hosts_and_as_many_as_before() {
        let (_, plan) = samples::fresh_plan();
        let cost = Monthly {
            before: 84.0,
            after: 90.0,
        };
        let scaled = |from| Scaled {
            group: "http",
            phase: 3,
            from,
            to: 4,
        };
        let same = Monthly {
            before: 90.0,
            after: 90.0,
        };
        let shown = [
            scale(&scaled(3), &plan.cloud, cost),
            scale(&scaled(4), &[], same),
        ];
        insta::assert_snapshot!("scale", plain(&shown.join("\n")));
    }
}
