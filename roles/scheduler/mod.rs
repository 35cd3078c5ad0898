//! `scheduler`: `artisan schedule:run` each minute, on exactly one host of the fleet.

use marg_model::{App, RoleSchema};
use marg_resources::kinds::{Strays, Timer};
use marg_resources::{Context, Resource, Role, RoleError, Shell, quote};

use crate::app;

/// The role.
pub struct Scheduler;

impl Role for Scheduler {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "scheduler",
            doc: "Runs artisan schedule:run each minute, on the first host with this role only.",
            settings: &[],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut hosts = context.blueprint().with_role("scheduler");
        let first = hosts.next().map(|first| first.name.as_str());
        let chosen = first == Some(&context.host.name) && !context.fleet.awaits_data;
        let apps = context.blueprint().apps.iter();
        let timers = apps.map(|app| timer(app, chosen).into());
        Ok(timers.chain([gone(context).into()]).collect())
    }

    fn quiet(&self, context: &Context) -> Option<Shell> {
        let stop = units(context)
            .map(|unit| format!("! systemctl -q is-active {unit} || systemctl stop {unit}\n"));
        Some(Shell::new(stop.collect::<String>()))
    }

    fn wake(&self, context: &Context) -> Option<Shell> {
        let start = units(context)
            .map(|unit| format!("! systemctl -q is-enabled {unit} || systemctl start {unit}\n"));
        Some(Shell::new(start.collect::<String>()))
    }
}

/// Timers of applications that have left the inventory.
fn gone(context: &Context) -> Strays {
    let folder = "/etc/systemd/system";
    Strays::new(folder, "-schedule.timer", Timer::MARK, app::slugs(context))
        .stop(format!(
            "systemctl -q disable --now \"$name-schedule.timer\"\n\
             rm -f -- \"{folder}/$name-schedule.service\""
        ))
        .forget("systemctl daemon-reload")
}

/// Quoted names of all timers.
fn units(context: &Context) -> impl Iterator<Item = String> {
    let apps = context.blueprint().apps.iter();
    apps.map(|app| quote(&format!("{}-schedule.timer", app.slug())))
}

/// The timer of an application: present on the chosen host, absent from all others.
fn timer(app: &App, chosen: bool) -> Timer {
    let name = format!("{}-schedule", app.slug());
    if !(chosen && app.schedule) {
        return Timer::absent(name);
    }
    let current = format!("{}/current", app.root());
    // The link is followed anew each minute: a deploy needs to tell nobody.
    Timer::new(name)
        .calendar("*-*-* *:*:00")
        .command("/usr/bin/php artisan schedule:run --no-interaction --no-ansi")
        .user(app.slug())
        .requires(format!("{current}/artisan"))
        .directory(current)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use marg_resources::kinds::State;

    use super::*;
    use crate::testing::World;

    #[test]
    fn exactly_one_host_runs_each_schedule() {
        for phase in 1..=4 {
            let mut world = World::new(phase);
            world.fleet.blueprint.apps[1].schedule = false;
            let mut present = Vec::new();
            for host in world.fleet.blueprint.with_role("scheduler") {
                let context = world.context(&host.name, "debian-13");
                let resources = Scheduler.resources(&context).unwrap();
                assert_eq!(resources.len(), 3, "every other timer is taken away");
                present.extend(resources.into_iter().filter_map(|resource| {
                    let State::Timer(own) = resource.state else {
                        return None;
                    };
                    let expected = timer(&world.fleet.blueprint.apps[0], true);
                    (own == expected).then(|| host.name.clone())
                }));
            }
            assert_eq!(present.len(), 1, "phase {phase}: {present:?}");
        }
    }

    #[test]
    fn nothing_is_scheduled_where_the_data_has_yet_to_come() {
        let mut world = World::new(2);
        world.fleet.awaits_data = true;
        let context = world.context("worker1", "debian-13");
        let resources = Scheduler.resources(&context).unwrap();
        for app in &world.fleet.blueprint.apps {
            let absent = timer(app, false);
            let is_absent =
                |own: &Resource| matches!(&own.state, State::Timer(timer) if *timer == absent);
            assert!(resources.iter().any(is_absent), "{}", app.name);
        }
    }
}
