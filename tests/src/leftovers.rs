//! Everything by which one could tell that a lab has been here.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One line for each process, mount, namespace, interface, rule, route, table, control group or
/// file of a lab that is not there any more.
pub fn of_the_lab() -> Vec<String> {
    let mut found = processes();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let mounts = mounts.lines().filter(|line| line.contains("marg-"));
    found.extend(mounts.map(|line| format!("mount: {line}")));
    for (what, program, arguments) in [
        ("interface", "ip", &["-o", "link"][..]),
        ("namespace", "ip", &["netns", "list"]),
        ("rule", "ip", &["rule"]),
        ("route", "ip", &["route", "show", "table", "all"]),
        ("nftables", "nft", &["list", "tables"]),
    ] {
        let lines = output(program, arguments);
        let lines = lines.lines().filter(|line| is_of_the_lab(line));
        found.extend(lines.map(|line| format!("{what}: {line}")));
    }
    for path in ["/run/marg-lab", "/var/lib/marg-lab/machines"] {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| format!("file: {}", entry.path().display())));
    }
    found.extend(control_groups(Path::new("/sys/fs/cgroup"), 3));
    found
}

/// Names and addresses that only the lab uses.
fn is_of_the_lab(line: &str) -> bool {
    let own = |word: &str| {
        word.starts_with("marg")
            || word.starts_with("198.18.")
            || word.starts_with("198.19.")
            || word == "77"
    };
    line.split([' ', ':', '@', '/', '"']).any(own)
}

fn processes() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        if line.contains("marg-lab") || line.contains("lab serve") {
            found.push(format!("process {}: {line}", entry.file_name().display()));
        }
    }
    found
}

fn control_groups(folder: &Path, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() || path.is_symlink() {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with("marg") {
            found.push(format!("control group: {}", path.display()));
        } else if depth > 1 {
            found.extend(control_groups(&path, depth - 1));
        }
    }
    found
}

fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // A machine without the program never had a lab that needs it.
        Err(_) => String::new(),
    }
}
