//! Output cut into lines.

use std::collections::VecDeque;

use crate::process::{ExitStatus, Process, ProcessEvent};
use crate::{Deadline, SshError};

/// A line that a command wrote, without its newline; or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// A line of standard output. Bytes, for a host may send anything.
    Stdout(Vec<u8>),
    /// A line of standard error.
    Stderr(Vec<u8>),
    /// The end; always the last.
    Exit(ExitStatus),
}

/// A [`Process`] whose output comes in lines. A last line without a newline counts as one.
#[derive(Debug)]
pub struct ProcessLines {
    process: Process,
    stdout: LineBuffer,
    stderr: LineBuffer,
    ready: VecDeque<LineEvent>,
}

impl ProcessLines {
    pub(crate) fn new(process: Process) -> Self {
        Self {
            process,
            stdout: LineBuffer::default(),
            stderr: LineBuffer::default(),
            ready: VecDeque::new(),
        }
    }

    /// The process itself, to write to it. Its own events belong to this reader.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The next line; `None` after [`LineEvent::Exit`]. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// Those of [`Process::next`].
    pub async fn next(&mut self, deadline: Deadline) -> Result<Option<LineEvent>, SshError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(event) = self.process.next(deadline).await? else {
                return Ok(None);
            };
            match event {
                ProcessEvent::Stdout(data) => {
                    let lines = self.stdout.push(&data);
                    self.ready.extend(lines.into_iter().map(LineEvent::Stdout));
                }
                ProcessEvent::Stderr(data) => {
                    let lines = self.stderr.push(&data);
                    self.ready.extend(lines.into_iter().map(LineEvent::Stderr));
                }
                ProcessEvent::Exit(status) => {
                    self.ready.extend(self.stdout.rest().map(LineEvent::Stdout));
                    self.ready.extend(self.stderr.rest().map(LineEvent::Stderr));
                    self.ready.push_back(LineEvent::Exit(status));
                }
            }
        }
    }
}

/// The unfinished line of one stream.
#[derive(Debug, Default)]
struct LineBuffer(Vec<u8>);

impl LineBuffer {
    /// Takes a piece and returns the lines that it finishes.
    fn push(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut pieces = data.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.0.extend_from_slice(piece);
            if pieces.peek().is_some() {
                lines.push(std::mem::take(&mut self.0));
            }
        }
        lines
    }

    /// What stands after the last newline.
    fn rest(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.0)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_where_the_pieces_are_cut() {
        let text = "a\n\nsnö\r\nlast".as_bytes();
        for cut in 0..=text.len() {
            let mut buffer = LineBuffer::default();
            let mut lines = buffer.push(&text[..cut]);
            lines.extend(buffer.push(&text[cut..]));
            lines.extend(buffer.rest());
            let expected = ["a", "", "snö\r", "last"].map(|l| l.as_bytes().to_vec());
            assert_eq!(lines, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_final_newline_makes_no_empty_line() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"one\n"), [b"one".to_vec()]);
        assert_eq!(buffer.rest(), None);
    }
}
