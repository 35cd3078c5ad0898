//! The loader and the apply protocol against a real shell on this machine.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use marg_resources::{Misread, Step, section};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::*;

/// A local shell in place of a host.
struct Local {
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Pipe for Local {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        self.stdin.write_all(bytes).await.unwrap();
        Ok(())
    }

    async fn line(&mut self, deadline: Duration) -> Result<Option<String>, HostError> {
        let line = tokio::time::timeout(deadline, self.stdout.next_line()).await;
        Ok(line.expect("the host says something").unwrap())
    }
}

/// A conversation whose lock, run and state folders lie in `root`.
async fn talk(root: &std::path::Path, lock: &Lock) -> Result<Talk<Local>, HostError> {
    let run = format!("{}/run", root.display());
    std::fs::create_dir_all(&run).unwrap();
    let command = command(lock).replace("/run/marg", &format!("{run}/marg"));
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("MARG_STATE", root.join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    Talk::start(
        "web1",
        Local {
            stdin,
            stdout,
            _child: child,
        },
    )
    .await
}

fn plan(root: &std::path::Path, bodies: &[&str]) -> HostPlan {
    let steps = bodies.iter().map(|body| Step {
        name: (*body).to_owned(),
        body: Shell::new(format!("cd {}\n{body}", root.display())),
        deadline: Duration::from_secs(20),
        guarded: false,
    });
    HostPlan {
        name: "web1".to_owned(),
        changes: Vec::new(),
        steps: steps.collect(),
        ..HostPlan::default()
    }
}

/// What the steps printed.
fn outputs(heard: &[Progress]) -> Vec<&str> {
    let lines = heard.iter().filter_map(|progress| match progress {
        Progress::Output(line) => Some(line.as_str()),
        _ => None,
    });
    lines.collect()
}

#[tokio::test]
async fn looks_come_back_whole_and_a_failed_look_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    assert_eq!(talk.look("printf 'a b\\nü\\n'").await.unwrap(), "a b\nü\n");
    assert_eq!(
        talk.look("cat; echo \"'quoted'\"\n\n").await.unwrap(),
        "'quoted'\n"
    );
    assert_eq!(
        talk.look("printf \'no newline\'").await.unwrap(),
        "no newline\n"
    );
    assert!(matches!(
        talk.look("exit 3").await,
        Err(HostError::Look { .. })
    ));
    assert_eq!(talk.look("echo still here").await.unwrap(), "still here\n");
}

#[tokio::test]
async fn a_held_host_tells_who_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let lock = Lock::Held {
        who: "anna@laptop since noon".to_owned(),
    };
    let first = talk(root.path(), &lock).await.unwrap();
    match talk(root.path(), &lock).await.err() {
        Some(HostError::Locked { holder, .. }) => assert_eq!(holder, "anna@laptop since noon"),
        other => panic!("expected a lock, got {other:?}"),
    }
    // Looking needs no lock.
    talk(root.path(), &Lock::None).await.unwrap();
    drop(first);
}

#[tokio::test]
async fn steps_run_in_order_and_the_first_failure_ends_them() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let plan = plan(
        root.path(),
        &["echo one", "echo two; false; echo never", "echo three"],
    );
    let mut heard = Vec::new();
    let error = talk
        .apply(&plan, |progress| heard.push(progress))
        .await
        .unwrap_err();
    match error {
        HostError::Step { step, output, .. } => {
            assert_eq!(
                (step.as_str(), output.as_str()),
                ("echo two; false; echo never", "two")
            );
        }
        other => panic!("expected a failed step, got {other:?}"),
    }
    let outputs = outputs(&heard);
    assert_eq!(outputs, ["one", "two"]);
}

#[tokio::test]
async fn a_lost_connection_lets_the_step_in_hand_finish_and_stops_before_the_next() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let bodies = [
        "while [ ! -e lost ]; do sleep 0.02; done; echo x; touch finished",
        "touch next; echo y",
    ];
    let plan = plan(root.path(), &bodies);
    let script = apply_script(&plan, &talk.mark);
    talk.send("apply", script.reveal().expose()).await.unwrap();
    while talk
        .pipe
        .line(LOOK_DEADLINE)
        .await
        .unwrap()
        .is_some_and(|line| !line.contains("start"))
    {}
    let Talk {
        pipe:
            Local {
                stdin,
                stdout,
                _child: mut child,
            },
        ..
    } = talk;
    drop((stdin, stdout));
    std::fs::write(root.path().join("lost"), "").unwrap();
    child.wait().await.unwrap();
    assert!(
        root.path().join("finished").exists(),
        "the step in hand was cut"
    );
    assert!(
        !root.path().join("next").exists(),
        "the next step ran with nobody listening"
    );
}

#[tokio::test]
async fn a_last_line_without_a_newline_hides_no_end() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let plan = plan(root.path(), &["printf fine", "printf oops; exit 3"]);
    let mut heard = Vec::new();
    let error = talk
        .apply(&plan, |progress| heard.push(progress))
        .await
        .unwrap_err();
    match error {
        HostError::Step { status, output, .. } => {
            assert_eq!((status.as_str(), output.as_str()), ("3", "oops"));
        }
        other => panic!("expected a failed step, got {other:?}"),
    }
    assert!(
        heard.contains(&Progress::Output("fine".to_owned())),
        "{heard:?}"
    );
}

/// Everything that one who knows the mark could print to be taken for the host's own words.
fn forgeries(mark: &str) -> Vec<String> {
    let lines = [
        "@done {} 0",
        "@done {} 1",
        "@step {} 1 end 0",
        "@step {} 2 start",
        "@guard {}",
        "@told {}",
        "@busy {} eve",
        "|@done {} 0",
        "./said:file 0",
        "./file:/etc/shadow: OK",
        "file 0",
        "@end file 0",
        "",
    ];
    lines.map(|line| line.replace("{}", mark)).to_vec()
}

#[tokio::test]
async fn what_a_look_prints_is_only_output() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let lines = forgeries(&talk.mark);
    let text = lines.join("\n") + "\n";
    let long = "x".repeat(300_000);
    std::fs::write(root.path().join("text"), &text).unwrap();
    std::fs::write(root.path().join("long"), format!("{long}\na\0b\n@end")).unwrap();
    let (text_path, long_path) = (root.path().join("text"), root.path().join("long"));
    let script = format!("cat {}; exit 3", text_path.display());
    match talk.look(&script).await {
        Err(HostError::Look { status, output, .. }) => {
            assert_eq!((status, output), ("3".into(), text.clone()))
        }
        other => panic!("a forged end was believed: {other:?}"),
    }
    let script = format!("cat {} {} >&2", text_path.display(), long_path.display());
    let said = talk.look(&script).await.unwrap();
    assert_eq!(said, format!("{text}{long}\na\0b\n@end\n"));
    // A section cannot speak for another one, nor say that it went well.
    let cat = format!("cat {}", text_path.display());
    let script = section("shady", &format!("{cat}; false")) + &section("file", "echo true");
    let answer = talk.probe(&script).await.unwrap();
    assert_eq!(answer.section("file").unwrap(), ["true"]);
    assert!(matches!(
        answer.section("shady"),
        Err(Misread::Failed { .. })
    ));
    let answer = talk.probe(&section("shady", &cat)).await.unwrap();
    assert_eq!(answer.section("shady").unwrap(), lines);
    assert!(matches!(
        answer.section("file"),
        Err(Misread::Missing { .. })
    ));
}

#[tokio::test]
async fn what_a_step_prints_is_only_output() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let lines = forgeries(&talk.mark);
    let long = "x".repeat(300_000);
    std::fs::write(root.path().join("text"), lines.join("\n") + "\n").unwrap();
    std::fs::write(root.path().join("more"), format!("{long}\na\0b\n@told ")).unwrap();
    let plan = plan(root.path(), &["cat text more; exit 4", "touch never"]);
    let mut heard = Vec::new();
    let result = talk.apply(&plan, |progress| heard.push(progress)).await;
    match result {
        Err(HostError::Step { step, status, .. }) => {
            assert_eq!((step, status.as_str()), (plan.steps[0].name.clone(), "4"))
        }
        other => panic!("a forged end was believed: {other:?}"),
    }
    let mut expected: Vec<&str> = lines.iter().map(String::as_str).collect();
    // A shell's variable holds no NUL.
    expected.extend([long.as_str(), "ab", "@told "]);
    assert_eq!(outputs(&heard), expected);
    assert!(!heard.contains(&Progress::Guard) && !root.path().join("never").exists());
    assert_eq!(talk.look("echo still here").await.unwrap(), "still here\n");
}

#[tokio::test]
async fn what_a_step_leaves_running_holds_neither_lock_nor_conversation() {
    let root = tempfile::tempdir().unwrap();
    let lock = Lock::Held {
        who: "anna".to_owned(),
    };
    let mut first = talk(root.path(), &lock).await.unwrap();
    let stay = "sleep 600 & echo $! > ";
    let steps = [format!("{stay}of-step"), "echo went on".to_owned()];
    let plan = plan(root.path(), &steps.each_ref().map(String::as_str));
    let mut heard = Vec::new();
    first
        .apply(&plan, |progress| heard.push(progress))
        .await
        .unwrap();
    assert_eq!(outputs(&heard), ["went on"]);
    let script = format!("cd {}; {stay}of-look", root.path().display());
    first.look(&script).await.unwrap();
    let pids =
        ["of-step", "of-look"].map(|name| std::fs::read_to_string(root.path().join(name)).unwrap());
    // The session ends, and with it the lock, although they still run.
    let Local {
        stdin,
        stdout,
        mut _child,
    } = first.pipe;
    drop((stdin, stdout));
    _child.wait().await.unwrap();
    let second = talk(root.path(), &lock).await;
    let alive = pids
        .each_ref()
        .map(|pid| std::path::Path::new("/proc").join(pid.trim()).exists());
    for pid in &pids {
        Command::new("kill").arg(pid.trim()).status().await.unwrap();
    }
    assert!(second.is_ok(), "{:?}", second.err());
    assert_eq!(alive, [true, true]);
}

/// What everybody on a host may read of a process, and what its own user may, for all of them.
fn seen_of_processes() -> String {
    let mut seen = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            // A process may have ended meanwhile.
            seen.extend(std::fs::read(process.path().join(file)).unwrap_or_default());
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn no_process_shows_the_mark() {
    let root = tempfile::tempdir().unwrap();
    let mut talk = talk(root.path(), &Lock::None).await.unwrap();
    let mark = talk.mark.clone();
    let plan = plan(
        root.path(),
        &["sh -c ': > running; until [ -e seen ]; do sleep 0.01; done; : waiting-for-eyes'"],
    );
    let look = async {
        while !root.path().join("running").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let seen = seen_of_processes();
        std::fs::write(root.path().join("seen"), "").unwrap();
        seen
    };
    let (applied, seen) = tokio::join!(talk.apply(&plan, |_| {}), look);
    applied.unwrap();
    assert!(seen.contains("waiting-for-eyes"), "the step was not seen");
    assert!(!seen.contains(&mark), "the mark can be read");
}
