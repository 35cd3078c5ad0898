//! `worker`: supervisor runs queue workers, each application's on its own queue.

use marg_model::{App, EnvValue, RoleSchema, Setting, SettingKind};
use marg_resources::kinds::{Package, Service, Strays, SupervisorProgram};
use marg_resources::{Check, Context, Resource, Role, RoleError, Shell, quote};
use serde::Serialize;

use crate::app::{self, environment};
use crate::hardening;
use crate::memory;
use crate::render::{Template, template};

const PROGRAM: Template = template!("worker", "templates/program.conf");
/// First line of a program's file.
const PROGRAM_MARK: &str = "; Made by marg for an application.";
/// What follows an application's name in that file's own.
const SUFFIX: &str = "-worker.conf";

/// A job may take that long to end when its worker is stopped. Shorter than the deadline of a
/// step, so that a provision never gives up before supervisor does.
const STOP_SECONDS: u64 = 300;

/// The role.
pub struct Worker;

impl Role for Worker {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "worker",
            doc: "Queue workers under supervisor, each application's on its own queue.",
            settings: &[
                Setting {
                    name: "tries",
                    kind: SettingKind::Integer,
                    default: "3",
                    doc: "How often a failing job is tried.",
                },
                Setting {
                    name: "sleep_seconds",
                    kind: SettingKind::Integer,
                    default: "3",
                    doc: "Pause of a worker that found no job.",
                },
                Setting {
                    name: "max_seconds",
                    kind: SettingKind::Integer,
                    default: "3600",
                    doc: "Age at which a worker is replaced by a fresh one.",
                },
                Setting {
                    name: "stop_seconds",
                    kind: SettingKind::Integer,
                    default: "300",
                    doc: "How long a job may take to end when its worker is stopped.",
                },
            ],
        }
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources = vec![Package::new("supervisor").into()];
        resources.extend(hardening::Service::Supervisor.drop_in("supervisor"));
        resources.push(Service::running("supervisor").into());
        let apps = &context.blueprint().apps;
        let asked: Vec<u64> = apps.iter().map(|app| u64::from(app.workers)).collect();
        let fit = memory::of(context.blueprint(), context.host, context.machine).workers;
        for (app, (asked, processes)) in apps.iter().zip(asked.iter().zip(shared(&asked, fit))) {
            resources.push(program(context, app, *asked, processes)?.into());
        }
        resources.push(gone(context).into());
        Ok(resources)
    }

    fn quiet(&self, context: &Context) -> Option<Shell> {
        self.farewell(context)
    }

    fn wake(&self, _context: &Context) -> Option<Shell> {
        Some(Shell::new("supervisorctl start all\n"))
    }

    fn farewell(&self, _context: &Context) -> Option<Shell> {
        // Waits for each process to finish its job, as long as its program allows.
        Some(Shell::new("supervisorctl stop all\n"))
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let works = !context.fleet.awaits_data;
        let supervisor = Check {
            name: "supervisor answers".to_owned(),
            script: "supervisorctl pid >/dev/null".to_owned(),
            deadline_seconds: 30,
        };
        let apps = context
            .blueprint()
            .apps
            .iter()
            .filter(|app| works && app.workers > 0);
        let running = apps.map(|app| Check {
            name: format!("workers of {} run", app.name),
            script: format!(
                "[ ! -e {artisan} ] || {{ seen=$(supervisorctl status {group}); \
                 [ -n \"$seen\" ] && ! printf '%s\\n' \"$seen\" | grep -v ' RUNNING '; }}",
                artisan = quote(&artisan(app)),
                group = quote(&format!("{}:*", app.worker())),
            ),
            deadline_seconds: 60,
        });
        [supervisor].into_iter().chain(running).collect()
    }
}

/// Programs of applications that have left the inventory: their jobs come to their end first.
fn gone(context: &Context) -> Strays {
    Strays::new(
        "/etc/supervisor/conf.d",
        SUFFIX,
        PROGRAM_MARK,
        app::slugs(context),
    )
    .stop(
        "if supervisorctl status \"$name-worker:*\" | grep -q ' pid '; then\n  \
             supervisorctl stop \"$name-worker:*\"\nfi",
    )
    .forget("supervisorctl update \"$name-worker\"")
}

/// Tells an application's own workers on this host to finish their job and end; supervisor starts
/// each anew. Nobody waits: a job may take long. `queue:restart` would reach the workers of every
/// application and host that shares the cache's prefix.
pub fn restart(app: &App) -> String {
    format!(
        "for pid in $(supervisorctl status {} | sed -n 's/.* pid \\([0-9]*\\),.*/\\1/p'); do\n  \
         kill -TERM \"$pid\" 2>/dev/null || :\ndone\n",
        quote(&format!("{}:*", app.worker()))
    )
}

fn artisan(app: &App) -> String {
    format!("{}/current/artisan", app.root())
}

/// Processes of each application when only so many fit: in proportion, at least one of each
/// that asked for any.
fn shared(asked: &[u64], fit: u64) -> Vec<u64> {
    let sum: u64 = asked.iter().sum();
    if sum <= fit {
        return asked.to_vec();
    }
    let part = |own: &u64| (own * fit / sum.max(1)).max(u64::from(*own > 0));
    asked.iter().map(part).collect()
}

fn program(
    context: &Context,
    app: &App,
    asked: u64,
    processes: u64,
) -> Result<SupervisorProgram, RoleError> {
    #[derive(Serialize)]
    struct Values {
        name: String,
        user: String,
        home: String,
        command: Vec<String>,
        asked: u64,
        processes: u64,
        stop_seconds: u64,
    }
    if asked == 0 || context.fleet.awaits_data {
        return Ok(SupervisorProgram::absent(app.worker()));
    }
    let stop = context.integer("worker", "stop_seconds");
    let text = PROGRAM.render(Values {
        name: app.worker(),
        user: app.slug(),
        home: format!("{}/home", app.root()),
        command: command(context, app),
        asked,
        processes,
        stop_seconds: stop.unwrap_or(STOP_SECONDS),
    })?;
    Ok(SupervisorProgram::new(app.worker(), text).requires(artisan(app)))
}

fn command(context: &Context, app: &App) -> Vec<String> {
    let number = |name: &str, default: u64| context.integer("worker", name).unwrap_or(default);
    let connection = match environment::variables(context, app).remove("QUEUE_CONNECTION") {
        Some(EnvValue::Text(connection)) => connection,
        _ => "redis".to_owned(),
    };
    vec![
        "php".to_owned(),
        artisan(app),
        "queue:work".to_owned(),
        connection,
        format!("--queue={}", app.queue),
        format!("--sleep={}", number("sleep_seconds", 3)),
        format!("--tries={}", number("tries", 3)),
        format!("--max-time={}", number("max_seconds", 3600)),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg_resources::kinds::State;

    use super::*;
    use crate::testing::World;

    #[test]
    fn nobody_works_where_the_data_has_yet_to_come() {
        let mut world = World::new(2);
        for (awaits, running, checks) in [(false, 2, 3), (true, 0, 1)] {
            world.fleet.awaits_data = awaits;
            let context = world.context("worker1", "debian-13");
            let resources = Worker.resources(&context).unwrap();
            let absent = |app: &App| SupervisorProgram::absent(app.worker());
            let apps = &world.fleet.blueprint.apps;
            let there = resources.iter().filter(|resource| match &resource.state {
                State::SupervisorProgram(own) => !apps.iter().any(|app| *own == absent(app)),
                _ => false,
            });
            assert_eq!(there.count(), running, "awaits data: {awaits}");
            assert_eq!(Worker.checks(&context).len(), checks);
        }
    }

    #[test]
    fn processes_are_shared_fairly() {
        for (asked, fit, expected) in [
            (vec![3, 3], 6, vec![3, 3]),
            (vec![3, 3], 100, vec![3, 3]),
            (vec![6, 3], 6, vec![4, 2]),
            (vec![9, 1], 5, vec![4, 1]),
            (vec![3, 0], 1, vec![1, 0]),
            (vec![3, 3], 1, vec![1, 1]),
            (vec![], 4, vec![]),
        ] {
            assert_eq!(shared(&asked, fit), expected, "{asked:?} on {fit}");
        }
    }
}
