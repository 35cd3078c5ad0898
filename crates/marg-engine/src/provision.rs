//! Makes an environment true: cloud, hosts, first deploys.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use marg_model::{Blueprint, Event};

use crate::cloud::realise::realise;
use crate::converge::{Outcome, converge};
use crate::deploy;
use crate::desired::{Desired, planned_roles};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::Link;
use crate::host::talk::Lock;
use crate::report::Report;

impl Engine {
    /// Makes the environment what the blueprint says. Hosts go on side by side; the report says
    /// how each one went. Applications without a live release are deployed at the end.
    pub async fn provision(&self, blueprint: &Blueprint) -> Result<Report, EngineError> {
        self.refuse_planned_roles(blueprint)?;
        let situation = self.situation(blueprint).await?;
        if situation.is_other_phase(blueprint) {
            return Err(EngineError::OtherPhase {
                phase: blueprint.phase.number,
                droplets: situation.strangers.join(", "),
            });
        }
        let existing = !situation.found.droplets.is_empty();
        for message in &situation.notes {
            self.emit(Event::Note {
                host: None,
                message: message.clone(),
            });
        }
        let secrets = self.secrets(blueprint, existing)?;
        let cloud_changed = situation.changes.len();
        let situation = realise(self, blueprint, situation).await?;
        let fleet = situation.fleet(blueprint);
        let desired = Desired {
            fleet: &fleet,
            roles: self.roles(),
            secrets: &secrets,
        };
        self.emit(Event::PhaseStarted {
            name: "hosts".to_owned(),
        });
        let lock = self.lock();
        let hosts = fleet
            .hosts()
            .map(|(host, machine)| converge(self, &desired, host, machine, &lock));
        let outcomes = join_all(hosts).await;
        let mut report = Report {
            environment: blueprint.environment.name.clone(),
            entry: fleet.entry.known(),
            hostnames: blueprint
                .apps
                .iter()
                .flat_map(|app| app.hostnames.clone())
                .collect(),
            cloud_changed,
            ..Report::default()
        };
        let (mut links, failures) = collect(&mut report, outcomes);
        if !concerns_apps(blueprint, &failures) {
            report.deployed = deploy::first_deploys(self, &fleet, &mut links).await?;
        }
        for (_, linked) in links {
            linked.link.session.close().await;
        }
        if !failures.is_empty() {
            return Err(EngineError::Hosts { failures });
        }
        Ok(report)
    }

    /// What a second operator is told while this one is at work.
    pub(crate) fn lock(&self) -> Lock {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        Lock::Held {
            who: format!("{} since {now}", self.options().who),
        }
    }

    fn refuse_planned_roles(&self, blueprint: &Blueprint) -> Result<(), EngineError> {
        for host in &blueprint.hosts {
            if let Some(role) = planned_roles(host, self.roles()).next() {
                return Err(EngineError::PlannedRole {
                    host: host.name.clone(),
                    role: role.to_owned(),
                    phase: blueprint.phase.number,
                });
            }
        }
        Ok(())
    }
}

/// Whether a failed host serves or works applications, or is needed by one that does. One host's
/// failure stops its dependants, not its siblings.
fn concerns_apps(blueprint: &Blueprint, failures: &[(String, EngineError)]) -> bool {
    let failed = |name: &String| failures.iter().any(|(host, _)| host == name);
    blueprint
        .with_role("app")
        .any(|host| failed(&host.name) || host.needs.iter().any(failed))
}

/// A connected host and the releases that are live on it.
pub struct Linked {
    /// The connection.
    pub link: Link,
    /// Live releases.
    pub live: deploy::live::Live,
}

fn collect(
    report: &mut Report,
    outcomes: Vec<Outcome>,
) -> (BTreeMap<String, Linked>, Vec<(String, EngineError)>) {
    let mut links = BTreeMap::new();
    let mut failures = Vec::new();
    for outcome in outcomes {
        if let Some(link) = outcome.link {
            links.insert(
                outcome.report.name.clone(),
                Linked {
                    link,
                    live: outcome.live,
                },
            );
        }
        failures.extend(
            outcome
                .error
                .map(|error| (outcome.report.name.clone(), error)),
        );
        report.hosts.push(outcome.report);
    }
    (links, failures)
}
