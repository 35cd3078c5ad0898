//! The steps of an apply, as their lines arrive.

use std::time::{Duration, Instant};

use marg_resources::HostPlan;

use super::HostError;
use super::talk::LOOK_DEADLINE;

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

/// Follows the lines of an apply.
pub(super) struct Run<'a> {
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
    pub(super) fn new(plan: &'a HostPlan, mark: &str) -> Self {
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
    pub(super) fn time_left(&self, host: &str) -> Result<Duration, HostError> {
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

    /// The script's own status, if this line is its end.
    pub(super) fn done<'l>(&self, line: &'l str) -> Option<&'l str> {
        line.strip_prefix(&self.done)
    }

    /// Takes a line. What a step prints comes behind a bar, whatever it is.
    pub(super) fn take(&mut self, line: &str, on: &mut impl FnMut(Progress)) {
        if let Some(text) = line.strip_prefix('|') {
            self.output(text.to_owned(), on);
        } else if line == self.guard_line {
            on(Progress::Guard);
        } else if let Some(step) = line.strip_prefix(&self.step_line) {
            self.step(step, on);
        } else {
            // A complaint of the host's shell itself.
            self.output(line.to_owned(), on);
        }
    }

    /// Takes `NUMBER start` or `NUMBER end STATUS`.
    fn step(&mut self, words: &str, on: &mut impl FnMut(Progress)) {
        let mut words = words.split(' ');
        let number = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(self.current);
        // The last step is not one of the plan's: only its failure is told.
        let planned = number <= self.plan.steps.len();
        match (words.next(), words.next()) {
            (Some("end"), Some(status)) => {
                let took = self.began.elapsed();
                if status != "0" {
                    self.failed = Some((number, status.to_owned()));
                }
                let status = status.parse().unwrap_or(-1);
                if planned {
                    on(Progress::Ended {
                        step: number,
                        status,
                        took,
                    });
                }
            }
            (Some("start"), _) => {
                self.current = number;
                self.began = Instant::now();
                self.tail.clear();
                if planned {
                    on(Progress::Started(number));
                }
            }
            // Abandoned: nobody listened any more.
            _ => {}
        }
    }

    fn output(&mut self, line: String, on: &mut impl FnMut(Progress)) {
        self.tail.push(line.clone());
        if self.tail.len() > TAIL {
            self.tail.remove(0);
        }
        on(Progress::Output(line));
    }

    pub(super) fn finish(&mut self, host: &str, status: &str) -> Result<(), HostError> {
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
        let Some(index) = number.checked_sub(1) else {
            return "preparing".to_owned();
        };
        let step = self.plan.steps.get(index);
        step.map_or_else(|| "finishing".to_owned(), |step| step.name.clone())
    }
}
