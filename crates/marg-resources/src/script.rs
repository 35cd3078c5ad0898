//! Shell texts: the probe and the apply script of a host, and the type that keeps the secret
//! parts of a script from being shown.

use std::collections::BTreeSet;
use std::fmt;

use marg_model::Secret;

use crate::kinds::{self, State};
use crate::plan::HostPlan;

/// How root goes where others may have put links; every probe and apply script begins with it.
pub const PLACES: &str = include_str!("places.sh");

/// Functions that every apply script may use; read it to know what runs on a host.
pub const PRELUDE: &str = concat!(include_str!("places.sh"), include_str!("prelude.sh"));

/// Functions that every probe may use.
const LOOK: &str = include_str!("look.sh");

/// The function that runs a script which only looks, and frames what it says. [`crate::Answer`]
/// reads that.
pub const FRAME: &str = include_str!("frame.sh");

/// A shell text of which parts may be secret. `Display` and `Debug` show `<secret>` for them;
/// only [`Shell::reveal`] gives the text that really runs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Shell(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Open(String),
    Secret(Secret),
}

impl Shell {
    /// A text without secrets.
    pub fn new(text: impl Into<String>) -> Self {
        Self(vec![Piece::Open(text.into())])
    }

    /// Adds open text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Open(text.into()));
        self
    }

    /// Adds text that is never shown. It must already be quoted or encoded for its place.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.0.push(Piece::Secret(secret));
        self
    }

    /// Adds another text.
    #[must_use]
    pub fn then(mut self, other: Shell) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The text that runs.
    pub fn reveal(&self) -> Secret {
        let parts = self.0.iter().map(|piece| match piece {
            Piece::Open(text) => text.as_str(),
            Piece::Secret(secret) => secret.expose(),
        });
        Secret::new(parts.collect::<String>())
    }
}

impl From<String> for Shell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Shell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            f.write_str(match piece {
                Piece::Open(text) => text,
                Piece::Secret(_) => "<secret>",
            })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The one script that reads all resources of a host, one section per kind. What two roles want
/// is asked once.
pub fn probe_script(states: &[&State]) -> String {
    let mut script = format!("export LC_ALL=C\n{PLACES}{LOOK}");
    script.push_str(&section("facts", FACTS));
    let mut names = BTreeSet::new();
    let once: Vec<&State> = states
        .iter()
        .copied()
        .filter(|state| names.insert((state.kind(), state.id())))
        .collect();
    for (kind, part) in kinds::probes(&once) {
        script.push_str(&section(kind, &part));
    }
    script
}

const FACTS: &str = "id=; version=
while IFS='=' read -r key value; do
  value=${value#\\\"}; value=${value%\\\"}
  case $key in ID) id=$value ;; VERSION_ID) version=$value ;; esac
done < /etc/os-release
read -r name < /proc/sys/kernel/hostname
reboot=no; [ -e /run/reboot-required ] && reboot=yes
printf 'id=%s\\nversion=%s\\nhostname=%s\\nreboot=%s\\n' \"$id\" \"$version\" \"$name\" \"$reboot\"";

/// A part of a probe: what it prints goes to a file of its own, whatever that is.
pub fn section(kind: &str, part: &str) -> String {
    // A group runs in the script's own shell: a section costs no process of its own.
    format!("{{ {part}\n}} >\"$OUT/{kind}\" 2>&1\necho \"{kind} $?\"\n")
}

/// The one script that applies a plan. Every step reports its start and end on a line of its
/// own that begins with `@step` and `mark`, and its output on lines that begin with a bar. A last
/// step finishes.
pub fn apply_script(plan: &HostPlan, mark: &str) -> Shell {
    let mut script = Shell::new(format!("{PRELUDE}\nMARK={mark}\n"));
    let finish = Shell::new("finish");
    let bodies = plan.steps.iter().map(|step| &step.body).chain([&finish]);
    for (index, body) in bodies.enumerate() {
        let number = index + 1;
        script = script
            .text(format!("\nstep_{number}() {{ set -e\n"))
            .then(body.clone())
            .text(format!("\n}}\nrun_step {number}\n"));
    }
    script
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// What a shell that outlives its parent, or not, says at the end of a wait.
    fn waits(script: &str) -> String {
        let state = tempfile::tempdir().unwrap();
        let waiting = format!(
            "{PRELUDE}\n: > \"$MARG_STATE/begun\"; tries=0\n\
             until left_alone || [ $tries -ge 20 ]; do tries=$((tries + 1)); sleep 0.05; done\n\
             left_alone && echo alone || echo not alone\n"
        );
        let output = Command::new("sh")
            .args(["-c", script])
            .env("WAITING", waiting)
            .env("MARG_STATE", state.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_wait_knows_when_nobody_waits_for_it_any_more() {
        // The first shell ends when the second one has begun, and leaves it its output.
        let begun = "until [ -e \"$MARG_STATE/begun\" ]; do sleep 0.01; done";
        let left = |waiting: &str| waits(&format!("sh -c \"{waiting}\" & {begun}"));
        assert_eq!(left("$WAITING"), "alone\n");
        assert_eq!(waits("sh -c \"$WAITING\"; :"), "not alone\n");
        // In a step, which is a part of the shell and not a process of its own.
        assert_eq!(left("( $WAITING )"), "alone\n");
    }

    #[test]
    fn what_systemd_could_not_read_is_still_owed() {
        let state = tempfile::tempdir().unwrap();
        let left = |word: &str| {
            let script = format!(
                "{PRELUDE}\nsystemctl() {{ {word}; }}\n: > \"$OWED/units.reload\"\nread_units\n\
                 echo \"status $?\"; [ ! -e \"$OWED/units.reload\" ] || echo owed\n"
            );
            let output = Command::new("sh")
                .args(["-c", &script])
                .env("MARG_STATE", state.path())
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(left("true"), "status 0\n");
        assert_eq!(left("false"), "status 1\nowed\n");
    }

    /// A process that holds a file as apt and dpkg hold theirs, until its input ends.
    fn hold(file: &std::path::Path) -> std::process::Child {
        std::fs::write(file, "").unwrap();
        let mut holder = Command::new("perl")
            .args([
                "-e",
                "use Fcntl; open(my $f, '+<', $ARGV[0]) or die; \
                 my $l = pack('s s x![q] q q i x![q]', F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; \
                 $| = 1; print \"held\\n\"; <STDIN>",
            ])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = std::io::BufReader::new(holder.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
        assert_eq!(said, "held\n");
        holder
    }

    /// The text of an apply in which `lock` is all that apt and dpkg hold.
    fn turn(lock: &std::path::Path, words: &str) -> Command {
        let script = format!("{PRELUDE}\nAPT_LOCKS={}\n{words}", lock.display());
        let mut command = Command::new("sh");
        let state = lock.parent().unwrap().join("state");
        command.args(["-c", &script]).env("MARG_STATE", state);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    #[test]
    fn apt_and_dpkg_wait_for_whoever_holds_a_lock_and_say_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        let mut holder = hold(&lock);
        let mut waiting = turn(&lock, "apt_turn echo done").spawn().unwrap();
        let mut lines = std::io::BufReader::new(waiting.stdout.take().unwrap());
        let mut said = String::new();
        std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
        let (path, pid) = (lock.display(), holder.id());
        assert_eq!(
            said,
            format!("waiting: {path} is held by process {pid} (perl)\n")
        );
        drop(holder.stdin.take());
        holder.wait().unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
        assert_eq!(rest, "done\n");
        assert!(waiting.wait().unwrap().success());
    }

    #[test]
    fn a_wait_for_apt_ends_and_whoever_was_quicker_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        let mut holder = hold(&lock);
        let output = turn(&lock, "APT_WAIT=0 apt_turn echo done; echo \"status $?\"")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.ends_with("run the same command again when it has\nstatus 75\n"),
            "{said}"
        );
        drop(holder.stdin.take());
        holder.wait().unwrap();
        for (complaint, expected) in [
            (
                "E: Could not get lock /x. It is held by process 7 (apt)",
                "2 0",
            ),
            (
                "dpkg: error: dpkg frontend lock was locked by another process with pid 7",
                "2 0",
            ),
            ("E: Unable to locate package x", "1 100"),
        ] {
            let words = format!(
                "tries=0\nbusy() {{ tries=$((tries + 1)); [ $tries -gt 1 ] || {{ echo '{complaint}' >&2; return 100; }}; }}\n\
                 apt_turn busy; echo \"$tries $?\""
            );
            let output = turn(&lock, &words).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, format!("{complaint}\n{expected}\n"));
        }
    }
}
