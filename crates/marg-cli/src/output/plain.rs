//! Lines, for logs and pipes, and for people who want to see everything.

use std::io::Write as _;
use std::time::Duration;

use marg::Event;

use super::live::Reader;
use super::narrator::Narrator;
use super::{CYAN, Said, clean, paint};

/// Writes lines to stderr; output of commands goes to stdout where it is the result.
pub struct Plain {
    quiet: bool,
    stream: bool,
    narrator: Narrator,
}

impl Plain {
    /// `verbose` shows the output of every step, `stream` makes output the result.
    pub fn new(quiet: bool, verbose: bool, stream: bool) -> Plain {
        Plain {
            quiet,
            stream,
            narrator: Narrator::new(verbose),
        }
    }

    fn print(&self, lines: &[String]) {
        if !self.quiet {
            for line in lines {
                // Whoever closed stderr does not want to know.
                let _ = writeln!(anstream::stderr(), "{line}");
            }
        }
    }
}

impl Reader for Plain {
    fn said(&mut self, at: Duration, said: &Said) {
        if let (true, Said::Engine(Event::Output { host, line })) = (self.stream, said) {
            let prefix = paint(CYAN, host);
            let _ = writeln!(anstream::stdout(), "{prefix} | {}", clean(line));
            return self.narrator.hear(at);
        }
        let lines = self.narrator.said(at, said);
        self.print(&lines);
    }

    fn tick(&mut self, at: Duration) {
        let lines = self.narrator.tick(at);
        self.print(&lines);
    }

    fn finish(&mut self) {}
}
