//! Looking for secrets where they must not be.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::fleet::Fleet;

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

/// Looks on a host in every file that anybody may read, in all logs, in the journal and in the
/// command lines of all processes. Returns a line per place.
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
find / -xdev \( -path /proc -o -path /sys -o -path "$needles" \) -prune -o \
    -type f -perm /o+r -size -20M -print0 | xargs -0 -r grep -lsF -f "$needles" | sed 's/^/readable by all: /'
find /var/log -type f -print0 | xargs -0 -r grep -lsF -f "$needles" | sed 's/^/log: /'
find /var/log -type f -name '*.gz' -print0 | xargs -0 -r zgrep -lsF -f "$needles" | sed 's/^/log: /'
journalctl --no-pager -o cat | grep -qF -f "$needles" && echo journal
for process in /proc/[0-9]*; do
  tr '\0' ' ' 2>/dev/null < "$process/cmdline" | grep -qF -f "$needles" && echo "command line: $process"
done
rm -f "$needles"
echo looked
"#;
