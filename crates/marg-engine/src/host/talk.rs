//! A conversation with one host: one exec that holds the host's lock, looks and applies, for as
//! long as the session lives.

use std::future::Future;
use std::time::{Duration, Instant};

use marg_resources::{Answer, HostPlan, Shell, apply_script, quote};

use super::HostError;

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

/// What an apply reports while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step began; from 1.
    Started(usize),
    /// A line of output of the step in hand.
    Output(String),
    /// The step in hand ended with this exit status.
    Ended {
        /// From 1.
        step: usize,
        /// Exit status.
        status: i32,
        /// Since it began.
        took: Duration,
    },
    /// The host waits for a new connection before it keeps a guarded change.
    Guard,
}

/// How long a probe may take: it only reads, but a host under load is slow.
const LOOK_DEADLINE: Duration = Duration::from_secs(120);
/// How long a host may take to start the conversation.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// An open conversation.
pub struct Talk<P> {
    host: String,
    pipe: P,
    mark: String,
}

/// The command that starts a conversation. It contains no secret: it is visible in `ps`.
pub fn command(lock: &Lock, mark: &str) -> String {
    let (lock, who) = match lock {
        Lock::None => ("no", ""),
        Lock::Held { who } => ("yes", who.as_str()),
    };
    let loader = include_str!("loader.sh");
    let script = format!("MARK={mark} LOCK={lock} WHO={}\n{loader}", quote(who));
    format!("exec sh -c {}", quote(&script))
}

/// A word that output of commands cannot guess.
pub fn new_mark() -> String {
    format!("{:016x}", rand::random::<u64>())
}

impl<P: Pipe> Talk<P> {
    /// Waits until the host is ready, or says who holds it.
    pub async fn start(host: &str, mut pipe: P, mark: String) -> Result<Self, HostError> {
        let ready = format!("@ready {mark}");
        while let Some(line) = pipe.line(READY_DEADLINE).await? {
            if line == ready {
                return Ok(Self {
                    host: host.to_owned(),
                    pipe,
                    mark,
                });
            }
            if let Some(holder) = line.strip_prefix("@busy ") {
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

    /// Runs a script that only looks, and returns what it prints.
    pub async fn look(&mut self, script: &str) -> Result<String, HostError> {
        self.send("look", script).await?;
        let done = format!("@done {} ", self.mark);
        let mut output = String::new();
        while let Some(line) = self.pipe.line(LOOK_DEADLINE).await? {
            let Some((before, status)) = line.split_once(&done) else {
                output.push_str(&line);
                output.push('\n');
                continue;
            };
            // What was printed last may have no newline of its own.
            output.push_str(before);
            if status == "0" {
                return Ok(output);
            }
            return Err(HostError::Look {
                host: self.host.clone(),
                status: status.to_owned(),
                output,
            });
        }
        Err(self.cut("a look"))
    }

    /// Runs a probe.
    pub async fn probe(&mut self, script: &str) -> Result<Answer, HostError> {
        Ok(Answer::parse(&self.look(script).await?))
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
            if let Some(status) = line.strip_prefix(&run.done) {
                return run.finish(&self.host, status);
            }
            run.take(line, &mut on);
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

/// Follows the lines of an apply.
struct Run<'a> {
    plan: &'a HostPlan,
    step_line: String,
    guard_line: String,
    done: String,
    current: usize,
    began: Instant,
    failed: Option<(usize, String)>,
    tail: Vec<String>,
}

/// Lines of a failed step's output that its error repeats.
const TAIL: usize = 20;

impl<'a> Run<'a> {
    fn new(plan: &'a HostPlan, mark: &str) -> Self {
        Self {
            plan,
            step_line: format!("@step {mark} "),
            guard_line: format!("@guard {mark}"),
            done: format!("@done {mark} "),
            current: 0,
            began: Instant::now(),
            failed: None,
            tail: Vec::new(),
        }
    }

    /// What the step in hand has left of its time.
    fn time_left(&self, host: &str) -> Result<Duration, HostError> {
        let deadline = match self.plan.steps.get(self.current.saturating_sub(1)) {
            Some(step) => step.deadline,
            None => LOOK_DEADLINE,
        };
        deadline
            .checked_sub(self.began.elapsed())
            .ok_or_else(|| HostError::TooLong {
                host: host.to_owned(),
                step: self.step_name(self.current),
                seconds: deadline.as_secs(),
            })
    }

    fn take(&mut self, line: String, on: &mut impl FnMut(Progress)) {
        if line == self.guard_line {
            return on(Progress::Guard);
        }
        let Some((before, rest)) = line.split_once(&self.step_line) else {
            return self.output(line, on);
        };
        // What a command printed last may have no newline of its own.
        if !before.is_empty() {
            self.output(before.to_owned(), on);
        }
        let mut words = rest.split(' ');
        let number = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(self.current);
        match (words.next(), words.next()) {
            (Some("end"), Some(status)) => {
                let took = self.began.elapsed();
                if status != "0" {
                    self.failed = Some((number, status.to_owned()));
                }
                let status = status.parse().unwrap_or(-1);
                on(Progress::Ended {
                    step: number,
                    status,
                    took,
                });
            }
            (Some("start"), _) => {
                self.current = number;
                self.began = Instant::now();
                self.tail.clear();
                on(Progress::Started(number));
            }
            _ => on(Progress::Output(line)),
        }
    }

    fn output(&mut self, line: String, on: &mut impl FnMut(Progress)) {
        self.tail.push(line.clone());
        if self.tail.len() > TAIL {
            self.tail.remove(0);
        }
        on(Progress::Output(line));
    }

    fn finish(&mut self, host: &str, status: &str) -> Result<(), HostError> {
        if self.failed.is_none() && status == "0" {
            return Ok(());
        }
        let (step, status) = self
            .failed
            .take()
            .unwrap_or((self.current, status.to_owned()));
        Err(HostError::Step {
            host: host.to_owned(),
            step: self.step_name(step),
            status,
            output: self.tail.join("\n"),
        })
    }

    fn step_name(&self, number: usize) -> String {
        let step = number
            .checked_sub(1)
            .and_then(|index| self.plan.steps.get(index));
        step.map_or_else(|| "preparing".to_owned(), |step| step.name.clone())
    }
}

#[cfg(test)]
#[path = "talk_tests.rs"]
mod tests;
