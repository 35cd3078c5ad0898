//! Hosts that leave: they finish what they do, and then they are destroyed.

use std::time::Duration;

use futures_util::future::join_all;
use marg_cloud::{DropletStatus, Tag};
use marg_model::{Event, Host};

use crate::apply::run_steps;
use crate::cloud::leaving::Leaving;
use crate::crew::Crew;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::traffic::take_out;

/// How long a host may take to finish its jobs and let its visitors go.
const FAREWELL: Duration = Duration::from_secs(900);

/// Lets the hosts finish and destroys them, side by side. What fails is told; the host then
/// stays, and the same command tries again.
pub async fn retire(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    going: &[&Leaving],
) -> Result<(), EngineError> {
    if going.is_empty() {
        return Ok(());
    }
    engine.emit(Event::PhaseStarted {
        name: "hosts that leave".to_owned(),
    });
    let hosts: Vec<&Host> = going.iter().map(|one| &one.host).collect();
    take_out(engine, crew, desired, &hosts).await;
    detach(engine, crew, desired, &hosts).await?;
    let environment = Tag::new(&desired.fleet.blueprint.tag())?;
    let visits = going.iter().map(async |one| {
        farewell(engine, crew, desired, one).await?;
        engine.destroy_machine(&environment, &one.droplet).await
    });
    let outcomes = join_all(visits).await;
    blame(crew, going, outcomes);
    Ok(())
}

/// Hosts that stay are told when none of their fellows of a role will be left: one that leads would
/// refuse writes when it misses them.
async fn detach(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    going: &[&Host],
) -> Result<(), EngineError> {
    let fleet = desired.fleet;
    for host in &fleet.blueprint.hosts {
        let steps = desired.parting(host, going, FAREWELL)?;
        if steps.is_empty() {
            continue;
        }
        let mut linked = crew.borrow(fleet, host).await?;
        let told = run_steps(engine, &mut linked.link, steps).await;
        crew.links.insert(host.name.clone(), linked);
        told?;
    }
    Ok(())
}

/// Hosts that stay because of their data, and where visitors no longer arrive: those who are still
/// connected are let go, or they would be answered by a host that has nothing to say any more.
pub async fn dismiss(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    staying: &[&Leaving],
) {
    let visits = staying
        .iter()
        .map(|one| farewell(engine, crew, desired, one));
    let outcomes = join_all(visits).await;
    blame(crew, staying, outcomes);
}

fn blame(crew: &mut Crew<'_>, hosts: &[&Leaving], outcomes: Vec<Result<(), EngineError>>) {
    for (one, outcome) in hosts.iter().zip(outcomes) {
        if let Err(error) = outcome {
            crew.fail(&one.host.name, error);
        }
    }
}

async fn farewell(
    engine: &Engine,
    crew: &Crew<'_>,
    desired: &Desired<'_>,
    Leaving { host, droplet }: &Leaving,
) -> Result<(), EngineError> {
    let steps = desired.steps(host, ("finish", FAREWELL), |role, on| role.farewell(on))?;
    if steps.is_empty() || droplet.status != DropletStatus::Active {
        return Ok(());
    }
    let mut link = crew.visit(desired.fleet, host).await?;
    let finished = run_steps(engine, &mut link, steps).await;
    link.session.close().await;
    Ok(finished?)
}
