//! Runs the program `marg` as its users do, and keeps what it says.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long one run may take. It ends a hang; it measures nothing.
const RUN: Duration = Duration::from_secs(1200);
/// Lines of output that a failed assertion repeats.
const TAIL: usize = 60;

/// The program, built from the sources as they are now.
pub fn marg() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "marg-cli"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    let status = status.expect("cargo can be started");
    assert!(
        status.success(),
        "`cargo build -p marg-cli` failed: {status}"
    );
    // Tests lie in target/<profile>/deps, examples in target/<profile>/examples.
    let own = std::env::current_exe().expect("the test knows its own path");
    let built = own
        .ancestors()
        .nth(2)
        .expect("a profile's folder")
        .join("marg");
    // A copy: who builds while the tests run must not change what is tested. It is renamed
    // into place, since the copy of an earlier run may still be running as the lab's daemon.
    let folder = crate::project::home();
    let (new, copy) = (
        folder.join(format!("marg.{}", std::process::id())),
        folder.join("marg"),
    );
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(&built, &new).expect("marg was built");
    fs::rename(&new, &copy).expect("the copy can be renamed");
    copy
}

/// How a run of the program ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run, for messages.
    pub line: String,
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Panics unless it ended well.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Panics unless it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}:\n{self}");
        self
    }

    /// Panics unless output or standard error contain this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "expected to read `{text}`:\n{self}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn document(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("standard output is not one JSON document ({error}):\n{self}"),
        }
    }

    /// Standard output as one JSON object per line.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        for line in self.stdout.lines() {
            match serde_json::from_str(line) {
                Ok(event) => events.push(event),
                Err(error) => panic!("`{line}` is not a JSON object ({error}):\n{self}"),
            }
        }
        events
    }

    /// The last event of that name.
    #[track_caller]
    pub fn event(&self, name: &str) -> Value {
        let mut events = self.events().into_iter().rev();
        match events.find(|event| event["event"] == name) {
            Some(event) => event,
            None => panic!("no `{name}` was printed:\n{self}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL)..].join("\n")
        };
        let (stdout, stderr) = (tail(&self.stdout), tail(&self.stderr));
        writeln!(f, "$ marg {}\nexit code {}", self.line, self.code)?;
        write!(
            f,
            "--- end of stdout\n{stdout}\n--- end of stderr\n{stderr}"
        )
    }
}

/// A command line of the program.
#[derive(Clone, Debug)]
pub struct Marg {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    folder: PathBuf,
    diary: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Marg {
    /// The program with these arguments, to be run in `folder`.
    pub fn new<S: Into<String>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            folder: folder.to_owned(),
            diary: None,
            program: None,
        }
    }

    /// Another program than the one that was built from the sources as they are now.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Everything that it prints is added to this file, too.
    #[must_use]
    pub fn diary(mut self, path: &Path) -> Self {
        self.diary = Some(path.to_owned());
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program.as_deref().unwrap_or_else(|| marg()));
        command.args(&self.arguments).current_dir(&self.folder);
        for name in [
            "DIGITALOCEAN_TOKEN",
            "DIGITALOCEAN_API_URL",
            "MARG_INVENTORY",
        ] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        self.start().wait()
    }

    /// Runs it to its end with this on standard input.
    #[track_caller]
    pub fn run_with_input(&self, input: &str) -> Outcome {
        self.start_with(Some(input)).wait()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&self) -> Running {
        self.start_with(None)
    }

    #[track_caller]
    fn start_with(&self, input: Option<&str>) -> Running {
        let mut command = self.command();
        command.stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("marg can be started");
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            let input = input.to_owned();
            // A program that ends early reads nothing more: that is not this thread's business.
            std::thread::spawn(move || pipe.write_all(input.as_bytes()).ok());
        }
        let heard = Arc::new(Heard::default());
        let stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let readers = vec![listen(stdout, &heard, true), listen(stderr, &heard, false)];
        let (line, diary) = (self.arguments.join(" "), self.diary.clone());
        Running {
            child,
            heard,
            readers,
            line,
            diary,
        }
    }
}

fn listen(pipe: impl Read + Send + 'static, heard: &Arc<Heard>, stdout: bool) -> JoinHandle<()> {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            heard.add(&String::from_utf8_lossy(&line), stdout);
            line.clear();
        }
    })
}

/// What a running program has said so far.
#[derive(Debug, Default)]
struct Heard {
    texts: Mutex<(String, String)>,
    more: Condvar,
}

impl Heard {
    fn add(&self, line: &str, stdout: bool) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if stdout { &mut texts.0 } else { &mut texts.1 };
        text.push_str(line);
        self.more.notify_all();
    }

    /// The first event that fits; waits a moment for more when there is none.
    fn find(&self, fits: &impl Fn(&Value) -> bool) -> Option<Value> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = texts
            .0
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let found = events.find(|event| fits(event));
        if found.is_none() {
            drop(self.more.wait_timeout(texts, Duration::from_millis(100)));
        }
        found
    }
}

/// A program that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    heard: Arc<Heard>,
    readers: Vec<JoinHandle<()>>,
    line: String,
    diary: Option<PathBuf>,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it prints an event that fits; panics when it ends or says nothing of the
    /// kind for too long.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + RUN;
        loop {
            // Whether it has ended is asked first, so that its last words are not missed.
            let ended = self.child.try_wait().expect("a child").is_some();
            if let Some(event) = self.heard.find(&fits) {
                return event;
            }
            if ended || Instant::now() > until {
                let outcome = self.collect();
                panic!("waited in vain for {what}:\n{outcome}");
            }
        }
    }

    /// When it said so many events that fit, heard by whoever waits; `None` when it ends before.
    pub fn hears(&mut self, times: usize, fits: impl Fn(&Value) -> bool) -> Option<Instant> {
        loop {
            let ended = self.child.try_wait().expect("a child").is_some();
            let left = Cell::new(times);
            let last = |said: &Value| {
                left.set(left.get() - usize::from(fits(said)));
                left.get() == 0
            };
            if self.heard.find(&last).is_some() {
                return Some(Instant::now());
            }
            if ended {
                return None;
            }
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let until = Instant::now() + RUN;
        while self.child.try_wait().expect("a child").is_none() {
            if Instant::now() > until {
                let outcome = self.collect();
                panic!("it did not end within {RUN:?}:\n{outcome}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.collect()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) -> Outcome {
        self.collect()
    }

    /// Sends it what Ctrl-C sends.
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill -INT {pid}"
        );
    }

    fn collect(&mut self) -> Outcome {
        // Killing what has ended does nothing.
        let _ = self.child.kill();
        let status = self.child.wait().expect("a child");
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
        let texts = self
            .heard
            .texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (stdout, stderr) = texts.clone();
        if let Some(path) = &self.diary {
            write_diary(path, &format!("$ marg {}\n{stdout}{stderr}", self.line));
        }
        let code = status.code().unwrap_or(-1);
        Outcome {
            line: self.line.clone(),
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_diary(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(text.as_bytes())
        .expect("the diary can be written");
}
