//! Everything that the program prints. One stream of messages, three readers: [`plain`] lines,
//! live [`progress`] on a terminal, and [`json`]. Results go to stdout, all else to stderr.
//!
//! This is the only room that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ask;
mod json;
mod live;
mod narrator;
mod plain;
mod progress;
mod text;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use marg::lab::LabEvent;
use marg::{Event, EventSink};
use serde::Serialize;

pub use ask::Question;
pub use text::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, clean, count, paint, seconds};

use crate::failure::Failure;
use live::Live;

/// How things are shown.
#[derive(Clone, Copy, Debug)]
pub struct Display {
    /// JSON on stdout.
    pub json: bool,
    /// Results and errors only.
    pub quiet: bool,
    /// 0, or how much more is shown.
    pub verbosity: u8,
    /// When colours are used.
    pub color: Color,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a verb prints as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Events as they happen, one object per line, the result as the last one.
    Events,
    /// One document.
    Document,
}

/// One thing that is said while work goes on.
#[derive(Clone, Debug)]
pub enum Said {
    /// By the engine.
    Engine(Event),
    /// By the lab.
    Lab(LabEvent),
}

/// The program's output. Clones share everything.
#[derive(Clone)]
pub struct Output {
    display: Display,
    live: Arc<Mutex<Option<Live>>>,
    /// Whether a document has been printed: nothing may follow it on stdout.
    complete: Arc<AtomicBool>,
}

impl Output {
    /// Sets the colours of the whole program.
    pub fn new(display: Display) -> Output {
        let choice = match display.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Output {
            display,
            live: Arc::default(),
            complete: Arc::default(),
        }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.display.json
    }

    /// Whether more than usual is wanted.
    pub fn is_verbose(&self) -> bool {
        self.display.verbosity > 0
    }

    /// Starts to show what is said. `stream` is true where output of commands is itself the
    /// result: it then goes to stdout.
    pub fn listen(&self, shape: Shape, stream: bool) -> Result<(), Failure> {
        let mut live = lock(&self.live);
        if live.is_none() {
            *live = Some(Live::start(self.reader(shape, stream))?);
        }
        Ok(())
    }

    fn reader(&self, shape: Shape, stream: bool) -> Box<dyn live::Reader> {
        let Display {
            json,
            quiet,
            verbosity,
            ..
        } = self.display;
        if json {
            let silent = shape == Shape::Document;
            return Box::new(json::Json { silent });
        }
        // Lines of the log and of commands would tear the moving lines apart.
        let moving = io::stderr().is_terminal() && verbosity == 0 && !stream && !quiet;
        match moving {
            true => Box::new(progress::Progress::new()),
            false => Box::new(plain::Plain::new(quiet, verbosity > 0, stream)),
        }
    }

    /// The engine's listener.
    pub fn sink(&self) -> Arc<dyn EventSink> {
        let output = self.clone();
        Arc::new(move |event: Event| output.say(Said::Engine(event)))
    }

    /// Takes what the lab says.
    pub fn lab(&self, event: LabEvent) {
        self.say(Said::Lab(event));
    }

    fn say(&self, said: Said) {
        if let Some(live) = lock(&self.live).as_ref() {
            live.say(said);
        }
    }

    /// Ends the live part: what was said before is on the screen when this returns.
    pub fn finish(&self) {
        let live = lock(&self.live).take();
        if let Some(live) = live {
            live.finish();
        }
    }

    /// Prints a result for people; nothing when JSON is wanted.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.finish();
        match self.display.json || text.is_empty() {
            true => Ok(()),
            false => to_stdout(&ended(text)),
        }
    }

    /// Prints to stderr what a question is about.
    pub fn aside(&self, text: &str) {
        self.finish();
        // Whoever closed stderr does not want to know.
        let _ = anstream::stderr().write_all(ended(text).as_bytes());
    }

    /// Prints raw text for programs, whatever the display.
    pub fn raw(&self, text: &str) -> Result<(), Failure> {
        self.finish();
        to_stdout(&ended(text))
    }

    /// Prints a result as one JSON document; nothing when people read.
    pub fn document(&self, result: &impl Serialize) -> Result<(), Failure> {
        self.finish();
        if !self.display.json {
            return Ok(());
        }
        self.complete.store(true, Ordering::Relaxed);
        to_stdout(&ended(&json::document(result)?))
    }

    /// Prints a result as the last object of the stream; nothing when people read.
    pub fn result(&self, name: &str, result: &impl Serialize) -> Result<(), Failure> {
        self.finish();
        match self.display.json {
            true => to_stdout(&ended(&json::result(name, result)?)),
            false => Ok(()),
        }
    }

    /// Prints what ended the run. A document on stdout stays the only one there.
    pub fn failure(&self, failure: &Failure) {
        self.finish();
        if self.display.json && !self.complete.load(Ordering::Relaxed) {
            // The exit code says it too, should stdout be closed.
            let _ = json::result("error", failure).and_then(|line| to_stdout(&ended(&line)));
        }
        let text = ended(&crate::render::failure(failure));
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

/// Text with a line break at its end.
fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

/// A reader that went away (`marg plan | head`) has seen enough: that is no failure.
fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("write to stdout", &error))
        }
        _ => Ok(()),
    }
}

/// A poisoned lock only means that another thread panicked while printing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Sends the program's own log to stderr when more is wanted.
pub fn start_tracing(display: Display) {
    let filter = match display.verbosity {
        0 => return,
        1 => "warn,marg=info",
        2 => "info,marg=debug,marg_cloud=debug,marg_engine=debug,marg_ssh=debug,marg_lab=debug",
        _ => "debug,marg=trace,marg_cloud=trace,marg_engine=trace,marg_ssh=trace,marg_lab=trace",
    };
    let ansi = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .without_time()
        .init();
}
