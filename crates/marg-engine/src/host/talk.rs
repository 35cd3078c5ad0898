//! A conversation with one host: one exec that holds the host's lock, looks and applies, for as
//! long as the session lives.

use std::future::Future;
use std::time::Duration;

use marg_resources::{Answer, FRAME, HostPlan, SAID, Shell, apply_script, framed, quote};

use super::HostError;
use super::steps::{Progress, Run};

/// The other end of the exec: lines come out, bytes go in.
pub trait Pipe: Send {
    /// Sends bytes.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), HostError>> + Send;
    /// The next line without its newline; `None` at the end.
    fn line(
        &mut self,
        deadline: Duration,
    ) -> impl Future<Output = Result<Option<String>, HostError>> + Send;
}

/// Whether a conversation keeps others from changing the host meanwhile.
#[derive(Clone, Debug)]
pub enum Lock {
    /// Only looking.
    None,
    /// Nobody else may change the host; `who` is what a second operator is told.
    Held {
        /// Name and start, for example `anna@laptop since 2026-11-21T10:00:00Z`.
        who: String,
    },
}

/// How long a probe may take: it only reads, but a host under load is slow.
pub(super) const LOOK_DEADLINE: Duration = Duration::from_secs(120);
/// How long a host may take to start the conversation.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// An open conversation.
pub struct Talk<P> {
    host: String,
    pipe: P,
    mark: String,
}

/// The command that starts a conversation. It contains no secret: it is visible in `ps`.
pub fn command(lock: &Lock) -> String {
    let (lock, who) = match lock {
        Lock::None => ("no", ""),
        Lock::Held { who } => ("yes", who.as_str()),
    };
    let loader = include_str!("loader.sh");
    let script = format!("LOCK={lock} WHO={}\n{FRAME}\n{loader}", quote(who));
    format!("exec sh -c {}", quote(&script))
}

/// A word by which the host's answers are known from what a login shell prints.
fn new_mark() -> String {
    format!("{:016x}", rand::random::<u64>())
}

impl<P: Pipe> Talk<P> {
    /// Tells the host the mark, and waits until it is ready or says who holds it.
    pub async fn start(host: &str, mut pipe: P) -> Result<Self, HostError> {
        let mark = new_mark();
        pipe.write(format!("{mark}\n").as_bytes()).await?;
        let (ready, busy) = (format!("@ready {mark}"), format!("@busy {mark} "));
        while let Some(line) = pipe.line(READY_DEADLINE).await? {
            if line == ready {
                return Ok(Self {
                    host: host.to_owned(),
                    pipe,
                    mark,
                });
            }
            if let Some(holder) = line.strip_prefix(&busy) {
                return Err(HostError::Locked {
                    host: host.to_owned(),
                    holder: holder.to_owned(),
                });
            }
        }
        Err(HostError::Cut {
            host: host.to_owned(),
            during: "the start of the session".to_owned(),
        })
    }

    /// Runs a script that only looks, and returns what it prints. Every line has a newline.
    pub async fn look(&mut self, script: &str) -> Result<String, HostError> {
        let whole = self.whole(script).await?;
        let lines = whole.split_inclusive('\n').filter_map(|line| {
            let (part, text) = framed(line)?;
            (part == SAID).then_some(text)
        });
        Ok(lines.collect())
    }

    /// Runs a script that only looks. What it says comes back with the name of its part before
    /// each line; nothing else does, so only the host's shell itself can say `@done`.
    async fn whole(&mut self, script: &str) -> Result<String, HostError> {
        self.send("look", script).await?;
        let done = format!("@done {} ", self.mark);
        let (mut whole, mut output) = (String::new(), String::new());
        let mut strange = false;
        while let Some(line) = self.pipe.line(LOOK_DEADLINE).await? {
            if let Some(status) = line.strip_prefix(&done) {
                if status == "0" && !strange {
                    return Ok(whole);
                }
                return Err(HostError::Look {
                    host: self.host.clone(),
                    status: status.to_owned(),
                    output,
                });
            }
            // What the host's shell complains of itself is in no part.
            let (_, text) = framed(&line).unwrap_or_else(|| {
                strange = true;
                ("", &line)
            });
            output.push_str(text);
            output.push('\n');
            whole.push_str(&line);
            whole.push('\n');
        }
        Err(self.cut("a look"))
    }

    /// Runs a probe.
    pub async fn probe(&mut self, script: &str) -> Result<Answer, HostError> {
        Ok(Answer::parse(&self.whole(script).await?))
    }

    /// Runs a plan's steps. `on` hears everything as it happens; when it hears
    /// [`Progress::Guard`] it must see to it that a new connection confirms.
    pub async fn apply(
        &mut self,
        plan: &HostPlan,
        mut on: impl FnMut(Progress) + Send,
    ) -> Result<(), HostError> {
        let script: Shell = apply_script(plan, &self.mark);
        self.send("apply", script.reveal().expose()).await?;
        let mut run = Run::new(plan, &self.mark);
        loop {
            let line = match self.pipe.line(run.time_left(&self.host)?).await {
                Ok(Some(line)) => line,
                Ok(None) => {
                    return Err(self.cut("an apply; it finishes the step in hand and stops"));
                }
                // A wait that ended because the step's time is up is told as that.
                Err(error) => return Err(run.time_left(&self.host).err().unwrap_or(error)),
            };
            if let Some(status) = run.done(&line) {
                return run.finish(&self.host, status);
            }
            run.take(&line, &mut on);
        }
    }

    async fn send(&mut self, verb: &str, script: &str) -> Result<(), HostError> {
        let mut message = format!("{verb} {}\n", script.len()).into_bytes();
        message.extend_from_slice(script.as_bytes());
        self.pipe.write(&message).await
    }

    fn cut(&self, during: &str) -> HostError {
        HostError::Cut {
            host: self.host.clone(),
            during: during.to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "talk_tests.rs"]
mod tests;
