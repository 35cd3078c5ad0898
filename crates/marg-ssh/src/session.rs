//! A logged-in connection, on which any number of commands run side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{ChannelStream, Disconnect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use crate::connect::{Attempt, connect, end_of};
use crate::gate::{End, Gate};
use crate::process::{Output, Process, ProcessEvent, tail};
use crate::ready::{Patience, connect_when_ready};
use crate::{Deadline, KeyPair, SshError, Target};

/// Bytes that an upload reads at a time: four of the packets that sshd accepts.
const UPLOAD_PIECE: usize = 128 * 1024;
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// One connection to one host, logged in. Clones share it; it ends when the last clone and
/// the last of its [`Process`]es are gone, or with [`Session::close`].
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    host: String,
    handle: Handle<Gate>,
    ended: watch::Receiver<Option<End>>,
    execs: AtomicU32,
    /// Keeps the jump host's connection open as long as this one.
    via: Option<Session>,
}

/// What a session has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections: one, and those of the jump host.
    pub connections: u32,
    /// Commands started on the host itself.
    pub execs: u32,
}

impl Session {
    /// Connects, checks the host key and logs in, once. A target with a jump host is reached
    /// through a session of its own, with the same identity.
    ///
    /// # Errors
    /// [`SshError::Unreachable`], [`SshError::HostKeyChanged`], [`SshError::AuthDenied`],
    /// [`SshError::Handshake`], [`SshError::JumpRefused`], [`SshError::ConnectionLost`] or
    /// [`SshError::DeadlinePassed`].
    pub async fn connect(
        target: &Target,
        identity: &KeyPair,
        deadline: Deadline,
    ) -> Result<Self, SshError> {
        let via = match &target.jump {
            None => None,
            Some(jump) => Some(Box::pin(Self::connect(jump, identity, deadline)).await?),
        };
        connect(target, identity, via, whole(deadline)).await
    }

    /// Connects through the session of a jump host that is already there, so that one
    /// connection to the jump host serves many hosts behind it. The target's own `jump` is
    /// not looked at.
    ///
    /// # Errors
    /// Those of [`Self::connect`].
    pub async fn connect_through(
        jump: &Session,
        target: &Target,
        identity: &KeyPair,
        deadline: Deadline,
    ) -> Result<Self, SshError> {
        connect(target, identity, Some(jump.clone()), whole(deadline)).await
    }

    /// Connects to a machine that may still be booting: refused, unanswered and broken
    /// connections are tried again until the deadline. A wrong host key is final at once, a
    /// denied login after [`Patience::denied`].
    ///
    /// # Errors
    /// Those of [`Self::connect`], and [`SshError::NotReady`] when the deadline passes.
    pub async fn connect_when_ready(
        target: &Target,
        identity: &KeyPair,
        patience: Patience,
        deadline: Deadline,
    ) -> Result<Self, SshError> {
        connect_when_ready(target, identity, patience, deadline).await
    }

    pub(crate) fn new(
        target: &Target,
        handle: Handle<Gate>,
        ended: watch::Receiver<Option<End>>,
        via: Option<Session>,
    ) -> Self {
        let inner = Inner {
            host: target.name.clone(),
            handle,
            ended,
            execs: AtomicU32::new(0),
            via,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The name of the host.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// Starts a command in the account's shell. Its output is streamed; see [`Process`].
    ///
    /// # Errors
    /// [`SshError::ExecRefused`], [`SshError::ConnectionLost`], [`SshError::DeadlinePassed`].
    pub async fn exec(&self, command: &str, deadline: Deadline) -> Result<Process, SshError> {
        let doing = "starting a command";
        let opening = self.inner.handle.channel_open_session();
        let channel = match deadline.wait(self.host(), doing, opening).await? {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                return Err(SshError::ExecRefused {
                    host: self.host().to_owned(),
                    reason: format!("{reason:?}"),
                });
            }
            Err(_) => return Err(self.lost(doing, deadline).await),
        };
        // The answer to this request arrives among the command's output. Nobody waits for it
        // here, which saves a round trip.
        let asking = channel.exec(true, command);
        if deadline.wait(self.host(), doing, asking).await?.is_err() {
            return Err(self.lost(doing, deadline).await);
        }
        self.inner.execs.fetch_add(1, Ordering::Relaxed);
        Ok(Process::new(self.host(), self.inner.ended.clone(), channel))
    }

    /// Runs a command to its end, with `stdin` as its whole input.
    ///
    /// A command that ends without reading all of `stdin` is no error of its own; its status
    /// tells.
    ///
    /// # Errors
    /// Those of [`Self::exec`], and [`SshError::NoExitStatus`]. An exit status other than 0 is
    /// not an error here.
    pub async fn run(
        &self,
        command: &str,
        stdin: &[u8],
        deadline: Deadline,
    ) -> Result<Output, SshError> {
        let mut process = self.exec(command, deadline).await?;
        match process.write(stdin, deadline).await {
            Ok(()) => process.close_stdin(deadline).await?,
            Err(SshError::StdinClosed { .. }) => {}
            Err(error) => return Err(error),
        }
        process.output(deadline).await
    }

    /// Streams `reader` into a command's standard input, for example `cat > file`, and waits
    /// for its end. Only as much is read ahead as the host takes in.
    ///
    /// # Errors
    /// Those of [`Self::run`], [`SshError::Io`] of the reader, and [`SshError::CommandFailed`]
    /// for a status other than 0.
    pub async fn upload(
        &self,
        mut reader: impl AsyncRead + Unpin,
        command: &str,
        deadline: Deadline,
    ) -> Result<Output, SshError> {
        let doing = "uploading";
        let mut process = self.exec(command, deadline).await?;
        let mut piece = vec![0; UPLOAD_PIECE];
        loop {
            let reading = reader.read(&mut piece);
            let read = deadline.wait(self.host(), doing, reading).await?;
            let filled = read.map_err(|source| self.local(doing, source))?;
            if filled == 0 {
                process.close_stdin(deadline).await?;
                break;
            }
            match process.write(&piece[..filled], deadline).await {
                Ok(()) => {}
                // A command that failed says why in its output; one that claims success has
                // still not got everything.
                Err(SshError::StdinClosed { .. }) => {
                    process
                        .output(deadline)
                        .await?
                        .checked(self.host(), doing)?;
                    return Err(SshError::StdinClosed {
                        host: self.host().to_owned(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        process.output(deadline).await?.checked(self.host(), doing)
    }

    /// Streams a command's standard output, for example `cat file`, into `writer` and returns
    /// how many bytes there were.
    ///
    /// # Errors
    /// Those of [`Self::run`], [`SshError::Io`] of the writer, and [`SshError::CommandFailed`]
    /// for a status other than 0.
    pub async fn download(
        &self,
        command: &str,
        mut writer: impl AsyncWrite + Unpin,
        deadline: Deadline,
    ) -> Result<u64, SshError> {
        let doing = "downloading";
        let mut process = self.exec(command, deadline).await?;
        process.close_stdin(deadline).await?;
        let mut bytes = 0;
        let mut stderr = Vec::new();
        while let Some(event) = process.next(deadline).await? {
            match event {
                ProcessEvent::Stdout(data) => {
                    bytes += data.len() as u64;
                    let writing = writer.write_all(&data);
                    let written = deadline.wait(self.host(), doing, writing).await?;
                    written.map_err(|source| self.local(doing, source))?;
                }
                ProcessEvent::Stderr(data) => stderr.extend(data),
                ProcessEvent::Exit(status) if status.success() => break,
                ProcessEvent::Exit(status) => {
                    return Err(SshError::CommandFailed {
                        host: self.host().to_owned(),
                        doing,
                        status,
                        stderr: tail(&stderr),
                    });
                }
            }
        }
        let flushed = deadline.wait(self.host(), doing, writer.flush()).await?;
        flushed.map_err(|source| self.local(doing, source))?;
        Ok(bytes)
    }

    /// Whether the connection has ended, from either side.
    pub fn is_closed(&self) -> bool {
        self.inner.handle.is_closed()
    }

    /// Says goodbye and waits, briefly, until the connection is down. Commands that still run
    /// on it lose it.
    pub async fn close(self) {
        let goodbye = self
            .inner
            .handle
            .disconnect(Disconnect::ByApplication, "", "");
        let deadline = Deadline::after(GOODBYE);
        let said = deadline.wait(self.host(), "closing", goodbye).await;
        // Whatever goes wrong here, the connection is gone or dropped, which is the aim.
        if matches!(said, Ok(Ok(()))) {
            let end = end_of(self.host(), self.inner.ended.clone(), deadline).await;
            tracing::trace!(host = self.host(), ?end, "closed");
        }
    }

    /// What this session has cost so far.
    pub fn stats(&self) -> Stats {
        let through = self
            .inner
            .via
            .as_ref()
            .map_or(0, |via| via.stats().connections);
        Stats {
            connections: 1 + through,
            execs: self.inner.execs.load(Ordering::Relaxed),
        }
    }

    /// A stream to a host behind this one.
    pub(crate) async fn tunnel(
        &self,
        target: &Target,
        deadline: Deadline,
    ) -> Result<ChannelStream<Msg>, SshError> {
        let doing = "opening a way through the jump host";
        let opening = self.inner.handle.channel_open_direct_tcpip(
            target.address.as_str(),
            u32::from(target.port),
            "127.0.0.1",
            0,
        );
        match deadline.wait(self.host(), doing, opening).await? {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(SshError::JumpRefused {
                host: target.name.clone(),
                via: self.host().to_owned(),
                address: target.endpoint(),
                reason: format!("{reason:?}"),
            }),
            Err(_) => Err(self.lost(doing, deadline).await),
        }
    }

    async fn lost(&self, doing: &'static str, deadline: Deadline) -> SshError {
        match end_of(self.host(), self.inner.ended.clone(), deadline).await {
            Ok(end) => SshError::ConnectionLost {
                host: self.host().to_owned(),
                doing,
                reason: end.reason,
            },
            Err(error) => error,
        }
    }

    fn local(&self, doing: &str, source: std::io::Error) -> SshError {
        SshError::Io {
            doing: format!("{}: {doing}: the local side", self.host()),
            source,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.host())
            .field("closed", &self.is_closed())
            .field("stats", &self.stats())
            .finish()
    }
}

/// An attempt that may use all the time there is.
fn whole(deadline: Deadline) -> Attempt {
    Attempt {
        reach: deadline,
        login: deadline,
    }
}
