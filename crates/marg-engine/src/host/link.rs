//! A connection to one host with a conversation over it.

use std::time::Duration;

use marg_model::Blueprint;
use marg_resources::Answer;
use marg_ssh::{Deadline, LineEvent, Patience, ProcessLines, Session, SshError, Stats, Target};

use super::talk::{Lock, Pipe, Talk, command};
use super::{HostError, first_login};
use crate::engine::Engine;

/// How long a host that should be up may take to answer.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a machine that was just created may take to boot.
const BOOT: Duration = Duration::from_secs(300);
/// How long sending a script may take.
const SEND: Duration = Duration::from_secs(60);

/// A connected host.
pub struct Link {
    /// Host name.
    pub host: String,
    /// The connection: more commands may run over it beside the conversation.
    pub session: Session,
    /// The conversation.
    pub talk: Talk<ProcessLines>,
    /// Where it leads.
    pub target: Target,
    /// What other connections to this host have cost in this run.
    besides: Stats,
}

/// Which host, where.
pub struct Place<'a> {
    /// Host name.
    pub host: &'a str,
    /// Its public address.
    pub address: std::net::Ipv4Addr,
}

impl Link {
    /// Connects and starts a conversation. A machine that has just been made is waited for, and
    /// gets a host key of its own at the first login.
    pub async fn open(
        engine: &Engine,
        blueprint: &Blueprint,
        place: Place<'_>,
        lock: &Lock,
    ) -> Result<Link, HostError> {
        let name = blueprint.droplet_name(place.host);
        let first = engine.vault().has_first_host_key(&name);
        let (session, target) = connect(engine, &name, place.address, first).await?;
        let (session, target, besides) = if first {
            first_login::finish(engine, session, target).await?
        } else {
            (session, target, Stats::default())
        };
        let process = session
            .exec(&command(lock), Deadline::after(CONNECT))
            .await?;
        let talk = Talk::start(place.host, process.lines()).await?;
        let host = place.host.to_owned();
        Ok(Link {
            host,
            session,
            talk,
            target,
            besides,
        })
    }

    /// Connections and execs so far, that of this conversation included.
    pub fn spent(&self) -> (usize, usize) {
        let stats = self.session.stats();
        let connections = self.besides.connections + stats.connections;
        let execs = self.besides.execs + stats.execs;
        (connections as usize, execs as usize)
    }

    /// Counts connections that were opened beside this one, each for one command.
    pub fn count_confirmations(&mut self, more: u32) {
        self.besides.connections += more;
        self.besides.execs += more;
    }

    /// Runs a probe.
    pub async fn probe(&mut self, script: &str) -> Result<Answer, HostError> {
        self.talk.probe(script).await
    }
}

/// Proves that a new connection succeeds, and tells the host so.
pub async fn confirm_guard(engine: &Engine, target: &Target) -> Result<(), SshError> {
    let deadline = Deadline::after(CONNECT);
    let session = Session::connect(target, engine.identity(), deadline).await?;
    session
        .run("touch /var/lib/marg/rescue/confirmed", b"", deadline)
        .await?;
    session.close().await;
    Ok(())
}

/// Connects to a machine that should be up, with the host key that is pinned for it, or with the
/// one that it was given by a run that ended before that was pinned.
pub async fn reach(
    engine: &Engine,
    name: &str,
    address: std::net::Ipv4Addr,
) -> Result<(Session, Target), HostError> {
    connect(engine, name, address, false).await
}

async fn connect(
    engine: &Engine,
    name: &str,
    address: std::net::Ipv4Addr,
    booting: bool,
) -> Result<(Session, Target), HostError> {
    let known = engine.vault().known_hosts()?;
    let key = known.require(name)?;
    let target = Target::new(name, address.to_string(), "root", key);
    let attempt = if booting {
        let patience = Patience {
            denied: Duration::from_secs(60),
            ..Patience::default()
        };
        Session::connect_when_ready(&target, engine.identity(), patience, Deadline::after(BOOT))
            .await
    } else {
        Session::connect(&target, engine.identity(), Deadline::after(CONNECT)).await
    };
    match (attempt, known.get(&first_login::next(name))) {
        (Ok(session), _) => Ok((session, target)),
        // A run ended between giving the host its own key and pinning that.
        (Err(SshError::HostKeyChanged { .. }), Some(next)) => {
            let target = Target::new(name, address.to_string(), "root", next);
            let deadline = Deadline::after(CONNECT);
            let session = Session::connect(&target, engine.identity(), deadline).await?;
            Ok((session, target))
        }
        (Err(error), _) => Err(error.into()),
    }
}

impl Pipe for ProcessLines {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        Ok(self.process().write(bytes, Deadline::after(SEND)).await?)
    }

    async fn line(&mut self, deadline: Duration) -> Result<Option<String>, HostError> {
        match self.next(Deadline::after(deadline)).await? {
            Some(LineEvent::Stdout(line) | LineEvent::Stderr(line)) => {
                Ok(Some(String::from_utf8_lossy(&line).into_owned()))
            }
            Some(LineEvent::Exit(_)) | None => Ok(None),
        }
    }
}
