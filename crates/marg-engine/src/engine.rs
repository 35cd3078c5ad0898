//! The engine itself: what every operation needs at hand.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use marg_cloud::{Cloud, Tag};
use marg_model::{Blueprint, Event, EventSink, Phase, Secrets};
use marg_resources::Role;
use marg_ssh::{HostKey, KeyPair};

use crate::cloud::leaving::phase_of;
use crate::cloud::situation::{Found, Situation};
use crate::environment::EnvironmentPlan;
use crate::error::EngineError;
use crate::needs;
use crate::vault::{Vault, VaultError};

/// What an engine is told about its surroundings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is at work, as another operator will read it: `anna@laptop`.
    pub who: String,
    /// Folder of the inventory: relative repositories start there.
    pub inventory_dir: PathBuf,
    /// Address of the cloud's API as hosts reach it; DigitalOcean's own when there is none.
    pub api_url: Option<String>,
    /// All phases that there are, for hosts that come from another one.
    pub phases: Vec<Phase>,
}

/// Looks, plans, applies, verifies and deploys one environment.
pub struct Engine {
    cloud: Arc<dyn Cloud>,
    roles: &'static [&'static dyn Role],
    vault: Vault,
    identity: KeyPair,
    events: Arc<dyn EventSink>,
    options: Options,
    secrets: Mutex<Secrets>,
}

impl Engine {
    /// An engine for the environment whose folder is `vault`. Makes the operator's key pair on
    /// first use.
    pub fn new(
        cloud: Arc<dyn Cloud>,
        roles: &'static [&'static dyn Role],
        vault: Vault,
        events: Arc<dyn EventSink>,
        options: Options,
    ) -> Result<Engine, EngineError> {
        let identity = vault.identity()?;
        let secrets = Mutex::new(vault.secrets()?);
        Ok(Engine {
            cloud,
            roles,
            vault,
            identity,
            events,
            options,
            secrets,
        })
    }

    /// Looks at the cloud alone and compares.
    ///
    /// # Errors
    /// Something that is not the environment's has a name that it needs.
    pub async fn situation(&self, blueprint: &Blueprint) -> Result<Situation, EngineError> {
        let situation = self.look(blueprint).await?;
        let strangers = situation.found.takers(blueprint);
        match strangers.is_empty() {
            true => Ok(situation),
            false => Err(EngineError::NamesTaken { strangers }),
        }
    }

    /// The same, whoever has names that the environment needs: enough for whoever only looks, or
    /// takes away.
    pub async fn look(&self, blueprint: &Blueprint) -> Result<Situation, EngineError> {
        let (public_key, hint) = (self.identity.public_openssh(), self.vault.entry_hint());
        let found = Found::look(self.cloud(), blueprint, &public_key, hint).await?;
        let mut situation =
            Situation::compare(blueprint, (&self.options.phases, self.roles), found);
        situation.api_url = self.options.api_url.clone();
        Ok(situation)
    }

    /// The phase in which the environment stands, as its droplets say; `None` when there are
    /// none.
    ///
    /// # Errors
    /// When it is on its way from one phase to another, besides those of the cloud.
    pub async fn living_phase(&self, environment: &str) -> Result<Option<u8>, EngineError> {
        let tag = Tag::environment(environment)?;
        let droplets = self.cloud.droplets_tagged(&tag).await?;
        let phases = droplets.iter().filter_map(|one| phase_of(environment, one));
        let phases: BTreeSet<u8> = phases.collect();
        match phases.len() {
            0 | 1 => Ok(phases.into_iter().next()),
            _ => Err(EngineError::BetweenPhases {
                phases: phases
                    .iter()
                    .map(u8::to_string)
                    .collect::<Vec<_>>()
                    .join(" and "),
            }),
        }
    }

    /// Looks only for the machines that exist: enough to reach them.
    pub(crate) async fn machines(&self, blueprint: &Blueprint) -> Result<Situation, EngineError> {
        let hint = self.vault.entry_hint();
        let found = Found::machines(self.cloud(), blueprint, hint).await?;
        let mut situation = Situation::bind(blueprint, &self.options.phases, found);
        situation.api_url = self.options.api_url.clone();
        Ok(situation)
    }

    /// The environment's secrets, made where they are missing. `existing` tells whether machines
    /// use them already.
    pub(crate) fn secrets(
        &self,
        blueprint: &Blueprint,
        existing: bool,
    ) -> Result<Secrets, EngineError> {
        self.require_given(blueprint)?;
        self.made_secrets(blueprint, existing)
    }

    /// The environment's secrets as far as they are there or roles make them.
    pub(crate) fn made_secrets(
        &self,
        blueprint: &Blueprint,
        existing: bool,
    ) -> Result<Secrets, EngineError> {
        let mut specs: Vec<_> = self
            .roles
            .iter()
            .flat_map(|role| role.secrets(blueprint))
            .collect();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        specs.dedup_by(|a, b| a.name == b.name);
        let secrets = self.vault.ensure_secrets(&specs, existing)?;
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets.clone();
        Ok(secrets)
    }

    /// Secrets that only the operator can give are asked for before anything is made.
    fn require_given(&self, blueprint: &Blueprint) -> Result<(), EngineError> {
        let present = self.vault.secrets()?;
        self.refuse_without(&needs::missing(blueprint, self.roles, &present))
    }

    /// Fails as a run will, where secrets of a plan are missing.
    pub fn require_secrets(&self, plan: &EnvironmentPlan) -> Result<(), EngineError> {
        self.refuse_without(&plan.missing_secrets)
    }

    fn refuse_without(&self, missing: &[String]) -> Result<(), EngineError> {
        if missing.is_empty() {
            return Ok(());
        }
        Err(EngineError::MissingSecrets {
            names: missing.join(", "),
            path: self.vault.path("secrets.toml").display().to_string(),
        })
    }

    /// Tells whoever listens. Secrets in output lines are blanked here, for every reader.
    pub(crate) fn emit(&self, event: Event) {
        let event = match event {
            Event::Output { host, line } => Event::Output {
                host,
                line: self.redact(&line),
            },
            other => other,
        };
        self.events.emit(event);
    }

    /// Blanks secrets in a text that a host produced.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .redact(text)
    }

    /// Pins a host key under a droplet's name.
    pub(crate) fn pin(&self, name: &str, key: &HostKey) -> Result<(), VaultError> {
        let mut known = self.vault.known_hosts()?;
        if known.get(name).as_ref() != Some(key) {
            known.pin(name, key)?;
        }
        Ok(())
    }

    pub(crate) fn cloud(&self) -> &dyn Cloud {
        self.cloud.as_ref()
    }

    pub(crate) fn roles(&self) -> &'static [&'static dyn Role] {
        self.roles
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn identity(&self) -> &KeyPair {
        &self.identity
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }
}
