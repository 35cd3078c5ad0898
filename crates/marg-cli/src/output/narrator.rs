//! What is said, as lines for people. Pure: messages and times in, lines out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use marg::lab::LabEvent;
use marg::{Event, StepStatus};

use super::Said;
use super::text::{BOLD, DIM, GREEN, RED, YELLOW, clean, count, paint, seconds};

/// After this much silence there is a sign of life.
const SILENCE: Duration = Duration::from_secs(5);
/// Shorter steps are not worth a line when they end.
const WORTH_A_LINE: u64 = 2_000;
/// Lines of output that are shown when a step fails.
const LAST_WORDS: usize = 15;

/// Turns messages into lines.
pub struct Narrator {
    verbose: bool,
    doing: String,
    since: Duration,
    heard: Duration,
    hosts: BTreeMap<String, AtWork>,
}

/// A host with a step in hand.
struct AtWork {
    step: String,
    since: Duration,
    heard: Duration,
    last_words: VecDeque<String>,
}

impl Narrator {
    /// `verbose` shows the output of every step.
    pub fn new(verbose: bool) -> Narrator {
        Narrator {
            verbose,
            doing: "waiting for answers".to_owned(),
            since: Duration::ZERO,
            heard: Duration::ZERO,
            hosts: BTreeMap::new(),
        }
    }

    /// Something was shown without the narrator.
    pub fn hear(&mut self, at: Duration) {
        self.heard = at;
    }

    /// Lines for a message.
    pub fn said(&mut self, at: Duration, said: &Said) -> Vec<String> {
        let lines = match said {
            Said::Engine(event) => self.event(at, event),
            Said::Lab(event) => vec![self.lab(at, event)],
        };
        if !lines.is_empty() {
            self.heard = at;
        }
        lines
    }

    fn lab(&mut self, at: Duration, event: &LabEvent) -> String {
        if let LabEvent::Started { step } = event {
            self.now(at, format!("lab: {step}"));
        }
        let line = clean(&event.to_string());
        match event {
            LabEvent::Progress { .. } => paint(DIM, &line),
            _ => line,
        }
    }

    fn now(&mut self, at: Duration, doing: String) {
        self.doing = doing;
        self.since = at;
    }

    fn event(&mut self, at: Duration, event: &Event) -> Vec<String> {
        match event {
            Event::PhaseStarted { name } => {
                self.now(at, name.clone());
                vec![paint(BOLD, &format!("── {}", clean(name)))]
            }
            Event::Cloud { subject, action } => {
                self.now(at, format!("{subject}: {action}"));
                vec![format!("{}: {}", clean(subject), clean(action))]
            }
            Event::HostConnected { host } => vec![format!("{host}: connected")],
            Event::HostPlanned {
                host,
                changes,
                steps,
            } => vec![planned(host, *changes, *steps)],
            Event::StepStarted {
                host,
                step,
                of,
                name,
            } => {
                let step = format!("[{step}/{of}] {}", clean(name));
                let line = format!("{host}: {step}");
                let last_words = VecDeque::new();
                let work = AtWork {
                    step,
                    since: at,
                    heard: at,
                    last_words,
                };
                self.hosts.insert(host.clone(), work);
                vec![line]
            }
            Event::Output { host, line } => self.output(at, host, line),
            Event::StepFinished {
                host,
                status,
                millis,
                ..
            } => self.ended(host, *status, *millis),
            Event::HostFinished { host, ok, changed } => {
                self.hosts.remove(host);
                vec![finished(host, *ok, *changed)]
            }
            Event::Note { host, message } => vec![note(host.as_deref(), message)],
        }
    }

    fn output(&mut self, at: Duration, host: &str, line: &str) -> Vec<String> {
        let line = paint(DIM, &format!("{host} | {}", clean(line)));
        if let Some(work) = self.hosts.get_mut(host) {
            work.last_words.push_back(line.clone());
            if work.last_words.len() > LAST_WORDS {
                work.last_words.pop_front();
            }
            if self.verbose {
                work.heard = at;
            }
        }
        if self.verbose { vec![line] } else { Vec::new() }
    }

    fn ended(&mut self, host: &str, status: StepStatus, millis: u64) -> Vec<String> {
        let Some(work) = self.hosts.remove(host) else {
            return Vec::new();
        };
        let took = seconds(millis);
        match status {
            StepStatus::Done if millis < WORTH_A_LINE => Vec::new(),
            StepStatus::Done => vec![format!("{host}: {} ({took})", work.step)],
            StepStatus::Skipped if !self.verbose => Vec::new(),
            StepStatus::Skipped => vec![format!("{host}: {}: nothing to do", work.step)],
            StepStatus::Failed => {
                let line = paint(RED, &format!("{host}: {}: failed after {took}", work.step));
                let words = work.last_words.into_iter().filter(|_| !self.verbose);
                words.chain([line]).collect()
            }
        }
    }

    /// Signs of life: one line per host that has been silent for long, or else one for the run.
    pub fn tick(&mut self, at: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (host, work) in &mut self.hosts {
            if at.saturating_sub(work.heard) >= SILENCE {
                work.heard = at;
                lines.push(still(
                    &format!("{host}: still at {}", work.step),
                    at - work.since,
                ));
            }
        }
        let silent = at.saturating_sub(self.heard) >= SILENCE;
        if silent && self.hosts.is_empty() {
            let doing = clean(&self.doing);
            lines.push(still(
                &format!("still at: {doing}"),
                at.saturating_sub(self.since),
            ));
        }
        if !lines.is_empty() {
            self.heard = at;
        }
        lines
    }
}

fn still(what: &str, since: Duration) -> String {
    paint(DIM, &format!("{what} ({} s)", since.as_secs()))
}

fn planned(host: &str, changes: usize, steps: usize) -> String {
    match changes {
        0 => format!("{host}: nothing to change"),
        _ => format!(
            "{host}: {} in {}",
            count(changes, "change"),
            count(steps, "step")
        ),
    }
}

/// How a host ended, for lines and for the live board.
pub fn finished(host: &str, ok: bool, changed: usize) -> String {
    let mark = if ok {
        paint(GREEN, "✓")
    } else {
        paint(RED, "✗")
    };
    let what = match (ok, changed) {
        (true, 0) => "unchanged".to_owned(),
        (true, _) => format!("{}, verified", count(changed, "change")),
        (false, _) => "failed".to_owned(),
    };
    format!("{mark} {host}: {what}")
}

/// A note, with the host that it concerns.
pub fn note(host: Option<&str>, message: &str) -> String {
    let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
    format!("{}{}{}", host, paint(YELLOW, "note: "), clean(message))
}

#[cfg(test)]
#[path = "narrator_tests.rs"]
mod tests;
#[cfg(test)]
pub use tests::story;
