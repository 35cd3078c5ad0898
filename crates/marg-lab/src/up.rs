//! `up`: from a bare host to an API that answers.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::command::last_lines;
use crate::disk;
use crate::endpoint::{self, LabEndpoint};
use crate::error::{LabError, LabResult};
use crate::event::{LabEvent, LabSink, LabStep};
use crate::files;
use crate::host_packages;
use crate::machines::image;
use crate::machines::recipe::IMAGES;
use crate::mirror::{self, Mirrors};
use crate::paths;
use crate::serve::Config;

/// How long the daemon may take until its API answers.
const DAEMON_LIMIT: Duration = Duration::from_secs(60);
/// Signs of life need not come faster than a person can read.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What `up` is asked for.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Where the API listens: an address of the loopback.
    pub api: SocketAddr,
    /// Debian mirror instead of the host's own.
    pub mirror: Option<String>,
    /// Slugs of the images that are built now; others are built when a droplet asks for them.
    pub images: Vec<String>,
    /// The program, with arguments, that ends up in [`crate::serve`].
    pub serve_command: Vec<OsString>,
}

impl UpOptions {
    /// Port 4050 of the loopback, the host's mirror, the default image.
    pub fn new(serve_command: Vec<OsString>) -> Self {
        Self {
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, 4050)),
            mirror: None,
            images: vec![IMAGES[0].slug.to_owned()],
            serve_command,
        }
    }
}

/// Brings the lab up, or finds that it is up. Blocks until the API answers.
pub fn up(options: &UpOptions, sink: LabSink<'_>) -> LabResult<LabEndpoint> {
    let _turn = exclusively()?;
    host_packages::ensure(sink)?;
    files::private_dir(&paths::run_dir())?;
    if options
        .images
        .iter()
        .any(|slug| image::known(slug).is_ok_and(|image| !image::is_built(image)))
    {
        let mirrors = mirror::detect(options.mirror.as_deref())?;
        for slug in &options.images {
            build(slug, &mirrors, sink)?;
        }
    }
    for slug in &options.images {
        image::known(slug)?;
    }
    if let Some(endpoint) = endpoint::endpoint()?.filter(endpoint::answers) {
        sink(LabEvent::Unchanged {
            step: LabStep::Daemon,
        });
        return Ok(endpoint);
    }
    start_daemon(options, sink)
}

/// Only one `up` or `down` at a time; the lock ends with its holder.
pub(crate) fn exclusively() -> LabResult<fs::File> {
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    let dir = paths::state_dir();
    files::private_dir(&dir)?;
    let file = fs::File::open(&dir).map_err(LabError::io("open", &dir))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| LabError::io("lock", &dir)(errno.into()))?;
    Ok(file)
}

fn build(slug: &str, mirrors: &Mirrors, sink: LabSink<'_>) -> LabResult<()> {
    let image = image::known(slug)?;
    let step = LabStep::Image {
        slug: slug.to_owned(),
    };
    if image::is_built(image) {
        sink(LabEvent::Unchanged { step });
        return Ok(());
    }
    sink(LabEvent::Started { step: step.clone() });
    let start = Instant::now();
    let mut shown = start;
    image::ensure(image, mirrors, &mut |line| {
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            sink(LabEvent::Progress {
                step: step.clone(),
                line: line.to_owned(),
            });
        }
    })?;
    sink(LabEvent::Finished {
        step,
        took: start.elapsed(),
    });
    Ok(())
}

fn start_daemon(options: &UpOptions, sink: LabSink<'_>) -> LabResult<LabEndpoint> {
    disk::check_room(&paths::state_dir())?;
    let step = LabStep::Daemon;
    sink(LabEvent::Started { step: step.clone() });
    let start = Instant::now();
    Config {
        api: options.api,
        mirror: options.mirror.clone(),
    }
    .store()?;
    let mut child = spawn(&options.serve_command)?;
    let endpoint = wait_for_answer(&mut child, sink)?;
    sink(LabEvent::Finished {
        step,
        took: start.elapsed(),
    });
    Ok(endpoint)
}

/// The daemon gets a session of its own, so that it outlives this terminal.
fn spawn(serve_command: &[OsString]) -> LabResult<Child> {
    let log = paths::daemon_log();
    let output = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(LabError::io("open", &log))?;
    let errors = output.try_clone().map_err(LabError::io("open", &log))?;
    Command::new("setsid")
        .args(serve_command)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|source| LabError::Start {
            program: "setsid".to_owned(),
            source,
        })
}

fn wait_for_answer(child: &mut Child, sink: LabSink<'_>) -> LabResult<LabEndpoint> {
    let deadline = Instant::now() + DAEMON_LIMIT;
    let mut told = Instant::now();
    loop {
        if let Some(endpoint) = endpoint::endpoint()?.filter(endpoint::answers) {
            return Ok(endpoint);
        }
        let program = || "the lab's daemon".to_owned();
        let ended = child.try_wait().map_err(|source| LabError::Start {
            program: program(),
            source,
        })?;
        if let Some(status) = ended {
            return Err(daemon_error(format!("it ended with {status}")));
        }
        if Instant::now() > deadline {
            return Err(daemon_error(format!(
                "no answer within {} s",
                DAEMON_LIMIT.as_secs()
            )));
        }
        if told.elapsed() > Duration::from_secs(2) {
            told = Instant::now();
            let line = "waiting for the API to answer".to_owned();
            sink(LabEvent::Progress {
                step: LabStep::Daemon,
                line,
            });
        }
        thread::sleep(Duration::from_millis(25));
    }
}

fn daemon_error(reason: String) -> LabError {
    let log = paths::daemon_log();
    let text = fs::read_to_string(&log).unwrap_or_else(|error| error.to_string());
    LabError::Daemon {
        reason,
        tail: last_lines(&text, 10),
        log,
    }
}
