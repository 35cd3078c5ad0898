//! Balancers are told which hosts serve: when machines come and go, during a rollout, around a
//! resize.

use futures_util::future::join_all;
use marg_model::{App, Event, Host};
use marg_resources::{Shell, Step, Traffic};

use crate::apply::run_steps;
use crate::crew::Crew;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::{EngineError, ErrorKind};
use crate::host::HostError;
use crate::host::link::Link;

/// What balancers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No new requests, and wait for the old ones. One that is still at work then says goodbye
    /// itself; the last one that serves is not taken out.
    TakeOut,
    /// Requests again, as soon as the host is well; anything else is a failure.
    PutBack,
    /// Requests as soon as the host is well, which need not be now.
    LetIn,
}

impl Word {
    fn name(self) -> &'static str {
        match self {
            Word::TakeOut => "take out",
            Word::PutBack => "put back",
            Word::LetIn => "let in",
        }
    }

    /// Statuses besides 0 that are as good.
    fn accepts(self) -> &'static [i32] {
        match self {
            Word::TakeOut => &[Traffic::LEFT_IN, Traffic::BUSY],
            Word::PutBack => &[],
            Word::LetIn => &[Traffic::NOT_UP],
        }
    }
}

/// Whether balancers lead visitors to it.
pub fn serves(host: &Host) -> bool {
    host.has_role("app") && host.has_role("nginx")
}

/// Hosts that hand visitors on to others.
pub fn balancers<'a>(desired: &Desired<'a>) -> Vec<&'a Host> {
    let hosts = desired.fleet.blueprint.hosts.iter();
    hosts.filter(|host| desired.balances(host)).collect()
}

/// A connected balancer. One that cannot be reached is passed over with a note: the other one, and
/// that nothing which serves is reloaded, keep requests from being lost.
pub fn reached(
    engine: &Engine,
    host: &Host,
    link: Result<Link, HostError>,
) -> Result<Option<Link>, EngineError> {
    match link {
        Ok(link) => Ok(Some(link)),
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

/// Tells one balancer of those of the hosts that serve, of one after the other; without an
/// application, of all of them.
pub async fn tell(
    engine: &Engine,
    desired: &Desired<'_>,
    balancer: &mut Link,
    word: Word,
    (hosts, app): (&[&Host], Option<&App>),
) -> Result<(), EngineError> {
    let steps = steps(desired, &balancer.host, word, hosts, app)?;
    Ok(run_steps(engine, balancer, steps).await?)
}

/// After changes: every balancer sends requests to every host that serves applications.
pub async fn let_in(engine: &Engine, crew: &mut Crew<'_>, desired: &Desired<'_>) {
    let changed = crew.reports.values().any(|report| report.changed > 0);
    if changed {
        let hosts: Vec<&Host> = desired.fleet.blueprint.hosts.iter().collect();
        tell_crew(engine, crew, desired, Word::LetIn, &hosts).await;
    }
}

/// Before hosts leave: no balancer sends them requests any more.
pub async fn take_out(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    hosts: &[&Host],
) {
    tell_crew(engine, crew, desired, Word::TakeOut, hosts).await;
}

async fn tell_crew(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    word: Word,
    hosts: &[&Host],
) {
    let balancers = balancers(desired);
    let balances = |name: &String| balancers.iter().any(|host| host.name == *name);
    let linked = crew.links.iter_mut().filter(|(name, _)| balances(name));
    let telling = linked.map(async |(name, linked)| {
        let told = tell(engine, desired, &mut linked.link, word, (hosts, None)).await;
        told.err().map(|error| (name.clone(), error))
    });
    let failed: Vec<_> = join_all(telling).await.into_iter().flatten().collect();
    for (host, error) in failed {
        crew.fail(&host, error);
    }
}

fn steps(
    desired: &Desired<'_>,
    balancer: &str,
    word: Word,
    hosts: &[&Host],
    app: Option<&App>,
) -> Result<Vec<Step>, EngineError> {
    let missing = || EngineError::NoMachine {
        host: balancer.to_owned(),
    };
    let fleet = desired.fleet;
    let own = fleet.blueprint.host(balancer).ok_or_else(missing)?;
    let machine = fleet.machine(balancer).ok_or_else(missing)?;
    let context = desired.context_of(own, machine)?;
    let Some(traffic) = desired.roles_of(own).find_map(|role| role.traffic()) else {
        return Ok(Vec::new());
    };
    let say = match word {
        Word::TakeOut => traffic.drain,
        Word::PutBack | Word::LetIn => traffic.ready,
    };
    let step = |host: &&Host| {
        let of = app.map_or_else(String::new, |app| format!("{}: ", app.name));
        let name = format!("{of}{} {}", word.name(), host.name);
        let body = accepting(say(&context, host, app), word.accepts());
        Step::new(name, body, (traffic.patience)(&context, host))
    };
    let serving = hosts.iter().filter(|host| serves(host));
    Ok(serving.map(step).collect())
}

/// A script of which some statuses besides 0 are well.
fn accepting(script: Shell, well: &[i32]) -> Shell {
    let well: Vec<String> = [0].iter().chain(well).map(i32::to_string).collect();
    Shell::new("status=0; (\n").then(script).text(format!(
        "\n) || status=$?\ncase $status in {}) ;; *) exit \"$status\" ;; esac\n",
        well.join("|")
    ))
}
