//! Data that moves with a phase: where the hosts that keep it are replaced by others, it is
//! carried over while nobody changes it, just before the entry address moves.
//!
//! The move of the entry address is what decides. Before it, the old hosts have the truth and the
//! same command carries everything again; after it, nothing is ever carried.

use std::collections::BTreeMap;
use std::time::Duration;

use marg_model::{Blueprint, Event, Host};
use marg_resources::{Handover, Role, Shell, Step, quote};
use marg_ssh::Deadline;

use crate::apply::run_steps;
use crate::cloud::leaving::Leaving;
use crate::cloud::situation::Situation;
use crate::cloud::transition::Entry;
use crate::crew::Crew;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::Link;

/// How long carrying and taking in the data of one role may take.
const CARRY: Duration = Duration::from_secs(4 * 3600);
/// How long a host may take to become quiet.
const QUIET: Duration = Duration::from_secs(900);

/// Data of one role that has to move.
pub struct Carry<'a> {
    /// The role's name.
    pub role: &'static str,
    handover: Handover,
    /// Who has it.
    pub from: &'a Host,
    /// Who gets it.
    pub to: &'a Host,
}

impl Carry<'_> {
    /// For people: `databases of app1 to mysql1`.
    pub fn name(&self) -> String {
        format!(
            "{} of {} to {}",
            self.handover.what, self.from.name, self.to.name
        )
    }
}

/// What has to be carried before the entry address moves: data of roles of which no host stays.
/// `leaders` says who leads which replicated service. Pure.
pub fn carries<'a>(
    blueprint: &'a Blueprint,
    situation: &'a Situation,
    roles: &[&dyn Role],
    leaders: &BTreeMap<String, String>,
) -> Vec<Carry<'a>> {
    if !matches!(situation.entry_move(blueprint), Some(Entry::Move { .. })) {
        return Vec::new();
    }
    let carry = |role: &&dyn Role| {
        let handover = role.handover()?;
        let role = role.schema().name;
        let has = |one: &&Leaving| one.host.has_role(role);
        let entry = situation.entry_at();
        let at_entry = |one: &&Leaving| Some(one.host.name.as_str()) == entry;
        let leaving = || situation.leaving.iter().filter(has);
        // Of several that replicate only the one that leads surely has everything.
        let leads = |one: &&Leaving| leaders.get(role) == Some(&one.host.name);
        let from = leaving()
            .find(leads)
            .or_else(|| leaving().find(at_entry))
            .or_else(|| leaving().next())?;
        let to = blueprint.with_role(role).next()?;
        let stays = blueprint
            .with_role(role)
            .any(|host| situation.comes_with(blueprint, host, from));
        (!stays).then_some(Carry {
            role,
            handover,
            from: &from.host,
            to,
        })
    };
    roles.iter().filter_map(carry).collect()
}

/// Makes the hosts that leave quiet, and carries everything.
pub async fn hand_over(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    carries: &[Carry<'_>],
) -> Result<(), EngineError> {
    if carries.is_empty() {
        return Ok(());
    }
    engine.emit(Event::PhaseStarted {
        name: "hand over the data".to_owned(),
    });
    let mut leaving = Vec::new();
    for host in &desired.fleet.leaving {
        leaving.push((host, crew.visit(desired.fleet, host).await?));
    }
    let carried = carry_all(engine, crew, desired, carries, &mut leaving).await;
    if carried.is_err() {
        for (host, link) in &mut leaving {
            let awake = wake(engine, desired, host, link).await;
            tell_failure(engine, host, awake);
        }
    }
    for (_, link) in leaving {
        link.session.close().await;
    }
    carried
}

/// After data was handed over and the entry address could not be moved: where visitors still arrive
/// at the old hosts, those serve again. What fails here is told beside what went wrong before.
pub async fn take_back(engine: &Engine, crew: &Crew<'_>, desired: &Desired<'_>) {
    let fleet = desired.fleet;
    match engine.situation(&fleet.blueprint).await {
        Ok(now) if now.entry_at() == fleet.entry_at.as_deref() => {}
        // Visitors arrive at the new hosts, which have the data.
        Ok(_) => return,
        Err(error) => {
            engine.emit(Event::Note {
                host: None,
                message: format!(
                    "it is not known where the entry address leads now, so the hosts that leave \
                     stay quiet; run the same command again: {error}"
                ),
            });
            return;
        }
    }
    for host in &fleet.leaving {
        let awake = async {
            let mut link = crew.visit(fleet, host).await?;
            let awake = wake(engine, desired, host, &mut link).await;
            link.session.close().await;
            awake
        };
        tell_failure(engine, host, awake.await);
    }
}

async fn wake(
    engine: &Engine,
    desired: &Desired<'_>,
    host: &Host,
    link: &mut Link,
) -> Result<(), EngineError> {
    let steps = desired.steps(host, ("serve again", QUIET), |role, on| role.wake(on))?;
    Ok(run_steps(engine, link, steps).await?)
}

fn tell_failure(engine: &Engine, host: &Host, awake: Result<(), EngineError>) {
    if let Err(error) = awake {
        engine.emit(Event::Note {
            host: Some(host.name.clone()),
            message: format!("does not serve again; run the same command again: {error}"),
        });
    }
}

/// Hosts that leave and could hold the entry address no longer reach for it.
pub async fn quiet_rivals(
    engine: &Engine,
    crew: &Crew<'_>,
    desired: &Desired<'_>,
) -> Result<(), EngineError> {
    let fleet = desired.fleet;
    let group = fleet.blueprint.phase.entry.as_str();
    for host in fleet.leaving.iter().filter(|host| host.group == group) {
        let steps = desired.steps(host, ("be quiet", QUIET), |role, on| role.quiet(on))?;
        if steps.is_empty() {
            continue;
        }
        let mut link = crew.visit(fleet, host).await?;
        run_steps(engine, &mut link, steps).await?;
        link.session.close().await;
    }
    Ok(())
}

async fn carry_all(
    engine: &Engine,
    crew: &mut Crew<'_>,
    desired: &Desired<'_>,
    carries: &[Carry<'_>],
    leaving: &mut [(&Host, Link)],
) -> Result<(), EngineError> {
    for (host, link) in leaving.iter_mut() {
        let mut steps = desired.steps(host, ("be quiet", QUIET), |role, on| role.quiet(on))?;
        // Whoever starts work ends before whoever does it: roles that come later first.
        steps.reverse();
        run_steps(engine, link, steps).await?;
    }
    for carry in carries {
        engine.emit(Event::Note {
            host: None,
            message: format!("carrying {}", carry.name()),
        });
        let from = leaving
            .iter()
            .find(|(host, _)| host.name == carry.from.name);
        let (_, from) = from.ok_or_else(|| EngineError::NoMachine {
            host: carry.from.name.clone(),
        })?;
        let mut to = crew.borrow(desired.fleet, carry.to).await?;
        let moved = move_one(engine, desired, carry, from, &mut to.link).await;
        crew.links.insert(carry.to.name.clone(), to);
        moved?;
    }
    Ok(())
}

/// From host to host through this machine, without touching its disk; taken in only when all of
/// it has arrived.
async fn move_one(
    engine: &Engine,
    desired: &Desired<'_>,
    carry: &Carry<'_>,
    from: &Link,
    to: &mut Link,
) -> Result<(), EngineError> {
    const PIPE: usize = 1 << 20;
    let context = |host: &'_ Host| {
        let machine = desired.fleet.machine(&host.name);
        machine.ok_or_else(|| EngineError::NoMachine {
            host: host.name.clone(),
        })
    };
    let old = desired.context_of(carry.from, context(carry.from)?)?;
    let new = desired.context_of(carry.to, context(carry.to)?)?;
    let path = format!("/var/lib/marg/handover/{}", carry.role);
    let receive = format!(
        "umask 077; mkdir -p /var/lib/marg/handover && cat > {path}.part && mv -fT {path}.part {path}",
        path = quote(&path)
    );
    let export = format!("sh -c {}", quote(&(carry.handover.export)(&old)));
    let (writer, reader) = tokio::io::duplex(PIPE);
    let deadline = Deadline::after(CARRY);
    tokio::try_join!(
        from.session.download(&export, writer, deadline),
        to.session.upload(reader, &receive, deadline),
    )?;
    let import = (carry.handover.import)(&new, &path);
    let steps = vec![
        Step::new(format!("{}: take in the data", carry.role), import, CARRY),
        Step::new(
            format!("{}: remove the copy", carry.role),
            Shell::new(format!("rm -f -- {}\n", quote(&path))),
            QUIET,
        ),
    ];
    run_steps(engine, to, steps).await?;
    Ok(())
}
