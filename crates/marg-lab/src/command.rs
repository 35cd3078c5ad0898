//! Running the host's programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{LabError, LabResult};

/// How much of a failed program's output goes into the error.
const TAIL_LINES: usize = 15;
/// After this time without a line, the last one is shown again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> LabResult<String> {
    run_with_input(program, arguments, "")
}

/// Runs a program with `input` on its standard input.
pub(crate) fn run_with_input(program: &str, arguments: &[&str], input: &str) -> LabResult<String> {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = capture(&mut command, input)?;
    check(&command, &output)
}

/// Runs a program of which a failure is an answer, too: whether it succeeded.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> LabResult<bool> {
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(capture(&mut command, "")?.status.success())
}

fn capture(command: &mut Command, input: &str) -> LabResult<Output> {
    let program = name_of(command);
    let mut child = command_with_pipes(command)
        .spawn()
        .map_err(|source| LabError::Start {
            program: program.clone(),
            source,
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why by its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    child
        .wait_with_output()
        .map_err(|source| LabError::Start { program, source })
}

fn command_with_pipes(command: &mut Command) -> &mut Command {
    command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

fn check(command: &Command, output: &Output) -> LabResult<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let all = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(LabError::Command {
        command: describe(command),
        status: output.status.to_string(),
        output: last_lines(&all, TAIL_LINES),
    })
}

/// Runs a program and hands over each line that it prints, on either stream, as it comes.
pub(crate) fn stream(command: &mut Command, on_line: &mut dyn FnMut(&str)) -> LabResult<()> {
    let program = name_of(command);
    let mut child = command_with_pipes(command)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|source| LabError::Start {
            program: program.clone(),
            source,
        })?;
    let (sender, receiver) = mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| forward(pipe, sender.clone())),
        child
            .stderr
            .take()
            .map(|pipe| forward(pipe, sender.clone())),
    ];
    drop(sender);
    let tail = relay(&receiver, SIGN_OF_LIFE, on_line);
    for reader in readers.into_iter().flatten() {
        // A reader only ends early when its pipe broke; the exit code tells the rest.
        let _ = reader.join();
    }
    let status = child
        .wait()
        .map_err(|source| LabError::Start { program, source })?;
    if status.success() {
        return Ok(());
    }
    Err(LabError::Command {
        command: describe(command),
        status: status.to_string(),
        output: tail.join("\n"),
    })
}

/// Hands lines over until there are no more, and returns the last ones. When none comes for a
/// while, the last one is repeated as a sign of life.
fn relay(
    lines: &mpsc::Receiver<String>,
    patience: Duration,
    on_line: &mut dyn FnMut(&str),
) -> Vec<String> {
    let mut tail: Vec<String> = Vec::new();
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => {
                on_line(&line);
                tail.push(line);
                if tail.len() > TAIL_LINES {
                    tail.remove(0);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let last = tail.last().map_or("starting", String::as_str);
                on_line(&format!("still at it: {last}"));
            }
            Err(RecvTimeoutError::Disconnected) => return tail,
        }
    }
}

fn forward(
    pipe: impl Read + Send + 'static,
    sender: mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !line.is_empty() && sender.send(line).is_err() {
                return;
            }
        }
    })
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The program and a few of its arguments: enough to recognise it in an error.
fn describe(command: &Command) -> String {
    let mut words = vec![name_of(command)];
    words.extend(
        command
            .get_args()
            .take(8)
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_silent_program_still_gives_signs_of_life() {
        let (sender, receiver) = mpsc::channel();
        sender.send("unpacking".to_owned()).unwrap();
        let mut sender = Some(sender);
        let mut seen = Vec::new();
        let tail = relay(&receiver, Duration::from_millis(1), &mut |line| {
            seen.push(line.to_owned());
            if seen.len() == 2 {
                sender = None;
            }
        });
        assert_eq!(seen, ["unpacking", "still at it: unpacking"]);
        assert_eq!(tail, ["unpacking"]);
    }

    #[test]
    fn a_failed_program_is_quoted_with_its_last_lines() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "seq 40; echo broken >&2; exit 3"]);
        let error = stream(&mut command, &mut |line| lines.push(line.to_owned())).unwrap_err();
        assert_eq!(lines.len(), 41);
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("broken"),
            "{text}"
        );
        assert!(!text.contains("\n5\n"), "{text}");
    }
}
