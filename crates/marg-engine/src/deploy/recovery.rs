//! When a rollout fails: who goes back to what it had, and what the operator is told.

use std::collections::BTreeMap;

use marg_model::Event;

use super::course::goes_back;
use super::rollout::Rollout;
use super::{DeployError, steps};
use crate::error::EngineError;
use crate::traffic::Word;

impl Rollout<'_> {
    /// Nothing was switched: what was carried goes away, unless an earlier run left it. Visitors
    /// are let in again.
    pub(super) async fn abandon(&mut self, again: bool) {
        let id = self.release.id.clone();
        let cleared = self.on_all(|rollout, _| {
            let up = rollout.manner.maintenance.then(|| steps::up(rollout.app));
            let discard = (!again).then(|| steps::discard(rollout.app, &id));
            up.into_iter().chain(discard).collect()
        });
        if let Err(error) = cleared.await {
            self.engine.emit(Event::Note {
                host: None,
                message: format!("what was begun is left on a host: {error}"),
            });
        }
    }

    pub(super) fn before(&self, reason: EngineError) -> EngineError {
        let (app, release) = (self.app.name.clone(), self.release.id.clone());
        let reason = Box::new(reason);
        DeployError::Before {
            app,
            release,
            reason,
        }
        .into()
    }

    /// The hosts that failed go back to what they had, the others by the inventory's policy.
    pub(super) async fn recover(
        &mut self,
        action: &str,
        mut failures: Vec<(String, EngineError)>,
    ) -> EngineError {
        let failed: Vec<String> = failures.iter().map(|(host, _)| host.clone()).collect();
        let (policy, balanced) = (self.app.on_failure, self.is_balanced());
        let back = goes_back(&self.switched, &failed, policy, balanced);
        let back: Vec<String> = back.into_iter().map(str::to_owned).collect();
        let stay = self.switched.iter().filter(|host| !back.contains(host));
        let stay: Vec<String> = stay.cloned().collect();
        let mut also = self.restore(&back).await;
        if stay.is_empty() && action == "deploy" {
            let id = self.release.id.clone();
            let discarded = self.on_all(|rollout, _| vec![steps::discard(rollout.app, &id)]);
            also.extend(discarded.await.err().map(|error| error.to_string()));
        }
        let host = failed.join(", ");
        let reason = match failures.len() {
            1 => failures.remove(0).1,
            _ => EngineError::Hosts { failures },
        };
        self.verdict(action, (host, reason), &stay, also).into()
    }

    /// Puts hosts back to what they had and lets visitors come to all again. Returns what went
    /// wrong on the way.
    async fn restore(&mut self, back: &[String]) -> Vec<String> {
        let (mut targets, mut empty) = (BTreeMap::new(), BTreeMap::new());
        for host in back {
            match self.had(host) {
                Some(id) => {
                    targets.insert(host.clone(), id);
                }
                None => {
                    empty.insert(host.clone(), vec![steps::nothing_live(self.app)]);
                }
            }
        }
        let mut failures = self.switch(targets).await;
        failures.extend(self.run(empty).await);
        let mut also: Vec<String> = failures
            .into_iter()
            .map(|(_, error)| error.to_string())
            .collect();
        if self.manner.maintenance {
            let up = self.on_all(|rollout, _| vec![steps::up(rollout.app)]);
            also.extend(up.await.err().map(|error| error.to_string()));
        }
        // All of them: an earlier run that was cut off may have left one out of the traffic.
        let all: Vec<String> = self.hosts.links.keys().cloned().collect();
        let told = self.tell(Word::LetIn, &all).await;
        also.extend(told.err().map(|error| error.to_string()));
        also
    }

    /// What a host had before this rollout.
    fn had(&self, host: &str) -> Option<String> {
        let live = self.known.get(host).and_then(|known| known.live.clone());
        match live {
            // An earlier run had switched it already.
            Some(id) if id == self.release.id => self.previous.clone(),
            live => live,
        }
    }

    fn verdict(
        &self,
        action: &str,
        (host, reason): (String, EngineError),
        stay: &[String],
        also: Vec<String>,
    ) -> DeployError {
        let (app, release) = (self.app.name.clone(), self.release.id.clone());
        let reason = Box::new(reason);
        if !also.is_empty() {
            return DeployError::Stuck {
                app,
                release,
                host,
                reason,
                also: also.join("; "),
            };
        }
        if stay.is_empty() {
            let touched = self.switched.len();
            let others = self.hosts.links.len().saturating_sub(touched);
            return DeployError::TakenBack {
                app,
                release,
                host,
                restored: self
                    .previous
                    .clone()
                    .unwrap_or_else(|| "nothing".to_owned()),
                untouched: others,
                reason,
            };
        }
        let onward = match action {
            "rollback" => format!("marg rollback {app} --to {release}"),
            _ => format!("marg deploy {app} --ref {}", self.release.commit),
        };
        let back = match action {
            "rollback" => match &self.previous {
                Some(previous) => format!("marg rollback {app} --to {previous}"),
                None => format!("marg deploy {app}"),
            },
            _ => format!("marg rollback {app}"),
        };
        DeployError::Stopped {
            app,
            release,
            host,
            state: format!(
                "{}\nGo on with `{onward}`, or take it back with `{back}`",
                self.versions(stay)
            ),
            reason,
        }
    }

    /// Which release is live where, one line for each.
    fn versions(&self, stay: &[String]) -> String {
        let mut versions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for host in self.hosts.links.keys() {
            let live = match stay.contains(host) {
                true => Some(self.release.id.clone()),
                false => self.had(host),
            };
            let live = live.unwrap_or_else(|| "nothing".to_owned());
            versions.entry(live).or_default().push(host);
        }
        let lines = versions.into_iter().rev();
        let lines = lines.map(|(id, hosts)| format!("  {id}: {}", hosts.join(", ")));
        lines.collect::<Vec<_>>().join("\n")
    }
}
