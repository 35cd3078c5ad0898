//! Moving lines on a terminal: one for the run, one per host with its step and the time that it
//! takes. Failures and notes are printed above them and stay.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use marg::lab::LabEvent;
use marg::{Event, StepStatus};

use super::Said;
use super::live::Reader;
use super::narrator::{self, Narrator};
use super::text::{clean, count};

/// How often the moving lines move.
const FRAME: Duration = Duration::from_millis(120);
const MOVING: &str = "{spinner} {prefix} {wide_msg} {elapsed}";
const RESTING: &str = "  {prefix} {wide_msg}";

/// Draws on stderr.
pub struct Progress {
    board: Board,
    lines: MultiProgress,
    run: ProgressBar,
    hosts: BTreeMap<String, ProgressBar>,
}

impl Progress {
    /// An empty screen.
    pub fn new() -> Progress {
        let lines = MultiProgress::new();
        let run = moving(lines.add(ProgressBar::new_spinner()), "marg");
        run.set_message("waiting for answers");
        Progress {
            board: Board::default(),
            lines,
            run,
            hosts: BTreeMap::new(),
        }
    }

    fn host(&mut self, host: &str) -> &ProgressBar {
        self.hosts.entry(host.to_owned()).or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new_spinner());
            moving(bar, &format!("{host:8}"))
        })
    }

    fn draw(&mut self, draw: Draw) {
        match draw {
            Draw::Run(text) => {
                self.run.reset_elapsed();
                self.run.set_message(text);
            }
            Draw::Step { host, text } => {
                let bar = self.host(&host);
                bar.reset_elapsed();
                bar.set_message(text);
            }
            Draw::Host { host, text } => self.host(&host).set_message(text),
            Draw::Rest { host, text } => {
                let bar = self.host(&host);
                if let Ok(style) = ProgressStyle::with_template(RESTING) {
                    bar.set_style(style);
                }
                bar.finish_with_message(text);
            }
            Draw::Above(text) => {
                // A terminal that went away takes the lines with it.
                let _ = self.lines.println(for_stderr(&text));
            }
        }
    }
}

fn moving(bar: ProgressBar, name: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(MOVING) {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(FRAME);
    bar
}

/// What indicatif prints does not pass through the program's own colour choice.
fn for_stderr(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

impl Reader for Progress {
    fn said(&mut self, at: Duration, said: &Said) {
        for draw in self.board.said(at, said) {
            self.draw(draw);
        }
    }

    // The moving lines show by themselves that time passes.
    fn tick(&mut self, _: Duration) {}

    fn finish(&mut self) {
        // The report says everything that stays worth knowing.
        let _ = self.lines.clear();
    }
}

/// What to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Draw {
    /// The run's line; its clock starts anew.
    Run(String),
    /// A host's line; its clock starts anew.
    Step { host: String, text: String },
    /// A host's line; its clock goes on.
    Host { host: String, text: String },
    /// A host is done.
    Rest { host: String, text: String },
    /// Above the moving lines, to stay.
    Above(String),
}

/// Decides what to draw. Pure.
struct Board {
    narrator: Narrator,
    steps: BTreeMap<String, String>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            narrator: Narrator::new(false),
            steps: BTreeMap::new(),
        }
    }
}

impl Board {
    fn said(&mut self, at: Duration, said: &Said) -> Vec<Draw> {
        // The narrator keeps the last words of a step for the case that it fails.
        let lines = self.narrator.said(at, said);
        match said {
            Said::Lab(event) => lab(event),
            Said::Engine(event) => self.event(event, lines),
        }
    }

    fn event(&mut self, event: &Event, lines: Vec<String>) -> Vec<Draw> {
        match event {
            Event::PhaseStarted { name } => vec![Draw::Run(clean(name))],
            Event::Cloud { subject, action } => {
                vec![Draw::Run(format!("{}: {}", clean(subject), clean(action)))]
            }
            Event::HostConnected { host } => vec![step(host, "connected")],
            Event::HostPlanned {
                host, changes: 0, ..
            } => vec![step(host, "nothing to change")],
            Event::HostPlanned { host, changes, .. } => {
                vec![step(host, &count(*changes, "change"))]
            }
            Event::StepStarted {
                host,
                step: number,
                of,
                name,
            } => {
                let text = format!("[{number}/{of}] {}", clean(name));
                self.steps.insert(host.clone(), text.clone());
                vec![step(host, &text)]
            }
            Event::Output { host, line } => self.output(host, line),
            Event::StepFinished {
                status: StepStatus::Failed,
                ..
            }
            | Event::Note { .. } => lines.into_iter().map(Draw::Above).collect(),
            Event::StepFinished { .. } => Vec::new(),
            Event::HostFinished { host, ok, changed } => {
                let said = narrator::finished(host, *ok, *changed);
                let text = for_stderr(&said).replace(&format!("{host}: "), "");
                vec![Draw::Rest {
                    host: host.clone(),
                    text,
                }]
            }
        }
    }

    /// The newest line of output beside the step shows that it lives.
    fn output(&self, host: &str, line: &str) -> Vec<Draw> {
        let line = clean(line.trim());
        let text = match self.steps.get(host) {
            Some(step) => format!("{step} · {line}"),
            None => line,
        };
        vec![Draw::Host {
            host: host.to_owned(),
            text,
        }]
    }
}

fn step(host: &str, text: &str) -> Draw {
    Draw::Step {
        host: host.to_owned(),
        text: text.to_owned(),
    }
}

fn lab(event: &LabEvent) -> Vec<Draw> {
    match event {
        LabEvent::Started { step } => vec![Draw::Run(format!("lab: {step}"))],
        LabEvent::Progress { step, line } => {
            vec![Draw::Run(format!("lab: {step} · {}", clean(line.trim())))]
        }
        LabEvent::Finished { .. } => vec![Draw::Above(event.to_string())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::narrator::story;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn a_run_on_the_board() {
        let mut board = Board::default();
        let mut drawn = String::new();
        for (second, said) in story() {
            for draw in board.said(Duration::from_secs(second), &said) {
                let text = match draw {
                    Draw::Run(text) => format!("run     {text}"),
                    Draw::Step { host, text } => format!("{host:8}{text}"),
                    Draw::Host { host, text } => format!("{host:8}{text}"),
                    Draw::Rest { host, text } => format!("{host:8}{text}."),
                    Draw::Above(text) => format!("above   {text}"),
                };
                drawn.push_str(&format!("{second:2} {}\n", plain(&text)));
            }
        }
        insta::assert_snapshot!("board", drawn);
    }
}
