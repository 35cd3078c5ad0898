//! The thread that shows what is said. Work never waits for a terminal: messages go through a
//! queue, and between them the reader is told that time passes.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::Failure;

use super::Said;

/// How often a reader is told that time passes.
const TICK: Duration = Duration::from_millis(500);

/// Shows what is said. Times count from the start.
pub trait Reader: Send {
    /// Something was said.
    fn said(&mut self, at: Duration, said: &Said);
    /// Time passed.
    fn tick(&mut self, at: Duration);
    /// Nothing more will be said.
    fn finish(&mut self);
}

/// A reader at work.
pub struct Live {
    sender: Sender<Said>,
    thread: JoinHandle<()>,
}

impl Live {
    /// Starts the reader's thread.
    pub fn start(mut reader: Box<dyn Reader>) -> Result<Live, Failure> {
        let (sender, messages) = mpsc::channel();
        let show = move || {
            let start = Instant::now();
            loop {
                match messages.recv_timeout(TICK) {
                    Ok(said) => reader.said(start.elapsed(), &said),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break reader.finish(),
                }
                reader.tick(start.elapsed());
            }
        };
        let thread = thread::Builder::new()
            .name("display".to_owned())
            .spawn(show);
        let thread = thread.map_err(|error: io::Error| Failure::io("start a thread", &error))?;
        Ok(Live { sender, thread })
    }

    /// Hands a message to the reader.
    pub fn say(&self, said: Said) {
        // The reader only ends before its time by a panic, which its own thread has reported.
        let _ = self.sender.send(said);
    }

    /// Waits until everything is shown.
    pub fn finish(self) {
        drop(self.sender);
        let _ = self.thread.join();
    }
}
