//! What the engine says while it works. Terminals, JSON and the library read the same stream.

use serde::Serialize;

/// One thing that happened. `--json` prints each as one object with its `event` name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A part of the run began: `cloud`, `connect`, `apply`, `verify`, `deploy`, …
    PhaseStarted {
        /// Its name, for people.
        name: String,
    },
    /// Something in the cloud is being created, changed or awaited.
    Cloud {
        /// For example `droplet marg-http1`.
        subject: String,
        /// For example `created`, `active`.
        action: String,
    },
    /// A host answers over SSH.
    HostConnected {
        /// Host name.
        host: String,
    },
    /// A host has been compared with what it should be.
    HostPlanned {
        /// Host name.
        host: String,
        /// Number of changes; zero means converged.
        changes: usize,
        /// Number of steps that an apply would run.
        steps: usize,
    },
    /// A step began on a host.
    StepStarted {
        /// Host name.
        host: String,
        /// Position, from 1.
        step: usize,
        /// Number of steps.
        of: usize,
        /// What it does.
        name: String,
    },
    /// A line of a step's output, with secrets blanked.
    Output {
        /// Host name.
        host: String,
        /// The line without its newline.
        line: String,
    },
    /// A step ended.
    StepFinished {
        /// Host name.
        host: String,
        /// Position, from 1.
        step: usize,
        /// How it ended.
        status: StepStatus,
        /// Milliseconds that it took, measured by the controller.
        millis: u64,
    },
    /// A host is finished: converged and verified, or failed.
    HostFinished {
        /// Host name.
        host: String,
        /// Whether it is as it should be.
        ok: bool,
        /// Changes applied.
        changed: usize,
    },
    /// Something worth knowing that is not an error.
    Note {
        /// Host name, where it concerns one.
        host: Option<String>,
        /// One sentence.
        message: String,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It did what it should.
    Done,
    /// Its guard said there was nothing to do.
    Skipped,
    /// It failed; later steps of this host were not run.
    Failed,
}

/// Whoever listens. Called from many tasks; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn emit(&self, event: Event) {
        self(event);
    }
}
