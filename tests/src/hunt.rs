//! Looking for secrets where they must not be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::fleet::Fleet;
use crate::program::Marg;

/// How often command lines are looked at.
const INTERVAL: Duration = Duration::from_millis(40);

/// Collects the command lines of all processes, those inside the lab's machines included, for
/// as long as it lives.
#[derive(Debug)]
pub struct CommandLines {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<BTreeSet<String>>,
}

impl CommandLines {
    /// Starts watching.
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                look(&mut seen);
                std::thread::sleep(INTERVAL);
            }
            seen
        });
        Self { stop, watcher }
    }

    /// Everything seen, one command per line.
    pub fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.watcher.join().expect("the watcher");
        seen.into_iter().collect::<Vec<_>>().join("\n")
    }
}

fn look(seen: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name();
        if !name
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit())
        {
            continue;
        }
        // A process that has ended meanwhile has nothing to hide any more.
        let Ok(bytes) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if !line.is_empty() {
            seen.insert(line);
        }
    }
}

/// The part of a secret by which it is recognised however it is quoted or encoded as text: its
/// longest run of plain letters and digits.
pub fn needle(secret: &str) -> String {
    let runs = secret.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '='));
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    assert!(
        longest.len() >= 12,
        "a secret without a part by which to recognise it"
    );
    longest.to_owned()
}

/// Which of the needles stand in a text.
pub fn found_in<'a>(text: &str, needles: &'a [(String, String)]) -> Vec<&'a str> {
    let found = needles
        .iter()
        .filter(|(_, needle)| text.contains(needle.as_str()));
    found.map(|(name, _)| name.as_str()).collect()
}

/// Secrets to look for: each one's name, and the part by which it is recognised.
pub type Needles = Vec<(String, String)>;

/// Every secret of an environment: what `secrets.toml` holds, the operator's key, the tokens of the
/// cloud.
pub fn needles(fleet: &Fleet) -> Needles {
    let key = fs::read_to_string(fleet.project.vault().join("ssh_key")).expect("a key");
    let key = key.lines().nth(2).expect("the key itself").to_owned();
    let lab = Marg::new(&fleet.project.folder, ["lab", "env", "--json"])
        .run()
        .ok();
    let entry = lab.document()["MARG_SECRET_ENTRY_TOKEN"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let own = [
        ("ssh_key", key),
        ("token", fleet.api.token.clone()),
        ("entry token", entry),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let stored = fleet.project.secrets().into_iter();
    let all = stored.chain(own).filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| (name, needle(value.trim_start_matches("base64:"))))
        .collect()
}

/// A hunt that goes on while the program works.
#[derive(Debug)]
pub struct Hunt<'f> {
    fleet: &'f Fleet,
    needles: Needles,
    lines: CommandLines,
    /// What is newer on this machine has been written since.
    begin: PathBuf,
}

impl<'f> Hunt<'f> {
    /// Begins to watch the command lines of this machine and of all in the lab.
    pub fn begin(fleet: &'f Fleet, needles: Needles) -> Hunt<'f> {
        let begin = fleet.project.folder.join("hunt-began");
        let mark = fs::File::create(&begin).expect("a mark");
        // What is written in the same tick of the clock is newer, too.
        let before = SystemTime::now() - Duration::from_secs(1);
        mark.set_modified(before).expect("a mark");
        let lines = CommandLines::watch();
        Hunt {
            fleet,
            needles,
            lines,
            begin,
        }
    }

    /// Looks everywhere, and returns a line per place where a secret is and must not be.
    #[track_caller]
    pub fn end(self) -> Vec<String> {
        let seen = self.lines.stop();
        let mut found: Vec<String> = found_in(&seen, &self.needles)
            .into_iter()
            .map(|name| format!("a command line: {name}"))
            .collect();
        // Words, events and JSON: everything that the program has ever printed in this project.
        let said = fs::read_to_string(self.fleet.project.diary()).expect("the diary");
        found.extend(
            found_in(&said, &self.needles)
                .into_iter()
                .map(|name| format!("the program's words: {name}")),
        );
        found.extend(on_controller(
            &self.fleet.project.folder,
            &self.begin,
            &self.needles,
        ));
        for host in self.fleet.machines.keys() {
            found.extend(on_host(self.fleet, host, &self.needles));
        }
        found
    }
}

/// Looks on this machine: in the project's files but those two that hold secrets, and in all
/// temporary files that are newer than `begin`.
#[track_caller]
fn on_controller(project: &Path, begin: &Path, needles: &Needles) -> Vec<String> {
    let file = tempfile::NamedTempFile::new_in("/run").expect("a file that only root reads");
    let patterns: String = needles
        .iter()
        .map(|(_, needle)| format!("{needle}\n"))
        .collect();
    fs::write(file.path(), patterns).expect("the needles");
    let output = Command::new("sh")
        .args(["-c", CONTROLLER, "sh"])
        .args([project, begin, file.path()])
        .output()
        .expect("sh");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        lines.ends_with("looked\n"),
        "the hunt broke off: {output:?}"
    );
    let lines = lines.lines().filter(|line| *line != "looked");
    lines.map(|line| format!("this machine: {line}")).collect()
}

/// Project, mark and needles are its arguments. What the diary holds is said by itself; the vault's
/// two files are where secrets belong, if nobody else may read them.
const CONTROLLER: &str = r#"
find "$1" -type f ! -path '*/.marg/*@lab/secrets.toml' ! -path '*/.marg/*@lab/ssh_key' ! -name said.log \
    -size -20M -print0 | xargs -0 -r grep -lsF -f "$3" | sed 's/^/project: /'
find "$1" -path '*/.marg/*' -type f ! -name ssh_key.pub -perm /go+rwx | sed 's/^/open to others: /'
find /tmp /var/tmp /dev/shm -type f -newer "$2" -size -20M -print0 2>/dev/null |
    xargs -0 -r grep -lsF -f "$3" | sed 's/^/temporary: /'
echo looked
"#;

/// Looks on a host in every file that anybody may read, in temporary files that nobody else may,
/// in all logs, in the journal with all its fields, and in the command lines of all processes.
/// Returns a line per place.
#[track_caller]
pub fn on_host(fleet: &Fleet, host: &str, needles: &[(String, String)]) -> Vec<String> {
    let patterns: String = needles
        .iter()
        .map(|(_, needle)| format!("{needle}\n"))
        .collect();
    let output = fleet.feed(host, SCRIPT, &patterns);
    let lines: Vec<String> = output
        .lines()
        .map(|line| format!("{host}: {line}"))
        .collect();
    assert!(
        lines.last().is_some_and(|line| line.ends_with("looked")),
        "the hunt broke off: {lines:?}"
    );
    lines[..lines.len() - 1].to_vec()
}

/// The needles come on standard input and are kept where nobody else may read. A journal in its
/// own format is searched through journalctl, which unpacks it.
const SCRIPT: &str = r#"
umask 077
needles=$(mktemp /run/marg-hunt.XXXXXX)
cat > "$needles"
# Files in memory are other file systems.
places=$(for place in / /run /tmp /dev/shm /var/tmp; do stat -c '%d %n' "$place"; done | sort -u -k1,1 | cut -d' ' -f2)
# Below a folder that others may not enter, nobody else reads anything.
find $places -xdev \( -path /proc -o -path /sys -o -path "$needles" -o -type d ! -perm -o+x \) -prune -o \
    -type f -perm /o+r -size -20M -print0 | xargs -0 -r grep -lsF -f "$needles" | sed 's/^/readable by all: /'
find /tmp /var/tmp /dev/shm /run ! -path "$needles" -type f -size -20M -print0 |
    xargs -0 -r grep -lsF -f "$needles" | sed 's/^/temporary: /'
find /var/log ! -path '/var/log/journal/*' -type f -print0 | xargs -0 -r grep -lsF -f "$needles" | sed 's/^/log: /'
find /var/log -type f -name '*.gz' -print0 | xargs -0 -r zgrep -lsF -f "$needles" | sed 's/^/log: /'
journalctl --no-pager -o export | grep -qaF -f "$needles" && echo journal
for process in /proc/[0-9]*; do
  tr '\0' ' ' 2>/dev/null < "$process/cmdline" | grep -qF -f "$needles" && echo "command line: $process"
done
rm -f "$needles"
echo looked
"#;
