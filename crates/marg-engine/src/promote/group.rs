//! The hosts of a replicated role, connected where they answer: who they are, what they say, and
//! how something is said to them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use marg_model::{Event, Fleet, Host, Machine, Secrets};
use marg_resources::{Context, HostAnswer, HostAnswers, Promotion, Role, Shell};

use crate::desired::promised;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::HostError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::leaders::answer;

/// How long a host may take to answer before it counts as silent: somebody waits for this.
const CONNECT: Duration = Duration::from_secs(10);

/// A role's words for the host of a context.
pub(super) type Words = fn(&Context) -> Shell;

/// The hosts of a replicated role, connected where they answer.
pub(super) struct Group<'a> {
    pub(super) engine: &'a Engine,
    pub(super) fleet: &'a Fleet,
    pub(super) words: Promotion,
    pub(super) links: BTreeMap<String, Link>,
    pub(super) answers: HostAnswers,
}

impl<'a> Group<'a> {
    /// Connects to all hosts that could lead what `host` could lead, and asks them.
    pub(super) async fn of(
        engine: &'a Engine,
        fleet: &'a Fleet,
        host: &str,
        lock: &Lock,
    ) -> Result<Group<'a>, EngineError> {
        let role = role_of(engine.roles(), fleet, host)?;
        let no_such = || no_such_host(engine.roles(), fleet, host);
        let words = role.promotion().ok_or_else(no_such)?;
        let mut led = engine.roles().iter().filter_map(|role| role.leadership());
        let leadership = led.find(|led| led.of == words.of).ok_or_else(no_such)?;
        let mut group = Group {
            engine,
            fleet,
            words,
            links: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        let members: Vec<_> = fleet.with_role(role.schema().name).collect();
        let opened = members.iter();
        let opened = opened.map(|(host, machine)| open(engine, fleet, host, machine, lock));
        for ((host, _), opened) in members.iter().zip(join_all(opened).await) {
            match opened? {
                Ok(link) => drop(group.links.insert(host.name.clone(), link)),
                Err(answer) => drop(group.answers.insert(host.name.clone(), answer)),
            }
        }
        group.ask(leadership.question).await?;
        Ok(group)
    }

    /// Asks those that are connected, all at once and now: what was true before the last of them
    /// was connected, or given up, is old.
    pub(super) async fn ask(
        &mut self,
        question: fn(&Context) -> String,
    ) -> Result<(), EngineError> {
        let mut links = std::mem::take(&mut self.links);
        let asked = join_all(links.iter_mut().map(async |(name, link)| {
            let script = self.script(name, |context| Shell::new(question(context)))?;
            let answer = answer(link, script.reveal().expose()).await?;
            Ok::<_, EngineError>((name.clone(), answer))
        }));
        let answers: Result<Vec<_>, _> = asked.await.into_iter().collect();
        self.answers.extend(answers?);
        links.retain(|name, _| self.answers.get(name) != Some(&HostAnswer::Silent));
        self.links = links;
        Ok(())
    }

    pub(super) fn context<'b>(
        &'b self,
        host: &'b Host,
        machine: &'b Machine,
        secrets: &'b Secrets,
    ) -> Result<Context<'b>, EngineError> {
        Ok(Context {
            fleet: self.fleet,
            host,
            machine,
            distro: promised(host)?,
            secrets,
            roles: self.engine.roles(),
        })
    }

    /// A role's words for a host that is connected.
    pub(super) fn script(
        &self,
        name: &str,
        words: impl FnOnce(&Context) -> Shell,
    ) -> Result<Shell, EngineError> {
        let missing = || EngineError::NoMachine {
            host: name.to_owned(),
        };
        let host = self.fleet.blueprint.host(name).ok_or_else(missing)?;
        let machine = self.fleet.machine(name).ok_or_else(missing)?;
        let secrets = Secrets::default();
        Ok(words(&self.context(host, machine, &secrets)?))
    }

    /// Says a word to a host and returns what it prints.
    pub(super) async fn say(
        &mut self,
        name: &str,
        what: &str,
        words: impl FnOnce(&Context) -> Shell,
    ) -> Result<String, EngineError> {
        let script = self.script(name, words)?;
        self.note(name, what);
        let link = self.links.get_mut(name).ok_or(EngineError::NoMachine {
            host: name.to_owned(),
        })?;
        look(link, &script).await
    }

    pub(super) async fn close(self) {
        for (_, link) in self.links {
            link.session.close().await;
        }
    }
}

/// Runs a role's words and returns what they print. What went wrong is said on standard error,
/// which the error repeats.
pub(super) async fn look(link: &mut Link, script: &Shell) -> Result<String, EngineError> {
    let script = format!("{{ {}}} 2>&1", script.reveal().expose());
    Ok(link.talk.look(&script).await?)
}

/// Connects to one host. One that cannot be reached is silent; that somebody else works on it is an
/// error.
async fn open(
    engine: &Engine,
    fleet: &Fleet,
    host: &Host,
    machine: &Machine,
    lock: &Lock,
) -> Result<Result<Link, HostAnswer>, EngineError> {
    let Some(address) = machine.public.known() else {
        return Ok(Err(HostAnswer::NotThere));
    };
    let place = Place {
        host: &host.name,
        address,
    };
    let opening = Link::open(engine, &fleet.blueprint, place, lock);
    let message = match tokio::time::timeout(CONNECT, opening).await {
        Ok(Ok(link)) => return Ok(Ok(link)),
        Ok(Err(error @ HostError::Locked { .. })) => return Err(error.into()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("does not answer within {} s", CONNECT.as_secs()),
    };
    engine.emit(Event::Note {
        host: Some(host.name.clone()),
        message,
    });
    Ok(Err(HostAnswer::Silent))
}

/// The role of a host that knows how to be promoted.
fn role_of<'a>(
    roles: &'a [&'a dyn Role],
    fleet: &Fleet,
    name: &str,
) -> Result<&'a dyn Role, EngineError> {
    let host = fleet.blueprint.host(name);
    let own = |role: &&&dyn Role| host.is_some_and(|host| host.has_role(role.schema().name));
    let promotable = roles.iter().filter(|role| role.promotion().is_some());
    let found = promotable.filter(own).copied().next();
    found.ok_or_else(|| no_such_host(roles, fleet, name))
}

fn no_such_host(roles: &[&dyn Role], fleet: &Fleet, name: &str) -> EngineError {
    let promotable = roles.iter().filter(|role| role.promotion().is_some());
    let known: Vec<&str> = promotable
        .flat_map(|role| fleet.blueprint.with_role(role.schema().name))
        .map(|host| host.name.as_str())
        .collect();
    EngineError::NoSuch {
        what: "host that can be promoted",
        name: name.to_owned(),
        known: match known.is_empty() {
            true => "none in this phase".to_owned(),
            false => known.join(", "),
        },
    }
}
