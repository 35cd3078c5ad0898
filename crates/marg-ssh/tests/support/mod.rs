//! A real sshd on loopback, started and ended by the test that uses it.
#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)]

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use marg_ssh::{Deadline, KeyPair, Session, Target};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

/// The deadline of everything that is expected to succeed.
pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Whether this machine can run the tests; says so by name when it cannot, and fails where
/// the environment variable `CI` promises that it can.
pub fn can_run(test: &str) -> bool {
    if Path::new(SSHD).exists() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{test}: {SSHD} is missing; install openssh-server"
    );
    eprintln!("{test}: skipped, {SSHD} is missing; install openssh-server to run it");
    false
}

/// Returns from the test, by name, where there is no sshd.
#[macro_export]
macro_rules! needs_sshd {
    ($name:literal) => {
        if !support::can_run($name) {
            return;
        }
    };
}

/// What a test may want different.
pub struct Options {
    pub port: u16,
    pub host_key: KeyPair,
    /// Lines for `sshd_config`, ahead of the common ones (the first one wins).
    pub config: String,
    /// Whether the identity may log in from the start.
    pub authorized: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: free_port(),
            host_key: KeyPair::generate("host").unwrap(),
            config: String::new(),
            authorized: true,
        }
    }
}

pub struct Sshd {
    process: Child,
    pub folder: TempDir,
    pub port: u16,
    pub identity: KeyPair,
    pub host_key: KeyPair,
}

impl Sshd {
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts sshd and waits until it accepts connections.
    pub fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = KeyPair::generate("operator").unwrap();
        let path = |name: &str| folder.path().join(name);
        options.host_key.save(&path("host_key")).unwrap();
        identity.save(&path("identity")).unwrap();
        let authorized = match options.authorized {
            true => identity.public_openssh(),
            false => String::new(),
        };
        std::fs::write(path("authorized_keys"), authorized).unwrap();
        std::fs::write(path("config"), config(folder.path(), &options)).unwrap();
        // Debian's sshd wants this folder to exist when it starts as root.
        if user() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = std::fs::File::create(path("log")).unwrap();
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(path("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut sshd = Self {
            process,
            folder,
            port: options.port,
            identity,
            host_key: options.host_key,
        };
        sshd.wait_until_it_listens();
        sshd
    }

    fn wait_until_it_listens(&mut self) {
        let give_up = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "sshd ended: {}", self.log());
            assert!(
                Instant::now() < give_up,
                "sshd does not listen: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn target(&self) -> Target {
        target("marg-test1", self.port, &self.host_key)
    }

    pub async fn session(&self) -> Session {
        Session::connect(&self.target(), &self.identity, soon())
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", self.log()))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn target(name: &str, port: u16, host_key: &KeyPair) -> Target {
    let mut target = Target::new(name, "127.0.0.1", user(), host_key.host_key());
    target.port = port;
    target
}

/// A port that nothing listens on at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn config(folder: &Path, options: &Options) -> String {
    let mut text = options.config.clone();
    let folder = folder.display();
    write!(
        text,
        "\nPort {}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nUsePAM no\n\
         StrictModes no\nPubkeyAuthentication yes\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         MaxStartups 100\nLogLevel VERBOSE\nPrintMotd no\n",
        options.port
    )
    .unwrap();
    text
}
