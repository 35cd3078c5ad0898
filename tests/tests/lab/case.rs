//! A named case, when it can run, and what happens after the last one.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use marg_tests::api::Api;
use marg_tests::leftovers;
use marg_tests::program::Marg;

/// One thing that is shown.
pub struct Case {
    name: &'static str,
    run: fn(),
    /// Whether it takes the lab down, with all that others have in it.
    destructive: bool,
    /// Whether it takes so long that it runs only with `--include-ignored`.
    long: bool,
}

impl Case {
    /// A case; its name reads like a sentence.
    pub const fn new(name: &'static str, run: fn()) -> Self {
        Self {
            name,
            run,
            destructive: false,
            long: false,
        }
    }

    /// The same, run only when asked for; the harness names it as ignored otherwise.
    pub fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// A case that takes the lab down.
    pub const fn destructive(name: &'static str, run: fn()) -> Self {
        Self {
            name,
            run,
            destructive: true,
            long: false,
        }
    }

    /// As the test harness wants it.
    pub fn into_trial(self) -> Trial {
        let long = self.long;
        let trial = Trial::test(self.name, move || {
            let foreign = if self.destructive {
                foreign_lab()
            } else {
                None
            };
            if !lab_or_skip(self.name, foreign)? {
                return Ok(());
            }
            let began = Instant::now();
            (self.run)();
            eprintln!("    {:.1} s: {}", began.elapsed().as_secs_f64(), self.name);
            Ok(())
        });
        trial.with_ignored_flag(long)
    }
}

/// `"name" => function,` lines as a list of cases.
macro_rules! cases {
    ($($name:literal => $run:path,)*) => {
        pub fn cases() -> Vec<$crate::case::Case> {
            vec![$($crate::case::Case::new($name, $run),)*]
        }
    };
}

/// Whether a lab can run here. If not, says so by name; a failure where MARG_REQUIRE_LAB is set.
fn lab_or_skip(name: &str, foreign: Option<String>) -> Result<bool, Failed> {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    match OBSTACLE.get_or_init(obstacle).clone().or(foreign) {
        None => Ok(true),
        Some(reason) if std::env::var_os("MARG_REQUIRE_LAB").is_some() => {
            Err(Failed::from(format!("the lab cannot run here: {reason}")))
        }
        Some(reason) => {
            eprintln!("skipped: {name}: {reason}");
            Ok(false)
        }
    }
}

fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("the lab boots machines, which only root may do".to_owned());
    }
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        os.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or("")
    };
    let family = format!("{} {}", value("ID="), value("ID_LIKE="));
    if !family.contains("debian") && !family.contains("ubuntu") {
        return Some("the lab installs what it needs with apt, which is not here".to_owned());
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--net", "--pid", "--fork", "true"]);
    match unshare.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "namespaces cannot be made: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("unshare cannot be started: {error}")),
    }
}

/// A lab that somebody works with is not taken down under them.
fn foreign_lab() -> Option<String> {
    let env = marg(["lab", "env"]).run();
    if env.code != 0 {
        return None;
    }
    let droplets = Api::from_env_lines(&env.stdout).list("/v2/droplets", "droplets");
    let foreign = droplets.iter().find(|droplet| {
        let name = droplet["name"].as_str().unwrap_or_default();
        !name.starts_with("e2e")
    });
    let name = foreign?["name"].as_str().unwrap_or("?").to_owned();
    Some(format!(
        "the lab is up with a droplet {name} that is not of these tests; `marg lab down`"
    ))
}

/// The program where no project matters.
pub fn marg<const N: usize>(arguments: [&str; N]) -> Marg {
    Marg::new(std::path::Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

/// Takes the lab down and looks for what it left. True when there is nothing. Under nextest
/// each case is a process of its own, and the fleet must outlive it.
pub fn tear_down() -> bool {
    let kept = ["MARG_KEEP_LAB", "NEXTEST"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if kept || obstacle().is_some() || marg(["lab", "env"]).run().code != 0 {
        return true;
    }
    if let Some(reason) = foreign_lab() {
        eprintln!("the lab stays up: {reason}");
        return std::env::var_os("MARG_REQUIRE_LAB").is_none();
    }
    let down = marg(["lab", "down"]).run();
    let left = leftovers::of_the_lab();
    if down.code != 0 || !left.is_empty() {
        eprintln!(
            "taking the lab down at the end:\n{down}\nleft behind:\n{}",
            left.join("\n")
        );
    }
    down.code == 0 && left.is_empty()
}
