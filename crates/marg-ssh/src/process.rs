//! A command that runs on a host: its input, its output as it comes, and how it ended.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::watch;

use crate::connect::end_of;
use crate::gate::End;
use crate::lines::ProcessLines;
use crate::{Deadline, SshError};

/// A command has ended, but something that it started still holds its output open: silence
/// of this length is taken for the end of the output.
const SILENCE_AFTER_EXIT: Duration = Duration::from_secs(2);
/// Bytes of standard error that an error message shows.
const TAIL: usize = 2000;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u32),
    /// A signal ended it: its name without `SIG`, for example `KILL`.
    Signal(String),
}

impl ExitStatus {
    /// Whether the code is 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "ended by signal {name}"),
        }
    }
}

/// What a running command says. `Exit` is always the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// A piece of standard output, cut anywhere.
    Stdout(Vec<u8>),
    /// A piece of standard error, cut anywhere.
    Stderr(Vec<u8>),
    /// The end.
    Exit(ExitStatus),
}

/// All that a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn checked(self, host: &str, doing: &'static str) -> Result<Self, SshError> {
        if self.status.success() {
            return Ok(self);
        }
        Err(SshError::CommandFailed {
            host: host.to_owned(),
            doing,
            stderr: tail(&self.stderr),
            status: self.status,
        })
    }
}

/// A command on a host. Dropping it closes its input and output and leaves the session as it
/// was; the command itself is told by that only, so one that neither reads nor writes runs on.
///
/// Whoever holds a `Process` reads it: a few megabytes of output that nobody reads hold up
/// the other commands of the same session.
#[derive(Debug)]
pub struct Process {
    incoming: Incoming,
    /// Taken when the process is dropped.
    outgoing: Option<ChannelWriteHalf<Msg>>,
    stdin_open: bool,
}

/// The reading side: what has arrived and has not been asked for yet.
#[derive(Debug)]
struct Incoming {
    host: String,
    channel: ChannelReadHalf,
    ended: watch::Receiver<Option<End>>,
    queue: VecDeque<ProcessEvent>,
    exit: Option<ExitStatus>,
    state: State,
    /// Whether the channel is gone, so that it need not be closed from here.
    closed_by_host: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The host would not run the command.
    Refused,
    /// The host closed the channel: there is no more output.
    Closed,
    /// The connection is gone.
    Lost,
    /// The end has been told.
    Done,
}

impl Process {
    pub(crate) fn new(
        host: &str,
        ended: watch::Receiver<Option<End>>,
        channel: Channel<Msg>,
    ) -> Self {
        let (channel, outgoing) = channel.split();
        let incoming = Incoming {
            host: host.to_owned(),
            channel,
            ended,
            queue: VecDeque::new(),
            exit: None,
            state: State::Open,
            closed_by_host: false,
        };
        Self {
            incoming,
            outgoing: Some(outgoing),
            stdin_open: true,
        }
    }

    /// The name of the host that it runs on.
    pub fn host(&self) -> &str {
        &self.incoming.host
    }

    /// Writes to the command's standard input, as fast as the host takes it. Output that
    /// arrives meanwhile is kept for [`Self::next`], so that a command which answers while it
    /// reads cannot block.
    ///
    /// # Errors
    /// [`SshError::StdinClosed`] when the command has ended, [`SshError::ConnectionLost`],
    /// [`SshError::DeadlinePassed`].
    pub async fn write(&mut self, data: &[u8], deadline: Deadline) -> Result<(), SshError> {
        let Some(outgoing) = self.outgoing.as_ref().filter(|_| self.stdin_open) else {
            return Err(self.incoming.stdin_closed());
        };
        let doing = "writing a command's input";
        let sending = outgoing.data_bytes(data.to_vec());
        let incoming = &mut self.incoming;
        let host = incoming.host.clone();
        let sent = deadline
            .wait(&host, doing, async {
                tokio::pin!(sending);
                loop {
                    if incoming.has_ended() {
                        return None;
                    }
                    tokio::select! {
                        sent = &mut sending => return Some(sent),
                        message = incoming.channel.wait() => incoming.take(message),
                    }
                }
            })
            .await?;
        match sent {
            Some(Ok(())) => Ok(()),
            None if self.incoming.state != State::Lost => Err(self.incoming.stdin_closed()),
            None | Some(Err(_)) => Err(self.incoming.lost(doing, deadline).await),
        }
    }

    /// Ends the command's standard input. Doing it twice, or after the end, is fine.
    ///
    /// # Errors
    /// [`SshError::ConnectionLost`], [`SshError::DeadlinePassed`].
    pub async fn close_stdin(&mut self, deadline: Deadline) -> Result<(), SshError> {
        let doing = "ending a command's input";
        let Some(outgoing) = self.outgoing.as_ref().filter(|_| self.stdin_open) else {
            return Ok(());
        };
        let host = &self.incoming.host;
        let sent = deadline.wait(host, doing, outgoing.eof()).await?;
        self.stdin_open = false;
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.incoming.lost(doing, deadline).await),
        }
    }

    /// The next thing the command says; `None` after [`ProcessEvent::Exit`]. Cancelling the
    /// wait loses nothing.
    ///
    /// # Errors
    /// [`SshError::ConnectionLost`], [`SshError::NoExitStatus`], [`SshError::ExecRefused`],
    /// and [`SshError::DeadlinePassed`], after which it may be asked again.
    pub async fn next(&mut self, deadline: Deadline) -> Result<Option<ProcessEvent>, SshError> {
        self.incoming.next(deadline).await
    }

    /// The same events with the output cut into lines.
    pub fn lines(self) -> ProcessLines {
        ProcessLines::new(self)
    }

    /// Reads everything until the command ends.
    ///
    /// # Errors
    /// Those of [`Self::next`].
    pub async fn output(mut self, deadline: Deadline) -> Result<Output, SshError> {
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        loop {
            match self.next(deadline).await? {
                Some(ProcessEvent::Stdout(data)) => stdout.extend(data),
                Some(ProcessEvent::Stderr(data)) => stderr.extend(data),
                Some(ProcessEvent::Exit(status)) => {
                    return Ok(Output {
                        status,
                        stdout,
                        stderr,
                    });
                }
                None => return Err(self.incoming.no_exit_status()),
            }
        }
    }
}

impl Drop for Process {
    /// Tells the host that nobody listens any more; sshd frees the channel then.
    fn drop(&mut self) {
        let (Some(outgoing), Ok(runtime)) =
            (self.outgoing.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        if !self.incoming.closed_by_host {
            runtime.spawn(async move {
                // An error means that the connection is gone, and the channel with it.
                let _ = outgoing.close().await;
            });
        }
    }
}

impl Incoming {
    async fn next(&mut self, deadline: Deadline) -> Result<Option<ProcessEvent>, SshError> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(Some(event));
            }
            if self.state != State::Open {
                return self.end(deadline).await;
            }
            if self.exit.is_none() {
                let waiting = self.channel.wait();
                let host = self.host.as_str();
                let message = deadline
                    .wait(host, "waiting for a command", waiting)
                    .await?;
                self.take(message);
                continue;
            }
            let silence = deadline.sooner(SILENCE_AFTER_EXIT);
            let waiting = self.channel.wait();
            match silence
                .wait(&self.host, "waiting for a command's end", waiting)
                .await
            {
                Ok(message) => self.take(message),
                Err(error) if deadline.passed() => return Err(error),
                Err(_) => return self.end(deadline).await,
            }
        }
    }

    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.queue.push_back(ProcessEvent::Stdout(data.into()));
            }
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                self.queue.push_back(ProcessEvent::Stderr(data.into()));
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.exit = Some(ExitStatus::Code(exit_status));
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.exit = Some(ExitStatus::Signal(signal_text(&signal_name)));
            }
            Some(ChannelMsg::Failure) => self.state = State::Refused,
            Some(ChannelMsg::Close) => {
                self.state = State::Closed;
                self.closed_by_host = true;
            }
            None => {
                self.state = State::Lost;
                self.closed_by_host = true;
            }
            Some(_) => {}
        }
    }

    fn has_ended(&self) -> bool {
        self.exit.is_some() || self.state != State::Open
    }

    /// Tells the end once.
    async fn end(&mut self, deadline: Deadline) -> Result<Option<ProcessEvent>, SshError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => Ok(None),
            // Even with an exit status the end of the output may be missing.
            State::Lost => Err(self.lost("a command was running", deadline).await),
            State::Refused => Err(SshError::ExecRefused {
                host: self.host.clone(),
                reason: "the request was denied".to_owned(),
            }),
            State::Open | State::Closed => match self.exit.take() {
                Some(status) => Ok(Some(ProcessEvent::Exit(status))),
                None => Err(self.no_exit_status()),
            },
        }
    }

    async fn lost(&self, doing: &'static str, deadline: Deadline) -> SshError {
        match end_of(&self.host, self.ended.clone(), deadline).await {
            Ok(end) => SshError::ConnectionLost {
                host: self.host.clone(),
                doing,
                reason: end.reason,
            },
            Err(error) => error,
        }
    }

    fn stdin_closed(&self) -> SshError {
        SshError::StdinClosed {
            host: self.host.clone(),
        }
    }

    fn no_exit_status(&self) -> SshError {
        SshError::NoExitStatus {
            host: self.host.clone(),
        }
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

/// The end of a command's standard error, for a message.
pub(crate) fn tail(stderr: &[u8]) -> String {
    let start = stderr.len().saturating_sub(TAIL);
    let text = String::from_utf8_lossy(&stderr[start..]);
    match text.trim() {
        "" => "it said nothing".to_owned(),
        said => said.to_owned(),
    }
}
