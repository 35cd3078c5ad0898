//! Hosts that leave: they finish what they do, and then they are destroyed.

use futures_util::future::join_all;
use marg_cloud::{DropletStatus, Owned, Tag, destroy_droplet};
use marg_model::{Event, Fleet, Host};
use marg_resources::{Shell, Step};

use crate::apply::run_steps;
use crate::cloud::leaving::Leaving;
use crate::crew::Crew;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::traffic::take_out;

/// How long a host may take to finish its jobs and let its visitors go, in seconds.
const FAREWELL: u64 = 900;

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
    let environment = Tag::new(&desired.fleet.blueprint.tag())?;
    let visits = going.iter().map(async |one| {
        let gone = match farewell(engine, crew, desired, one).await {
            Ok(()) => destroy(engine, &environment, one).await,
            Err(error) => Err(error),
        };
        gone.map_err(|error| (one.host.name.clone(), error))
    });
    let outcomes = join_all(visits).await;
    for (host, error) in outcomes.into_iter().filter_map(Result::err) {
        crew.fail(&host, error);
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
    let visits = staying.iter().map(async |one| {
        let gone = farewell(engine, crew, desired, one).await;
        gone.map_err(|error| (one.host.name.clone(), error))
    });
    let outcomes = join_all(visits).await;
    for (host, error) in outcomes.into_iter().filter_map(Result::err) {
        crew.fail(&host, error);
    }
}

async fn farewell(
    engine: &Engine,
    crew: &Crew<'_>,
    desired: &Desired<'_>,
    Leaving { host, droplet }: &Leaving,
) -> Result<(), EngineError> {
    let fleet: &Fleet = desired.fleet;
    let Some(machine) = fleet.machine(&host.name) else {
        return Ok(());
    };
    let context = desired.context(host, machine, promised(host)?);
    let scripts: Vec<(&str, Shell)> = desired
        .roles_of(host)
        .filter_map(|role| Some((role.schema().name, role.farewell(&context)?)))
        .collect();
    if scripts.is_empty() || droplet.status != DropletStatus::Active {
        return Ok(());
    }
    let steps = scripts.into_iter().map(|(role, body)| Step {
        name: format!("{role}: finish"),
        body,
        deadline: std::time::Duration::from_secs(FAREWELL),
        guarded: false,
    });
    let mut link = crew.visit(fleet, host).await?;
    run_steps(engine, &mut link, steps.collect()).await?;
    link.session.close().await;
    Ok(())
}

async fn destroy(
    engine: &Engine,
    environment: &Tag,
    Leaving { droplet, .. }: &Leaving,
) -> Result<(), EngineError> {
    destroy_droplet(engine.cloud(), &Owned::claim(droplet, environment)?).await?;
    let mut known = engine.vault().known_hosts()?;
    known.forget(&droplet.name)?;
    engine.vault().drop_first_host_key(&droplet.name)?;
    engine.emit(Event::Cloud {
        subject: format!("droplet {}", droplet.name),
        action: "destroyed".to_owned(),
    });
    Ok(())
}
