//! The balancers during a rollout: they take web servers out of the traffic and put them back.

use std::time::Duration;

use futures_util::future::join_all;
use marg_model::{App, Blueprint, Event, Host};
use marg_resources::{Role, Shell, Step, Traffic};

use crate::apply::run_steps;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorKind};
use crate::host::HostError;
use crate::host::link::Link;

/// Longer than any balancer waits by itself.
const TOLD: Duration = Duration::from_secs(180);

/// A balancer that answers.
pub struct Balancer {
    /// The connection, holding the host's lock.
    pub link: Link,
    traffic: Traffic,
}

/// Hosts that hand visitors on, with how they are told.
pub fn balancers<'a>(
    blueprint: &'a Blueprint,
    roles: &'static [&'static dyn Role],
) -> Vec<(&'a Host, Traffic)> {
    let of = |host: &Host| {
        let own = roles
            .iter()
            .filter(|role| host.has_role(role.schema().name));
        own.filter_map(|role| role.traffic()).next()
    };
    let hosts = blueprint.hosts.iter();
    hosts.filter_map(|host| Some((host, of(host)?))).collect()
}

impl Balancer {
    /// A connected balancer. One that cannot be reached is passed over with a note: the other
    /// one, or php-fpm's own graceful reload, keeps requests from being lost.
    pub fn of(
        engine: &Engine,
        (host, traffic): (&Host, Traffic),
        link: Result<Link, HostError>,
    ) -> Result<Option<Balancer>, EngineError> {
        match link {
            Ok(link) => Ok(Some(Balancer { link, traffic })),
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                engine.emit(Event::Note {
                    host: Some(host.name.clone()),
                    message: format!("goes on without this balancer: {error}"),
                });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What balancers are told.
#[derive(Clone, Copy)]
pub enum Word {
    /// No new requests, and wait for the old ones.
    Drain,
    /// Requests again, as soon as the host is well; anything else is a failure.
    Ready,
    /// Requests again, well or not: it is as it was before.
    Restore,
}

/// Tells all balancers, side by side; each is told of one host after the other.
pub async fn tell(
    engine: &Engine,
    desired: &Desired<'_>,
    balancers: &mut [Balancer],
    word: Word,
    (hosts, app): (&[&Host], &App),
) -> Result<(), EngineError> {
    let telling = balancers.iter_mut().map(async |balancer| {
        let steps = steps(desired, balancer, word, hosts, app)?;
        run_steps(engine, &mut balancer.link, steps).await?;
        Ok::<_, EngineError>(())
    });
    join_all(telling).await.into_iter().collect()
}

fn steps(
    desired: &Desired<'_>,
    balancer: &Balancer,
    word: Word,
    hosts: &[&Host],
    app: &App,
) -> Result<Vec<Step>, EngineError> {
    let missing = || EngineError::NoMachine {
        host: balancer.link.host.clone(),
    };
    let fleet = desired.fleet;
    let own = fleet.blueprint.host(&balancer.link.host);
    let own = own.ok_or_else(missing)?;
    let machine = fleet.machine(&own.name).ok_or_else(missing)?;
    let context = desired.context(own, machine, promised(own)?);
    let Traffic { drain, ready } = balancer.traffic;
    let step = |host: &&Host| {
        let (name, script, well) = match word {
            Word::Drain => (
                "take out",
                drain(&context, host, Some(app)),
                vec![Traffic::LEFT_IN, Traffic::BUSY],
            ),
            Word::Ready => ("put back", ready(&context, host, Some(app)), vec![]),
            Word::Restore => (
                "put back",
                ready(&context, host, Some(app)),
                vec![Traffic::NOT_UP],
            ),
        };
        Step {
            name: format!("{}: {name} {}", app.name, host.name),
            body: accepting(script, &well),
            deadline: TOLD,
            guarded: false,
        }
    };
    Ok(hosts.iter().map(step).collect())
}

/// A script of which some statuses besides 0 are well.
fn accepting(script: Shell, well: &[i32]) -> Shell {
    let well: Vec<String> = [0].iter().chain(well).map(i32::to_string).collect();
    Shell::new("status=0; (\n").then(script).text(format!(
        "\n) || status=$?\ncase $status in {}) ;; *) exit \"$status\" ;; esac\n",
        well.join("|")
    ))
}
