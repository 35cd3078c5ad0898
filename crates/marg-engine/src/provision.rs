//! Makes an environment true: cloud, hosts, first deploys; and moves it from phase to phase while
//! it serves.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use marg_model::{Blueprint, Event, Fleet, Host, Secrets};

use crate::cloud::leaving::Leaving;
use crate::cloud::realise::{close, move_entry, open};
use crate::cloud::situation::Situation;
use crate::converge::connect;
use crate::crew::Crew;
use crate::deploy;
use crate::desired::Desired;
use crate::earlier;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::handover::{carries, hand_over, quiet_rivals, take_back};
use crate::host::talk::Lock;
use crate::leaders::{self, Links, ask, asked, refuse_leaving, replicated};
use crate::report::{DeployReport, Report};
use crate::retire::{dismiss, retire};
use crate::traffic;

impl Engine {
    /// Makes the environment what the blueprint says. Hosts go on side by side; the report says
    /// how each one went. Applications without a live release are deployed at the end.
    ///
    /// Where the environment moves, everything new serves before the entry address leads there,
    /// and only then does the old close: hosts that the blueprint no longer has finish their work
    /// and are destroyed. Those that hold data stay, unless `destroy` names them.
    pub async fn provision(
        &self,
        blueprint: &Blueprint,
        destroy: &[String],
    ) -> Result<Report, EngineError> {
        let situation = self.situation(blueprint).await?;
        situation.refuse_losses(blueprint, self.roles())?;
        refuse_strangers(&situation, destroy)?;
        self.tell(&situation.notes);
        let existing = !situation.found.droplets.is_empty();
        let secrets = self.secrets(blueprint, existing)?;
        let fresh: BTreeSet<String> = situation
            .missing(blueprint)
            .map(|host| host.name.clone())
            .collect();
        self.refuse_orphans(blueprint, &situation, &secrets).await?;
        let cloud_changed = situation.changes.len();
        let situation = open(self, blueprint, situation).await?;
        let entry = situation.entry.as_ref().map(|reserved| reserved.ip);
        let mut crew = Crew::new(self, &secrets, fresh);
        let deployed = self
            .make_true(blueprint, situation, destroy, &secrets, &mut crew)
            .await;
        crew.close().await;
        let mut report = self.report(blueprint, &mut crew);
        report.entry = entry;
        report.cloud_changed = cloud_changed;
        report.deployed = deployed?;
        if !crew.failures.is_empty() {
            return Err(EngineError::Hosts {
                failures: crew.failures,
            });
        }
        Ok(report)
    }

    /// Hosts, releases, balancers; then, where the environment moves, the entry address, the
    /// hosts that leave, and everything once more as it is without them.
    async fn make_true(
        &self,
        blueprint: &Blueprint,
        situation: Situation,
        destroy: &[String],
        secrets: &Secrets,
        crew: &mut Crew<'_>,
    ) -> Result<Vec<DeployReport>, EngineError> {
        self.emit(Event::PhaseStarted {
            name: "hosts".to_owned(),
        });
        let mut fleet = situation.fleet(blueprint);
        let carried = carries(blueprint, &situation, self.roles(), &fleet.leaders);
        fleet.awaits_data = !carried.is_empty();
        crew.converge(&mut fleet).await;
        let earlier = crew.links.values().any(|linked| linked.earlier);
        let mut deployed = Vec::new();
        if !crew.apps_concerned(blueprint) {
            deployed = deploy::first_deploys(self, &fleet, &mut crew.links).await?;
            traffic::let_in(self, crew, &self.desired(&fleet, secrets)).await;
            crew.check_balancers(&fleet).await;
        }
        // Nothing closes before everything that is to replace it works.
        if !crew.failures.is_empty() {
            return Ok(deployed);
        }
        let mut situation = situation;
        if situation.is_moving(blueprint) {
            let desired = self.desired(&fleet, secrets);
            if self.lead_visitors(&situation, &desired, crew).await? {
                situation = self.situation(blueprint).await?;
                fleet.entry_at = situation.entry_at().map(str::to_owned);
            }
            let going: Vec<&Leaving> = situation.going(destroy).collect();
            retire(self, crew, &self.desired(&fleet, secrets), &going).await?;
            situation = self.situation(blueprint).await?;
            self.emit(Event::PhaseStarted {
                name: "hosts without what has left".to_owned(),
            });
            fleet = situation.fleet(blueprint);
            crew.converge(&mut fleet).await;
            crew.check_balancers(&fleet).await;
        }
        if crew.failures.is_empty() && earlier {
            earlier::let_go(self, crew, fleet, secrets).await?;
        }
        if crew.failures.is_empty() {
            close(self, blueprint, &situation).await?;
        }
        Ok(deployed)
    }

    /// Carries over the data that has to move, leads the entry address to where it belongs, and lets
    /// go of those who are still connected to where it led. Returns whether it has moved.
    async fn lead_visitors(
        &self,
        situation: &Situation,
        desired: &Desired<'_>,
        crew: &mut Crew<'_>,
    ) -> Result<bool, EngineError> {
        let blueprint = &desired.fleet.blueprint;
        let carried = carries(blueprint, situation, self.roles(), &desired.fleet.leaders);
        hand_over(self, crew, desired, &carried).await?;
        let moved = match quiet_rivals(self, crew, desired).await {
            Ok(()) => move_entry(self, blueprint, situation).await,
            Err(error) => Err(error),
        };
        match &moved {
            // At once: until then, whoever is still connected hears only that it is away.
            Ok(true) => {
                let stays = |one: &&Leaving| one.host.holds_data;
                let staying: Vec<&Leaving> = situation.leaving.iter().filter(stays).collect();
                dismiss(self, crew, desired, &staying).await;
            }
            Err(_) if !carried.is_empty() => take_back(self, crew, desired).await,
            _ => {}
        }
        moved
    }

    pub(crate) fn desired<'a>(&self, fleet: &'a Fleet, secrets: &'a Secrets) -> Desired<'a> {
        let roles = self.roles();
        Desired {
            fleet,
            roles,
            secrets,
        }
    }

    /// Before anything is changed: whoever leads stays. The hosts are asked, since nobody knows
    /// better after a failover.
    async fn refuse_orphans(
        &self,
        blueprint: &Blueprint,
        situation: &Situation,
        secrets: &Secrets,
    ) -> Result<(), EngineError> {
        if situation.leaving.is_empty() {
            return Ok(());
        }
        let mut fleet = situation.fleet(blueprint);
        let services = replicated(&fleet, self.roles());
        let names = asked(&services);
        let there = |host: &&Host| {
            let machine = fleet.machine(&host.name);
            names.contains(host.name.as_str()) && machine.is_some_and(|one| one.droplet.is_some())
        };
        let connecting = fleet.peers().filter(there).map(async |host| {
            let link = connect(self, &fleet, host, &Lock::None).await;
            (host.name.clone(), link)
        });
        let mut links: Links = join_all(connecting).await.into_iter().collect();
        let found = ask(&self.desired(&fleet, secrets), &services, &mut links).await;
        leaders::close(links).await;
        fleet.leaders = found.settled()?;
        refuse_leaving(&fleet)
    }

    fn tell(&self, notes: &[String]) {
        for message in notes {
            self.emit(Event::Note {
                host: None,
                message: message.clone(),
            });
        }
    }

    fn report(&self, blueprint: &Blueprint, crew: &mut Crew<'_>) -> Report {
        let mut reports: BTreeMap<_, _> = std::mem::take(&mut crew.reports);
        let hosts = blueprint.hosts.iter();
        Report {
            environment: blueprint.environment.name.clone(),
            hostnames: blueprint
                .apps
                .iter()
                .flat_map(|app| app.hostnames.clone())
                .collect(),
            hosts: hosts
                .filter_map(|host| reports.remove(&host.name))
                .collect(),
            ..Report::default()
        }
    }

    /// What a second operator is told while this one is at work.
    pub(crate) fn lock(&self) -> Lock {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        Lock::Held {
            who: format!("{} since {now}", self.options().who),
        }
    }
}

/// Only hosts that leave can be destroyed by a provision.
fn refuse_strangers(situation: &Situation, destroy: &[String]) -> Result<(), EngineError> {
    let leaves = |name: &&String| situation.leaving.iter().any(|one| one.host.name == **name);
    match destroy.iter().find(|name| !leaves(name)) {
        None => Ok(()),
        Some(name) => Err(EngineError::NoSuch {
            what: "host on its way out",
            name: name.clone(),
            known: situation
                .leaving
                .iter()
                .map(|one| one.host.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}
