//! Runs probes and plans on a real shell: this machine's, inside a folder of the test's own, or
//! one that an environment variable names (`chroot /tmp/debian sh`), for what needs a whole host.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kind::Resource;
use crate::kinds::State;
use crate::{Answer, FRAME, HostPlan, apply_script, plan, probe_script, quote};

/// Something that runs scripts.
pub(crate) struct Host {
    shell: Vec<String>,
    state: Option<String>,
    /// Tests share a named host, which has room for one run at a time.
    _turn: Option<std::fs::File>,
}

impl Host {
    /// This machine; what marg remembers on a host goes into `folder`.
    pub(crate) fn local(folder: &Path) -> Host {
        let state = Some(folder.join("marg").display().to_string());
        Host {
            shell: vec!["sh".to_owned()],
            state,
            _turn: None,
        }
    }

    /// The host behind an environment variable; `None`, said aloud, where it is not set.
    #[allow(clippy::print_stderr)]
    pub(crate) fn named(variable: &str) -> Option<Host> {
        let Ok(words) = std::env::var(variable) else {
            eprintln!("skipped: {variable} does not name a shell on a throw-away host");
            return None;
        };
        let shell = words.split_whitespace().map(str::to_owned).collect();
        let turn = std::fs::File::create(std::env::temp_dir().join("marg-try.lock")).unwrap();
        turn.lock().unwrap();
        Some(Host {
            shell,
            state: None,
            _turn: Some(turn),
        })
    }

    /// Runs a script as the engine does: out of a variable, with nothing on standard input.
    pub(crate) fn run(&self, script: &str) -> String {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]);
        command.args([
            "-c",
            "script=$(cat; echo x); eval \"${script%x}\" </dev/null",
        ]);
        if let Some(state) = &self.state {
            command.env("MARG_STATE", state);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    /// Runs a script that only looks; what the engine would read.
    pub(crate) fn look(&self, script: &str) -> String {
        let quoted = quote(script);
        self.run(&format!(
            "{FRAME}OUT=$(mktemp -d)\nlook {quoted}\nrm -r \"$OUT\"\n"
        ))
    }

    /// What would be done.
    pub(crate) fn plan(&self, resources: &[Resource]) -> HostPlan {
        let states: Vec<&State> = resources.iter().map(|resource| &resource.state).collect();
        let output = self.look(&probe_script(&states));
        match plan("host", resources, &Answer::parse(&output)) {
            Ok(plan) => plan,
            Err(misread) => panic!("{misread}\n{output}"),
        }
    }

    /// Does it; the output of all steps. Guarded changes find their confirmation at once.
    pub(crate) fn apply(&self, plan: &HostPlan) -> String {
        self.apply_with(plan, "sleep() { : > \"$RESCUE/confirmed\"; }\n")
    }

    /// Does it, but nobody confirms a guarded change; the wait is short.
    pub(crate) fn apply_unconfirmed(&self, plan: &HostPlan) -> String {
        self.apply_with(plan, "RESCUE_SECONDS=1\n")
    }

    fn apply_with(&self, plan: &HostPlan, head: &str) -> String {
        let script = apply_script(plan, "mark");
        let script = script.reveal();
        self.run(&format!(
            "RUN=$(mktemp -d)\ntrap 'rm -r \"$RUN\"' EXIT\n{head}{}",
            script.expose()
        ))
    }

    /// Plans, applies, and plans again: the second plan must be empty. Returns the summaries of
    /// the first.
    pub(crate) fn converge(&self, resources: &[Resource]) -> Vec<String> {
        let first = self.plan(resources);
        let output = if first.is_empty() {
            String::new()
        } else {
            self.apply(&first)
        };
        let second = self.plan(resources);
        assert!(
            second.is_empty(),
            "{:#?}\nafter {first:#?}\n{output}",
            second.changes
        );
        first
            .changes
            .into_iter()
            .map(|change| change.summary)
            .collect()
    }
}

/// Owner and group of a path, so that a test needs no rights of root.
pub(crate) fn names(path: &Path) -> (String, String) {
    let output = Command::new("stat")
        .args(["-c", "%U %G"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (user, group) = text.trim().split_once(' ').unwrap();
    (user.to_owned(), group.to_owned())
}
