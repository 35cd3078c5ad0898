//! Makes another host of a replicated role lead: a planned switch-over while the leader lives, a
//! failover when it does not. The role has the words; here is the order in which they are said.
//!
//! Every run begins with the question how things are, so that one that was interrupted goes on
//! when the same command is given again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use marg_model::{Blueprint, Event, Host};
use marg_resources::{RoleError, Step, Succession};
use serde::Serialize;

use crate::apply::run_steps;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::talk::Lock;

mod group;

use group::{Group, Words, look};

/// How long a host may take until it follows: it may need a copy of everything.
const FOLLOW: Duration = Duration::from_secs(1200);

/// What a promote would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PromotePreview {
    /// The host that is to lead.
    pub host: String,
    /// The service that it is to lead.
    pub service: String,
    /// Whether it leads already.
    pub done: bool,
    /// The leader that lives and hands over; nothing is lost then.
    pub from: Option<String>,
    /// What may be lost and what must not happen; empty where there is no risk.
    pub risks: Vec<String>,
}

/// What a promote did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PromoteReport {
    /// The host that leads.
    pub host: String,
    /// The service that it leads.
    pub service: String,
    /// Who handed over.
    pub from: Option<String>,
    /// Milliseconds from the last write on the old leader to the first on the new one, as seen by
    /// the hosts; absent where nobody handed over.
    pub pause_millis: Option<u64>,
    /// Hosts that follow it.
    pub followers: Vec<String>,
    /// Hosts that do not follow yet; the next provision makes them.
    pub left: Vec<String>,
}

impl Engine {
    /// What [`Engine::promote`] would do, and what it would risk. Changes nothing.
    pub async fn promote_preview(
        &self,
        blueprint: &Blueprint,
        host: &str,
    ) -> Result<PromotePreview, EngineError> {
        let fleet = self.existing_fleet(blueprint).await?;
        let group = Group::of(self, &fleet, host, &Lock::None).await?;
        let succession = (group.words.judge)(&fleet, &group.answers, host)?;
        let preview = PromotePreview {
            host: host.to_owned(),
            service: group.words.of.to_owned(),
            done: succession.done,
            from: succession.retiring,
            risks: succession.risks,
        };
        group.close().await;
        Ok(preview)
    }

    /// Makes `host` lead. With `accept_risks` also when something may be lost by it.
    pub async fn promote(
        &self,
        blueprint: &Blueprint,
        host: &str,
        accept_risks: bool,
    ) -> Result<PromoteReport, EngineError> {
        let fleet = self.existing_fleet(blueprint).await?;
        let mut group = Group::of(self, &fleet, host, &self.lock()).await?;
        let succession = (group.words.judge)(&fleet, &group.answers, host)?;
        if !accept_risks && !succession.risks.is_empty() {
            return Err(RoleError::Leader {
                of: group.words.of,
                message: succession.risks.join("; "),
            }
            .into());
        }
        let pause = match succession.done {
            true => None,
            false => {
                group.prepare(host).await?;
                group.switch(host, &succession).await?
            }
        };
        let mut report = PromoteReport {
            host: host.to_owned(),
            service: group.words.of.to_owned(),
            from: succession.retiring.clone(),
            pause_millis: pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            left: succession.away.clone(),
            ..PromoteReport::default()
        };
        let others = succession.others.iter().chain(&succession.retiring);
        group.follow(host, others, &mut report).await?;
        group.close().await;
        Ok(report)
    }
}

impl Group<'_> {
    /// Tells everybody who is to lead; that host last.
    async fn prepare(&mut self, host: &str) -> Result<(), EngineError> {
        let Some(prepare) = self.words.prepare else {
            return Ok(());
        };
        let candidate = self.host(host)?;
        let mut names: Vec<String> = self.links.keys().cloned().collect();
        names.sort_by_key(|name| name == host);
        for name in names {
            let what = format!("is told that {host} is to lead");
            self.say(&name, &what, |context| prepare(context, &candidate))
                .await?;
        }
        Ok(())
    }

    fn host(&self, name: &str) -> Result<Host, EngineError> {
        let host = self.fleet.blueprint.host(name).cloned();
        host.ok_or_else(|| EngineError::NoMachine {
            host: name.to_owned(),
        })
    }

    /// The switch itself. Returns how long nobody could write.
    async fn switch(
        &mut self,
        host: &str,
        succession: &Succession,
    ) -> Result<Option<Duration>, EngineError> {
        let began = Instant::now();
        let Some(leader) = &succession.retiring else {
            let mut all = vec![(
                host.to_owned(),
                "executes all that it received",
                self.words.drain,
            )];
            all.extend(self.releases(&succession.others));
            self.say_all(all).await?;
            self.take_over(host).await?;
            return Ok(None);
        };
        let said = self
            .say(leader, "takes no more writes", self.words.retire)
            .await?;
        if let Err(error) = self.hand_over(host, &said, succession).await {
            // Nobody took over: the leader goes on. What stopped the switch is what is told.
            let reinstated = self.say(leader, "leads again", self.words.reinstate).await;
            if let Err(second) = reinstated {
                self.engine.emit(Event::Note {
                    host: Some(leader.clone()),
                    message: format!("could not lead again: {second}"),
                });
            }
            return Err(error);
        }
        self.take_over(host).await?;
        Ok(Some(began.elapsed()))
    }

    async fn hand_over(
        &mut self,
        host: &str,
        said: &str,
        succession: &Succession,
    ) -> Result<(), EngineError> {
        let position = position(self.words.of, said)?.to_owned();
        let catch_up = self.words.catch_up;
        self.say(host, "waits until it has everything", |context| {
            catch_up(context, &position)
        })
        .await?;
        self.say_all(self.releases(&succession.others)).await
    }

    fn releases(&self, others: &[String]) -> Vec<(String, &'static str, Words)> {
        let release = self.words.release;
        let others = others.iter();
        others
            .map(|other| (other.clone(), "lets go of the old leader", release))
            .collect()
    }

    /// Says something to several hosts at once.
    async fn say_all(&mut self, all: Vec<(String, &str, Words)>) -> Result<(), EngineError> {
        let mut work = Vec::new();
        for (name, what, words) in all {
            let script = self.script(&name, words)?;
            self.note(&name, what);
            work.extend(self.links.remove(&name).map(|link| (link, script)));
        }
        let done = join_all(work.into_iter().map(async |(mut link, script)| {
            let said = look(&mut link, &script).await;
            (link, said)
        }));
        let mut first = Ok(());
        for (link, said) in done.await {
            self.links.insert(link.host.clone(), link);
            first = first.and(said.map(drop));
        }
        first
    }

    fn note(&self, host: &str, what: &str) {
        self.engine.emit(Event::Note {
            host: Some(host.to_owned()),
            message: what.to_owned(),
        });
    }

    async fn take_over(&mut self, host: &str) -> Result<(), EngineError> {
        self.say(host, "leads", self.words.take_over).await?;
        Ok(())
    }

    /// Lets the others follow, side by side. One that cannot is left to the next provision.
    async fn follow<'b>(
        &mut self,
        leader: &str,
        others: impl Iterator<Item = &'b String>,
        report: &mut PromoteReport,
    ) -> Result<(), EngineError> {
        let leading = self.host(leader)?;
        let follow = self.words.follow;
        let mut work = Vec::new();
        for other in others {
            let body = self.script(other, |context| follow(context, &leading))?;
            if let Some(link) = self.links.remove(other) {
                work.push((link, body));
            }
        }
        let engine = self.engine;
        let done = join_all(work.into_iter().map(async |(mut link, body)| {
            let step = Step::new(format!("follow {leader}"), body, FOLLOW);
            let result = run_steps(engine, &mut link, vec![step]).await;
            (link, result)
        }));
        for (link, result) in done.await {
            let host = link.host.clone();
            match result {
                Ok(()) => report.followers.push(host.clone()),
                Err(error) => {
                    engine.emit(Event::Note {
                        host: Some(host.clone()),
                        message: format!("does not follow yet: {error}"),
                    });
                    report.left.push(host.clone());
                }
            }
            self.links.insert(host, link);
        }
        Ok(())
    }
}

/// Up to where the successor has to follow, from what the leader said when it stopped writing.
/// Whoever took over without knowing it could lack the last writes.
fn position<'a>(of: &'static str, said: &'a str) -> Result<&'a str, RoleError> {
    let found = said.lines().find_map(|line| line.strip_prefix("position "));
    found.ok_or_else(|| RoleError::Leader {
        of,
        message: format!(
            "the host that leads did not say up to where the other one has to follow, so it goes \
             on leading and nothing was switched; it said: {}",
            said.trim()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_over_without_knowing_up_to_where() {
        assert_eq!(
            position("mysql", "ok\nposition 0-11-7\n").ok(),
            Some("0-11-7")
        );
        // A server that has written nothing yet says so with an empty position.
        assert_eq!(position("mysql", "position \n").ok(), Some(""));
        let error = position("mysql", "client: gone\n")
            .err()
            .map(|e| e.to_string());
        insta::assert_snapshot!(error.unwrap_or_default());
    }
}
