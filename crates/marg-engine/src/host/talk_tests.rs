//! The loader and the apply protocol against a real shell on this machine.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use marg_resources::Step;
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

    async fn line(&mut self, _: Duration) -> Result<Option<String>, HostError> {
        Ok(self.stdout.next_line().await.unwrap())
    }
}

/// A conversation whose lock, run and state folders lie in `root`.
async fn talk(root: &std::path::Path, lock: &Lock) -> Result<Talk<Local>, HostError> {
    let mark = new_mark();
    let run = format!("{}/run", root.display());
    std::fs::create_dir_all(&run).unwrap();
    let command = command(lock, &mark).replace("/run/marg", &format!("{run}/marg"));
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
        mark,
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
        "no newline"
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
    let outputs: Vec<_> = heard
        .iter()
        .filter_map(|p| match p {
            Progress::Output(line) => Some(line.as_str()),
            _ => None,
        })
        .collect();
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
