//! How a release comes to lie on hosts: built once, or packed on a host that has it, and the same
//! bytes for everybody.

use std::time::Duration;

use futures_util::future::join_all;
use marg_ssh::Deadline;
use sha2::{Digest, Sha256};

use super::rollout::Rollout;
use super::source::Source;
use super::{DeployError, HostReleases, steps};
use crate::apply::run_steps;
use crate::error::EngineError;

/// How long carrying a release to or from a host may take.
const CARRY: Duration = Duration::from_secs(1800);

impl Rollout<'_> {
    pub(super) async fn build(&mut self, source: &Source) -> Result<(), EngineError> {
        let builder = self.canary()?;
        let archive = source.archive().await.map_err(DeployError::from)?;
        let (app, release) = (self.app, self.release.clone());
        let receive = steps::receive(&steps::source_path(app, &release.id));
        let link = self.hosts.link(&builder)?;
        let deadline = Deadline::after(CARRY);
        link.session
            .upload(archive.as_slice(), &receive, deadline)
            .await?;
        run_steps(self.engine, link, steps::build(app, &release)).await?;
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
        let holder = self.holder();
        let id = self.release.id.clone();
        let lacks = |host: &&String| !self.known.get(*host).is_some_and(|host| host.has(&id));
        let lacking: Vec<String> = self.scope.iter().filter(lacks).cloned().collect();
        let mut checksum = String::new();
        if !lacking.is_empty() {
            checksum = self.carry(holder.as_deref(), &lacking).await?;
        }
        let line = serde_json::to_string(&self.record(action)).unwrap_or_default();
        self.on_all(|rollout, host| {
            let mut steps = vec![steps::announce(rollout.app, &line)];
            if lacking.iter().any(|lacking| lacking == host) {
                steps.extend(steps::place(rollout.app, &rollout.release, &checksum));
            } else {
                steps.push(steps::rebuild_caches(rollout.app, &id));
            }
            steps
        })
        .await
    }

    /// Brings the archive of the release to hosts, and returns its checksum, which each of them
    /// compares before it unpacks.
    async fn carry(&mut self, holder: Option<&str>, to: &[String]) -> Result<String, EngineError> {
        let (app, id) = (self.app, self.release.id.clone());
        let from = match holder {
            Some(holder) => {
                let pack = vec![steps::pack(app, &id)];
                run_steps(self.engine, self.hosts.link(holder)?, pack).await?;
                holder.to_owned()
            }
            None => self.canary()?,
        };
        let path = steps::artefact_path(app, &id);
        let local = |source| DeployError::Local { source };
        let file = tempfile::NamedTempFile::new().map_err(local)?;
        let writer = tokio::fs::File::from_std(file.reopen().map_err(local)?);
        let fetch = format!("cat {}", marg_resources::quote(&path));
        let deadline = Deadline::after(CARRY);
        let link = self.hosts.link(&from)?;
        link.session.download(&fetch, writer, deadline).await?;
        let bytes = tokio::fs::read(file.path()).await.map_err(local)?;
        let receive = steps::receive(&path);
        let others = self.hosts.links.values();
        let others = others.filter(|link| link.host != from && to.contains(&link.host));
        let uploads = others.map(|link| link.session.upload(bytes.as_slice(), &receive, deadline));
        for uploaded in join_all(uploads).await {
            uploaded?;
        }
        if holder.is_some() {
            let done = vec![steps::unpack_done(app, &id)];
            run_steps(self.engine, self.hosts.link(&from)?, done).await?;
        }
        let digest = Sha256::digest(&bytes);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
