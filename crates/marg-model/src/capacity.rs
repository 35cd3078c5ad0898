//! What a blueprint carries by the guide's figures, and what gives way first.

use crate::blueprint::Blueprint;
use crate::phase::Limit;

/// The requests that a phase's users make, against what every component carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The largest number of active users that the phase is meant for.
    pub users: u32,
    /// Requests that each of them makes per minute.
    pub requests_per_user_minute: u32,
    /// Requests per second that they make together.
    pub demand: f64,
    /// Every component with a limit, in the order of the phase's file.
    pub components: Vec<Component>,
}

/// One component under load.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Name, for example `php-fpm`.
    pub name: String,
    /// Unit, for example `requests`.
    pub unit: String,
    /// What its hosts carry together, per second.
    pub per_second: u64,
    /// How many times the demand that is; below 1 it gives way.
    pub headroom: f64,
}

impl Load {
    /// The component with the least headroom: what to scale first.
    pub fn bottleneck(&self) -> Option<&Component> {
        let by_headroom = |a: &&Component, b: &&Component| a.headroom.total_cmp(&b.headroom);
        self.components.iter().min_by(by_headroom)
    }

    /// Active users at which the bottleneck is exhausted.
    pub fn users_carried(&self) -> Option<u64> {
        let per_minute = self.bottleneck()?.per_second * 60;
        per_minute.checked_div(u64::from(self.requests_per_user_minute))
    }
}

impl Blueprint {
    /// The load of the phase's largest number of users on this blueprint's hosts. `None` when
    /// the phase is not meant for any users.
    pub fn load(&self) -> Option<Load> {
        let capacity = &self.phase.capacity;
        let users = capacity.users.1;
        let demand = f64::from(users) * f64::from(capacity.requests_per_user_minute) / 60.0;
        (demand > 0.0).then(|| Load {
            users,
            requests_per_user_minute: capacity.requests_per_user_minute,
            demand,
            components: capacity
                .limits
                .iter()
                .map(|limit| self.component(limit, demand))
                .collect(),
        })
    }

    fn component(&self, limit: &Limit, demand: f64) -> Component {
        let hosts = match &limit.per_host {
            Some(group) => self
                .hosts
                .iter()
                .filter(|host| host.group == *group)
                .count() as u64,
            None => 1,
        };
        let per_second = u64::from(limit.per_second) * hosts;
        Component {
            name: limit.component.clone(),
            unit: limit.unit.clone(),
            per_second,
            headroom: per_second as f64 / demand,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::resolve::blueprint;
    use crate::testing::{inventory, phases};

    #[test]
    fn the_bottleneck_is_php_and_more_hosts_widen_it() {
        // Phase, more lines, requests per second wanted and carried, users carried.
        let cases = [
            (2, "", 83, 200, 1_200),
            (2, "[groups.http]\ncount = 2", 83, 400, 2_400),
            (3, "", 833, 600, 3_600),
            (3, "[groups.http]\ncount = 5", 833, 1_000, 6_000),
            (4, "", 8_333, 1_000, 6_000),
        ];
        for (phase, more, demand, carried, users) in cases {
            let blueprint = blueprint(&inventory(more), &phases()[phase - 1]).unwrap();
            let load = blueprint.load().unwrap();
            let bottleneck = load.bottleneck().unwrap();
            assert_eq!(load.demand as u64, demand, "phase {phase} {more}");
            assert_eq!(bottleneck.name, "php-fpm", "phase {phase} {more}");
            assert_eq!(bottleneck.per_second, carried, "phase {phase} {more}");
            assert_eq!(load.users_carried(), Some(users), "phase {phase} {more}");
        }
    }

    #[test]
    fn headroom_is_the_guides() {
        let blueprint = blueprint(&inventory(""), &phases()[1]).unwrap();
        let load = blueprint.load().unwrap();
        let headroom: Vec<String> = load
            .components
            .iter()
            .map(|one| format!("{} {:.1}", one.name, one.headroom))
            .collect();
        assert_eq!(
            headroom,
            ["nginx 12.0", "php-fpm 2.4", "redis 120.0", "mysql 6.0"]
        );
    }

    #[test]
    fn a_phase_without_users_has_no_load() {
        assert!(
            blueprint(&inventory(""), &phases()[0])
                .unwrap()
                .load()
                .is_none()
        );
    }
}
