//! `supervisor_program`: a program that supervisor keeps running, once what it needs is there.

use super::backed;
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::File;
use crate::kinds::file::FileSeen;
use crate::quote::quote;

/// A program of supervisor, `/etc/supervisor/conf.d/NAME.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorProgram {
    name: String,
    text: Option<String>,
    requires: Option<String>,
}

/// What a host says of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorProgramSeen {
    file: Vec<FileSeen>,
    /// Whether the path that it requires exists.
    ready: bool,
    /// How many of its processes run.
    running: usize,
    /// Whether an earlier run wrote its configuration, but did not tell supervisor.
    owed: bool,
}

impl SupervisorProgram {
    /// `text` is its whole configuration, with a section `[program:NAME]`. All of its processes
    /// run.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: Some(text.into()),
            requires: None,
        }
    }

    /// It is neither configured nor running.
    #[must_use]
    pub fn absent(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: None,
            requires: None,
        }
    }

    /// As long as this path does not exist the program is only configured.
    #[must_use]
    pub fn requires(mut self, path: impl Into<String>) -> Self {
        self.requires = Some(path.into());
        self
    }

    /// The file that holds the program of this name.
    pub fn path(name: &str) -> String {
        format!("/etc/supervisor/conf.d/{name}.conf")
    }

    fn debt(&self) -> String {
        format!("supervisor-{}", self.name)
    }

    /// How many processes the configuration asks for.
    fn processes(&self) -> usize {
        let numprocs = |line: &str| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "numprocs").then(|| value.trim().parse().ok())?
        };
        self.text
            .iter()
            .flat_map(|text| text.lines())
            .find_map(numprocs)
            .unwrap_or(1)
    }

    /// `update` restarts programs whose configuration changed, starts new ones, and stops those
    /// that are gone; the others it leaves alone.
    fn tell(&self) -> String {
        let (name, debt) = (quote(&self.name), quote(&self.debt()));
        match &self.text {
            None => {
                format!("{FUNCTIONS}\nsupervisor_ready\nsupervisorctl update {name}\npaid {debt}")
            }
            Some(_) => format!(
                "{FUNCTIONS}\nsupervisor_ready\nsupervisorctl update {name}\n\
                 supervisor_start {name}\npaid {debt}"
            ),
        }
    }
}

/// systemd calls supervisor started before it listens. `start` fails for processes that run
/// already, so only the others are started.
const FUNCTIONS: &str = r#"supervisor_ready() {
  tries=100
  until supervisorctl pid >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -le 0 ]; then supervisorctl pid; return 1; fi
    sleep 0.1
  done
}
supervisor_start() {
  for process in $(supervisorctl status "$1:*" | awk '$2 !~ /^(RUNNING|STARTING)$/ { print $1 }'); do
    supervisorctl start "$process"
  done
  if supervisorctl status "$1:*" | grep -vE ' (RUNNING|STARTING) '; then
    echo "not all processes of $1 run"
    return 1
  fi
}"#;

impl Kind for SupervisorProgram {
    const NAME: &'static str = "supervisor_program";
    type Seen = SupervisorProgramSeen;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn files(&self) -> Vec<File> {
        let path = Self::path(&self.name);
        vec![match &self.text {
            Some(text) => File::new(path, text),
            None => File::absent(path),
        }]
    }

    fn probe(all: &[&Self]) -> String {
        let calls = all.iter().enumerate().map(|(place, program)| {
            format!(
                "marg_supervisor {place} {} {} {} {}\n",
                quote(&program.name),
                quote(program.requires.as_deref().unwrap_or("/")),
                quote(&program.debt()),
                program.processes()
            )
        });
        format!("{LOOK}\n{}", calls.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<SupervisorProgramSeen>, Misread> {
        backed::read(all, lines)?
            .into_iter()
            .map(|(file, own)| match own.as_slice() {
                [line] => seen(file, line).ok_or_else(|| Self::misread(*line)),
                other => Err(Self::misread(format!(
                    "{} lines about a program",
                    other.len()
                ))),
            })
            .collect()
    }

    fn fresh(&self) -> SupervisorProgramSeen {
        let file = backed::missing(&self.files());
        SupervisorProgramSeen {
            file,
            ready: self.requires.is_none(),
            running: 0,
            owed: false,
        }
    }

    fn diff(&self, seen: &SupervisorProgramSeen, _before: &Before) -> Verdict {
        let owe = format!("owe {} reload\n", quote(&self.debt()));
        let present = self.text.is_some();
        let must_run = present && seen.ready;
        // A program that waits for its path is not told to supervisor: it would only fail.
        let told = must_run || !present;
        let files = backed::diff(&self.files(), &seen.file, if told { &owe } else { "" });
        let mut reasons = files.reasons;
        if must_run && files.action.is_none() && seen.running < self.processes() {
            reasons.push(format!(
                "start ({} of {} run)",
                seen.running,
                self.processes()
            ));
        }
        if told && seen.owed {
            reasons.push("tell supervisor (owed by an earlier run)".to_owned());
        }
        if reasons.is_empty() {
            return Verdict::Converged;
        }
        let script = if told {
            files.script.text(self.tell())
        } else {
            files.script
        };
        Verdict::Will(Change {
            action: files.action.unwrap_or(Action::Run),
            summary: reasons.join(", "),
            diff: files.diff,
            work: Work::Script(script),
        })
    }
}

fn seen(file: Vec<FileSeen>, line: &str) -> Option<SupervisorProgramSeen> {
    let yes = |word: &str| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [ready, running, owed] => Some(SupervisorProgramSeen {
            file,
            ready: yes(ready)?,
            running: running.parse().ok()?,
            owed: yes(owed)?,
        }),
        _ => None,
    }
}

/// `supervisorctl` starts Python, so it is asked only where the processes do not show by
/// themselves: supervisor leaves the names of group and process in their environment.
const LOOK: &str = r#"marg_processes=$(grep -ashowE 'SUPERVISOR_(GROUP|PROCESS)_NAME=[[:print:]]*' /proc/[0-9]*/environ)
marg_supervisor() {
  ready=no; owed=no; running=0; seen=
  if [ -e "$3" ]; then ready=yes; fi
  if [ -e "/var/lib/marg/owed/$4.reload" ]; then owed=yes; fi
  while read -r a && read -r b; do
    case $seen in *"|$a $b|"*) continue ;; esac
    seen="$seen|$a $b|"
    case "$a $b" in *"SUPERVISOR_GROUP_NAME=$2"|"SUPERVISOR_GROUP_NAME=$2 "*) running=$((running + 1)) ;; esac
  done <<MARG_END
$marg_processes
MARG_END
  if [ $ready = yes ] && [ $running -lt "$5" ] && command -v supervisorctl >/dev/null; then
    running=$(supervisorctl status "$2:*" 2>/dev/null | grep -cE ' (RUNNING|STARTING) ')
  fi
  echo "own $1 $ready $running $owed"
}"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    const PATH: &str = "/etc/supervisor/conf.d/flow.conf";

    fn flow() -> SupervisorProgram {
        SupervisorProgram::new("flow", "[program:flow]\nnumprocs = 3\n").requires("/srv/artisan")
    }

    fn summary(desired: &SupervisorProgram, file: &[String], own: &str) -> Option<String> {
        let lines = [file, &[own.to_owned()]].concat();
        let seen = SupervisorProgram::read(&[desired], &lines).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let stat = format!("s 644 root root f|{PATH}");
        let same = [stat.clone(), format!("{PATH}: OK")];
        let other = [stat, format!("{PATH}: FAILED")];
        for (file, own, expected) in [
            (same.as_slice(), "own 0 yes 3 no", None),
            (&same, "own 0 no 0 no", None),
            (&same, "own 0 yes 2 no", Some("start (2 of 3 run)")),
            (
                &same,
                "own 0 yes 3 yes",
                Some("tell supervisor (owed by an earlier run)"),
            ),
            (&same, "own 0 no 0 yes", None),
            (&other, "own 0 yes 3 no", Some("content")),
            (&[], "own 0 no 0 no", Some("create")),
        ] {
            assert_eq!(
                summary(&flow(), file, own).as_deref(),
                expected,
                "{file:?} {own}"
            );
        }
        let absent = SupervisorProgram::absent("flow");
        assert_eq!(summary(&absent, &[], "own 0 yes 0 no"), None);
        assert_eq!(
            summary(&absent, &other, "own 0 yes 3 no").as_deref(),
            Some("remove")
        );
    }

    #[test]
    fn junk_is_an_error() {
        for line in ["junk", "own 0 yes many no", "own 0 yes 1", "own 1 yes 1 no"] {
            assert!(
                SupervisorProgram::read(&[&flow()], &[line.to_owned()]).is_err(),
                "{line}"
            );
        }
        assert!(SupervisorProgram::read(&[&flow()], &[]).is_err());
    }

    #[test]
    fn the_number_of_processes_is_read_from_the_configuration() {
        assert_eq!(flow().processes(), 3);
        assert_eq!(
            SupervisorProgram::new("a", "[program:a]\ncommand=x=1").processes(),
            1
        );
    }

    #[test]
    fn a_real_supervisor_converges() {
        let Some(host) = Host::named("MARG_TRY_HOST") else {
            return;
        };
        host.run("rm -rf /srv/try; mkdir -p /srv/try; systemctl restart supervisor");
        let program = |seconds: u32| {
            let text = format!(
                "[program:margtry]\ncommand=/bin/sleep {seconds}\nnumprocs=2\n\
                 process_name=%(program_name)s_%(process_num)02d\nstartsecs=0\n"
            );
            let program = SupervisorProgram::new("margtry", text);
            [Resource::from(program.requires("/srv/try/artisan"))]
        };
        host.converge(&[SupervisorProgram::absent("margtry").into()]);
        assert_eq!(host.converge(&program(1000)), ["create"], "only configured");
        host.run("touch /srv/try/artisan");
        assert_eq!(host.converge(&program(1000)), ["start (0 of 2 run)"]);
        host.run("supervisorctl stop margtry:margtry_01");
        assert_eq!(host.converge(&program(1000)), ["start (1 of 2 run)"]);
        assert_eq!(host.converge(&program(2000)), ["content"]);
        let restart = host.plan(&program(1000));
        host.run("systemctl restart supervisor");
        host.apply(&restart);
        assert_eq!(
            host.converge(&program(2000)),
            ["content"],
            "supervisor was waited for"
        );
        assert_eq!(host.run("pgrep -fc '^/bin/sleep 2000'"), "2\n");
        host.converge(&[SupervisorProgram::absent("margtry").into()]);
        assert_eq!(host.run("pgrep -fc '^/bin/sleep [12]000'"), "0\n");
    }
}
