//! How a release comes to lie on hosts: built once, its archive kept, and the same bytes for
//! everybody. Nothing is ever packed from what serves.

use std::time::Duration;

use futures_util::future::join_all;
use marg_model::{Env, Event};
use marg_resources::quote;
use marg_ssh::Deadline;
use sha2::{Digest, Sha256};

use super::rollout::Rollout;
use super::source::Source;
use super::steps::{self, records};
use super::{DeployError, HostReleases};
use crate::apply::run_steps;
use crate::error::EngineError;

/// How long carrying a release to or from a host may take.
const CARRY: Duration = Duration::from_secs(1800);

impl Rollout<'_> {
    pub(super) async fn build(&mut self, source: &Source) -> Result<(), EngineError> {
        let builder = self.canary()?;
        let archive = source.archive().await.map_err(DeployError::from)?;
        let (app, release) = (self.app, self.release.clone());
        let receive = records::receive(app, &records::source(app, &release.id));
        let host = self.desired.fleet.blueprint.host(&builder);
        let env = host.map(|host| &host.env);
        let layers: Vec<&Env> = env
            .into_iter()
            .flat_map(|env| [&env.shared, &app.env, &env.local])
            .collect();
        let steps = steps::build(app, &release, &layers);
        let link = self.hosts.link(&builder)?;
        let deadline = Deadline::after(CARRY);
        link.session
            .upload(archive.as_slice(), &receive, deadline)
            .await?;
        run_steps(self.engine, link, steps).await?;
        let digest = records::about(app, &release.id, "sha256");
        let digest = link.talk.look(&format!("cat {}", quote(&digest))).await?;
        self.release.digest = Some(digest.trim().to_owned());
        Ok(())
    }

    /// A host on which the release lies unpacked.
    pub(super) fn holder(&self) -> Option<String> {
        let has = |(_, known): &(&String, &HostReleases)| known.has(&self.release.id);
        self.known.iter().find(has).map(|(host, _)| host.clone())
    }

    /// Brings the same bytes to every host that lacks the release. Those that have it get new
    /// caches: the variables may have changed since. All write down what begins.
    pub(super) async fn spread(&mut self, action: &str) -> Result<(), EngineError> {
        let id = self.release.id.clone();
        let lacks = |host: &&String| !self.known.get(*host).is_some_and(|host| host.has(&id));
        let lacking: Vec<String> = self.scope.iter().filter(lacks).cloned().collect();
        if !lacking.is_empty() {
            self.carry(&lacking).await?;
        }
        let line = serde_json::to_string(&self.record(action)).unwrap_or_default();
        self.on_all(|rollout, host| {
            let mut steps = vec![steps::announce(rollout.app, &line)];
            if lacking.iter().any(|lacking| lacking == host) {
                steps.extend(steps::place(rollout.app, &rollout.release));
            } else {
                steps.push(steps::rebuild_caches(rollout.app, &id));
            }
            steps
        })
        .await
    }

    /// Hosts that may have the archive: the one that has just built it, or those that kept it.
    fn sources(&self) -> Result<Vec<String>, EngineError> {
        if self.holder().is_none() {
            return Ok(vec![self.canary()?]);
        }
        let keeps =
            |(_, known): &(&String, &HostReleases)| known.archives.contains(&self.release.id);
        let hosts = self.known.iter().filter(keeps);
        Ok(hosts.map(|(host, _)| host.clone()).collect())
    }

    /// Brings the archive of the release to hosts. Each of them compares its digest again before
    /// it unpacks.
    async fn carry(&mut self, to: &[String]) -> Result<(), EngineError> {
        let sources = self.sources()?;
        let mut refused = None;
        for from in &sources {
            match self.fetch(from).await? {
                Ok(bytes) => return self.hand_out(from, &bytes, to).await,
                Err(error) => {
                    let message = format!("{}: {error}", self.app.name);
                    self.engine.emit(Event::Note {
                        host: Some(from.clone()),
                        message,
                    });
                    refused = Some(error);
                }
            }
        }
        let none = || DeployError::NoArchive {
            app: self.app.name.clone(),
            release: self.release.id.clone(),
            host: to.join(", "),
            commit: self.release.commit.clone(),
        };
        Err(refused.unwrap_or_else(none).into())
    }

    /// The archive as a host keeps it, or why it is not to be used.
    async fn fetch(&mut self, from: &str) -> Result<Result<Vec<u8>, DeployError>, EngineError> {
        let local = |source| DeployError::Local { source };
        let file = tempfile::NamedTempFile::new().map_err(local)?;
        let writer = tokio::fs::File::from_std(file.reopen().map_err(local)?);
        let fetch = format!(
            "cat {}",
            quote(&records::archive(self.app, &self.release.id))
        );
        let deadline = Deadline::after(CARRY);
        let link = self.hosts.link(from)?;
        link.session.download(&fetch, writer, deadline).await?;
        let bytes = tokio::fs::read(file.path()).await.map_err(local)?;
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let built = self.release.digest.clone();
        if built.as_ref() == Some(&found) {
            return Ok(Ok(bytes));
        }
        Ok(Err(DeployError::NotWhatWasBuilt {
            app: self.app.name.clone(),
            release: self.release.id.clone(),
            host: from.to_owned(),
            found,
            built: built.unwrap_or_else(|| "known".to_owned()),
        }))
    }

    async fn hand_out(&self, from: &str, bytes: &[u8], to: &[String]) -> Result<(), EngineError> {
        let receive = records::receive(self.app, &records::archive(self.app, &self.release.id));
        let deadline = Deadline::after(CARRY);
        let others = self.hosts.links.values();
        let others = others.filter(|link| link.host != from && to.contains(&link.host));
        let uploads = others.map(|link| link.session.upload(bytes, &receive, deadline));
        for uploaded in join_all(uploads).await {
            uploaded?;
        }
        Ok(())
    }
}
