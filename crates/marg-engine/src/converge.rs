//! One host from what it is to what it should be: look, plan, apply, look again, check.

use std::collections::BTreeSet;
use std::time::Instant;

use marg_model::distro::DISTROS;
use marg_model::{Distro, Event, Fleet, Host, Machine};
use marg_resources::{Answer, HostPlan, Misread, Resource, plan, probe_script};

use crate::apply::{apply, check};
use crate::deploy::live;
use crate::desired::{Desired, promised};
use crate::earlier;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::gates::Gates;
use crate::host::HostError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::report::HostReport;

/// A host after its part of a run.
pub struct Outcome {
    /// What happened.
    pub report: HostReport,
    /// The connection, still holding the host's lock, if all went well.
    pub link: Option<Link>,
    /// Live release of each application on the host, as first seen.
    pub live: live::Live,
    /// Whether it has what an earlier version of marg made there.
    pub earlier: bool,
    /// The error itself, if one stopped this host.
    pub error: Option<EngineError>,
}

/// What all hosts of a run have in common.
pub struct Work<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// What the hosts should be.
    pub desired: Desired<'a>,
    /// Who waits for whom.
    pub gates: &'a Gates,
    /// Hosts that were made in this run: nobody relies on them yet.
    pub fresh: &'a BTreeSet<String>,
}

/// What one look at a host says.
pub struct Looked {
    /// What would be done.
    pub plan: HostPlan,
    /// Live release of each application.
    pub live: live::Live,
    /// Roles of which the host has, and keeps, what an earlier version of marg made there.
    pub earlier: BTreeSet<&'static str>,
    distro: &'static Distro,
    resources: Vec<Resource>,
}

/// Connects to a host.
pub async fn connect(
    engine: &Engine,
    fleet: &Fleet,
    host: &Host,
    lock: &Lock,
) -> Result<Link, EngineError> {
    let machine = fleet.machine(&host.name);
    let address = machine.and_then(|machine| machine.public.known());
    let address = address.ok_or_else(|| EngineError::NoMachine {
        host: host.name.clone(),
    })?;
    let place = Place {
        host: &host.name,
        address,
    };
    let link = Link::open(engine, &fleet.blueprint, place, lock).await?;
    engine.emit(Event::HostConnected {
        host: host.name.clone(),
    });
    Ok(link)
}

/// Compares a host with what it should be, in one look.
pub async fn look(
    engine: &Engine,
    desired: &Desired<'_>,
    host: &Host,
    machine: &Machine,
    link: &mut Link,
) -> Result<Looked, EngineError> {
    let mut distro = promised(host)?;
    let mut resources = desired.resources(host, machine, distro)?;
    let misread = |source| HostError::Misread {
        host: host.name.clone(),
        source,
    };
    let mut answer = ask(link, host, &resources, desired).await?;
    let found = distro_of(&answer).map_err(misread)?;
    let mut earlier = earlier::read(&answer, desired.roles).map_err(misread)?;
    if !earlier::may_stay(desired.fleet) {
        earlier.clear();
    }
    if found != distro || !earlier.is_empty() {
        // The host is not what its image promised (it was upgraded in place), or not what this
        // version makes: what it says wins.
        distro = found;
        let kept = earlier::kept(desired.fleet, !earlier.is_empty());
        let desired = Desired {
            fleet: &kept,
            ..*desired
        };
        resources = desired.resources(host, machine, distro)?;
        answer = ask(link, host, &resources, &desired).await?;
    }
    let plan = plan(&host.name, &resources, &answer).map_err(misread)?;
    if !plan.refusals.is_empty() {
        return Err(HostError::Foreign {
            host: host.name.clone(),
            reasons: plan.refusals,
        }
        .into());
    }
    let live = live::read(&answer).map_err(misread)?;
    engine.emit(Event::HostPlanned {
        host: host.name.clone(),
        changes: plan.changes.len(),
        steps: plan.steps.len(),
    });
    Ok(Looked {
        plan,
        live,
        earlier,
        distro,
        resources,
    })
}

async fn ask(
    link: &mut Link,
    host: &Host,
    resources: &[Resource],
    desired: &Desired<'_>,
) -> Result<Answer, HostError> {
    let states: Vec<_> = resources.iter().map(|resource| &resource.state).collect();
    let live = live::section(&desired.fleet.blueprint.apps);
    let script = probe_script(&states) + &live + &earlier::section(desired.roles_of(host));
    link.probe(&script).await
}

fn distro_of(answer: &Answer) -> Result<&'static Distro, Misread> {
    let facts = answer.facts()?;
    Distro::by_os_release(&facts.os_id, &facts.os_version).ok_or_else(|| Misread::Distro {
        found: format!("{} {}", facts.os_id, facts.os_version)
            .trim()
            .to_owned(),
        known: DISTROS
            .iter()
            .map(|distro| distro.id)
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// Makes a host what it should be and proves it. Never fails as such: the outcome says how it
/// went, so that one host's failure does not stop its siblings.
pub async fn converge(work: &Work<'_>, host: &Host, link: Result<Link, EngineError>) -> Outcome {
    let began = Instant::now();
    let Work {
        engine, desired, ..
    } = work;
    let machine = desired.fleet.machine(&host.name);
    let mut outcome = Outcome {
        report: HostReport {
            name: host.name.clone(),
            public_ip: machine.and_then(|machine| machine.public.known()),
            ..HostReport::default()
        },
        link: None,
        live: live::Live::default(),
        earlier: false,
        error: None,
    };
    match (link, machine) {
        (Ok(mut link), Some(machine)) => {
            let result = one(work, host, machine, &mut link, &mut outcome).await;
            (outcome.report.connections, outcome.report.execs) = link.spent();
            match result {
                Ok(()) => outcome.link = Some(link),
                Err(error) => outcome.error = Some(error),
            }
        }
        (Err(error), _) => outcome.error = Some(error),
        (Ok(_), None) => {
            outcome.error = Some(EngineError::NoMachine {
                host: host.name.clone(),
            });
        }
    }
    work.gates.open(&host.name, outcome.error.is_none());
    outcome.report.error = outcome
        .error
        .as_ref()
        .map(|e| engine.redact(&e.to_string()));
    outcome.report.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    engine.emit(Event::HostFinished {
        host: host.name.clone(),
        ok: outcome.error.is_none(),
        changed: outcome.report.changed,
    });
    outcome
}

async fn one(
    work: &Work<'_>,
    host: &Host,
    machine: &Machine,
    link: &mut Link,
    outcome: &mut Outcome,
) -> Result<(), EngineError> {
    let Work {
        engine, desired, ..
    } = work;
    let looked = look(engine, desired, host, machine, link).await?;
    outcome.report.changed = looked.plan.changes.len();
    outcome.live.clone_from(&looked.live);
    outcome.earlier = !looked.earlier.is_empty();
    if looked.plan.is_empty() {
        return Ok(());
    }
    if !work.fresh.contains(&host.name) {
        // It serves already: what it is about to rely on must be there first.
        work.gates.wait(host).await?;
    }
    apply(engine, link, &looked.plan).await?;
    let answer = ask(link, host, &looked.resources, desired).await?;
    let left =
        plan(&host.name, &looked.resources, &answer).map_err(|source| HostError::Misread {
            host: host.name.clone(),
            source,
        })?;
    if !left.is_empty() {
        let left: Vec<String> = left
            .changes
            .iter()
            .map(|c| format!("{} ({})", c.resource, c.summary))
            .collect();
        let host = host.name.clone();
        return Err(HostError::NotConverged {
            host,
            left: left.join(", "),
        }
        .into());
    }
    if desired.balances(host) {
        // What it balances may have no release yet: it is checked when that is there.
        return Ok(());
    }
    let checked = check(link, &desired.checks(host, machine, looked.distro)).await;
    checked.map_err(|error| error.redacted(engine))?;
    Ok(())
}
